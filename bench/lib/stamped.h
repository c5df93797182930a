/* SPDX-License-Identifier: MIT */
/*
 * Blocks that say what is in them, for workloads that pass blocks between threads: a header
 * with the size and a number, then one byte in every cache line and the last byte, all derived
 * from the number. Whoever frees a block reads all of that back, as a receiver would; a
 * mismatch means that the allocator gave the same memory to two owners.
 */
#ifndef BENCH_STAMPED_H
#define BENCH_STAMPED_H

#include "bench.h"

enum { STAMPED_BYTES_MIN = 16 };

struct stamped {
    uint32_t size; /* of the whole block in bytes */
    uint32_t number;
    unsigned char body[];
};

static inline unsigned char stamped_byte(uint32_t number, size_t offset) {
    return (unsigned char)(number + offset / BENCH_CACHE_LINE);
}

/* size: at least STAMPED_BYTES_MIN. */
static inline struct stamped *stamped_new(size_t size, uint32_t number) {
    struct stamped *block = bench_must(bench_malloc(size));
    const size_t last = size - sizeof *block - 1;
    block->size = (uint32_t)size;
    block->number = number;
    for (size_t offset = 0; offset < last; offset += BENCH_CACHE_LINE) {
        block->body[offset] = stamped_byte(number, offset);
    }
    block->body[last] = stamped_byte(number, last);
    return block;
}

static inline void stamped_free(struct stamped *block) {
    const size_t last = block->size - sizeof *block - 1;
    const uint32_t number = block->number;
    bool intact = block->body[last] == stamped_byte(number, last);
    for (size_t offset = 0; offset < last; offset += BENCH_CACHE_LINE) {
        intact &= block->body[offset] == stamped_byte(number, offset);
    }
    if (!intact) {
        bench_die("a block changed while it was in use");
    }
    bench_free(block);
}

#endif
