/* SPDX-License-Identifier: MIT */
/*
 * A slot: one stream of operations and the blocks it holds, run by one thread at a time.
 *
 * A round has three phases: fill, replace, drain. After a phase the thread may end and hand
 * the slot to a new thread, so blocks, mail and half-done rounds outlive threads. A slot's
 * fields belong to the thread that runs it; creating the successor and the barriers between
 * rounds order everything else.
 */
#ifndef STRESS_SLOT_H
#define STRESS_SLOT_H

#include "block.h"
#include "profile.h"

#include <time.h>

#define SLOT_BLOCKS_MAX ((size_t)1 << 15)
#define SLOT_PHASES 3

struct slot {
    struct actor actor;
    unsigned slots; /* how many there are */
    const struct profile *profile;
    size_t bytes_max;          /* bound on `bytes`, kept before each allocation */
    struct timespec deadline;  /* work stops here, except in the first round */
    unsigned round;
    unsigned phase;
    size_t bytes; /* usable bytes of the held blocks */
    size_t count;
    struct block *held; /* [count]; oldest first until random removal mixes them */
};

void slot_start(struct slot *slot, unsigned id, unsigned slots, uint64_t seed);

/* Runs the phase the slot is in and advances to the next. */
void slot_phase(struct slot *slot);

/* Frees all held blocks and all mail. */
void slot_empty(struct slot *slot);

#endif
