/* SPDX-License-Identifier: MIT */
/*
 * Blocks change hands at random, as in a shared cache or a table of connections that any
 * thread may replace (the pattern of xmalloc-test and mstress): in every cycle a thread
 * allocates a block of MIN..MAX bytes, swaps it into a random one of SLOTS shared slots and
 * frees the block it got out, whoever allocated that. A cycle is two ops. With N threads
 * (N - 1) / N of the frees are remote, in no order.
 */
#include <stdatomic.h>

#include "stamped.h"

typedef _Atomic(struct stamped *) handover_slot;

struct member {
    alignas(BENCH_CACHE_LINE) handover_slot *slots; /* the shared table */
    struct bench_rng rng;
    struct bench_span span;
    uint32_t number, threads, count, cycles;
};

/* The number of a block is its slot: no block may lie in two of them. */
static void free_from(size_t slot, struct stamped *block) {
    if (block->number != slot) {
        bench_die("a block of one slot turned up in another");
    }
    stamped_free(block);
}

/*
 * acq_rel: the release half publishes the new block's contents, the acquire half makes the
 * contents of the old one visible, which another thread stored before its own exchange.
 */
static void swap_in(struct member *member, size_t slot, uint64_t random) {
    size_t size = bench_span_size(member->span, random);
    struct stamped *block = stamped_new(size, (uint32_t)slot);
    block = atomic_exchange_explicit(&member->slots[slot], block, memory_order_acq_rel);
    if (block != NULL) { /* during warm-up a slot may still be empty */
        free_from(slot, block);
    }
}

static void swap_random(struct member *member, uint32_t cycles) {
    for (uint32_t cycle = 0; cycle < cycles; cycle++) {
        uint64_t random = bench_rng_next(&member->rng);
        swap_in(member, bench_slot(member->count, random), random);
    }
}

/* Fills this thread's share of the table; a faster thread may have put something there. */
static void warm_up(void *state) {
    struct member *member = state;
    for (size_t slot = member->number; slot < member->count; slot += member->threads) {
        swap_in(member, slot, bench_rng_next(&member->rng));
    }
    swap_random(member, member->cycles / 20 + 1);
}

static void work(void *state) {
    struct member *member = state;
    swap_random(member, member->cycles);
}

static void clean_up(void *state) {
    struct member *member = state;
    for (size_t slot = member->number; slot < member->count; slot += member->threads) {
        /* relaxed: all threads have passed a barrier since the last exchange */
        free_from(slot, atomic_load_explicit(&member->slots[slot], memory_order_relaxed));
    }
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1, "bench_handover CYCLES [THREADS SLOTS MIN MAX SEED] "
                                        "(default 2 4096 16 512 1; MIN >= 16)"};
    uint32_t cycles = bench_arg(&args, 1);
    uint32_t threads = bench_arg_or(&args, 1, 2);
    uint32_t count = bench_arg_or(&args, 1, 4096);
    struct bench_span span = bench_arg_span(&args, 16, 512);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    if (span.min < STAMPED_BYTES_MIN) {
        bench_usage(&args);
    }

    handover_slot *slots = bench_table(count, sizeof *slots);
    struct member *members = bench_table(threads, sizeof *members);
    for (uint32_t i = 0; i < threads; i++) {
        members[i] = (struct member){slots, bench_rng_seed(seed, i), span, i, threads, count,
                                     cycles};
    }
    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, members, sizeof *members, threads);
    bench_report("bench_handover", threads, 2ull * cycles * threads, &result,
                 "cycles:%u;threads:%u;slots:%u;min:%u;max:%u;seed:%u", cycles, threads, count,
                 span.min, span.max, seed);
    return 0;
}
