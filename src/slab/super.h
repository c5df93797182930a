/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Superslabs: 2 MiB runs, cut into slabs of one to eight granules. All heaps share them, so that a
 * process has as few broken ones as can be: a new slab comes from the fullest superslab that has
 * room, which lets the emptier ones become free.
 *
 * Owns: struct super of every 2 MiB. Threads: any. Lock: RANK_SUPER, not held while pages go back.
 * Invariants: a superslab is on the list for its number of free granules (on none without any);
 * at most SUPERS_WARM wholly free ones are kept, for those that come back at once.
 * Failure: RUN_NONE. Calls: run.
 */

#include "map/run.h"

struct super {
    uint32_t free_mask;  /* bit i: granule i is free */
    uint32_t next, prev; /* of the same number of free granules, by superslab number; 0 ends it */
    uint32_t freed_ms;   /* when a slab was last freed in it */
    bool is_used;        /* this run is a superslab */
    bool is_dense;       /* for slabs that will soon be full */
};

extern struct map_area super_area;
extern struct lock super_lock;

/* The first granule of a free slab of `span` granules, and whether its memory is resident already.
 * is_dense: it will soon be full, as others of its class are; in a large process such slabs have
 * superslabs of their own, which are huge pages if the system gives them. */
uint32_t super_alloc(unsigned span, bool is_dense, bool *was_touched);
void super_free(uint32_t g, unsigned span);

/* Looks at some superslabs: granules of theirs that are free for DECAY_MS go back to the system. */
void super_tick(void);
/* Gives all free granules back. */
void super_purge(void);

struct super_totals {
    size_t superslabs, free_granules;
};
struct super_totals super_measure(void);
bool super_check(void);
