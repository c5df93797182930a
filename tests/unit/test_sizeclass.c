/* SPDX-License-Identifier: MIT */
/*
 * Goal: every request gets the smallest class that fits, every aligned request an aligned one, and
 * a block's index is found without a division.
 * Method: all sizes, all pairs of size and alignment, all offsets in a slab; no sampling.
 */
#include "base/sizeclass.h"

#include "base/bits.h"

#include "base/limits.h"
#include "unit.h"

static void test_table_is_ascending(void **state)
{
    (void)state;
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        assert_int_equal(class_bytes[c] % 16, 0);
        bool starts = c == 0 || c == CLASS_FIRST_ALIGNED;
        assert_true(starts || class_bytes[c] > class_bytes[c - 1]);
    }
    assert_int_equal(class_bytes[0], 16);
    assert_int_equal(class_bytes[CLASS_FIRST_ALIGNED - 1], CLASS_BYTES_MAX);
    assert_int_equal(class_bytes[CLASS_COUNT - 1], CLASS_ALIGNED_BYTES_MAX);
}

static void test_every_size_gets_the_smallest_class(void **state)
{
    (void)state;
    for (size_t size = 1; size <= CLASS_BYTES_MAX; size++) {
        unsigned c = class_of_size(size);
        assert_true(c < CLASS_FIRST_ALIGNED);
        assert_true(class_bytes[c] >= size);
        assert_true(c == 0 || class_bytes[c - 1] < size);
    }
}

/* A quarter of the block from 128 bytes on; the step of 16 bytes below. */
static void test_waste_is_bounded(void **state)
{
    (void)state;
    for (size_t size = 1; size <= CLASS_BYTES_MAX; size++) {
        size_t waste = class_bytes[class_of_size(size)] - size;
        assert_true(waste < 16 || waste * 4 <= size);
    }
}

static void test_sizes_beyond_the_table(void **state)
{
    (void)state;
    assert_true(size_step(0) >= CLASS_STEP_COUNT);
    assert_true(size_step(CLASS_BYTES_MAX) < CLASS_STEP_COUNT);
    assert_true(size_step(CLASS_BYTES_MAX + 1) >= CLASS_STEP_COUNT);
    assert_true(size_step(SIZE_MAX) >= CLASS_STEP_COUNT);
}

/* The first class that fits among those of the table that class_of_aligned may use. */
static bool is_smallest(unsigned c, size_t size, size_t alignment)
{
    unsigned first = c < CLASS_FIRST_ALIGNED ? 0 : CLASS_FIRST_ALIGNED;
    for (unsigned i = first; i < c; i++) {
        if (class_bytes[i] >= size && class_bytes[i] % alignment == 0) {
            return false;
        }
    }
    return true;
}

static void test_every_aligned_request(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= CLASS_ALIGNED_BYTES_MAX; alignment *= 2) {
        for (size_t size = 1; size <= CLASS_ALIGNED_BYTES_MAX; size++) {
            unsigned c = class_of_aligned(size, alignment);
            assert_true(c < CLASS_COUNT);
            assert_true(class_bytes[c] >= size);
            assert_int_equal(class_bytes[c] & (alignment - 1), 0);
            size_t need = size > alignment ? size : alignment;
            assert_true(class_bytes[c] <= 2 * need + 16);
            if (size % 16 == 1) {
                assert_true(is_smallest(c, size, alignment));
            }
        }
    }
}

static void test_first_blocks(void **state)
{
    (void)state;
    size_t places = 0;
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        size_t low_bit = class_bytes[c] & -class_bytes[c];
        assert_int_equal(class_first[c] % low_bit, 0); /* as aligned as the size is */
        assert_true(class_first[c] < 1024);
        assert_int_equal(class_first[c] == 0, class_bytes[c] > 1088 || c >= CLASS_FIRST_ALIGNED);
        places |= (size_t)1 << class_first[c] / CACHE_LINE;
    }
    assert_true(bits_count(places) >= 12);
}

/* Every block's start gives its index, and no other offset passes for a start. Plain loops: 27
 * million divisions are too many for an assertion each. */
static void test_reciprocals_are_exact(void **state)
{
    (void)state;
    size_t bytes = (size_t)SLAB_MID_GRANULES << GRANULE_SHIFT;
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        uint32_t size = class_bytes[c];
        size_t wrong = 0;
        for (uint32_t offset = 0; offset < bytes; offset++) {
            uint32_t i = (uint32_t)((uint64_t)offset * class_reciprocal[c] >> 32);
            bool is_start = offset % size == 0;
            wrong += is_start ? i != offset / size : i * size == offset;
        }
        assert_int_equal(wrong, 0);
    }
}

static void test_blocks_fit_the_bitmap(void **state)
{
    (void)state;
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        size_t granules = class_span[c];
        size_t blocks = (granules << GRANULE_SHIFT) / class_bytes[c];
        assert_in_range(blocks, granules < SLAB_MID_GRANULES ? 31 : 7, SLAB_BLOCKS_MAX);
        assert_true(granules == SLAB_SMALL_GRANULES || blocks < 64); /* and no more than needed */
        assert_int_equal(granules & (granules - 1), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_ascending),
        cmocka_unit_test(test_every_size_gets_the_smallest_class),
        cmocka_unit_test(test_waste_is_bounded),
        cmocka_unit_test(test_sizes_beyond_the_table),
        cmocka_unit_test(test_every_aligned_request),
        cmocka_unit_test(test_first_blocks),
        cmocka_unit_test(test_reciprocals_are_exact),
        cmocka_unit_test(test_blocks_fit_the_bitmap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
