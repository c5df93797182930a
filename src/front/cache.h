/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The warm path between the lists and the page heaps: refill when a list is empty, flush when it
 * is too long, unpacking of mail, and the choice of how frees of a class travel.
 *
 * Nothing is counted on the hot path. A list's growth is sampled: one slab in SENTINEL_EVERY is
 * never opened, so that its frees come here and stand for SENTINEL_EVERY. When the estimate passes
 * the limit, the list is walked; when it is really long, its cold tail goes home, the class's slabs
 * are closed and frees set a bit at home (DRAINING) until the next refill.
 * Threads: the owner of the heap. Failure: NULL. Calls: heap, remote, adopt.
 */

#include "slab/heap.h"

/* The list of the class is empty: fill it and return one block. */
void *cache_refill(struct heap *h, unsigned size_class);
/* A block of h itself whose slab is closed (or whose fast path was denied). */
void cache_free_own(struct heap *h, void *p, uint32_t word);
/* Any block of a slab: own, or sent to its owner. */
void cache_free(struct heap *h, void *p, uint32_t word);
/* Empties the mailbox. */
void cache_drain_mail(struct heap *h);
/* Empties every list and outbox; wholly free slabs leave the heap. */
void cache_flush_all(struct heap *h);
/* cache_flush_all, and offers what is partly free to other heaps. */
void cache_give_up(struct heap *h);
