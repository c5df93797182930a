/* SPDX-License-Identifier: MIT */
#include "base/sizeclass.h"

#include "base/limits.h"

#define STEP_RANGE(c, before, size) [(before) / 16 ... (size) / 16 - 1] = (c),
const uint8_t class_of_step[CLASS_STEP_COUNT] = {SIZE_CLASSES(STEP_RANGE)};

#define BYTES(c, before, size) [c] = (size),
#define ALIGNED_BYTES(c, size) [c] = (size),
const uint32_t class_bytes[CLASS_COUNT] = {SIZE_CLASSES(BYTES) ALIGNED_CLASSES(ALIGNED_BYTES)};

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

/* A slab starts at a multiple of 64 KiB, so every block of a class whose size is a multiple of the
 * alignment is aligned. */
unsigned class_of_aligned(size_t size, size_t alignment)
{
    size_t need = size > alignment ? size : alignment;
    bool only_powers = alignment > 64 && need >= 1024;
    unsigned c = only_powers ? CLASS_FIRST_ALIGNED : class_of_size(need);
    while (c < CLASS_FIRST_ALIGNED && (class_bytes[c] & (alignment - 1)) != 0) {
        c++;
    }
    while (class_bytes[c] < need) { /* past the last: the powers of two */
        c++;
    }
    return c;
}
