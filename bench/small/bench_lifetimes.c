/* SPDX-License-Identifier: MIT */
/*
 * Most objects die young, some live long: servers with connections, interpreters with modules. Each
 * of the CYCLES allocates a block of MIN..MAX bytes. It replaces the oldest of YOUNG short-lived
 * blocks, but one in K, chosen at random, replaces a random one of OLD long-lived blocks. So the
 * long-lived lie scattered between the others. Ops: one malloc and one free per cycle.
 */
#include "tagged.h"

struct lifetimes {
    unsigned char **young, **old;
    struct bench_rng rng;
    struct bench_span span;
    uint32_t young_count, old_count, rarity, oldest, cycles;
};

static unsigned char **choose_victim(struct lifetimes *lives, uint64_t random) {
    if (bench_slot(lives->rarity, random) == 0) {
        return &lives->old[bench_slot(lives->old_count, bench_rng_next(&lives->rng))];
    }
    uint32_t oldest = lives->oldest;
    lives->oldest = oldest + 1 == lives->young_count ? 0 : oldest + 1;
    return &lives->young[oldest];
}

static void run_cycles(struct lifetimes *lives, uint32_t cycles) {
    for (uint32_t cycle = 0; cycle < cycles; cycle++) {
        uint64_t random = bench_rng_next(&lives->rng);
        unsigned char *block = tagged_new(bench_span_size(lives->span, random));
        unsigned char **victim = choose_victim(lives, random);
        tagged_free(*victim);
        *victim = block;
    }
}

static void fill(struct lifetimes *lives, unsigned char **blocks, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        blocks[i] = tagged_new(bench_span_size(lives->span, bench_rng_next(&lives->rng)));
    }
}

static void empty(unsigned char **blocks, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        tagged_free(blocks[i]);
    }
}

static void warm_up(void *state) {
    struct lifetimes *lives = state;
    fill(lives, lives->old, lives->old_count);
    fill(lives, lives->young, lives->young_count);
    run_cycles(lives, lives->cycles / 20 + 1);
}

static void work(void *state) {
    struct lifetimes *lives = state;
    run_cycles(lives, lives->cycles);
}

static void clean_up(void *state) {
    const struct lifetimes *lives = state;
    empty(lives->young, lives->young_count);
    empty(lives->old, lives->old_count);
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1, "bench_lifetimes CYCLES [YOUNG OLD K MIN MAX SEED] "
                                        "(MIN >= 8) (default 64 50000 32 16 512 1)"};
    struct lifetimes lives = {0};
    lives.cycles = bench_arg(&args, 1);
    lives.young_count = bench_arg_or(&args, 1, 64);
    lives.old_count = bench_arg_or(&args, 1, 50000);
    lives.rarity = bench_arg_or(&args, 1, 32);
    lives.span = tagged_arg_span(&args, 16, 512);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    lives.rng = bench_rng_seed(seed, 0);
    lives.young = bench_table(lives.young_count, sizeof *lives.young);
    lives.old = bench_table(lives.old_count, sizeof *lives.old);

    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, &lives, sizeof lives, 1);
    bench_report("bench_lifetimes", 1, 2ull * lives.cycles, &result,
                 "cycles:%u;young:%u;old:%u;k:%u;min:%u;max:%u;seed:%u", lives.cycles,
                 lives.young_count, lives.old_count, lives.rarity, lives.span.min,
                 lives.span.max, seed);
    return 0;
}
