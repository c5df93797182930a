/* SPDX-License-Identifier: MIT */
/*
 * Random replacement of middle-sized blocks on several threads that share nothing. A fresh
 * block has its first 64 bytes and its last byte written, as a buffer with a header would.
 * Warm-up fills all slots and then replaces WS of them.
 */
#include "bench.h"

enum { HEADER_BYTES = 64 };

struct mid {
    alignas(BENCH_CACHE_LINE) unsigned char **slots;
    struct bench_rng rng;
    struct bench_span span;
    uint32_t ws, cycles;
};

static unsigned char *new_block(struct bench_span span, uint64_t random) {
    size_t size = bench_span_size(span, random);
    unsigned char *block = bench_must(malloc(size));
    memset(block, 1, size < HEADER_BYTES ? size : HEADER_BYTES);
    block[size - 1] = 1;
    return block;
}

static void replace(struct mid *mid, uint32_t cycles) {
    unsigned char **slots = mid->slots;
    const struct bench_span span = mid->span;
    const uint32_t ws = mid->ws;
    struct bench_rng rng = mid->rng;
    for (uint32_t cycle = 0; cycle < cycles; cycle++) {
        uint64_t random = bench_rng_next(&rng);
        size_t slot = bench_slot(ws, random);
        free(slots[slot]);
        slots[slot] = new_block(span, random);
    }
    mid->rng = rng;
}

static void warm_up(void *state) {
    struct mid *mid = state;
    for (uint32_t i = 0; i < mid->ws; i++) {
        mid->slots[i] = new_block(mid->span, bench_rng_next(&mid->rng));
    }
    replace(mid, mid->ws);
}

static void work(void *state) {
    struct mid *mid = state;
    replace(mid, mid->cycles);
}

static void clean_up(void *state) {
    struct mid *mid = state;
    for (uint32_t i = 0; i < mid->ws; i++) {
        free(mid->slots[i]);
    }
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

    struct mid *mid = bench_table(threads, sizeof *mid);
    for (uint32_t i = 0; i < threads; i++) {
        mid[i].slots = bench_table(ws, sizeof *mid[i].slots);
        mid[i].rng = bench_rng_seed(seed, i);
        mid[i].span = span;
        mid[i].ws = ws;
        mid[i].cycles = cycles;
    }
    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, mid, sizeof *mid, threads);
    bench_report("bench_mid_large_mt", threads, 2ull * cycles * threads, &result,
                 "threads:%u;cycles:%u;ws:%u;min:%u;max:%u;seed:%u", threads, cycles, ws, span.min,
                 span.max, seed);
    return 0;
}
