/* SPDX-License-Identifier: MIT */
/*
 * Random replacement of middle-sized blocks on several threads that share nothing. A fresh
 * block has its first 64 bytes and its last byte written, as a buffer with a header would.
 * Warm-up fills all slots and then replaces WS of them.
 */
#include "slots.h"

enum { HEADER_BYTES = 64 };

static unsigned char *new_block(struct bench_span span, uint64_t random) {
    size_t size = bench_span_size(span, random);
    unsigned char *block = bench_must(bench_malloc(size));
    memset(block, 1, size < HEADER_BYTES ? size : HEADER_BYTES);
    block[size - 1] = 1;
    return block;
}

static void warm_up(void *state) {
    slots_fill(state, new_block);
}

static void work(void *state) {
    struct slots *slots = state;
    slots_replace(slots, slots->cycles, new_block);
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1,
                              "bench_mid_large_mt [THREADS CYCLES WS MIN MAX SEED] "
                              "(default 2 1000000 256 8192 32768 1)"};
    uint32_t threads = bench_arg_or(&args, 1, 2);
    uint32_t cycles = bench_arg_or(&args, 1, 1000000);
    uint32_t ws = bench_arg_or(&args, 1, 256);
    struct bench_span span = bench_arg_span(&args, 8192, 32768);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);

    struct slots *slots = slots_set_up(threads, ws, cycles, span, seed);
    const struct bench_job job = {warm_up, work, slots_empty};
    struct bench_result result = bench_run(&job, slots, sizeof *slots, threads);
    bench_report("bench_mid_large_mt", threads, 2ull * cycles * threads, &result,
                 "threads:%u;cycles:%u;ws:%u;min:%u;max:%u;seed:%u", threads, cycles, ws, span.min,
                 span.max, seed);
    return 0;
}
