/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The warm path between the lists and the page heaps: refill when a list is empty, flush when it
 * is too long, unpacking of mail, and the choice of how frees of a class travel.
 *
 * Nothing is counted on the hot path. A list's growth is sampled: some slabs of a class, the
 * sentinels, are never opened, so that their frees come here and stand for those of the others.
 * When the estimate is due, the list is walked; when it is really long, its cold tail goes home,
 * or, if the program does nothing but free, the class's slabs are closed and frees set a bit at
 * home (DRAINING) until the next refill.
 * Threads: the owner of the heap. Failure: NULL. Calls: heap, remote, adopt.
 */

#include "slab/heap.h"

/* The head of the list, or NULL. */
void *cache_pop(struct heap *h, unsigned size_class);
/* The list of the class is empty: fill it and return one block. */
void *cache_refill(struct heap *h, unsigned size_class);
/* A block of a slab that the fast path refused: h's own and closed, or another heap's. */
void cache_free(struct heap *h, void *p, uint32_t word);
/* Empties the mailbox. */
void cache_drain_mail(struct heap *h);
/* Empties every list and outbox; wholly free slabs leave the heap. */
void cache_flush_all(struct heap *h);
/* cache_flush_all, and offers what is partly free to other heaps. */
void cache_give_up(struct heap *h);
