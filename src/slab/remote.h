/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Remote frees: a block of another heap is appended, as a pointer, to a parcel for that heap; the
 * block itself is not touched. Full parcels are published to the owner's mailbox. The owner takes all of
 * them when a list is empty, and unpacks them as it needs them (front/cache.c).
 *
 * Owns: parcels and their pool (RANK_PARCEL), the outboxes and mailboxes of all heaps.
 * May run together:      send   take(owner)
 *            send         yes    yes        push: CAS loop, release [MO-MAIL]
 *            take         yes    no         take: one exchange of the whole stack, acquire
 * ABA: nothing is ever popped singly, so none. Bounds: one unfinished parcel per outbox slot, at
 * most PARCEL_SLOTS pointers and PARCEL_BYTES_MAX bytes; mail that was taken waits for MAIL_DRAIN_EVERY
 * refills by mail.
 * Failure: without memory for a parcel, blocks travel singly, linked through themselves (strays).
 */

#include "slab/heap.h"

struct parcel {
    struct parcel *next;
    uint32_t destination; /* heap id */
    uint16_t count;
    uint16_t kib;         /* sizes of the blocks, rounded down */
    void *slots[PARCEL_SLOTS];
};

extern struct map_area parcel_area;
extern struct lock parcel_lock;

/* The heap that collects, in a change of it: there is room for one more. */
HAK_INLINE void parcel_add(struct parcel *parcel, void *p, uint32_t kib)
{
    parcel->slots[parcel->count++] = p;
    parcel->kib = (uint16_t)(parcel->kib + kib);
}

/* Owner of h: p belongs to the heap in `word`. */
void remote_send(struct heap *h, void *p, uint32_t word);

/* The same where it is simplest: there is a parcel for that heap, and it has room for one more after
 * this. Else nothing is done, and false returned. */
HAK_INLINE bool remote_send_simple(struct heap *h, void *p, uint32_t word)
{
    uint32_t destination = WORD_OWNER(word);
    struct parcel *parcel = h->outbox[destination % OUTBOX_COUNT];
    uint32_t kib = class_bytes[word & CODE_CLASS_MASK] >> 10;
    if (parcel == NULL || parcel->destination != destination || parcel->count >= PARCEL_SLOTS - 1 ||
        parcel->kib + kib >= PARCEL_BYTES_MAX >> 10) {
        return false;
    }
    heap_enter(h);
    parcel_add(parcel, p, kib);
    heap_leave(h);
    return true;
}

/* Any thread, also one without a heap. */
void remote_send_single(void *p, uint32_t word);
/* Publishes the unfinished parcels of h. */
void remote_publish_all(struct heap *h);

HAK_INLINE bool remote_has_mail(struct heap *h)
{
    /* relaxed: only decides whether to look; remote_take acquires */
    return h->mail_taken != NULL || ptr_load_relaxed(&h->mail) != NULL ||
           ptr_load_relaxed(&h->strays) != NULL;
}

/* The holder of h takes all its mail: parcels are given back by remote_recycle. */
struct parcel *remote_take(struct heap *h);
void *remote_take_strays(struct heap *h);
void remote_recycle(struct heap *h, struct parcel *p);
/* Gives back the pages of parcels that nobody has. */
void remote_purge(void);

/* The parcels that h collects, keeps in reserve and has been sent, and the common pool. */
bool remote_check(struct heap *h);
