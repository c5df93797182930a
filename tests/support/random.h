/* SPDX-License-Identifier: MIT */
/*
 * random: a small seeded generator (splitmix64), one state per thread of a test.
 * The seed comes from TEST_SEED, else from the clock, and is printed, so every run can
 * be repeated.
 */
#ifndef TEST_SUPPORT_RANDOM_H
#define TEST_SUPPORT_RANDOM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t random_seed(void)
{
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);

    fprintf(stderr, "TEST_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A number in [0, limit). */
static inline size_t random_below(uint64_t *state, size_t limit)
{
    return (size_t)(random_next(state) % limit);
}

/* A block size in [1, 2^max_log2], small sizes as likely as large ones. */
static inline size_t random_size(uint64_t *state, unsigned max_log2)
{
    return 1 + random_below(state, (size_t)1 << (random_below(state, max_log2) + 1));
}

#endif
