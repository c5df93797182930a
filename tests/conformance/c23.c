/* SPDX-License-Identifier: MIT */
/*
 * Goal: the memory management functions are as ISO/IEC 9899:2024 has them (7.24.3), and keep the
 * rule for errno (7.5). docs/conformance.md says which clause each case stands for.
 * Method: every clause is asked of every function that allocates, over all small sizes and samples
 * of large ones. Blocks are filled with patterns while others live, made dirty before calloc may
 * get them, resized in both directions from each kind of block.
 */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "allocator.h"
#include "conform.h"
#include "memory.h"
#include "random.h"

static bool is_aligned(const void *p, size_t alignment)
{
    return (uintptr_t)p % alignment == 0;
}

/* ---- 7.24.3, general ---- */

static void assert_suits_every_type(const struct way *way, size_t size)
{
    enum { ALIVE = 8 };
    char *blocks[ALIVE];

    for (size_t i = 0; i < ALIVE; i++) {
        blocks[i] = way->allocate(size);
        assert_non_null(blocks[i]);
        assert_true(is_aligned(blocks[i], way->alignment));
        if (way->zeroes)
            assert_true(memory_is_zero(blocks[i], size));
        memory_fill(blocks[i], size, i);
    }
    for (size_t i = 0; i < ALIVE; i++) {
        assert_true(memory_holds(blocks[i], size, i));
        free(blocks[i]);
    }
}

static void results_suit_every_type(void **state)
{
    (void)state;
    for (size_t w = 0; w < conform_way_count; w++)
        for (size_t size = 1; size < 600000; size += size < 1100 ? 1 : size / 9)
            assert_suits_every_type(&conform_ways[w], size);
}

struct object {
    char *start;
    size_t bytes;
};

/* Objects of all functions live together; none may ever see another's bytes. */
static void objects_alive_together_are_disjoint(void **state)
{
    enum { OBJECTS = 600, ROUNDS = 30000 };
    static struct object objects[OBJECTS];
    uint64_t random = random_seed();

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        size_t key = random_below(&random, OBJECTS);
        struct object *object = &objects[key];

        assert_true(memory_holds(object->start, object->bytes, key));
        free(object->start);
        object->bytes = random_size(&random, random_below(&random, 50) ? 14 : 19);
        object->start = conform_ways[random_below(&random, conform_way_count)].allocate(
            object->bytes);
        assert_non_null(object->start);
        memory_fill(object->start, object->bytes, key);
    }
    for (size_t key = 0; key < OBJECTS; key++) {
        assert_true(memory_holds(objects[key].start, objects[key].bytes, key));
        free(objects[key].start);
    }
}

/* Of the two ways the standard leaves open, ours is that of glibc: a block of no bytes. */
static void zero_sizes_give_blocks_of_their_own(void **state)
{
    enum { BLOCKS_MAX = 64 };
    void *blocks[BLOCKS_MAX];
    size_t count = 0;

    (void)state;
    for (size_t w = 0; w < conform_way_count; w++) {
        blocks[count++] = conform_ways[w].allocate(conform_hide(0));
        blocks[count++] = conform_ways[w].allocate(conform_hide(0));
    }
    blocks[count++] = calloc(conform_hide(0), conform_hide(SIZE_MAX));
    blocks[count++] = calloc(conform_hide(SIZE_MAX), conform_hide(0));
    blocks[count++] = reallocarray(NULL, conform_hide(0), conform_hide(SIZE_MAX));
    blocks[count++] = reallocarray(NULL, conform_hide(SIZE_MAX), conform_hide(0));
    for (size_t i = 0; i < count; i++) {
        assert_non_null(blocks[i]);
        for (size_t k = 0; k < i; k++)
            assert_ptr_not_equal(blocks[i], blocks[k]);
    }
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
}

/* ---- 7.5: errno ---- */

/* Neither value that errno had before a success may be taken for its result. Many blocks are held, so
 * that the slow paths are taken too. */
static void assert_success_whatever_errno_was(const struct way *way, size_t size)
{
    static const int values[] = {CONFORM_ERRNO_MARK, ENOMEM};
    enum { HELD_MAX = 200 };
    void *held[HELD_MAX];
    size_t count = size < 5000 ? HELD_MAX : 4;

    for (size_t i = 0; i < count; i++) {
        errno = values[i % 2];
        held[i] = way->allocate(size);
        assert_non_null(held[i]);
        assert_int_not_equal(errno, 0);
        errno = values[i % 2];
        held[i] = realloc(held[i], size + size / 2 + 1);
        assert_non_null(held[i]);
        assert_int_not_equal(errno, 0);
    }
    for (size_t i = 0; i < count; i++) {
        free(held[i]);
        assert_int_not_equal(errno, 0);
    }
}

