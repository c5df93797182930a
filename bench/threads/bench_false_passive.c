/* SPDX-License-Identifier: MIT */
/*
 * Passive false sharing (cache-scratch of Hoard's benchmarks): the main thread allocates
 * neighbouring blocks of SIZE bytes, BLOCKS for each of the THREADS, and deals them out in
 * turn, as a program does that prepares arguments for its threads. In every cycle a thread
 * frees its blocks (at first those it was given), allocates as many again and writes each
 * WRITES times. An allocator that lets a thread reuse what it was given keeps several threads
 * writing to the same cache lines for good. A cycle has 2 * BLOCKS ops.
 */
#include "counters.h"

enum { OTHER_BYTES = 2048 }; /* far from any SIZE that makes sense here */

/*
 * Starts the thread's heap with a block of another size. Blocks of SIZE must wait: the ones
 * the thread was given are to be the first that it frees.
 */
static void warm_up(void *state) {
    (void)state;
    unsigned char *block = bench_must(bench_malloc(OTHER_BYTES));
    bench_touch(block, OTHER_BYTES);
    bench_free(block);
}

static void work(void *state) {
    const struct counters *counters = state;
    for (uint32_t cycle = 0; cycle < counters->cycles; cycle++) {
        counters_free(counters);
        counters_allocate(counters);
        counters_write(counters);
    }
}

static void clean_up(void *state) {
    counters_free(state);
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1, "bench_false_passive CYCLES [THREADS SIZE BLOCKS WRITES] "
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
    for (uint32_t block = 0; block < blocks; block++) {
        for (uint32_t i = 0; i < threads; i++) {
            counters[i].blocks[block] = bench_must(bench_malloc(size));
        }
    }
    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, counters, sizeof *counters, threads);
    bench_report("bench_false_passive", threads, 2ull * cycles * blocks * threads, &result,
                 "cycles:%u;threads:%u;size:%u;blocks:%u;writes:%u", cycles, threads, size, blocks,
                 writes);
    return 0;
}
