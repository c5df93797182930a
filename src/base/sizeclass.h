/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Size classes: 16-byte steps to 128, then four per doubling to 1 KiB (waste at most 25 %, 11 % in
 * the mean), then eight up to 64 KiB (12 %, 6 %): there, a page more or less is what a program's
 * memory is made of. From 1 KiB on a class is one cache line longer than the round number: an odd
 * number of lines spreads the blocks over all sets of the cache (multiples of 1 KiB share four of
 * the 64), and the common "round size plus a small header" fits. Aligned requests that such sizes
 * cannot serve have classes of their own, powers of two.
 * Constant tables, readable by any thread at any time. There is no 8-byte class: compilers assume
 * that every block is 16-byte aligned. Figures: docs/decisions/0002-size-classes.md.
 */

#include "base/compiler.h"

#define CLASS_COUNT 75
#define CLASS_BYTES_MAX 65600
#define CLASS_STEP_COUNT (CLASS_BYTES_MAX / 16)
#define CLASS_FIRST_ALIGNED 68
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
    X(20, 1088, 1216) \
    X(21, 1216, 1344) \
    X(22, 1344, 1472) \
    X(23, 1472, 1600) \
    X(24, 1600, 1728) \
    X(25, 1728, 1856) \
    X(26, 1856, 1984) \
    X(27, 1984, 2112) \
    X(28, 2112, 2368) \
    X(29, 2368, 2624) \
    X(30, 2624, 2880) \
    X(31, 2880, 3136) \
    X(32, 3136, 3392) \
    X(33, 3392, 3648) \
    X(34, 3648, 3904) \
    X(35, 3904, 4160) \
    X(36, 4160, 4672) \
    X(37, 4672, 5184) \
    X(38, 5184, 5696) \
    X(39, 5696, 6208) \
    X(40, 6208, 6720) \
    X(41, 6720, 7232) \
    X(42, 7232, 7744) \
    X(43, 7744, 8256) \
    X(44, 8256, 9280) \
    X(45, 9280, 10304) \
    X(46, 10304, 11328) \
    X(47, 11328, 12352) \
    X(48, 12352, 13376) \
    X(49, 13376, 14400) \
    X(50, 14400, 15424) \
    X(51, 15424, 16448) \
    X(52, 16448, 18496) \
    X(53, 18496, 20544) \
    X(54, 20544, 22592) \
    X(55, 22592, 24640) \
    X(56, 24640, 26688) \
    X(57, 26688, 28736) \
    X(58, 28736, 30784) \
    X(59, 30784, 32832) \
    X(60, 32832, 36928) \
    X(61, 36928, 41024) \
    X(62, 41024, 45120) \
    X(63, 45120, 49216) \
    X(64, 49216, 53312) \
    X(65, 53312, 57408) \
    X(66, 57408, 61504) \
    X(67, 61504, 65600)

/* X(class, size): reached by alignment only. */
#define ALIGNED_CLASSES(X) \
    X(68, 1024) \
    X(69, 2048) \
    X(70, 4096) \
    X(71, 8192) \
    X(72, 16384) \
    X(73, 32768) \
    X(74, 65536)

extern const uint8_t class_of_step[CLASS_STEP_COUNT];
extern const uint32_t class_bytes[CLASS_COUNT];
/* Bytes before the first block of a slab, less than a KiB: the first blocks of small classes lie in a dozen
 * sets of the cache and not in one, and none where a program's page-aligned tables begin. */
extern const uint16_t class_first[CLASS_COUNT];
/* Granules of a slab of the class, a power of two. */
extern const uint8_t class_span[CLASS_COUNT];
/* ceil(2^32 / size): (offset * reciprocal) >> 32 is the index of the block that starts at the offset
 * (below 2^19); other offsets may give one more, so check that the index leads back. */
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
