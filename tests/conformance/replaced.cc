// SPDX-License-Identifier: MIT
//
// Goal: a program that replaces only the basic operators new and delete, as [new.delete] allows, sees
// every other form come to it, and malloc and free leave it alone.
// Method: this program's own operators count their calls and put a mark in front of each block, which
// its delete must find: a form that goes to the allocator's own instead misses both.
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <new>

#include <malloc.h>
#include <setjmp.h>

extern "C" {
#include <cmocka.h>
}

#include "allocator.h"
#include "check.h"
#include "forms.h"

// The standard recommends to replace the sized forms too, and compilers warn; not to do so is the point.
#pragma GCC diagnostic ignored "-Wsized-deallocation"

namespace {

struct header {
    void *start;
    std::size_t mark;
};

constexpr std::size_t live = 0x6c697665;
int plain_news, plain_deletes, aligned_news, aligned_deletes;

void *take(std::size_t size, std::size_t alignment)
{
    char *start = static_cast<char *>(std::malloc(size + alignment + sizeof(header)));
    if (start == nullptr)
        throw std::bad_alloc();
    const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(start) + sizeof(header);
    const std::size_t gap = (alignment - end % alignment) % alignment;
    header *h = reinterpret_cast<header *>(start + gap);
    *h = {start, live};
    return h + 1;
}

void give_back(void *block)
{
    if (block == nullptr)
        return;
    header *h = static_cast<header *>(block) - 1;
    CHECK(h->mark == live);
    h->mark = 0;
    std::free(h->start);
}

} // namespace

void *operator new(std::size_t size)
{
    plain_news++;
    return take(size, 16);
}

void operator delete(void *block) noexcept
{
    plain_deletes++;
    give_back(block);
}

void *operator new(std::size_t size, std::align_val_t alignment)
{
    aligned_news++;
    return take(size, static_cast<std::size_t>(alignment));
}

void operator delete(void *block, std::align_val_t) noexcept
{
    aligned_deletes++;
    give_back(block);
}

namespace {

void forget_calls()
{
    plain_news = plain_deletes = aligned_news = aligned_deletes = 0;
}

void forms_forward_to_those_that_the_program_replaced(void **)
{
    for (const form &f : forms) {
        const int wide = f.alignment > 16 ? 1 : 0;

        print_message("%s\n", f.name);
        forget_calls();
        void *block = f.allocate(1000);
        assert_non_null(block);
        assert_int_equal(plain_news, 1 - wide);
        assert_int_equal(aligned_news, wide);
        f.release(block, 1000);
        assert_int_equal(plain_deletes, 1 - wide);
        assert_int_equal(aligned_deletes, wide);
    }
}

void malloc_and_free_call_no_operator(void **)
{
    forget_calls();
    std::free(std::malloc(100));
    std::free(std::calloc(10, 100));
    std::free(std::realloc(std::malloc(100), 100000));
    std::free(std::aligned_alloc(256, 1000));
    std::free(memalign(256, 1000));
    assert_int_equal(plain_news + plain_deletes + aligned_news + aligned_deletes, 0);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malloc_and_free_call_no_operator),
        cmocka_unit_test(forms_forward_to_those_that_the_program_replaced),
    };

    allocator_expect();
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
