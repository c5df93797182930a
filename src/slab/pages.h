/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * pages: free pages inside partly used slabs. A partial slab that is mostly free is watched: if nothing
 * was taken from it for DECAY_MS, the pages on which only free blocks lie go back to the system. Which
 * ones is told by the bitmap, so no free block is read or written, and any thread can do it: the slabs
 * of a thread that sleeps are purged by others.
 *
 * Protocol: a watched slab is partial, so its holder only sets bits; before it takes blocks from the
 * slab it calls pages_unwatch, which waits for a purge of this slab that is under way. A purge that
 * misses a bit that is being set leaves a page more. [MO-WATCH] the release with which slab_put sets a
 * bit pairs with the acquire that finds it set: the program is done with the block.
 * Owns: the list of watched slabs in the order of time (watch_lock). pages_lock is held by whoever
 * purges one of them, so that a fork finds none half done. Failure: what the system refuses to take
 * stays. Calls: slab, run, os.
 */

#include "os/lock.h"
#include "slab/slab.h"

extern struct lock pages_lock, watch_lock;

/* Whole pages are free from about this many free blocks on: few while blocks are small. */
uint16_t pages_watch_at(const struct slab *s);

/* By the holder: a partial slab is watched if it is due, and has to be told again when half of what is
 * used now is free. True if it was not on the list. */
bool pages_watch(uint32_t g);
/* By the holder: it is to be left alone. */
void pages_unwatch(uint32_t g);

/* Any thread: pages of a few slabs that are old enough go back; those of all that are watched. */
void pages_tick(void);
void pages_purge_all(void);
/* By the holder: those of one partial slab go at once. */
void pages_purge(uint32_t g);

bool pages_check(void);
