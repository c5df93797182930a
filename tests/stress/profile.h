/* SPDX-License-Identifier: MIT */
/* Which operations a phase of the stress performs, and on what sizes. */
#ifndef STRESS_PROFILE_H
#define STRESS_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct profile {
    const char *name;
    unsigned size_log2_min; /* sizes are drawn from [2^min, 2^max], and 0 if min is 0 */
    unsigned size_log2_max;
    unsigned realloc_percent; /* of the replace steps; what remains frees and allocates */
    unsigned send_percent;
    unsigned check_percent;
    unsigned handover_percent; /* chance after each phase that a new thread takes the slot over */
    bool roles;                /* phases with producers and consumers that swap */
};

/* NULL: no such profile. "mixed" is a valid name, its phases draw from all others. */
const struct profile *profile_find(const char *name);

/* The profile of one phase: the given one, or for "mixed" any. */
const struct profile *profile_of_phase(const struct profile *profile, uint64_t *rng);

/* The names, separated by '|', for messages. */
extern const char *const profile_names;

/* Power-law: the larger the rarer. Often on or next to a power of two. */
size_t profile_size(const struct profile *profile, uint64_t *rng);

/* 16 B .. 2 MiB, the larger the rarer. */
size_t profile_align(uint64_t *rng);

#endif
