/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A futex lock, 4 bytes, for the cold paths. Any thread; not recursive; nothing to destroy.
 * Locks are taken in the order of the ranks below, which is also the order fork takes them in.
 * [MO-LOCK] release of lock_release pairs with the acquire of the next lock_acquire.
 */

#include "base/atomic.h"
#include "base/compiler.h"

enum lock_rank {
    RANK_SHARED_HEAP, RANK_HEAP_POOL, RANK_PAGES, RANK_WATCH, RANK_SUPER, RANK_ARENA, RANK_PARCEL, RANK_COUNT
};

struct lock {
    atomic_u32 state; /* 0 free, 1 held, 2 held and somebody may sleep */
};

void lock_acquire_slow(struct lock *l);
void lock_wake(struct lock *l);

static inline bool lock_try(struct lock *l)
{
    uint32_t free = 0;
    return u32_cas_acquire(&l->state, &free, 1); /* [MO-LOCK] */
}

static inline void lock_acquire(struct lock *l)
{
    if (unlikely(!lock_try(l))) {
        lock_acquire_slow(l);
    }
}

static inline void lock_release(struct lock *l)
{
    if (unlikely(u32_swap_release(&l->state, 0) == 2)) { /* [MO-LOCK] */
        lock_wake(l);
    }
}

/* In a forked child: whoever held it is gone, and what it guards was made whole by the parent. */
static inline void lock_reset(struct lock *l)
{
    u32_store_relaxed(&l->state, 0); /* relaxed: the child has one thread */
}
