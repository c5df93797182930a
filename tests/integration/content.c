/* SPDX-License-Identifier: MIT */
/*
 * Goal: the bytes of a block are what the standard says: zero after calloc, also in memory
 * that was dirty before; kept by realloc across all size ranges in both directions; and all
 * bytes that malloc_usable_size reports belong to the caller.
 * Method: dirty, free and ask again, with and without a trim between; every pair of sizes
 * from a list that spans small, mid, large and huge blocks; chains of growth and shrinking;
 * a random mix of all calls against patterns.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "allocator.h"
#include "memory.h"
#include "random.h"

enum { ZERO_LARGEST_BYTES = 64 * MEMORY_MIB };

static void *dirty_block(size_t size)
{
    void *block = malloc(size);

    assert_non_null(block);
    memset(block, 0xa5, malloc_usable_size(block));
    return block;
}

static void assert_calloc_zero(size_t count, size_t size)
{
    void *block = calloc(count, size);

    assert_non_null(block);
    assert_true(memory_is_zero(block, count * size));
    memset(block, 0x5a, malloc_usable_size(block));
    free(block);
}

static void calloc_is_zero_after_dirty_reuse(void **state)
{
    (void)state;
    for (size_t size = 1; size <= ZERO_LARGEST_BYTES; size += 1 + size / 5) {
        free(dirty_block(size));
        assert_calloc_zero(1, size);
        free(dirty_block(size));
        assert_calloc_zero(size, 1);
    }
    free(dirty_block(ZERO_LARGEST_BYTES));
    assert_calloc_zero(1, ZERO_LARGEST_BYTES);
}

/* Many dirty blocks at once, freed in both orders, so refills and whole slabs are reused. */
static void calloc_is_zero_after_dirty_batches(void **state)
{
    enum { BATCH = 200 };
    void *blocks[BATCH];

    (void)state;
    for (size_t size = 1; size <= 300000; size += 3 + size / 2) {
        for (int i = 0; i < BATCH; i++)
            blocks[i] = dirty_block(size);
        for (int i = 0; i < BATCH; i++)
            free(blocks[i % 2 ? i : BATCH - 2 - i]);
        for (int i = 0; i < BATCH; i++) {
            blocks[i] = calloc(3, size / 3 + 1);
            assert_non_null(blocks[i]);
            assert_true(memory_is_zero(blocks[i], 3 * (size / 3 + 1)));
            memset(blocks[i], 0xa5, malloc_usable_size(blocks[i]));
        }
        for (int i = 0; i < BATCH; i++)
            free(blocks[i]);
    }
}

static void calloc_is_zero_after_trim(void **state)
{
    (void)state;
    for (size_t size = 100; size <= 32 * MEMORY_MIB; size *= 3) {
        void *first = dirty_block(size);
        void *second = dirty_block(size);

        free(first);
        malloc_trim(0);
        assert_calloc_zero(1, size);
        free(second);
        malloc_trim(0);
        assert_calloc_zero(size, 1);
    }
}

/* A block shrunk in place leaves a dirty tail, which the next calloc may receive. */
static void calloc_is_zero_after_shrinking(void **state)
{
    (void)state;
    for (size_t size = 4096; size <= 16 * MEMORY_MIB; size *= 2) {
        void *block = realloc(dirty_block(size), size / 4);

        assert_non_null(block);
        assert_calloc_zero(1, size / 2);
        assert_calloc_zero(1, size);
        free(block);
        assert_calloc_zero(1, size);
    }
}

/*
 * Pages that realloc moves away leave zeros behind, but only they: what an earlier, longer
 * block wrote just after them is still there and must not pass for zero.
 */
static void calloc_is_zero_after_moving(void **state)
{
    (void)state;
    for (size_t small = 60000; small < 8 * MEMORY_MIB; small += small / 16 + 4096) {
        size_t large = small + 61440;
        void *grown;
        void *fence;

        free(dirty_block(large));
        grown = dirty_block(small);
        fence = malloc(large);
        assert_non_null(fence);
        grown = realloc(grown, 5 * small);
        assert_non_null(grown);
        assert_calloc_zero(1, large);
        assert_calloc_zero(1, small);
        free(grown);
        assert_calloc_zero(1, 5 * small);
        free(fence);
    }
}

/* ---- realloc ---- */

static const size_t realloc_sizes[] = {
    1, 8, 16, 24, 100, 128, 129, 500, 1024, 1025, 2048, 2049, 4096, 8192, 16384, 32769,
    65536, 65537, 100000, 262144, 524289, 1048576, 2097152, 2097153, 4194304, 5000000,
    16777216, 33554433,
};
enum { REALLOC_SIZES = sizeof realloc_sizes / sizeof *realloc_sizes };

