/* SPDX-License-Identifier: MIT */
/*
 * Bounded single-producer single-consumer ring (Lamport 1977), through which blocks go from one
 * thread to another. head and tail count blocks ever put and taken and never run back; the slot
 * is the count modulo RING_SLOTS.
 *
 * The producer's release store of head publishes the slots, and the contents of the blocks, to
 * the consumer's acquire load; the consumer's release store of tail gives the emptied slots
 * back to the producer's acquire load in the same way. Each side reads its own field relaxed:
 * nobody else stores it.
 *
 * Each side keeps its count in a local variable and stores it once for many blocks.
 */
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include <stdatomic.h>

#include "bench.h"
#include "touched.h"
#include "wait.h"

enum { RING_SLOTS = 4096 };

struct ring {
    alignas(BENCH_CACHE_LINE) _Atomic uint64_t head; /* stored by the producer */
    alignas(BENCH_CACHE_LINE) _Atomic uint64_t tail; /* stored by the consumer */
    alignas(BENCH_CACHE_LINE) void *slots[RING_SLOTS];
};

/* ---- the producer ---- */

static inline uint64_t ring_head(const struct ring *ring) {
    return atomic_load_explicit(&ring->head, memory_order_relaxed); /* own field */
}

static inline bool ring_has_room(const struct ring *ring, uint64_t head, uint64_t count) {
    return head + count - atomic_load_explicit(&ring->tail, memory_order_acquire) <= RING_SLOTS;
}

/* The consumer sees the block after ring_publish. */
static inline void ring_put(struct ring *ring, uint64_t head, void *block) {
    ring->slots[head % RING_SLOTS] = block;
}

static inline void ring_publish(struct ring *ring, uint64_t head) {
    atomic_store_explicit(&ring->head, head, memory_order_release);
}

/* ---- the consumer ---- */

static inline uint64_t ring_tail(const struct ring *ring) {
    return atomic_load_explicit(&ring->tail, memory_order_relaxed); /* own field */
}

/* The blocks from the tail up to this count are there. */
static inline uint64_t ring_published(const struct ring *ring) {
    return atomic_load_explicit(&ring->head, memory_order_acquire);
}

static inline void *ring_take(const struct ring *ring, uint64_t tail) {
    return ring->slots[tail % RING_SLOTS];
}

static inline void ring_give_back(struct ring *ring, uint64_t tail) {
    atomic_store_explicit(&ring->tail, tail, memory_order_release);
}

/* ---- a producer that only allocates and a consumer that only frees ---- */

struct ring_load {
    struct bench_rng rng;
    struct bench_span span;
    uint32_t batch; /* at most RING_SLOTS */
};

/* Sends `cycles` batches of new blocks. */
static inline void ring_feed(struct ring *ring, struct ring_load *load, uint32_t cycles) {
    uint64_t head = ring_head(ring);
    uint32_t spins = 0;
    for (uint32_t cycle = 0; cycle < cycles; cycle++) {
        while (!ring_has_room(ring, head, load->batch)) {
            bench_wait(&spins);
        }
        for (uint32_t i = 0; i < load->batch; i++) {
            ring_put(ring, head++, touched_new(load->span, bench_rng_next(&load->rng)));
        }
        ring_publish(ring, head);
    }
}

/* Frees all blocks that are there; returns their number. */
static inline uint64_t ring_drain(struct ring *ring) {
    const uint64_t start = ring_tail(ring), head = ring_published(ring);
    for (uint64_t tail = start; tail != head; tail++) {
        bench_free(ring_take(ring, tail));
    }
    if (head != start) {
        ring_give_back(ring, head);
    }
    return head - start;
}

#endif
