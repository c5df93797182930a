/* SPDX-License-Identifier: MIT */
/*
 * The heap fills up and empties: allocate N blocks of MIN..MAX bytes, free all of them in a
 * random order; CYCLES times. Sizes and order are computed beforehand. The warm-up ramp has
 * only N / 16 blocks: growing the heap for the first time is part of what is measured.
 */
#include "bench.h"

struct ramp {
    unsigned char **blocks;
    uint32_t *sizes;
    uint32_t *order; /* a permutation of 0 .. count-1 */
    uint32_t count, cycles;
};

/* Frees the first `count` blocks in the order of the whole permutation. */
static void ramp_once(const struct ramp *ramp, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        ramp->blocks[i] = bench_must(bench_malloc(ramp->sizes[i]));
        bench_touch(ramp->blocks[i], ramp->sizes[i]);
    }
    for (uint32_t i = 0; i < ramp->count; i++) {
        if (ramp->order[i] < count) {
            bench_free(ramp->blocks[ramp->order[i]]);
        }
    }
}

static void warm_up(void *state) {
    const struct ramp *ramp = state;
    ramp_once(ramp, ramp->count / 16);
}

static void work(void *state) {
    const struct ramp *ramp = state;
    for (uint32_t cycle = 0; cycle < ramp->cycles; cycle++) {
        ramp_once(ramp, ramp->count);
    }
}

static void clean_up(void *state) {
    (void)state; /* every ramp frees what it allocated */
}

/* Fisher-Yates shuffle. */
static void set_up(struct ramp *ramp, struct bench_span span, uint32_t seed) {
    struct bench_rng rng = bench_rng_seed(seed, 0);
    ramp->blocks = bench_table(ramp->count, sizeof *ramp->blocks);
    ramp->sizes = bench_table(ramp->count, sizeof *ramp->sizes);
    ramp->order = bench_table(ramp->count, sizeof *ramp->order);
    for (uint32_t i = 0; i < ramp->count; i++) {
        uint64_t random = bench_rng_next(&rng);
        size_t other = bench_pick((uint32_t)(random >> 32), (uint64_t)i + 1);
        ramp->sizes[i] = (uint32_t)bench_span_size(span, random);
        ramp->order[i] = ramp->order[other];
        ramp->order[other] = i;
    }
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1,
                              "bench_ramp CYCLES [N MIN MAX SEED] (default 1000000 16 256 1)"};
    struct ramp ramp;
    ramp.cycles = bench_arg(&args, 1);
    ramp.count = bench_arg_or(&args, 1, 1000000);
    struct bench_span span = bench_arg_span(&args, 16, 256);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    set_up(&ramp, span, seed);

    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, &ramp, sizeof ramp, 1);
    bench_report("bench_ramp", 1, 2ull * ramp.count * ramp.cycles, &result,
                 "cycles:%u;n:%u;min:%u;max:%u;seed:%u", ramp.cycles, ramp.count, span.min,
                 span.max, seed);
    return 0;
}
