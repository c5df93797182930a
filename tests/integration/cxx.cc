// SPDX-License-Identifier: MIT
//
// Goal: C++ programs work: every standard form of operator new and delete, the new-handler
// loop, bad_alloc, nothrow forms, over-aligned types, sized and aligned deletes that are told
// a wrong size, containers, exceptions in threads, thread_local objects with destructors.
// Method: the operators are called by name, so the compiler cannot elide them; blocks are
// checked for alignment and overlap by patterns; misuse is followed by a check that later
// blocks are apart.
#include <atomic>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include <malloc.h>
#include <setjmp.h>

extern "C" {
#include <cmocka.h>
}

#include "allocator.h"
#include "memory.h"

namespace {

constexpr std::size_t refused_size = static_cast<std::size_t>(PTRDIFF_MAX) - 4096;

std::size_t opaque(std::size_t n)
{
    volatile std::size_t hidden = n;
    return hidden;
}

bool is_aligned(const void *p, std::size_t alignment)
{
    return reinterpret_cast<std::uintptr_t>(p) % alignment == 0;
}

void every_operator_is_hakmems(void **)
{
    static const char *const names[] = {
        "_Znwm", "_Znam",
        "_ZnwmSt11align_val_t", "_ZnamSt11align_val_t",
        "_ZdlPv", "_ZdaPv", "_ZdlPvm", "_ZdaPvm", "_ZdlPvRKSt9nothrow_t", "_ZdaPvRKSt9nothrow_t",
        "_ZdlPvSt11align_val_t", "_ZdaPvSt11align_val_t",
        "_ZdlPvmSt11align_val_t", "_ZdaPvmSt11align_val_t",
        "_ZdlPvSt11align_val_tRKSt9nothrow_t", "_ZdaPvSt11align_val_tRKSt9nothrow_t",
    };

    if (!allocator_is_hakmem())
        skip();
    for (const char *name : names)
        if (!allocator_is_from_hakmem(name))
            fail_msg("%s is not hakmem's", name);
}

// ---- the plain, array, nothrow and aligned forms ----

void *allocate(int form, std::size_t size, std::align_val_t alignment)
{
    switch (form) {
    case 0: return ::operator new(size);
    case 1: return ::operator new[](size);
    case 2: return ::operator new(size, std::nothrow);
    case 3: return ::operator new[](size, std::nothrow);
    case 4: return ::operator new(size, alignment);
    case 5: return ::operator new[](size, alignment);
    case 6: return ::operator new(size, alignment, std::nothrow);
    default: return ::operator new[](size, alignment, std::nothrow);
    }
}

// `sized` picks the delete that takes a size, otherwise the one without or the nothrow one.
void release(int form, void *block, std::size_t size, std::align_val_t alignment, int sized)
{
    switch (form * 2 + (sized ? 1 : 0)) {
    case 0: return ::operator delete(block);
    case 1: return ::operator delete(block, size);
    case 2: return ::operator delete[](block);
    case 3: return ::operator delete[](block, size);
    case 4: return ::operator delete(block, std::nothrow);
    case 5: return ::operator delete(block, size);
    case 6: return ::operator delete[](block, std::nothrow);
    case 7: return ::operator delete[](block, size);
    case 8: return ::operator delete(block, alignment);
    case 9: return ::operator delete(block, size, alignment);
    case 10: return ::operator delete[](block, alignment);
    case 11: return ::operator delete[](block, size, alignment);
    case 12: return ::operator delete(block, alignment, std::nothrow);
    case 13: return ::operator delete(block, size, alignment);
    case 14: return ::operator delete[](block, alignment, std::nothrow);
    default: return ::operator delete[](block, size, alignment);
    }
}

constexpr int forms = 8;
constexpr int aligned_forms_start = 4;

// All blocks of a group live together, filled; each must hold its pattern at its end.
void assert_forms_work(std::size_t size, std::size_t alignment)
{
    void *blocks[forms * 2];
    const auto align = static_cast<std::align_val_t>(alignment);

    for (int i = 0; i < forms * 2; i++) {
        blocks[i] = allocate(i / 2, size, align);
        assert_non_null(blocks[i]);
        assert_true(is_aligned(blocks[i], i / 2 < aligned_forms_start ? 16 : alignment));
        assert_true(malloc_usable_size(blocks[i]) >= size);
        memory_fill(blocks[i], size, static_cast<std::size_t>(i));
        for (int k = 0; k < i; k++)
            assert_ptr_not_equal(blocks[i], blocks[k]);
    }
    for (int i = 0; i < forms * 2; i++) {
        assert_true(memory_holds(blocks[i], size, static_cast<std::size_t>(i)));
        release(i / 2, blocks[i], size, align, i % 2);
    }
}

void every_form_works(void **)
{
    for (std::size_t size = 0; size < 8 * MEMORY_MIB; size += 1 + size / 3)
        for (std::size_t alignment = 1; alignment <= 8192; alignment *= 8)
            assert_forms_work(size, alignment);
    assert_forms_work(100, 4 * MEMORY_MIB);
}

void null_can_be_deleted(void **)
{
    for (int form = 0; form < forms; form++) {
        release(form, nullptr, 100, static_cast<std::align_val_t>(64), 0);
        release(form, nullptr, 100, static_cast<std::align_val_t>(64), 1);
    }
    assert_non_null(std::unique_ptr<int>(new int(1)).get());
}

// ---- failure ----

constexpr bool throws(int form)
{
    return form == 0 || form == 1 || form == 4 || form == 5;
}

void assert_refused(int form, std::size_t size)
{
    bool caught = false;

    try {
        void *block = allocate(form, opaque(size), static_cast<std::align_val_t>(64));
        assert_null(block);
    } catch (const std::bad_alloc &) {
        caught = true;
    }
    assert_int_equal(caught, throws(form));
}

void impossible_sizes_throw_or_give_null(void **)
{
    for (int form = 0; form < forms; form++) {
        assert_refused(form, refused_size);
        assert_refused(form, static_cast<std::size_t>(PTRDIFF_MAX));
        assert_refused(form, static_cast<std::size_t>(PTRDIFF_MAX) + 1);
        // The reference library's aligned forms round these up to zero.
        if (allocator_is_hakmem() || form < aligned_forms_start) {
            assert_refused(form, SIZE_MAX - 64);
            assert_refused(form, SIZE_MAX);
        }
    }
}

int handler_calls;
void *handler_reserve;

void handler_that_gives_up()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

struct own_exception : std::bad_alloc {
};

[[noreturn]] void handler_that_throws()
{
    handler_calls++;
    throw own_exception();
}

void new_handler_is_called_until_it_gives_up(void **)
{
    for (int form = 0; form < forms; form++) {
        handler_calls = 0;
        std::set_new_handler(handler_that_gives_up);
        assert_refused(form, refused_size);
        assert_int_equal(handler_calls, 3);
        assert_null(reinterpret_cast<void *>(std::get_new_handler()));
    }
}

void new_handler_may_throw(void **)
{
    std::set_new_handler(handler_that_throws);
    for (int form = 0; form < forms; form++) {
        bool caught = false;
        void *block = &handler_reserve;

        handler_calls = 0;
        try {
            block = allocate(form, opaque(refused_size), static_cast<std::align_val_t>(64));
        } catch (const own_exception &) {
            caught = true;
        }
        assert_int_equal(handler_calls, 1);
        assert_int_equal(caught, throws(form));
        if (!throws(form))
            assert_null(block);
    }
    std::set_new_handler(nullptr);
}

void malloc_does_not_call_the_new_handler(void **)
{
    handler_calls = 0;
    std::set_new_handler(handler_that_gives_up);
    assert_null(std::malloc(opaque(refused_size)));
    std::set_new_handler(nullptr);
    assert_int_equal(handler_calls, 0);
}

// ---- deletes that are told something wrong ----

void assert_heap_is_sound()
{
    std::vector<char *> blocks;

    for (std::size_t i = 0; i < 3000; i++) {
        char *block = static_cast<char *>(::operator new(i * 7 % 5000));
        memory_fill(block, i * 7 % 5000, i);
        blocks.push_back(block);
    }
    for (std::size_t i = 0; i < blocks.size(); i++) {
        assert_true(memory_holds(blocks[i], i * 7 % 5000, i));
        ::operator delete(blocks[i]);
    }
}

void wrong_sizes_in_delete_are_tolerated(void **)
{
    static const std::size_t wrong[] = {0, 1, 16, 100, 1024, 4096, 100000, 5000000, SIZE_MAX};

    for (std::size_t size = 1; size < 6 * MEMORY_MIB; size += 1 + size / 2) {
        for (std::size_t told : wrong) {
            ::operator delete(::operator new(size), opaque(told));
            ::operator delete[](::operator new[](size), opaque(told));
            ::operator delete(::operator new(size, std::align_val_t(256)), opaque(told),
                              std::align_val_t(256));
        }
    }
    assert_heap_is_sound();
}

void wrong_alignments_in_delete_are_tolerated(void **)
{
    for (std::size_t size = 1; size < MEMORY_MIB; size += 1 + size) {
        for (std::size_t alignment = 16; alignment <= 65536; alignment *= 4) {
            const auto real = static_cast<std::align_val_t>(alignment);

            ::operator delete(::operator new(size, real), std::align_val_t(16));
            ::operator delete(::operator new(size, real), std::align_val_t(65536));
            ::operator delete(::operator new(size, real), size, std::align_val_t(4096));
            ::operator delete(::operator new(size, real));
            ::operator delete(::operator new(size), real);
        }
    }
    assert_heap_is_sound();
}

// ---- the library on top ----

struct alignas(128) wide {
    char bytes[128];
};

void over_aligned_types_work(void **)
{
    std::vector<wide> values;

    for (int i = 0; i < 1000; i++) {
        values.emplace_back();
        assert_true(is_aligned(&values.back(), 128));
    }
    std::map<int, std::shared_ptr<wide>> shared;
    for (int i = 0; i < 1000; i++) {
        shared[i] = std::make_shared<wide>();
        assert_true(is_aligned(shared[i].get(), 128));
    }
    assert_int_equal(shared.size(), 1000);
}

std::size_t churn_containers(unsigned seed)
{
    std::unordered_map<std::string, std::vector<int>> table;
    std::deque<std::function<std::size_t()>> jobs;
    std::multiset<std::string> words;
    std::list<std::unique_ptr<std::string>> owners;

    for (unsigned i = 0; i < 3000; i++) {
        const unsigned key = (i * 2654435761u + seed) % 997;
        std::string name = "a name long enough to be on the heap " + std::to_string(key);

        table[name].push_back(static_cast<int>(i));
        words.insert(name);
        owners.push_back(std::make_unique<std::string>(name));
        jobs.push_back([name, key] { return name.size() + key; });
        if (i % 3 == 0) {
            owners.pop_front();
            words.erase(words.begin());
        }
    }
    std::size_t sum = 0;
    for (const auto &entry : table)
        sum += entry.second.size();
    for (const auto &job : jobs)
        sum += job() == 0;
    std::ostringstream text;
    for (const auto &word : words)
        text << word;
    return sum + words.size() + owners.size() + (text.str().empty() ? 1 : 0);
}

void containers_work(void **)
{
    for (unsigned seed = 0; seed < 5; seed++)
        assert_int_equal(churn_containers(seed), 3000 + 2000 + 2000);
}

std::atomic<int> destroyed;

// Allocates, frees and touches another thread_local in its destructor.
struct tls_guest {
    std::string text = std::string(100, 'x');
    std::vector<int> *values = new std::vector<int>(50, 7);

