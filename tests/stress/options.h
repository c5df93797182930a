/* SPDX-License-Identifier: MIT */
#ifndef STRESS_OPTIONS_H
#define STRESS_OPTIONS_H

#include "profile.h"

struct options {
    unsigned seconds;
    unsigned threads;
    uint64_t seed;
    size_t live_bytes_max; /* all threads together, blocks on their way included */
    const struct profile *profile;
    bool may_fail;
    bool strict;
};

/* Ends the program with status 2 and a usage line if the arguments make no sense. */
struct options options_read(int count, char **arguments);

#endif
