/* SPDX-License-Identifier: MIT */
#include "run/fork.h"

#include <pthread.h>
#include <sys/single_threaded.h>

#include "run/thread.h"
#include "slab/adopt.h"
#include "slab/pages.h"
#include "slab/remote.h"

static struct lock *const locks_by_rank[RANK_COUNT] = {
    [RANK_SHARED_HEAP] = &shared_heap_lock, [RANK_HEAP_POOL] = &heap_pool_lock,
    [RANK_SUPER] = &super_lock,             [RANK_ARENA] = &run_lock,
    [RANK_PARCEL] = &parcel_lock,           [RANK_PAGES] = &pages_lock,
    [RANK_WATCH] = &watch_lock,
};

/* The only thread forks while it holds one of these locks only from a signal handler. It may do so, as
 * with glibc's malloc, if the child does not allocate before it calls exec or _exit. */
static bool alone; /* written by the only thread, or under all locks: two threads may fork at once */

static void before_fork(void)
{
    if (__libc_single_threaded) {
        alone = true;
        return;
    }
    for (int i = 0; i < RANK_COUNT; i++) {
        lock_acquire(locks_by_rank[i]);
    }
    alone = false;
}

static void after_fork_in_parent(void)
{
    if (alone) {
        return;
    }
    for (int i = RANK_COUNT - 1; i >= 0; i--) {
        lock_release(locks_by_rank[i]);
    }
}

static void after_fork_in_child(void)
{
    if (alone) {
        return;
    }
    for (int i = 0; i < RANK_COUNT; i++) {
        lock_reset(locks_by_rank[i]);
    }
    heap_reset_after_fork(thread_heap_if_any());
}

void fork_init(void)
{
    static atomic_u32 registered;
    if (u32_add_relaxed(&registered, 1) != 0) { /* relaxed: once, whoever comes first */
        return;
    }
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}
