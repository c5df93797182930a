/* SPDX-License-Identifier: MIT */
/*
 * Random replacement of large blocks (64 KiB .. 1 MiB). A fresh block has one byte written in
 * each of its first 16 pages, so keeping or returning pages shows in minflt, stime and RSS.
 * Warm-up fills all slots and then replaces WS of them.
 */
#include <unistd.h>

#include "bench.h"

enum { PAGES_TOUCHED_MAX = 16 };

struct large {
    unsigned char **slots;
    struct bench_rng rng;
    struct bench_span span;
    size_t page_bytes;
    uint32_t ws, cycles;
};

static unsigned char *new_block(const struct large *large, uint64_t random) {
    size_t size = bench_span_size(large->span, random);
    size_t end = large->page_bytes * PAGES_TOUCHED_MAX;
    unsigned char *block = bench_must(bench_malloc(size));
    for (size_t offset = 0; offset < size && offset < end; offset += large->page_bytes) {
        block[offset] = 1;
    }
    return block;
}

static void replace(struct large *large, uint32_t cycles) {
    for (uint32_t cycle = 0; cycle < cycles; cycle++) {
        uint64_t random = bench_rng_next(&large->rng);
        size_t slot = bench_slot(large->ws, random);
        bench_free(large->slots[slot]);
        large->slots[slot] = new_block(large, random);
    }
}

static void warm_up(void *state) {
    struct large *large = state;
    for (uint32_t i = 0; i < large->ws; i++) {
        large->slots[i] = new_block(large, bench_rng_next(&large->rng));
    }
    replace(large, large->ws);
}

static void work(void *state) {
    struct large *large = state;
    replace(large, large->cycles);
}

static void clean_up(void *state) {
    struct large *large = state;
    for (uint32_t i = 0; i < large->ws; i++) {
        bench_free(large->slots[i]);
    }
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1,
                              "bench_large CYCLES [WS MIN MAX SEED] (default 64 65536 1048576 1)"};
    struct large large;
    large.page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    large.cycles = bench_arg(&args, 1);
    large.ws = bench_arg_or(&args, 1, 64);
    large.span = bench_arg_span(&args, 65536, 1048576);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    large.rng = bench_rng_seed(seed, 0);
    large.slots = bench_table(large.ws, sizeof *large.slots);

    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, &large, sizeof large, 1);
    bench_report("bench_large", 1, 2ull * large.cycles, &result,
                 "cycles:%u;ws:%u;min:%u;max:%u;seed:%u", large.cycles, large.ws, large.span.min,
                 large.span.max, seed);
    return 0;
}
