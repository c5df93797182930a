// SPDX-License-Identifier: MIT
//
// Goal: the parts of [new.delete] and [alloc.errors] that need more than one call: the loop over a
// new-handler that makes room, memory that really is out, constructors that throw, and all forms in
// all threads at once. docs/conformance.md says which clause each case stands for.
// Method: a child process lowers its own limit for data so that the next large block cannot be had,
// and the handler lifts it again; leaks of half-made objects would show in the resident size;
// threads hand blocks of all forms round, each with its form and size in front of a pattern.
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <new>
#include <thread>
#include <vector>

#include <setjmp.h>
#include <sys/resource.h>
#include <unistd.h>

extern "C" {
#include <cmocka.h>

#include "child.h"
}

#include "allocator.h"
#include "check.h"
#include "forms.h"
#include "memory.h"
#include "random.h"

namespace {

// ---- memory is out ----

constexpr std::size_t too_much_bytes = 64 * std::size_t{MEMORY_MIB};
rlimit plenty;
int handler_calls;

void allow_no_more_memory()
{
    rlimit little = plenty;
    little.rlim_cur = MEMORY_MIB;
    CHECK(setrlimit(RLIMIT_DATA, &little) == 0);
}

void handler_that_makes_room()
{
    handler_calls++;
    CHECK(setrlimit(RLIMIT_DATA, &plenty) == 0);
}

void check_fails_as_it_should(const form &f)
{
    bool caught = false;
    try {
        CHECK(f.allocate(too_much_bytes) == nullptr);
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    CHECK(caught == f.throws);
}

// The blocks stay, so that none finds the place of another.
[[noreturn]] void run_out_of_memory()
{
    child_begin();
    CHECK(getrlimit(RLIMIT_DATA, &plenty) == 0);
    for (const form &f : forms) {
        allow_no_more_memory();
        std::set_new_handler(nullptr);
        check_fails_as_it_should(f);
        std::set_new_handler(handler_that_makes_room);
        handler_calls = 0;
        char *block = static_cast<char *>(f.allocate(too_much_bytes));
        CHECK(block != nullptr);
        CHECK(handler_calls == 1);
        CHECK(reinterpret_cast<std::uintptr_t>(block) % f.alignment == 0);
        block[too_much_bytes - 1] = 1;
    }
    _exit(0);
}

void a_new_handler_may_make_room(void **)
{
    const pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        run_out_of_memory();
    assert_true(child_ended_well(pid));
}

// ---- constructors that throw ----

template <std::size_t alignment> struct alignas(alignment) unborn {
    char bytes[49152];

    unborn()
    {
        std::memset(bytes, 1, sizeof bytes);
        throw 7;
    }
};

// 75 MiB would be left behind by one kind that is not given back.
template <class object> void assert_memory_of_unborn_is_given_back()
{
    const std::size_t before = memory_rss_bytes();
    int caught = 0;

    for (int i = 0; i < 1600; i++) {
        try {
            switch (i % 4) {
            case 0: delete new object; break;
            case 1: delete new (std::nothrow) object; break;
            case 2: delete[] new object[3]; break;
            default: delete[] new (std::nothrow) object[3]; break;
            }
        } catch (int) {
            caught++;
        }
    }
    assert_int_equal(caught, 1600);
    assert_true(memory_rss_above_bytes(before) < 8 * MEMORY_MIB);
}

void a_constructor_that_throws_leaves_no_memory_behind(void **)
{
    assert_memory_of_unborn_is_given_back<unborn<16>>();
    assert_memory_of_unborn_is_given_back<unborn<4096>>();
}

// ---- threads ----

// A pattern follows.
struct parcel {
    std::size_t form_index;
    std::size_t bytes;
};

std::atomic<parcel *> exchanges[64];

void check_and_release(parcel *p)
{
    if (p == nullptr)
        return;
    const std::size_t bytes = p->bytes;
    CHECK(memory_holds(p + 1, bytes - sizeof(parcel), bytes));
    forms[p->form_index].release(p, bytes);
}

void allocate_and_exchange(std::uint64_t random)
{
    for (int round = 0; round < 20000; round++) {
        const std::size_t bytes = sizeof(parcel) + random_size(&random, round % 50 ? 10 : 18);
        const std::size_t index = random_below(&random, std::size(forms));
        parcel *p = static_cast<parcel *>(forms[index].allocate(bytes));

        CHECK(p != nullptr);
        CHECK(reinterpret_cast<std::uintptr_t>(p) % forms[index].alignment == 0);
        p->form_index = index;
        p->bytes = bytes;
        memory_fill(p + 1, bytes - sizeof(parcel), bytes);
        check_and_release(exchanges[random_below(&random, std::size(exchanges))].exchange(p));
    }
}

void every_form_may_run_in_all_threads(void **)
{
    std::uint64_t random = random_seed();
    std::vector<std::thread> threads;

    for (int i = 0; i < 4; i++)
        threads.emplace_back(allocate_and_exchange, random_next(&random));
    for (std::thread &thread : threads)
        thread.join();
    for (auto &exchange : exchanges)
        check_and_release(exchange.exchange(nullptr));
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_handler_may_make_room),
        cmocka_unit_test(a_constructor_that_throws_leaves_no_memory_behind),
        cmocka_unit_test(every_form_may_run_in_all_threads),
    };

    allocator_expect();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
