/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Superslabs: 2 MiB runs, cut into slabs of one or eight granules for one home heap, so that the
 * map words of a superslab stay in one core's cache.
 *
 * Owns: struct super of every 2 MiB. Threads: any. Lock: RANK_SUPER (it also guards the list
 * heads, which live in the heaps). Invariant: a superslab is on its home's list exactly while it
 * has a free granule; a wholly free one is kept only if it is the home's last.
 * Failure: RUN_NONE. Calls: run.
 */

#include "map/run.h"

struct super {
    uint32_t free_mask;  /* bit i: granule i is free */
    uint32_t next, prev; /* home's list, by superslab number; 0 ends it */
    uint32_t *home;      /* head of the list it belongs to */
};

extern struct map_area super_area;
extern struct lock super_lock;

/* The first granule of a free slab of `span` granules, and whether its memory was in use before. */
uint32_t super_alloc(uint32_t *home, unsigned span, bool *was_touched);
void super_free(uint32_t g, unsigned span);

/* Gives the free granules of a home's superslabs back to the system. */
void super_purge(uint32_t *home);

/* Free granules in a home's superslabs. */
size_t super_free_granules(uint32_t *home);
size_t super_count(void);
bool super_check(uint32_t *home);
