/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Size classes: 16-byte steps to 128, then four per doubling, up to 64 KiB (waste at most 25 %,
 * 12 % in the mean). From 1 KiB on a class is one cache line longer than the round number: an odd
 * number of lines spreads the blocks over all sets of the cache (multiples of 1 KiB share four of
 * the 64), and the common "round size plus a small header" fits. Aligned requests that such sizes
 * cannot serve have classes of their own, powers of two.
 * Constant tables, readable by any thread at any time. There is no 8-byte class: compilers assume
 * that every block is 16-byte aligned. Figures: docs/decisions/0002-size-classes.md.
 */

#include "base/compiler.h"

#define CLASS_COUNT 51
#define CLASS_BYTES_MAX 65600
#define CLASS_STEP_COUNT (CLASS_BYTES_MAX / 16)
#define CLASS_FIRST_ALIGNED 44
#define CLASS_ALIGNED_BYTES_MAX 65536

/* X(class, largest size of the class before, size) */
#define SIZE_CLASSES(X) \
    X(0, 0, 16) \
    X(1, 16, 32) \
    X(2, 32, 48) \
    X(3, 48, 64) \
    X(4, 64, 80) \
    X(5, 80, 96) \
    X(6, 96, 112) \
    X(7, 112, 128) \
    X(8, 128, 160) \
    X(9, 160, 192) \
    X(10, 192, 224) \
    X(11, 224, 256) \
    X(12, 256, 320) \
    X(13, 320, 384) \
    X(14, 384, 448) \
    X(15, 448, 512) \
    X(16, 512, 640) \
    X(17, 640, 768) \
    X(18, 768, 896) \
    X(19, 896, 1088) \
    X(20, 1088, 1344) \
    X(21, 1344, 1600) \
    X(22, 1600, 1856) \
    X(23, 1856, 2112) \
    X(24, 2112, 2624) \
    X(25, 2624, 3136) \
    X(26, 3136, 3648) \
    X(27, 3648, 4160) \
    X(28, 4160, 5184) \
    X(29, 5184, 6208) \
    X(30, 6208, 7232) \
    X(31, 7232, 8256) \
    X(32, 8256, 10304) \
    X(33, 10304, 12352) \
    X(34, 12352, 14400) \
    X(35, 14400, 16448) \
    X(36, 16448, 20544) \
    X(37, 20544, 24640) \
    X(38, 24640, 28736) \
    X(39, 28736, 32832) \
    X(40, 32832, 41024) \
    X(41, 41024, 49216) \
    X(42, 49216, 57408) \
    X(43, 57408, 65600)

/* X(class, size): reached by alignment only. */
#define ALIGNED_CLASSES(X) \
    X(44, 1024) \
    X(45, 2048) \
    X(46, 4096) \
    X(47, 8192) \
    X(48, 16384) \
    X(49, 32768) \
    X(50, 65536)

extern const uint8_t class_of_step[CLASS_STEP_COUNT];
extern const uint32_t class_bytes[CLASS_COUNT];
/* ceil(2^32 / size): (offset * reciprocal) >> 32 is the block's index for offsets below 2^19. */
extern const uint32_t class_reciprocal[CLASS_COUNT];

/* Size 0 wraps round to a step beyond the table: one compare sends 0 and too large to the slow path. */
HAK_INLINE size_t size_step(size_t size)
{
    return (size - 1) >> 4;
}

/* The class of a size in 1..CLASS_BYTES_MAX. */
HAK_INLINE unsigned class_of_size(size_t size)
{
    return class_of_step[size_step(size)];
}

/* A class that holds size bytes at a power-of-two alignment; both <= CLASS_ALIGNED_BYTES_MAX. */
unsigned class_of_aligned(size_t size, size_t alignment);