    ~tls_guest()
    {
        auto more = std::make_unique<std::map<int, std::string>>();
        for (int i = 0; i < 20; i++)
            (*more)[i] = text + std::to_string(i);
        if ((*values)[49] == 7 && more->size() == 20)
            destroyed++;
        delete values;
    }
};

thread_local tls_guest first_guest;
thread_local tls_guest second_guest;

void thread_local_objects_are_destroyed(void **)
{
    constexpr int threads = 200;

    destroyed = 0;
    for (int i = 0; i < threads; i++) {
        std::thread([i] {
            first_guest.text += "touched";
            if (i % 2)
                second_guest.text += "touched";
        }).join();
    }
    // The objects of one translation unit are constructed, and destroyed, together.
    assert_int_equal(destroyed, 2 * threads);
}

void exceptions_cross_frames_in_threads(void **)
{
    std::vector<std::thread> threads;
    std::atomic<int> caught{0};

    for (int i = 0; i < 4; i++) {
        threads.emplace_back([&caught] {
            for (int n = 0; n < 500; n++) {
                try {
                    std::vector<std::string> local(20, std::string(60, 'y'));
                    throw std::runtime_error("text that is copied to the heap" + local[3]);
                } catch (const std::exception &e) {
                    caught += std::strlen(e.what()) > 60;
                }
            }
        });
    }
    for (auto &thread : threads)
        thread.join();
    assert_int_equal(caught, 2000);
}

void new_and_malloc_share_a_heap(void **)
{
    for (std::size_t size = 1; size < MEMORY_MIB; size *= 2) {
        std::free(::operator new(size));
        ::operator delete(std::malloc(size));
    }
    assert_heap_is_sound();
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operator_is_hakmems),
        cmocka_unit_test(every_form_works),
        cmocka_unit_test(null_can_be_deleted),
        cmocka_unit_test(impossible_sizes_throw_or_give_null),
        cmocka_unit_test(new_handler_is_called_until_it_gives_up),
        cmocka_unit_test(new_handler_may_throw),
        cmocka_unit_test(malloc_does_not_call_the_new_handler),
        cmocka_unit_test(wrong_sizes_in_delete_are_tolerated),
        cmocka_unit_test(wrong_alignments_in_delete_are_tolerated),
        cmocka_unit_test(over_aligned_types_work),
        cmocka_unit_test(containers_work),
        cmocka_unit_test(thread_local_objects_are_destroyed),
        cmocka_unit_test(exceptions_cross_frames_in_threads),
        cmocka_unit_test(new_and_malloc_share_a_heap),
    };

    allocator_expect();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