static void errno_is_never_set_to_zero(void **state)
{
    (void)state;
    for (size_t w = 0; w < conform_way_count; w++) {
        for (size_t size = 1; size < 20 * MEMORY_MIB; size += 1 + 2 * size)
            assert_success_whatever_errno_was(&conform_ways[w], size);
        errno = CONFORM_ERRNO_MARK;
        assert_null(conform_ways[w].allocate(conform_hide(PTRDIFF_MAX)));
        assert_int_not_equal(errno, 0);
        errno = CONFORM_ERRNO_MARK;
        assert_null(realloc(conform_ways[w].allocate(100), conform_hide(0)));
        assert_int_not_equal(errno, 0);
    }
}

/* ---- 7.24.3.1: aligned_alloc ---- */

static bool is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

static bool is_refused_as_invalid(size_t alignment)
{
    void *block;

    errno = 0;
    block = aligned_alloc(conform_hide(alignment), 64);
    free(block);
    return block == NULL && errno == EINVAL;
}

static void alignments_that_are_no_power_of_two_are_refused(void **state)
{
    bool refused = is_refused_as_invalid(0) && is_refused_as_invalid(SIZE_MAX);

    (void)state;
    for (size_t alignment = 1; alignment < 5000; alignment++)
        if (!is_power_of_two(alignment))
            refused = is_refused_as_invalid(alignment) && refused;
    for (int bit = 13; bit < 64; bit++) {
        refused = is_refused_as_invalid(((size_t)1 << bit) - 1) && refused;
        refused = is_refused_as_invalid(((size_t)1 << bit) + 1) && refused;
    }
    assert_conforms(refused, "aligned_alloc-rounds-up");
}

/* A power of two is an alignment; whether there is room for it is another question. */
static void extreme_alignments_succeed_or_find_no_memory(void **state)
{
    (void)state;
    for (int bit = 27; bit < 64; bit++) {
        size_t alignment = (size_t)1 << bit;
        char *block;

        errno = 0;
        block = aligned_alloc(alignment, 1);
        if (!block)
            assert_int_equal(errno, ENOMEM);
        else
            assert_true(is_aligned(block, alignment));
        if (block)
            *block = 1;
        free(block);
    }
}

/* ---- 7.24.3.2: calloc ---- */

static void assert_zero_after(const struct way *way, size_t size, bool trim)
{
    enum { BLOCKS = 4 };
    char *blocks[BLOCKS];

    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = way->allocate(size);
        assert_non_null(blocks[i]);
        memset(blocks[i], 0xa5, malloc_usable_size(blocks[i]));
    }
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    if (trim)
        malloc_trim(0);
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = calloc(i % 2 ? size : 1, i % 2 ? 1 : size);
        assert_non_null(blocks[i]);
        assert_true(memory_is_zero(blocks[i], size));
    }
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

static void calloc_is_zero_after_every_kind_of_block(void **state)
{
    static const size_t sizes[] = {1, 16, 64, 100, 256, 1000, 1024, 4000, 4096, 10000, 16384, 33000,
                                   65536, 65601, 70000, 300000, 3000000};

    (void)state;
    for (size_t w = 0; w < conform_way_count; w++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            assert_zero_after(&conform_ways[w], sizes[i], false);
            assert_zero_after(&conform_ways[w], sizes[i], true);
        }
    }
}

/* ---- 7.24.3.7: realloc ---- */

static const size_t resized[] = {1, 24, 100, 1000, 4096, 20000, 65600, 65601, 300000, 1500000};
enum { RESIZED = sizeof resized / sizeof *resized };

/* There and back again: the bytes that both sizes have in common stay. */
static void assert_can_be_resized(const struct way *way, size_t from, size_t to)
{
    size_t common = from < to ? from : to;
    char *block = way->allocate(from);

    assert_non_null(block);
    memory_fill(block, from, from);
    block = realloc(block, to);
    assert_non_null(block);
    assert_true(is_aligned(block, _Alignof(max_align_t)));
    assert_true(memory_holds(block, common, from));
    memory_fill(block, to, to);
    block = reallocarray(block, from, 1);
    assert_non_null(block);
    assert_true(is_aligned(block, _Alignof(max_align_t)));
    assert_true(memory_holds(block, common, to));
    free(block);
}

static void every_kind_of_block_can_be_resized(void **state)
{
    (void)state;
    for (size_t w = 0; w < conform_way_count; w++)
        for (size_t i = 0; i < RESIZED; i++)
            for (size_t k = 0; k < RESIZED; k++)
                assert_can_be_resized(&conform_ways[w], resized[i], resized[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_suit_every_type),
        cmocka_unit_test(objects_alive_together_are_disjoint),
        cmocka_unit_test(zero_sizes_give_blocks_of_their_own),
        cmocka_unit_test(errno_is_never_set_to_zero),
        cmocka_unit_test(alignments_that_are_no_power_of_two_are_refused),
        cmocka_unit_test(calloc_is_zero_after_every_kind_of_block),
        cmocka_unit_test(every_kind_of_block_can_be_resized),
        cmocka_unit_test(extreme_alignments_succeed_or_find_no_memory),
    };

    allocator_expect();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
