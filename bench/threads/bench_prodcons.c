/* SPDX-License-Identifier: MIT */
/*
 * One thread allocates, another frees: CYCLES batches of BATCH blocks of MIN..MAX bytes pass
 * through a ring. The producer frees nothing, the consumer allocates nothing, so every free is
 * a remote one.
 */
#include <sched.h>
#include <stdatomic.h>

#include "bench.h"

enum { RING_SLOTS = 4096, SPINS_BEFORE_YIELD = 256 };

/*
 * Bounded single-producer single-consumer ring (Lamport 1977). head and tail count blocks ever
 * put and taken and never run back; the slot is the count modulo RING_SLOTS. The producer's
 * release store of head publishes the slots to the consumer's acquire load; the consumer's
 * release store of tail gives the emptied slots back in the same way.
 */
struct ring {
    alignas(BENCH_CACHE_LINE) _Atomic uint64_t head; /* stored by the producer */
    alignas(BENCH_CACHE_LINE) _Atomic uint64_t tail; /* stored by the consumer */
    alignas(BENCH_CACHE_LINE) unsigned char *slots[RING_SLOTS];
};

enum role { PRODUCER, CONSUMER };

struct side {
    alignas(BENCH_CACHE_LINE) struct ring *ring;
    enum role role;
    struct bench_rng rng;
    struct bench_span span;
    uint32_t batch, cycles;
};

/* Spins, then yields: on a busy machine the other side may not be running. */
static void wait_a_little(uint32_t *spins) {
    if (++*spins % SPINS_BEFORE_YIELD == 0) {
        sched_yield();
    }
}

static void produce(struct side *side, uint32_t cycles) {
    struct ring *ring = side->ring;
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed); /* own field */
    uint32_t spins = 0;
    for (uint32_t cycle = 0; cycle < cycles; cycle++) {
        while (head + side->batch - atomic_load_explicit(&ring->tail, memory_order_acquire) >
               RING_SLOTS) {
            wait_a_little(&spins);
        }
        for (uint32_t i = 0; i < side->batch; i++) {
            size_t size = bench_span_size(side->span, bench_rng_next(&side->rng));
            unsigned char *block = bench_must(bench_malloc(size));
            bench_touch(block, size);
            ring->slots[head++ % RING_SLOTS] = block;
        }
        atomic_store_explicit(&ring->head, head, memory_order_release);
    }
}

/* head never runs past end: a barrier lies between warm-up and work. */
static void consume(struct side *side, uint32_t cycles) {
    struct ring *ring = side->ring;
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed); /* own field */
    const uint64_t end = tail + (uint64_t)cycles * side->batch;
    uint32_t spins = 0;
    while (tail != end) {
        uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
        if (head == tail) {
            wait_a_little(&spins);
            continue;
        }
        while (tail != head) {
            bench_free(ring->slots[tail++ % RING_SLOTS]);
        }
        atomic_store_explicit(&ring->tail, tail, memory_order_release);
    }
}

static void pass(struct side *side, uint32_t cycles) {
    if (side->role == PRODUCER) {
        produce(side, cycles);
    } else {
        consume(side, cycles);
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
        sides[i].rng = bench_rng_seed(1, i);
        sides[i].span = span;
        sides[i].batch = batch;
        sides[i].cycles = cycles;
    }
    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, sides, sizeof *sides, 2);
    bench_report("bench_prodcons", 2, 2ull * cycles * batch, &result,
                 "cycles:%u;min:%u;max:%u;batch:%u", cycles, span.min, span.max, batch);
    return 0;
}
