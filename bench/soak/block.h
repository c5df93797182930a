/* SPDX-License-Identifier: MIT */
/*
 * The malloc API with checks. Every block carries a pattern made from its address, size and
 * serial number: in its first and last bytes, at one random place inside and once per page.
 * It is checked before each free and realloc. The first broken promise (content, alignment,
 * zeroed memory, no block at all) ends the process: one line on stderr, exit status 1.
 *
 * One op is one call of malloc, calloc, realloc, an aligned allocation, or free. On average one
 * op in OPS_PER_TIMED is timed; the gaps are random, so that no rhythm of the load hides a kind
 * of op. Only the call itself lies between the two readings of the clock, and the cost of
 * reading it is taken off.
 *
 * An actor belongs to one thread at a time.
 */
#ifndef SOAK_BLOCK_H
#define SOAK_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "bench.h"

enum { OPS_PER_TIMED = 8 };

struct latencies {
    uint64_t count[LATENCY_BUCKETS]; /* of clock ticks */
    uint64_t timed;
    uint64_t greatest;
};

struct block {
    unsigned char *address; /* NULL: no block */
    uint32_t size;
    uint32_t serial;
};

struct actor {
    struct bench_rng rng;       /* all choices of the load */
    struct bench_rng timed_rng; /* which ops are timed: apart, so that it changes no choice */
    uint32_t timed_in;          /* ops up to the next timed one */
    uint32_t thread, epoch;     /* for messages */
    const char *part;           /* for messages */
    uint64_t ops;
    uint64_t blocks_checked;
    uint64_t bytes_zero_checked;
    struct latencies *latencies;
};

/* Once, before all else: measures the clock. seed: for messages. */
void block_start(uint32_t seed);
void actor_seed(struct actor *actor, uint64_t seed, uint64_t stream);

/* size: at least 1. The block in *block, if any, is forgotten. */
void block_malloc(struct actor *actor, struct block *block, size_t size);
void block_calloc(struct actor *actor, struct block *block, size_t size);
void block_aligned(struct actor *actor, struct block *block, size_t alignment, size_t size);
void block_realloc(struct actor *actor, struct block *block, size_t size);
void block_free(struct actor *actor, struct block *block);
/* Leaves no byte as it was, so that a calloc that trusts old memory is found out. */
void block_dirty(struct block *block);

double latency_ns_of_tick(void);

__attribute__((format(printf, 2, 3))) _Noreturn void
soak_fail(const struct actor *actor, const char *format, ...);

#endif
