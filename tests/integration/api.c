/* SPDX-License-Identifier: MIT */
/*
 * Goal: every C and POSIX allocation call keeps its contract at the edges: zero sizes, sizes
 * no machine has, overflow, bad alignments, errno, and alignment of every block.
 * Method: each call with the edge values; blocks are filled to their usable size while many
 * live at once, so an overlap shows as a broken pattern; calls that free are repeated until a
 * leak would show in the resident size. Checks where hakmem is stricter than glibc ask which
 * allocator runs.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "allocator.h"
#include "check.h"
#include "memory.h"

enum { MALLOC_ALIGNMENT_BYTES = 16, ERRNO_MARK = 12345 };

typedef void free_sized_fn(void *, size_t);
typedef void free_aligned_sized_fn(void *, size_t, size_t);
typedef void free_fn(void *);

/* Hides a value from the compiler, which warns about impossible sizes it can see. */
static size_t opaque(size_t n)
{
    volatile size_t hidden = n;

    return hidden;
}

/* Called through pointers the compiler cannot see through: it takes the block for gone
 * although a failed call leaves it. */
static void *(*volatile failing_realloc)(void *, size_t) = realloc;
static void *(*volatile failing_reallocarray)(void *, size_t, size_t) = reallocarray;

static bool is_aligned(const void *p, size_t alignment)
{
    return (uintptr_t)p % alignment == 0;
}

/* A function that older libcs do not have, or NULL. hakmem must have all of them. */
static void *optional_function(const char *name)
{
    void *function = dlsym(RTLD_DEFAULT, name);

    if (allocator_is_hakmem())
        assert_non_null(function);
    return function;
}

static void every_call_is_hakmems(void **state)
{
    static const char *const names[] = {
        "malloc", "calloc", "realloc", "free", "aligned_alloc", "posix_memalign", "memalign",
        "valloc", "pvalloc", "reallocarray", "malloc_usable_size", "free_sized",
        "free_aligned_sized", "cfree", "malloc_trim", "malloc_info", "mallinfo", "mallinfo2",
        "malloc_stats", "mallopt",
    };

    (void)state;
    if (!allocator_is_hakmem())
        skip();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!allocator_is_from_hakmem(names[i]))
            fail_msg("%s is not hakmem's", names[i]);
}

/* ---- zero sizes ---- */

