/* SPDX-License-Identifier: MIT */
/*
 * Latency of single calls, when the environment has BENCH_LATENCY=1.
 *
 * Workloads call bench_malloc, bench_calloc, bench_realloc, bench_aligned and bench_free. Between
 * bench_mark_now and bench_since each of these calls is then timed and counted in a histogram;
 * without the setting the wrapper is one test of a flag that never changes. A timed run is for
 * percentiles only: its throughput is not comparable.
 *
 * The histogram has 16 steps per doubling (each at most 6 % wide), as HdrHistogram does; the
 * greatest value is kept exactly. The cost of reading the clock twice is taken off.
 */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum {
    LATENCY_STEPS = 16, /* per doubling; a power of two */
    LATENCY_BUCKETS = 61 * LATENCY_STEPS,
    LATENCY_TABLES = 64, /* threads share tables beyond that */
    LATENCY_EMPTY_PAIRS = 1000
};

struct latency_table {
    _Alignas(64) _Atomic uint64_t count[LATENCY_BUCKETS];
    _Atomic uint64_t greatest;
};

struct latency_percentiles {
    double p50_ns, p99_ns, p999_ns, max_ns;
};

static bool latency_on; /* changes only while no workload thread runs */
static struct latency_table *latency_tables;
static uint64_t latency_clock_cost;
static struct timespec latency_start_time;
static uint64_t latency_start_ticks;

/* Ticks of a clock that does not change its pace; latency_ns_per_tick() gives the unit. */
static inline uint64_t latency_ticks(void) {
#if defined __x86_64__
    unsigned core;
    return __builtin_ia32_rdtscp(&core);
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
#endif
}

static inline unsigned latency_bucket(uint64_t ticks) {
    if (ticks < LATENCY_STEPS) {
        return (unsigned)ticks;
    }
    unsigned doubling = 63u - (unsigned)__builtin_clzll(ticks) - 4u; /* 4: log2 of the steps */
    return doubling * LATENCY_STEPS + (unsigned)(ticks >> doubling);
}

/* The middle of a bucket. */
static inline double latency_bucket_ticks(unsigned bucket) {
    if (bucket < 2 * LATENCY_STEPS) {
        return bucket;
    }
    unsigned doubling = bucket / LATENCY_STEPS - 1;
    double low = (double)((uint64_t)(bucket % LATENCY_STEPS + LATENCY_STEPS) << doubling);
    return low + (double)((uint64_t)1 << doubling) / 2;
}

static inline struct latency_table *latency_table_of_thread(void) {
    static atomic_uint threads;
    static __thread struct latency_table *own;
    if (own == NULL) {
        own = &latency_tables[atomic_fetch_add(&threads, 1u) % LATENCY_TABLES];
    }
    return own;
}

__attribute__((noinline)) static void latency_record(uint64_t ticks) {
    struct latency_table *table = latency_table_of_thread();
    ticks = ticks > latency_clock_cost ? ticks - latency_clock_cost : 0;
    /* relaxed: only summed up after all threads have been joined or stopped */
    atomic_fetch_add_explicit(&table->count[latency_bucket(ticks)], 1, memory_order_relaxed);
    uint64_t greatest = atomic_load_explicit(&table->greatest, memory_order_relaxed);
    while (ticks > greatest &&
           !atomic_compare_exchange_weak_explicit(&table->greatest, &greatest, ticks,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

/* Called by bench_mark_now: the timed part begins. */
static inline void latency_begin(void) {
    const char *wanted = getenv("BENCH_LATENCY");
    if (wanted == NULL || strcmp(wanted, "1") != 0) {
        return;
    }
    latency_tables = mmap(NULL, sizeof *latency_tables * LATENCY_TABLES, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (latency_tables == MAP_FAILED) {
        return;
    }
    latency_clock_cost = UINT64_MAX;
    for (int i = 0; i < LATENCY_EMPTY_PAIRS; i++) {
        uint64_t before = latency_ticks();
        uint64_t cost = latency_ticks() - before;
        latency_clock_cost = cost < latency_clock_cost ? cost : latency_clock_cost;
    }
    clock_gettime(CLOCK_MONOTONIC, &latency_start_time);
    latency_start_ticks = latency_ticks();
    latency_on = true;
}

static inline double latency_ns_per_tick(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double ns = (double)(now.tv_sec - latency_start_time.tv_sec) * 1e9 +
                (double)(now.tv_nsec - latency_start_time.tv_nsec);
    return ns / (double)(latency_ticks() - latency_start_ticks);
}

static inline double latency_at(const uint64_t *count, uint64_t total, double share) {
    uint64_t wanted = (uint64_t)(share * (double)total), seen = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        seen += count[i];
        if (seen > wanted) {
            return latency_bucket_ticks(i);
        }
    }
    return 0;
}

/* Called by bench_since: the timed part has ended. False when nothing was timed. */
static inline bool latency_end(struct latency_percentiles *out) {
    if (!latency_on) {
        return false;
    }
    latency_on = false;
    double ns = latency_ns_per_tick();
    uint64_t count[LATENCY_BUCKETS] = {0}, total = 0, greatest = 0;
    for (unsigned t = 0; t < LATENCY_TABLES; t++) {
        for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
            uint64_t n = atomic_load_explicit(&latency_tables[t].count[i], memory_order_relaxed);
            count[i] += n;
            total += n;
        }
        uint64_t top = atomic_load_explicit(&latency_tables[t].greatest, memory_order_relaxed);
        greatest = top > greatest ? top : greatest;
    }
    *out = (struct latency_percentiles){
        .p50_ns = latency_at(count, total, 0.5) * ns,
        .p99_ns = latency_at(count, total, 0.99) * ns,
        .p999_ns = latency_at(count, total, 0.999) * ns,
        .max_ns = (double)greatest * ns,
    };
    return total != 0;
}

/* ---- the calls the workloads make ---- */

#define LATENCY_CALL(type, name, parameters, call)              \
    __attribute__((noinline, cold)) static type timed_##name parameters { \
        uint64_t before = latency_ticks();                      \
        type result = call;                                     \
        latency_record(latency_ticks() - before);               \
        return result;                                          \
    }                                                           \
    static inline type bench_##name parameters

LATENCY_CALL(void *, malloc, (size_t size), malloc(size)) {
    return __builtin_expect(latency_on, 0) ? timed_malloc(size) : malloc(size);
}

LATENCY_CALL(void *, calloc, (size_t size), calloc(1, size)) {
    return __builtin_expect(latency_on, 0) ? timed_calloc(size) : calloc(1, size);
}

LATENCY_CALL(void *, realloc, (void *block, size_t size), realloc(block, size)) {
    return __builtin_expect(latency_on, 0) ? timed_realloc(block, size) : realloc(block, size);
}

/* alignment: a power of two of at least sizeof(void *); size is rounded up to a multiple. */
static inline void *latency_aligned(size_t alignment, size_t size) {
    return aligned_alloc(alignment, (size + alignment - 1) & ~(alignment - 1));
}

LATENCY_CALL(void *, aligned, (size_t alignment, size_t size), latency_aligned(alignment, size)) {
    return __builtin_expect(latency_on, 0) ? timed_aligned(alignment, size)
                                           : latency_aligned(alignment, size);
}

__attribute__((noinline, cold)) static void timed_free(void *block) {
    uint64_t before = latency_ticks();
    free(block);
    latency_record(latency_ticks() - before);
}

static inline void bench_free(void *block) {
    if (__builtin_expect(latency_on, 0)) {
        timed_free(block);
    } else {
        free(block);
    }
}

#endif
