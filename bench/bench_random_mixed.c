/* SPDX-License-Identifier: MIT */
/*
 * WS slots per thread; each of the CYCLES per thread picks a random slot, frees the block in
 * it and allocates one of a random size in MIN..MAX, touching its first and last byte. Threads
 * share nothing. Warm-up fills all slots and then replaces WS of them.
 */
#include "bench.h"

struct mixed {
    alignas(BENCH_CACHE_LINE) unsigned char **slots;
    struct bench_rng rng;
    struct bench_span span;
    uint32_t ws, cycles;
};

static unsigned char *new_block(struct bench_span span, uint64_t random) {
    size_t size = bench_span_size(span, random);
    unsigned char *block = bench_must(malloc(size));
    bench_touch(block, size);
    return block;
}

static void replace(struct mixed *mixed, uint32_t cycles) {
    unsigned char **slots = mixed->slots;
    const struct bench_span span = mixed->span;
    const uint32_t ws = mixed->ws;
    struct bench_rng rng = mixed->rng;
    for (uint32_t cycle = 0; cycle < cycles; cycle++) {
        uint64_t random = bench_rng_next(&rng);
        size_t slot = bench_slot(ws, random);
        free(slots[slot]);
        slots[slot] = new_block(span, random);
    }
    mixed->rng = rng;
}

static void warm_up(void *state) {
    struct mixed *mixed = state;
    for (uint32_t i = 0; i < mixed->ws; i++) {
        mixed->slots[i] = new_block(mixed->span, bench_rng_next(&mixed->rng));
    }
    replace(mixed, mixed->ws);
}

static void work(void *state) {
    struct mixed *mixed = state;
    replace(mixed, mixed->cycles);
}

static void clean_up(void *state) {
    struct mixed *mixed = state;
    for (uint32_t i = 0; i < mixed->ws; i++) {
        free(mixed->slots[i]);
    }
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1, "bench_random_mixed CYCLES WS SEED [MIN MAX THREADS]"};
    uint32_t cycles = bench_arg(&args, 1);
    uint32_t ws = bench_arg(&args, 1);
    uint32_t seed = bench_arg(&args, 0);
    struct bench_span span = bench_arg_span(&args, 16, 1024);
    uint32_t threads = bench_arg_or(&args, 1, 1);
    bench_args_end(&args);

    struct mixed *mixed = bench_table(threads, sizeof *mixed);
    for (uint32_t i = 0; i < threads; i++) {
        mixed[i].slots = bench_table(ws, sizeof *mixed[i].slots);
        mixed[i].rng = bench_rng_seed(seed, i);
        mixed[i].span = span;
        mixed[i].ws = ws;
        mixed[i].cycles = cycles;
    }
    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, mixed, sizeof *mixed, threads);
    bench_report("bench_random_mixed", threads, 2ull * cycles * threads, &result,
                 "cycles:%u;ws:%u;seed:%u;min:%u;max:%u;threads:%u", cycles, ws, seed, span.min,
                 span.max, threads);
    return 0;
}
