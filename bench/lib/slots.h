/* SPDX-License-Identifier: MIT */
/*
 * Random replacement, the load of several workloads: WS slots, each holding a block; every cycle
 * frees the block in a random slot and puts a new one there. The workload says how a block is
 * made; the function is a constant where it is passed, so that the compiler inlines it.
 */
#ifndef BENCH_SLOTS_H
#define BENCH_SLOTS_H

#include "bench.h"

struct slots {
    alignas(BENCH_CACHE_LINE) unsigned char **blocks;
    struct bench_rng rng;
    struct bench_span span;
    uint32_t ws, cycles;
};

typedef unsigned char *slots_new_block(struct bench_span span, uint64_t random);

/* One array entry per thread; the threads share nothing. */
static inline struct slots *slots_set_up(uint32_t threads, uint32_t ws, uint32_t cycles,
                                         struct bench_span span, uint32_t seed) {
    struct slots *slots = bench_table(threads, sizeof *slots);
    for (uint32_t i = 0; i < threads; i++) {
        slots[i].blocks = bench_table(ws, sizeof *slots[i].blocks);
        slots[i].rng = bench_rng_seed(seed, i);
        slots[i].span = span;
        slots[i].ws = ws;
        slots[i].cycles = cycles;
    }
    return slots;
}

__attribute__((always_inline)) static inline void
slots_replace(struct slots *slots, uint32_t cycles, slots_new_block *new_block) {
    unsigned char **blocks = slots->blocks;
    const struct bench_span span = slots->span;
    const uint32_t ws = slots->ws;
    struct bench_rng rng = slots->rng;
    for (uint32_t cycle = 0; cycle < cycles; cycle++) {
        uint64_t random = bench_rng_next(&rng);
        size_t slot = bench_slot(ws, random);
        bench_free(blocks[slot]);
        blocks[slot] = new_block(span, random);
    }
    slots->rng = rng;
}

/* Warm-up: fills all slots and then replaces WS of them. */
__attribute__((always_inline)) static inline void slots_fill(struct slots *slots,
                                                             slots_new_block *new_block) {
    for (uint32_t i = 0; i < slots->ws; i++) {
        slots->blocks[i] = new_block(slots->span, bench_rng_next(&slots->rng));
    }
    slots_replace(slots, slots->ws, new_block);
}

static inline void slots_empty(void *state) {
    struct slots *slots = state;
    for (uint32_t i = 0; i < slots->ws; i++) {
        bench_free(slots->blocks[i]);
    }
}

#endif
