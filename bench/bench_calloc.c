/* SPDX-License-Identifier: MIT */
/*
 * Random replacement with calloc. The first and last byte of a fresh block must be zero and
 * are then dirtied, so that an allocator which forgets to clear is caught and not rewarded.
 * Warm-up fills all slots and then replaces WS of them.
 */
#include "bench.h"

struct zeroed {
    unsigned char **slots;
    struct bench_rng rng;
    struct bench_span span;
    uint32_t ws, cycles;
};

static unsigned char *new_block(struct bench_span span, uint64_t random) {
    size_t size = bench_span_size(span, random);
    unsigned char *block = bench_must(calloc(1, size));
    if (block[0] != 0 || block[size - 1] != 0) {
        bench_die("calloc returned memory that is not zero");
    }
    bench_touch(block, size);
    return block;
}

static void replace(struct zeroed *zeroed, uint32_t cycles) {
    for (uint32_t cycle = 0; cycle < cycles; cycle++) {
        uint64_t random = bench_rng_next(&zeroed->rng);
        size_t slot = bench_slot(zeroed->ws, random);
        free(zeroed->slots[slot]);
        zeroed->slots[slot] = new_block(zeroed->span, random);
    }
}

static void warm_up(void *state) {
    struct zeroed *zeroed = state;
    for (uint32_t i = 0; i < zeroed->ws; i++) {
        zeroed->slots[i] = new_block(zeroed->span, bench_rng_next(&zeroed->rng));
    }
    replace(zeroed, zeroed->ws);
}

static void work(void *state) {
    struct zeroed *zeroed = state;
    replace(zeroed, zeroed->cycles);
}

static void clean_up(void *state) {
    struct zeroed *zeroed = state;
    for (uint32_t i = 0; i < zeroed->ws; i++) {
        free(zeroed->slots[i]);
    }
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1,
                              "bench_calloc CYCLES [WS MIN MAX SEED] (default 1024 16 4096 1)"};
    struct zeroed zeroed;
    zeroed.cycles = bench_arg(&args, 1);
    zeroed.ws = bench_arg_or(&args, 1, 1024);
    zeroed.span = bench_arg_span(&args, 16, 4096);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    zeroed.rng = bench_rng_seed(seed, 0);
    zeroed.slots = bench_table(zeroed.ws, sizeof *zeroed.slots);

    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, &zeroed, sizeof zeroed, 1);
    bench_report("bench_calloc", 1, 2ull * zeroed.cycles, &result,
                 "cycles:%u;ws:%u;min:%u;max:%u;seed:%u", zeroed.cycles, zeroed.ws,
                 zeroed.span.min, zeroed.span.max, seed);
    return 0;
}
