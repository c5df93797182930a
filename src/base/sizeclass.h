/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Size classes: 16-byte steps to 128, then four per doubling, up to 64 KiB (waste at most 25 %,
 * 12 % in the mean). Constant tables, readable by any thread at any time.
 * Doors: size_step() + class_of_step[] (size -> class), class_bytes[], class_reciprocal[].
 * There is no 8-byte class: compilers assume that every block is 16-byte aligned.
 */

#include "base/compiler.h"

#define CLASS_COUNT 44
#define CLASS_BYTES_MAX 65536
#define CLASS_STEP_COUNT (CLASS_BYTES_MAX / 16)

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
    X(19, 896, 1024) \
    X(20, 1024, 1280) \
    X(21, 1280, 1536) \
    X(22, 1536, 1792) \
    X(23, 1792, 2048) \
    X(24, 2048, 2560) \
    X(25, 2560, 3072) \
    X(26, 3072, 3584) \
    X(27, 3584, 4096) \
    X(28, 4096, 5120) \
    X(29, 5120, 6144) \
    X(30, 6144, 7168) \
    X(31, 7168, 8192) \
    X(32, 8192, 10240) \
    X(33, 10240, 12288) \
    X(34, 12288, 14336) \
    X(35, 14336, 16384) \
    X(36, 16384, 20480) \
    X(37, 20480, 24576) \
    X(38, 24576, 28672) \
    X(39, 28672, 32768) \
    X(40, 32768, 40960) \
    X(41, 40960, 49152) \
    X(42, 49152, 57344) \
    X(43, 57344, 65536)

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

/* The smallest class that holds size bytes at the given power-of-two alignment; both <= 64 KiB. */
unsigned class_of_aligned(size_t size, size_t alignment);