static void zero_sizes_give_unique_blocks(void **state)
{
    enum { BLOCKS = 64 };
    void *blocks[BLOCKS];

    (void)state;
    for (int i = 0; i < BLOCKS; i++) {
        switch (i % 4) {
        case 0: blocks[i] = malloc(opaque(0)); break;
        case 1: blocks[i] = calloc(opaque(0), 8); break;
        case 2: blocks[i] = calloc(8, opaque(0)); break;
        default: blocks[i] = realloc(NULL, opaque(0)); break;
        }
        assert_non_null(blocks[i]);
        assert_true(is_aligned(blocks[i], MALLOC_ALIGNMENT_BYTES));
        for (int j = 0; j < i; j++)
            assert_ptr_not_equal(blocks[i], blocks[j]);
    }
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

static void zero_sizes_work_with_alignment(void **state)
{
    void *first = memalign(64, opaque(0));
    void *second = aligned_alloc(64, opaque(0));
    void *third = NULL;

    (void)state;
    assert_int_equal(posix_memalign(&third, 64, opaque(0)), 0);
    assert_non_null(first);
    assert_non_null(second);
    assert_non_null(third);
    assert_true(is_aligned(first, 64) && is_aligned(second, 64) && is_aligned(third, 64));
    assert_true(first != second && second != third && first != third);
    free(first);
    free(second);
    free(third);
}

static void null_is_accepted(void **state)
{
    free_fn *old_free = (free_fn *)optional_function("cfree");
    free_sized_fn *sized = (free_sized_fn *)optional_function("free_sized");
    free_aligned_sized_fn *aligned =
        (free_aligned_sized_fn *)optional_function("free_aligned_sized");
    char *block;

    (void)state;
    errno = ERRNO_MARK;
    free(NULL);
    if (old_free)
        old_free(NULL);
    if (sized)
        sized(NULL, 100);
    if (aligned)
        aligned(NULL, 64, 100);
    assert_int_equal(errno, ERRNO_MARK);
    assert_int_equal(malloc_usable_size(NULL), 0);
    block = realloc(NULL, 100);
    assert_non_null(block);
    memset(block, 1, 100);
    free(block);
}

/* ---- impossible sizes ---- */

static void assert_no_memory(const void *block)
{
    assert_null(block);
    assert_int_equal(errno, ENOMEM);
    errno = 0;
}

static void assert_all_calls_refuse(size_t size)
{
    char mark;
    void *untouched = &mark;

    errno = 0;
    assert_no_memory(malloc(size));
    assert_no_memory(calloc(1, size));
    assert_no_memory(calloc(size, 1));
    assert_no_memory(realloc(NULL, size));
    assert_no_memory(reallocarray(NULL, 1, size));
    assert_no_memory(reallocarray(NULL, size, 1));
    assert_no_memory(memalign(64, size));
    assert_no_memory(memalign(1 << 20, size));
    assert_no_memory(aligned_alloc(64, size));
    assert_no_memory(valloc(size));
    assert_no_memory(pvalloc(size));

    errno = ERRNO_MARK;
    assert_int_equal(posix_memalign(&untouched, 64, size), ENOMEM);
    assert_ptr_equal(untouched, &mark);
    if (allocator_is_hakmem())
        assert_int_equal(errno, ERRNO_MARK);
}

static void impossible_sizes_are_refused(void **state)
{
    static const size_t distances[] = {0, 1, 2, 7, 8, 15, 16, 17, 31, 32, 63, 64, 4095, 4096,
                                       4097, 65535, 65536, 2097151, 2097152, 4194304};

    (void)state;
    for (size_t i = 0; i < sizeof distances / sizeof *distances; i++) {
        assert_all_calls_refuse(opaque((size_t)PTRDIFF_MAX - distances[i]));
        assert_all_calls_refuse(opaque((size_t)PTRDIFF_MAX + distances[i]));
        assert_all_calls_refuse(opaque(SIZE_MAX - distances[i]));
    }
    for (int bit = 48; bit < 63; bit++)
        assert_all_calls_refuse(opaque((size_t)1 << bit));
}

static void products_that_overflow_are_refused(void **state)
{
    static const size_t pairs[][2] = {
        {SIZE_MAX, 2},
        {2, SIZE_MAX},
        {SIZE_MAX, SIZE_MAX},
        {SIZE_MAX / 2 + 1, 2},
        {(size_t)1 << 32, (size_t)1 << 32},
        {((size_t)1 << 32) + 1, (size_t)1 << 32},
        {SIZE_MAX / 16 + 1, 16},
        {SIZE_MAX / 3 + 1, 3},
        {24, SIZE_MAX / 24 + 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        size_t count = opaque(pairs[i][0]);
        size_t size = opaque(pairs[i][1]);
        char *block = malloc(1000);

        assert_non_null(block);
        memory_fill(block, 1000, i);
        errno = 0;
        assert_no_memory(calloc(count, size));
        assert_no_memory(reallocarray(NULL, count, size));
        assert_no_memory(failing_reallocarray(block, count, size));
        assert_true(memory_holds(block, 1000, i));
        free(block);
    }
}

/* ---- realloc and reallocarray at the edges ---- */

static void failed_realloc_leaves_the_block(void **state)
{
    static const size_t sizes[] = {1, 16, 100, 1024, 5000, 40000, 200000, 3000000, 20000000};
    static const size_t refused[] = {(size_t)1 << 48, PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1,
                                     SIZE_MAX - 16, SIZE_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *block = malloc(sizes[i]);

        assert_non_null(block);
        memory_fill(block, sizes[i], i);
        for (size_t k = 0; k < sizeof refused / sizeof *refused; k++) {
            errno = 0;
            assert_no_memory(failing_realloc(block, opaque(refused[k])));
            assert_no_memory(failing_reallocarray(block, 1, opaque(refused[k])));
            assert_true(memory_holds(block, sizes[i], i));
        }
        block = realloc(block, sizes[i] + 100);
        assert_non_null(block);
        assert_true(memory_holds(block, sizes[i], i));
        free(block);
    }
}

/* ---- every call that frees really does ---- */

static void free_by_realloc(void *block)
{
    assert_null(realloc(block, opaque(0)));
}

static void free_by_reallocarray(void *block)
{
    assert_null(reallocarray(block, opaque(0), 8));
}

static void free_by_free_sized(void *block)
{
    ((free_sized_fn *)dlsym(RTLD_DEFAULT, "free_sized"))(block, 50000);
}

static void free_by_free_aligned_sized(void *block)
{
    ((free_aligned_sized_fn *)dlsym(RTLD_DEFAULT, "free_aligned_sized"))(block, 4096, 50000);
}

static void free_by_cfree(void *block)
{
    ((free_fn *)dlsym(RTLD_DEFAULT, "cfree"))(block);
}

/* 4,000 touched blocks of 50,000 bytes would leave 190 MiB behind if they were lost. */
static void assert_gives_back(free_fn *give_back)
{
    size_t before_bytes = memory_rss_bytes();

    for (int i = 0; i < 4000; i++) {
        void *block = aligned_alloc(4096, 50000);

        assert_non_null(block);
        memset(block, i, 50000);
        give_back(block);
    }
    assert_true(memory_rss_above_bytes(before_bytes) < 32 * MEMORY_MIB);
}

static void every_way_to_free_frees(void **state)
{
    (void)state;
    assert_gives_back(free);
    assert_gives_back(free_by_realloc);
    assert_gives_back(free_by_reallocarray);
    if (optional_function("free_sized"))
        assert_gives_back(free_by_free_sized);
    if (optional_function("free_aligned_sized"))
        assert_gives_back(free_by_free_aligned_sized);
    if (optional_function("cfree"))
        assert_gives_back(free_by_cfree);
}

static void sized_frees_take_every_size(void **state)
{
    free_sized_fn *sized = (free_sized_fn *)optional_function("free_sized");
    free_aligned_sized_fn *aligned =
        (free_aligned_sized_fn *)optional_function("free_aligned_sized");

    (void)state;
    if (!sized || !aligned)
        skip();
    for (size_t size = 0; size < 3 * MEMORY_MIB; size += 1 + size / 7) {
        sized(malloc(size), size);
        sized(calloc(1, size), size);
        sized(realloc(malloc(10), size + 1), size + 1);
        aligned(aligned_alloc(256, size), 256, size);
        aligned(aligned_alloc(65536, size), 65536, size);
    }
}

static void free_keeps_errno(void **state)
{
    (void)state;
    for (size_t size = 1; size < 100 * MEMORY_MIB; size += 1 + size / 2) {
        char *block = malloc(size);

        assert_non_null(block);
        block[0] = 1;
        block[size - 1] = 1;
        errno = ERRNO_MARK;
        free(block);
        assert_int_equal(errno, ERRNO_MARK);
    }
}

/* ---- alignment ---- */

/* Sizes 0..70000 in prime steps, a window of blocks alive, each filled to its usable size. */
static void every_size_is_aligned_and_apart(void **state)
{
    enum { WINDOW = 512, LARGEST = 70000 };
    static const size_t primes[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47};
    static void *window[WINDOW];
    static size_t usable_bytes[WINDOW];

    (void)state;
    for (size_t size = 0, n = 0; n < LARGEST; n++, size += primes[n % 15]) {
        size_t slot = n % WINDOW;

        if (window[slot])
            assert_true(memory_holds(window[slot], usable_bytes[slot], slot));
        free(window[slot]);
        window[slot] = NULL;
        if (size > LARGEST)
            break;
        window[slot] = malloc(size);
        assert_non_null(window[slot]);
        assert_true(is_aligned(window[slot], MALLOC_ALIGNMENT_BYTES));
        usable_bytes[slot] = malloc_usable_size(window[slot]);
        assert_true(usable_bytes[slot] >= size);
        memory_fill(window[slot], usable_bytes[slot], slot);
    }
    for (size_t slot = 0; slot < WINDOW; slot++) {
        if (window[slot])
            assert_true(memory_holds(window[slot], usable_bytes[slot], slot));
        free(window[slot]);
        window[slot] = NULL;
    }
}

static void *allocate_aligned(int way, size_t alignment, size_t size)
{
    void *block = NULL;

    switch (way) {
    case 0: return memalign(alignment, size);
    case 1: return aligned_alloc(alignment, size);
    default:
        if (alignment < sizeof(void *))
            alignment = sizeof(void *);
        assert_int_equal(posix_memalign(&block, alignment, size), 0);
        return block;
    }
}

/* For one alignment: blocks of many sizes alive together, aligned, apart, freed or moved. */
static void assert_alignment_works(size_t alignment)
{
    const size_t sizes[] = {0, 1, 15, 16, 17, 100, alignment / 2, alignment - 1, alignment,
                            alignment + 1, 2 * alignment, 3 * alignment + 5, 70001};
    enum { SIZES = sizeof sizes / sizeof *sizes, WAYS = 3, BLOCKS = SIZES * WAYS };
    void *blocks[BLOCKS];

    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = allocate_aligned((int)(i % WAYS), alignment, sizes[i / WAYS]);
        assert_non_null(blocks[i]);
        assert_true(is_aligned(blocks[i], alignment));
        assert_true(is_aligned(blocks[i], MALLOC_ALIGNMENT_BYTES));
        assert_true(malloc_usable_size(blocks[i]) >= sizes[i / WAYS]);
        memory_fill(blocks[i], malloc_usable_size(blocks[i]), i);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t kept_bytes = malloc_usable_size(blocks[i]);

        assert_true(memory_holds(blocks[i], kept_bytes, i));
        if (i % 2) {
            blocks[i] = realloc(blocks[i], kept_bytes + 1000);
            assert_non_null(blocks[i]);
            assert_true(memory_holds(blocks[i], kept_bytes, i));
        }
        free(blocks[i]);
    }
}

static void every_power_of_two_alignment_works(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= 4 * MEMORY_MIB; alignment *= 2)
        assert_alignment_works(alignment);
}

