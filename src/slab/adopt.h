/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The shared heap: slabs travel between threads through it, without a scan, and threads that can
 * have no heap of their own allocate from it.
 *
 * publish: the owner relabels a partial slab and pushes it into the inbox (lock-free).
 * adopt:   acquire the shared heap -> drain its mail -> take a slab -> bind it; one function,
 *          adopt_take, and only a try: who does not get the lock takes a new slab instead.
 * A slab needs no remote list of its own: blocks still on their way are not in its bitmap, so they
 * cannot be handed out, and who receives them sends them on by the map word ([MO-HANDOVER]).
 * ABA: the inbox is only ever taken whole. Lock: RANK_SHARED_HEAP. Calls: heap, remote.
 */

#include "slab/heap.h"

extern struct lock shared_heap_lock;

/* Owner of h: partial slab g leaves it. */
void adopt_publish(struct heap *h, uint32_t g);

/* Owner of h: links a slab with free blocks of the class into h; false if there is none. */
bool adopt_take(struct heap *h, unsigned size_class);

/* Now and then, any thread: empties inbox and mail if nobody else does. */
void adopt_tend(void);

/* One block for a thread without a heap; waits for the lock. NULL when memory is out. */
void *adopt_malloc(unsigned size_class);

/* Empties inbox and mail of the shared heap and gives its free memory back. */
void adopt_purge(void);

/* The slabs that were published and not yet taken in. */
bool adopt_check(void);
