/* SPDX-License-Identifier: MIT */
/*
 * The load threads and their epochs. An epoch runs every kind of part PART_ROUNDS times, in an
 * order drawn from the seed and the same for all threads; a part is a number of units. Only the
 * last part is always `steady`: memory is measured next, and what was freed a moment ago may
 * still be resident. After each part every thread runs a slice of the control loop: a fixed
 * amount of integer work without memory, whose time shows how fast the machine was meanwhile.
 * Slices are no part of the epoch's seconds.
 */
#ifndef SOAK_CREW_H
#define SOAK_CREW_H

#include "parts.h"

enum {
    PART_ROUNDS = 2,
    CONTROL_NOMINAL_MS = 50,
    EPOCH_WARM_UP = 0x40000000 /* numbers from here on are no epochs of the run; messages say 0 */
};

struct crew_epoch {
    double seconds;     /* mean over the threads of the time in parts, waits for others included */
    double cpu_seconds; /* of all threads in parts */
    double control_ms;  /* mean over the threads of the time in control slices */
    uint64_t ops;
};

struct crew_checks {
    uint64_t blocks, bytes_zero;
};

/*
 * Starts the threads and fills the base sets. live_bytes: of all base sets together. without: bit
 * k leaves out part_kinds[k].
 */
void crew_start(uint32_t threads, uint32_t seed, size_t live_bytes, uint32_t without);
/* The same number gives the same choices in every run with the same seed. */
struct crew_epoch crew_run(uint32_t number, uint32_t units);
/* Adds what was timed since the last call to *sum. Between epochs. */
void crew_latencies_take(struct latencies *sum);
/* Frees the base sets, checked, and ends the threads. */
struct crew_checks crew_finish(void);

#endif