static void alignments_far_above_the_size_work(void **state)
{
    (void)state;
    for (size_t alignment = 8 * MEMORY_MIB; alignment <= (size_t)256 * MEMORY_MIB; alignment *= 2) {
        char *block = aligned_alloc(alignment, 100);

        assert_non_null(block);
        assert_true(is_aligned(block, alignment));
        memset(block, 7, 100);
        free(block);
    }
}

static void bad_alignments_are_refused(void **state)
{
    static const size_t bad[] = {0, 1, 2, 3, 4, 5, 7, 9, 12, 20, 24, 48, 100, 4095, 4097,
                                 (size_t)1 << 63 | 16, SIZE_MAX};
    char mark;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *untouched = &mark;

        errno = ERRNO_MARK;
        assert_int_equal(posix_memalign(&untouched, opaque(bad[i]), 64), EINVAL);
        assert_ptr_equal(untouched, &mark);
        assert_int_equal(errno, ERRNO_MARK);
    }
    errno = 0;
    assert_null(memalign(opaque(SIZE_MAX / 2 + 2), 64));
    assert_int_equal(errno, EINVAL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad && allocator_is_hakmem(); i++) {
        if (bad[i] != 0 && (bad[i] & (bad[i] - 1)) == 0)
            continue; /* 1, 2 and 4 are powers of two */
        errno = 0;
        assert_null(aligned_alloc(opaque(bad[i]), 64));
        assert_int_equal(errno, EINVAL);
    }
}

