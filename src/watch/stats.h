/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Statistics, gathered on demand from counters that the slow paths keep: a read-only observer.
 * Any thread; figures of other threads may be one refill behind. Calls: heap, super, run, large.
 */

#include "base/compiler.h"

struct stats {
    size_t live_bytes;      /* in blocks of classes: live, or cached by other threads */
    size_t cached_bytes;    /* on the lists of the calling thread */
    size_t large_count, large_bytes;
    size_t mapped_bytes;    /* cut from the reservation so far */
    size_t free_bytes;      /* whole free granules */
    size_t dirty_bytes;     /* of these, not yet given back to the system */
    size_t superslabs, heaps;
    size_t refills, flushes, adopted, remote_sent, remote_received;
};

struct stats stats_collect(void);
/* A table for people, to stderr. */
void stats_print(void);
