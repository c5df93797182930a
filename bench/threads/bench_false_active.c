/* SPDX-License-Identifier: MIT */
/*
 * Active false sharing (cache-thrash of Hoard's benchmarks): threads that allocate at the same
 * time, each for itself, as reference counts or locks of small objects are. In every cycle a
 * thread allocates BLOCKS blocks of SIZE bytes, writes each WRITES times and frees them. An
 * allocator that hands blocks of one cache line to two threads makes the writes slow; the
 * 2 * BLOCKS calls per cycle, the ops, are a small part of the time.
 */
#include "counters.h"

static void run_cycles(const struct counters *counters, uint32_t cycles) {
    for (uint32_t cycle = 0; cycle < cycles; cycle++) {
        counters_allocate(counters);
        counters_write(counters);
        counters_free(counters);
    }
}

static void warm_up(void *state) {
    const struct counters *counters = state;
    run_cycles(counters, counters->cycles / 20 + 1);
}

static void work(void *state) {
    const struct counters *counters = state;
    run_cycles(counters, counters->cycles);
}

static void clean_up(void *state) {
    (void)state; /* every cycle frees what it allocated */
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1, "bench_false_active CYCLES [THREADS SIZE BLOCKS WRITES] "
                                        "(default 2 8 4 100; SIZE >= 8)"};
    uint32_t cycles = bench_arg(&args, 1);
    uint32_t threads = bench_arg_or(&args, 1, 2);
    uint32_t size = bench_arg_or(&args, COUNTERS_BYTES_MIN, 8);
    uint32_t blocks = bench_arg_or(&args, 1, 4);
    uint32_t writes = bench_arg_or(&args, 1, 100);
    bench_args_end(&args);

    const struct counters form = {
        .count = blocks, .size = size, .writes = writes, .cycles = cycles};
    struct counters *counters = counters_set_up(threads, &form);
    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, counters, sizeof *counters, threads);
    bench_report("bench_false_active", threads, 2ull * cycles * blocks * threads, &result,
                 "cycles:%u;threads:%u;size:%u;blocks:%u;writes:%u", cycles, threads, size, blocks,
                 writes);
    return 0;
}
