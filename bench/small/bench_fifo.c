/* SPDX-License-Identifier: MIT */
/*
 * A queue, as in message brokers, event loops and caches that drop their oldest entry: N blocks
 * of MIN..MAX bytes are live, and each of the CYCLES frees the oldest and allocates a new one.
 * Free blocks come back in the order of their age, which is the worst one for allocators that
 * reuse the block freed last. Ops: one free and one malloc per cycle.
 */
#include "tagged.h"

struct fifo {
    unsigned char **ring;
    struct bench_rng rng;
    struct bench_span span;
    uint32_t count, oldest, cycles;
};

static unsigned char *new_block(struct fifo *fifo) {
    return tagged_new(bench_span_size(fifo->span, bench_rng_next(&fifo->rng)));
}

static void turn(struct fifo *fifo, uint32_t cycles) {
    for (uint32_t cycle = 0; cycle < cycles; cycle++) {
        unsigned char **slot = &fifo->ring[fifo->oldest];
        tagged_free(*slot);
        *slot = new_block(fifo);
        fifo->oldest = fifo->oldest + 1 == fifo->count ? 0 : fifo->oldest + 1;
    }
}

static void warm_up(void *state) {
    struct fifo *fifo = state;
    for (uint32_t i = 0; i < fifo->count; i++) {
        fifo->ring[i] = new_block(fifo);
    }
    turn(fifo, fifo->count);
}

static void work(void *state) {
    struct fifo *fifo = state;
    turn(fifo, fifo->cycles);
}

static void clean_up(void *state) {
    const struct fifo *fifo = state;
    for (uint32_t i = 0; i < fifo->count; i++) {
        tagged_free(fifo->ring[i]);
    }
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1, "bench_fifo CYCLES [N MIN MAX SEED] (MIN >= 8) "
                                        "(default 10000 16 512 1)"};
    struct fifo fifo = {0};
    fifo.cycles = bench_arg(&args, 1);
    fifo.count = bench_arg_or(&args, 1, 10000);
    fifo.span = tagged_arg_span(&args, 16, 512);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    fifo.rng = bench_rng_seed(seed, 0);
    fifo.ring = bench_table(fifo.count, sizeof *fifo.ring);

    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, &fifo, sizeof fifo, 1);
    bench_report("bench_fifo", 1, 2ull * fifo.cycles, &result,
                 "cycles:%u;n:%u;min:%u;max:%u;seed:%u", fifo.cycles, fifo.count, fifo.span.min,
                 fifo.span.max, seed);
    return 0;
}
