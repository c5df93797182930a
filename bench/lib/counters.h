/* SPDX-License-Identifier: MIT */
/*
 * Small blocks that one thread writes many times, for the workloads about cache lines: each
 * block is an atomic counter, as a reference count or a lock is. An atomic addition needs the
 * cache line for itself: when another thread writes to the same line at the same time, each
 * addition waits for the line. Plain stores would wait in the store buffer and hide most of it.
 */
#ifndef BENCH_COUNTERS_H
#define BENCH_COUNTERS_H

#include <stdatomic.h>

#include "bench.h"

enum { COUNTERS_BYTES_MIN = 8 };

struct counters {
    alignas(BENCH_CACHE_LINE) _Atomic uint64_t **blocks;
    uint32_t count, size, writes, cycles;
};

/* size: at least COUNTERS_BYTES_MIN. form: all but the blocks. One array entry per thread. */
static inline struct counters *counters_set_up(uint32_t threads, const struct counters *form) {
    struct counters *counters = bench_table(threads, sizeof *counters);
    for (uint32_t i = 0; i < threads; i++) {
        counters[i] = *form;
        counters[i].blocks = bench_table(form->count, sizeof *form->blocks);
    }
    return counters;
}

static inline void counters_allocate(const struct counters *counters) {
    for (uint32_t i = 0; i < counters->count; i++) {
        counters->blocks[i] = bench_must(bench_malloc(counters->size));
        atomic_init(counters->blocks[i], 0);
    }
}

static inline void counters_free(const struct counters *counters) {
    for (uint32_t i = 0; i < counters->count; i++) {
        bench_free(counters->blocks[i]);
    }
}

/* relaxed: no other thread reads a counter; only the time the additions take matters. */
static inline void counters_write(const struct counters *counters) {
    for (uint32_t write = 0; write < counters->writes; write++) {
        for (uint32_t i = 0; i < counters->count; i++) {
            atomic_fetch_add_explicit(counters->blocks[i], 1, memory_order_relaxed);
        }
    }
    for (uint32_t i = 0; i < counters->count; i++) {
        if (atomic_load_explicit(counters->blocks[i], memory_order_relaxed) != counters->writes) {
            bench_die("a block changed while it was in use");
        }
    }
}

#endif
