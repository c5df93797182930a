/* SPDX-License-Identifier: MIT */
/*
 * The load: kinds of work that real programs mix, each in units of a fixed number of ops. A unit
 * begins and ends with the same live blocks, the base set. The sizes in the base set never
 * change, only which block has which address, so that resident memory after an epoch can be
 * compared with that of any other.
 */
#ifndef SOAK_PARTS_H
#define SOAK_PARTS_H

#include <stdatomic.h>

#include "block.h"

/*
 * Blocks on their way from one thread to the next: a bounded ring with one producer and one
 * consumer (Lamport 1977). sent and taken count blocks and never run back. The release store of
 * sent publishes the blocks and their bytes, that of taken gives the places back.
 */
enum { MAIL_SLOTS = 1024 };

struct mail {
    alignas(BENCH_CACHE_LINE) _Atomic uint64_t sent;  /* stored by the producer */
    alignas(BENCH_CACHE_LINE) _Atomic uint64_t taken; /* stored by the consumer */
    alignas(BENCH_CACHE_LINE) struct block slots[MAIL_SLOTS];
};

/* A load thread. While a thread that it started runs an errand, that thread owns all of this. */
struct worker {
    alignas(BENCH_CACHE_LINE) struct actor actor;
    struct block *base;
    uint32_t base_count;
    uint32_t ramp_count;
    struct block *scratch;
    struct mail *inbox;
    struct mail *outbox; /* the inbox of the next thread, or our own if there is one thread */
    char *stack;         /* of threads that are started for an errand */
};

typedef void part_unit(struct worker *worker, uint32_t unit);

struct part {
    const char *name;
    part_unit *run;
};

enum { PART_STEADY = 0, PART_KINDS = 8 };
extern const struct part part_kinds[PART_KINDS]; /* that of PART_STEADY is `steady` */

/* live_bytes: size of the base set. inbox and outbox are the caller's to set. */
void worker_start(struct worker *worker, uint32_t thread, uint32_t seed, size_t live_bytes);
/* On the worker's own thread. */
void base_fill(struct worker *worker);
void base_empty(struct worker *worker);

#endif
