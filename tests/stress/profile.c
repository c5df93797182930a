/* SPDX-License-Identifier: MIT */
#include "profile.h"

#include "support.h"

#include <string.h>

#define ALIGN_LOG2_MIN 4
#define ALIGN_LOG2_MAX 21

const char *const profile_names = "mixed|small|mid|large|remote|realloc|churn";

/* clang-format off */
static const struct profile profiles[] = {
    /* name     sizes   realloc send check handover roles */
    {"mixed",    0, 23, 10,     15,   5,    10,     false}, /* itself one of the draws */
    {"small",    0, 10, 10,     15,   5,     5,     false},
    {"mid",     10, 16, 10,     15,   5,     5,     false},
    {"large",   16, 23, 20,     15,   5,     5,     false},
    {"remote",   0, 17,  5,     60,   5,    10,     true},
    {"realloc",  0, 23, 75,      5,   5,     5,     false},
    {"churn",    0, 18, 10,     20,   5,    90,     false},
};
/* clang-format on */

#define PROFILE_COUNT (sizeof profiles / sizeof profiles[0])

const struct profile *profile_find(const char *name)
{
    for (size_t i = 0; i < PROFILE_COUNT; i++)
        if (strcmp(profiles[i].name, name) == 0)
            return &profiles[i];
    return NULL;
}

const struct profile *profile_of_phase(const struct profile *profile, uint64_t *rng)
{
    return profile == &profiles[0] ? &profiles[rng_below(rng, PROFILE_COUNT)] : profile;
}

/* The smaller of two draws: the chance falls linearly with the exponent. */
static unsigned draw_log2(uint64_t *rng, unsigned min, unsigned max)
{
    size_t first = rng_below(rng, max - min);
    size_t second = rng_below(rng, max - min);
    return min + (unsigned)(first < second ? first : second);
}

size_t profile_size(const struct profile *profile, uint64_t *rng)
{
    static const int around[] = {-16, -1, 0, 1, 16};
    size_t low = (size_t)1 << draw_log2(rng, profile->size_log2_min, profile->size_log2_max);
    size_t size = low + rng_below(rng, low + 1);
    if (rng_below(rng, 8) == 0) {
        int step = around[rng_below(rng, sizeof around / sizeof around[0])];
        size = step < 0 && low < (size_t)-step ? low : low + (size_t)step;
    }
    if (profile->size_log2_min == 0 && rng_below(rng, 64) == 0)
        size = 0;
    return size;
}

size_t profile_align(uint64_t *rng)
{
    return (size_t)1 << draw_log2(rng, ALIGN_LOG2_MIN, ALIGN_LOG2_MAX + 1);
}
