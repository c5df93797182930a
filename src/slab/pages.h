/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * pages: free pages inside partly used slabs. A partial slab that is mostly free is watched: if nothing
 * was taken from it for DECAY_MS, the pages on which only free blocks lie go back to the system. Which
 * ones is told by the bitmap, so no free block is read or written.
 *
 * Owns: the list of watched slabs of each heap, in the order of time; `watch_at` of each slab, the number
 * of free blocks at which its heap has more to do than to set a bit. Threads: the heap's holder.
 * Failure: what the system refuses to take stays. Calls: slab, run, os.
 */

#include "slab/heap.h"

/* Whole pages are free from about this many free blocks on: few while blocks are small. */
uint16_t pages_watch_at(const struct slab *s);

/* A partial slab is watched if it is due; it is to be left alone. */
void pages_watch(struct heap *h, uint32_t g);
void pages_unwatch(struct heap *h, uint32_t g);

/* Pages of a few slabs that are old enough go back; those of all slabs, at once. */
void pages_tick(struct heap *h);
void pages_purge(struct heap *h);

bool pages_check(const struct heap *h);
