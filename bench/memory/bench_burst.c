/* SPDX-License-Identifier: MIT */
/*
 * Services that idle between bursts: each of the CYCLES sleeps IDLE_MS milliseconds, then builds
 * a linked list of small blocks of MIN..MAX bytes, LOW to HIGH mebibytes in all, and frees it
 * from the front. What an allocator gives back while nothing happens shows in rss and minflt.
 * Ops: the mallocs and the frees. The sleeps are not in `seconds`, and so neither is what a
 * thread of the allocator does during them; its faults and system time are counted.
 */
#include "bench.h"

struct block {
    struct block *next;
    unsigned char data[];
};

struct burst {
    struct bench_rng rng;
    struct bench_span mib, sizes;
    uint32_t idle_ms, cycles;
    double slept_seconds;
    uint64_t ops;
};

static struct block *build(struct burst *burst) {
    struct bench_rng rng = burst->rng;
    const struct bench_span sizes = burst->sizes;
    const struct bench_span span = {burst->mib.min << 10, burst->mib.max << 10}; /* KiB */
    const size_t wanted = bench_span_size(span, bench_rng_next(&rng)) << 10;
    struct block *first = NULL, **end = &first;
    uint64_t blocks = 0;
    for (size_t bytes = 0; bytes < wanted; blocks++) {
        size_t size = bench_span_size(sizes, bench_rng_next(&rng));
        struct block *block = bench_must(bench_malloc(size));
        ((unsigned char *)block)[size - 1] = 1;
        block->next = NULL;
        *end = block;
        end = &block->next;
        bytes += size;
    }
    burst->rng = rng;
    burst->ops += 2 * blocks;
    return first;
}

static void one_burst(struct burst *burst) {
    struct block *block = build(burst);
    while (block != NULL) {
        struct block *next = block->next;
        bench_free(block);
        block = next;
    }
}

static void idle(struct burst *burst) {
    struct timespec pause = {burst->idle_ms / 1000, (long)(burst->idle_ms % 1000) * 1000000};
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    while (nanosleep(&pause, &pause) != 0) {
    }
    clock_gettime(CLOCK_MONOTONIC, &after);
    burst->slept_seconds += (double)(after.tv_sec - before.tv_sec) +
                            (double)(after.tv_nsec - before.tv_nsec) * 1e-9;
}

static void warm_up(void *state) {
    struct burst *burst = state;
    one_burst(burst);
    burst->ops = 0;
}

static void work(void *state) {
    struct burst *burst = state;
    for (uint32_t cycle = 0; cycle < burst->cycles; cycle++) {
        idle(burst);
        one_burst(burst);
    }
}

static void clean_up(void *state) {
    (void)state; /* every burst frees what it allocated */
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1,
                              "bench_burst CYCLES [IDLE_MS LOW HIGH MIN MAX SEED] (HIGH <= 4095, "
                              "MIN >= 16) (default 10 20 50 16 512 1)"};
    struct burst burst = {0};
    burst.cycles = bench_arg(&args, 1);
    burst.idle_ms = bench_arg_or(&args, 0, 10);
    burst.mib = bench_arg_span(&args, 20, 50);
    burst.sizes = bench_arg_span(&args, 16, 512);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    if (burst.mib.max > 4095 || burst.sizes.min < 16) {
        bench_usage(&args);
    }
    burst.rng = bench_rng_seed(seed, 0);

    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, &burst, sizeof burst, 1);
    result.seconds -= burst.slept_seconds;
    bench_report("bench_burst", 1, burst.ops, &result,
                 "cycles:%u;idle_ms:%u;low:%u;high:%u;min:%u;max:%u;seed:%u", burst.cycles,
                 burst.idle_ms, burst.mib.min, burst.mib.max, burst.sizes.min, burst.sizes.max,
                 seed);
    return 0;
}
