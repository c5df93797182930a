/* SPDX-License-Identifier: MIT */
/*
 * What the stress needs besides the allocator: random numbers, pages that do not come from
 * the allocator under test, and the one way to fail.
 */
#ifndef STRESS_SUPPORT_H
#define STRESS_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

/* SplitMix64: each state gives one number; any state is a good one. */
uint64_t rng_next(uint64_t *state);
uint64_t mix64(uint64_t value);

/* A number in [0, bound); bound > 0. */
size_t rng_below(uint64_t *state, size_t bound);

/* Zeroed pages straight from the system: tables stay whole when the heap does not. */
void *pages_map(size_t bytes);

/* The seed that every failure report names. */
void fail_set_seed(uint64_t seed);

/*
 * Reports "stress: FAIL seed=.. thread=.. address=.. offset=..: what" and aborts. Uses neither
 * stdio nor the heap; of several failing threads only the first one reports.
 */
_Noreturn void stress_fail(unsigned thread, const void *address, size_t offset,
                           const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
