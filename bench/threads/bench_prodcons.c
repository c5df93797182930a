/* SPDX-License-Identifier: MIT */
/*
 * One thread allocates, another frees: CYCLES batches of BATCH blocks of MIN..MAX bytes pass
 * through a ring. The producer frees nothing, the consumer allocates nothing, so every free is
 * a remote one.
 */
#include "ring.h"

enum role { PRODUCER, CONSUMER };

struct side {
    alignas(BENCH_CACHE_LINE) struct ring *ring;
    enum role role;
    struct ring_load load;
    uint32_t cycles;
};

/* No more than `blocks` ever come: a barrier lies between warm-up and work. */
static void consume(struct ring *ring, uint64_t blocks) {
    uint32_t spins = 0;
    while (blocks > 0) {
        uint64_t freed = ring_drain(ring);
        blocks -= freed;
        if (freed == 0) {
            bench_wait(&spins);
        }
    }
}

static void pass(struct side *side, uint32_t cycles) {
    if (side->role == PRODUCER) {
        ring_feed(side->ring, &side->load, cycles);
    } else {
        consume(side->ring, (uint64_t)cycles * side->load.batch);
    }
}

static void warm_up(void *state) {
    struct side *side = state;
    pass(side, side->cycles / 20 + 1);
}

static void work(void *state) {
    struct side *side = state;
    pass(side, side->cycles);
}

static void clean_up(void *state) {
    (void)state; /* the consumer has freed every block */
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1, "bench_prodcons CYCLES [MIN MAX BATCH] (BATCH <= 4096)"};
    uint32_t cycles = bench_arg(&args, 1);
    struct bench_span span = bench_arg_span(&args, 16, 512);
    uint32_t batch = bench_arg_or(&args, 1, 32);
    bench_args_end(&args);
    if (batch > RING_SLOTS) {
        bench_usage(&args);
    }

    struct ring *ring = bench_table(1, sizeof *ring);
    struct side *sides = bench_table(2, sizeof *sides);
    for (uint32_t i = 0; i < 2; i++) {
        sides[i].ring = ring;
        sides[i].role = i == 0 ? PRODUCER : CONSUMER;
        sides[i].load = (struct ring_load){bench_rng_seed(1, i), span, batch};
        sides[i].cycles = cycles;
    }
    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, sides, sizeof *sides, 2);
    bench_report("bench_prodcons", 2, 2ull * cycles * batch, &result,
                 "cycles:%u;min:%u;max:%u;batch:%u", cycles, span.min, span.max, batch);
    return 0;
}
