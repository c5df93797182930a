/* SPDX-License-Identifier: MIT */
#include "base/sizeclass.h"

#define STEP_RANGE(c, before, size) [(before) / 16 ... (size) / 16 - 1] = (c),
const uint8_t class_of_step[CLASS_STEP_COUNT] = {SIZE_CLASSES(STEP_RANGE)};

#define BYTES(c, before, size) [c] = (size),
const uint32_t class_bytes[CLASS_COUNT] = {SIZE_CLASSES(BYTES)};

#define RECIPROCAL(c, before, size) [c] = (uint32_t)((((uint64_t)1 << 32) + (size) - 1) / (size)),
const uint32_t class_reciprocal[CLASS_COUNT] = {SIZE_CLASSES(RECIPROCAL)};

/* A slab starts at a multiple of 64 KiB, so every block of a class whose size is a multiple of the
 * alignment is aligned. A power of two is always found, so the walk ends after at most four steps. */
unsigned class_of_aligned(size_t size, size_t alignment)
{
    size_t need = size > alignment ? size : alignment;
    unsigned c = class_of_size(need);
    while (class_bytes[c] & (alignment - 1)) {
        c++;
    }
    return c;
}
