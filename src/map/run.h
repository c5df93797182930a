/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Runs: contiguous granules, the currency between the address space and the boxes that cut it up
 * (superslabs, large blocks). Free runs are coalesced at once, kept by length, and double as the
 * cache of freed memory: their pages stay until they are DECAY_MS old.
 *
 * Owns: struct run of every granule (the fields of a used run belong to its user, see there) and
 * the dirty bytes. Threads: any. Lock: RANK_ARENA, never held across a system call that purges.
 * Invariant: a granule is in exactly one run or beyond the frontier; two free runs never touch;
 * a granule that is not dirty reads as zero when its run is handed out.
 * Failure: RUN_NONE or false, nothing changed. Calls: map, os.
 */

#include "map/map.h"
#include "os/lock.h"

#define RUN_NONE 0u /* granule 0 is never handed out */

enum run_state { RUN_UNKNOWN, RUN_FREE, RUN_FREE_TAIL, RUN_USED };

struct run {
    /* under the lock */
    uint32_t len;          /* granules; at the first and the last granule of a free run */
    uint32_t next, prev;   /* free: same bin */
    uint32_t newer, older; /* free and dirty: order of being freed */
    uint32_t stamp_ms;     /* free and dirty: when */
    uint8_t state;
    uint8_t any_dirty;     /* free: some granule is dirty */
    /* the user of a used run */
    uint8_t moved;         /* pages came by os_move_pages: renew before reuse */
    atomic_u64 bytes;      /* large block: usable size, 0 if it is none; statistics read it */
    uint64_t touched;      /* large block: the most that was ever usable */
};

extern struct run *runs; /* by granule */
extern struct map_area run_areas[2];

/* Tables are in place: the first run may be cut. */
void run_init(void);
/* The process may have so much memory, in bytes, SIZE_MAX: no limit. Free runs go back before it is short.
 * Any thread; once at start. */
void run_set_limit(size_t bytes);

/* `len` granules whose address is a multiple of `align` (a power of two) granules. */
uint32_t run_alloc(size_t len, size_t align);
/* The caller has marked what it wrote to with run_mark_dirty. */
void run_free(uint32_t g);
/* Lengthens a used run in place, at its end. */
bool run_extend(uint32_t g, size_t len);
/* Gives the end of a used run back. */
void run_shrink(uint32_t g, size_t len);

/* Most of the address space was never used: some may be reserved on a guess. */
bool run_is_roomy(void);

/* Gives back what is old enough; called now and then by whoever passes. */
void run_tick(void);

void run_mark_dirty(uint32_t g, size_t len);
bool run_is_dirty(uint32_t g, size_t len); /* all of it */
bool run_is_clean(uint32_t g, size_t len); /* all of it */
/* Any of the granules g + i whose bit i is set. */
bool run_is_dirty_in(uint32_t g, uint32_t mask);
void run_mark_clean(uint32_t g, size_t len);
/* Clears the first `bytes` of a run's memory, as far as it is dirty. */
void run_clear(uint32_t g, size_t bytes);
/* Purges the dirty stretches of a range that nobody else can reach. */
void run_purge_range(uint32_t g, size_t len);
/* Gives every free page back now. */
void run_purge_all(void);
/* Gives pages of a used run back that hold nothing; false if the system refuses. */
bool run_purge_pages(void *start, size_t bytes);
/* Stretches that went back by run_purge_pages or run_purge_range; wraps round. */
uint32_t run_purges(void);

struct run_totals {
    size_t used_granules, free_granules, dirty_granules;
    size_t large_count, large_bytes; /* used runs with a size */
    size_t committed_bytes;
};
struct run_totals run_measure(void);

bool run_check(void);
/* The run after the one at g, from RUN_NONE to RUN_NONE; nobody else may change any. */
uint32_t run_after(uint32_t g);
extern struct lock run_lock;
