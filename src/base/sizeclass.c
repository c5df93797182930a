/* SPDX-License-Identifier: MIT */
#include "base/sizeclass.h"

#include "base/bits.h"
#include "base/limits.h"

#define STEP_RANGE(c, before, size) [(before) / 16 ... (size) / 16 - 1] = (c),
const uint8_t class_of_step[CLASS_STEP_COUNT] = {SIZE_CLASSES(STEP_RANGE)};

#define BYTES(c, before, size) [c] = (size),
#define ALIGNED_BYTES(c, size) [c] = (size),
const uint32_t class_bytes[CLASS_COUNT] = {SIZE_CLASSES(BYTES) ALIGNED_CLASSES(ALIGNED_BYTES)};

/* One of fifteen lines, and a multiple of the largest power of two in the size, so that blocks are as
 * aligned as their size is. Where a block more would be lost than a small one, none. */
#define LOW_BIT(size) ((size) & -(size))
#define COLOUR(c, size) ((size) <= 1088 ? (((c) + 1) * 8 % 15 + 1) * 64 / LOW_BIT(size) * LOW_BIT(size) : 0)
#define FIRST(c, before, size) [c] = COLOUR(c, size),
const uint16_t class_first[CLASS_COUNT] = {SIZE_CLASSES(FIRST)};

#define SPAN_FOR(size, bytes_max, granules, otherwise) ((size) <= (bytes_max) ? (granules) : (otherwise))
#define SPAN(c, before, size) [c] = \
    SPAN_FOR(size, SMALL_BYTES_MAX, SLAB_SMALL_GRANULES, \
             SPAN_FOR(size, SPAN_2_BYTES_MAX, 2, \
                      SPAN_FOR(size, SPAN_4_BYTES_MAX, 4, SLAB_MID_GRANULES))),
#define ALIGNED_SPAN(c, size) SPAN(c, 0, size)
const uint8_t class_span[CLASS_COUNT] = {SIZE_CLASSES(SPAN) ALIGNED_CLASSES(ALIGNED_SPAN)};

#define RECIPROCAL(c, before, size) [c] = (uint32_t)((((uint64_t)1 << 32) + (size) - 1) / (size)),
#define ALIGNED_RECIPROCAL(c, size) RECIPROCAL(c, 0, size)
const uint32_t class_reciprocal[CLASS_COUNT] = {
    SIZE_CLASSES(RECIPROCAL) ALIGNED_CLASSES(ALIGNED_RECIPROCAL)};

/* A slab starts at a multiple of 64 KiB and its first block at one of the size's lowest bit, so every block
 * of a class whose size is a multiple of the alignment is aligned. Up to 896, a multiple of a power of two
 * is a class's size, or its class's size is one of it too; from 1 KiB on all of them are odd multiples of
 * 64. */
unsigned class_of_aligned(size_t size, size_t alignment)
{
    size_t bytes = (size + !size + alignment - 1) & ~(alignment - 1);
    bool only_powers = alignment > 64 && bytes > 896;
    return only_powers ? CLASS_FIRST_ALIGNED + bits_log2((bytes - 1) >> 9) : class_of_size(bytes);
}