static void realloc_keeps_content_between_all_ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < REALLOC_SIZES; i++) {
        for (size_t k = 0; k < REALLOC_SIZES; k++) {
            size_t from = realloc_sizes[i];
            size_t to = realloc_sizes[k];
            size_t kept_bytes = from < to ? from : to;
            char *block = malloc(from);

            assert_non_null(block);
            memory_fill(block, from, i);
            block = realloc(block, to);
            assert_non_null(block);
            assert_true(malloc_usable_size(block) >= to);
            assert_true((uintptr_t)block % 16 == 0);
            assert_true(memory_holds(block, kept_bytes, i));
            block[to - 1] = 1;
            free(block);
        }
    }
}

static void usable_bytes_survive_realloc(void **state)
{
    (void)state;
    for (size_t i = 0; i < REALLOC_SIZES; i++) {
        char *block = malloc(realloc_sizes[i]);
        size_t usable_bytes = malloc_usable_size(block);

        assert_true(usable_bytes >= realloc_sizes[i]);
        memory_fill(block, usable_bytes, i);
        block = realloc(block, usable_bytes);
        assert_non_null(block);
        assert_true(memory_holds(block, usable_bytes, i));
        block = realloc(block, usable_bytes * 2);
        assert_non_null(block);
        assert_true(memory_holds(block, usable_bytes, i));
        free(block);
    }
}

/* Three blocks grow in turn by 1.5 to 48 MiB and shrink again; neighbours must not suffer. */
static void chains_of_growth_and_shrinking_keep_content(void **state)
{
    enum { CHAINS = 3, STEPS = 38 };
    char *blocks[CHAINS] = {NULL};
    size_t old_bytes[CHAINS] = {0};

    (void)state;
    for (int step = 0; step < 2 * STEPS; step++) {
        int level = step < STEPS ? step : 2 * STEPS - step - 1;
        size_t size = 16;

        while (level-- > 0)
            size += size / 2;
        if (size > 48 * MEMORY_MIB)
            size = 48 * MEMORY_MIB;
        for (size_t i = 0; i < CHAINS; i++) {
            size_t new_bytes = size + i * 24;
            size_t kept_bytes = old_bytes[i] < new_bytes ? old_bytes[i] : new_bytes;

            blocks[i] = reallocarray(blocks[i], 1, new_bytes);
            assert_non_null(blocks[i]);
            assert_true(memory_holds(blocks[i], kept_bytes, i));
            memory_fill(blocks[i], new_bytes, i);
            old_bytes[i] = new_bytes;
        }
    }
    for (size_t i = 0; i < CHAINS; i++)
        free(blocks[i]);
}

/* ---- all together ---- */

struct slot {
    char *block;
    size_t bytes;
};

static void renew(struct slot *slot, size_t key, uint64_t *random)
{
    size_t size = random_size(random, random_below(random, 64) ? 17 : 22);
    size_t kept_bytes = slot->bytes < size ? slot->bytes : size;

    switch (random_below(random, 4)) {
    case 0:
        slot->block = realloc(slot->block, size);
        assert_non_null(slot->block);
        assert_true(memory_holds(slot->block, kept_bytes, key));
        break;
    case 1:
        free(slot->block);
        slot->block = calloc(1, size);
        assert_non_null(slot->block);
        assert_true(memory_is_zero(slot->block, size));
        break;
    case 2:
        free(slot->block);
        slot->block = aligned_alloc((size_t)16 << random_below(random, 9), size);
        break;
    default:
        free(slot->block);
        slot->block = malloc(size);
        break;
    }
    assert_non_null(slot->block);
    slot->bytes = malloc_usable_size(slot->block);
    memory_fill(slot->block, slot->bytes, key);
}

static void random_mix_keeps_content(void **state)
{
    enum { SLOTS = 500, ROUNDS = 40000 };
    static struct slot slots[SLOTS];
    uint64_t random = random_seed();

    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        size_t key = random_below(&random, SLOTS);

        if (slots[key].block)
            assert_true(memory_holds(slots[key].block, slots[key].bytes, key));
        renew(&slots[key], key, &random);
    }
    for (size_t key = 0; key < SLOTS; key++) {
        if (slots[key].block)
            assert_true(memory_holds(slots[key].block, slots[key].bytes, key));
        free(slots[key].block);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calloc_is_zero_after_dirty_reuse),
        cmocka_unit_test(calloc_is_zero_after_dirty_batches),
        cmocka_unit_test(calloc_is_zero_after_trim),
        cmocka_unit_test(calloc_is_zero_after_shrinking),
        cmocka_unit_test(calloc_is_zero_after_moving),
        cmocka_unit_test(realloc_keeps_content_between_all_ranges),
        cmocka_unit_test(usable_bytes_survive_realloc),
        cmocka_unit_test(chains_of_growth_and_shrinking_keep_content),
        cmocka_unit_test(random_mix_keeps_content),
    };

    allocator_expect();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