static void memalign_rounds_the_alignment_up(void **state)
{
    static const size_t given[] = {0, 1, 3, 17, 24, 33, 48, 100, 1000, 4097, 70000, 1048577};

    (void)state;
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        size_t expected = MALLOC_ALIGNMENT_BYTES;
        void *block = memalign(opaque(given[i]), 100);

        while (expected < given[i])
            expected *= 2;
        assert_non_null(block);
        assert_true(is_aligned(block, expected));
        memset(block, 5, 100);
        free(block);
    }
}

static void page_functions_use_whole_pages(void **state)
{
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);

    (void)state;
    for (size_t size = 0; size < 40 * page_bytes; size += page_bytes / 3) {
        void *page = valloc(size);
        void *pages = pvalloc(size);
        size_t rounded_bytes = (size + page_bytes - 1) / page_bytes * page_bytes;

        if (rounded_bytes == 0 && allocator_is_hakmem())
            rounded_bytes = page_bytes;
        assert_non_null(page);
        assert_non_null(pages);
        assert_true(is_aligned(page, page_bytes) && is_aligned(pages, page_bytes));
        assert_true(malloc_usable_size(page) >= size);
        assert_true(malloc_usable_size(pages) >= rounded_bytes);
        memory_fill(page, malloc_usable_size(page), 1);
        memory_fill(pages, malloc_usable_size(pages), 2);
        assert_true(memory_holds(page, malloc_usable_size(page), 1));
        free(page);
        free(pages);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_is_hakmems),
        cmocka_unit_test(zero_sizes_give_unique_blocks),
        cmocka_unit_test(zero_sizes_work_with_alignment),
        cmocka_unit_test(null_is_accepted),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(products_that_overflow_are_refused),
        cmocka_unit_test(failed_realloc_leaves_the_block),
        cmocka_unit_test(every_way_to_free_frees),
        cmocka_unit_test(sized_frees_take_every_size),
        cmocka_unit_test(free_keeps_errno),
        cmocka_unit_test(every_size_is_aligned_and_apart),
        cmocka_unit_test(every_power_of_two_alignment_works),
        cmocka_unit_test(alignments_far_above_the_size_work),
        cmocka_unit_test(bad_alignments_are_refused),
        cmocka_unit_test(memalign_rounds_the_alignment_up),
        cmocka_unit_test(page_functions_use_whole_pages),
    };

    allocator_expect();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
