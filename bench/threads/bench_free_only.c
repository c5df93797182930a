/* SPDX-License-Identifier: MIT */
/*
 * One thread frees what all others allocate, as a reclaimer (the call_rcu thread of
 * userspace-rcu), a logging thread or a thread that writes to the disk does: each of the
 * THREADS - 1 producers sends CYCLES batches of BATCH blocks of MIN..MAX bytes through a ring
 * of its own; the last thread goes round the rings and frees whatever is there. Producers free
 * nothing; blocks of several threads reach the freeing thread mixed.
 */
#include "ring.h"

struct member {
    alignas(BENCH_CACHE_LINE) struct ring *rings; /* a producer's own one; all, to be freed */
    struct ring_load load;
    uint32_t producers; /* 0: this is a producer, else the thread that frees */
    uint32_t cycles;
};

/* No more than `blocks` ever come: a barrier lies between warm-up and work. */
static void free_all(const struct member *member, uint64_t blocks) {
    uint32_t spins = 0;
    while (blocks > 0) {
        uint64_t freed = 0;
        for (uint32_t i = 0; i < member->producers; i++) {
            freed += ring_drain(&member->rings[i]);
        }
        blocks -= freed;
        if (freed == 0) {
            bench_wait(&spins);
        }
    }
}

static void pass(struct member *member, uint32_t cycles) {
    if (member->producers == 0) {
        ring_feed(member->rings, &member->load, cycles);
    } else {
        free_all(member, (uint64_t)cycles * member->load.batch * member->producers);
    }
}

static void warm_up(void *state) {
    struct member *member = state;
    pass(member, member->cycles / 20 + 1);
}

static void work(void *state) {
    struct member *member = state;
    pass(member, member->cycles);
}

static void clean_up(void *state) {
    (void)state; /* every block has been freed */
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1,
                              "bench_free_only CYCLES [THREADS MIN MAX BATCH SEED] "
                              "(default 3 16 512 32 1; THREADS >= 2, BATCH <= 4096)"};
    uint32_t cycles = bench_arg(&args, 1);
    uint32_t threads = bench_arg_or(&args, 2, 3);
    struct bench_span span = bench_arg_span(&args, 16, 512);
    uint32_t batch = bench_arg_or(&args, 1, 32);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    if (batch > RING_SLOTS) {
        bench_usage(&args);
    }

    const uint32_t producers = threads - 1;
    struct ring *rings = bench_table(producers, sizeof *rings);
    struct member *members = bench_table(threads, sizeof *members);
    for (uint32_t i = 0; i < threads; i++) {
        members[i].rings = i < producers ? &rings[i] : rings;
        members[i].load = (struct ring_load){bench_rng_seed(seed, i), span, batch};
        members[i].producers = i < producers ? 0 : producers;
        members[i].cycles = cycles;
    }
    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, members, sizeof *members, threads);
    bench_report("bench_free_only", threads, 2ull * cycles * batch * producers, &result,
                 "cycles:%u;threads:%u;min:%u;max:%u;batch:%u;seed:%u", cycles, threads, span.min,
                 span.max, batch, seed);
    return 0;
}
