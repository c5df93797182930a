/* SPDX-License-Identifier: MIT */
/*
 * Goal: fork at any moment (run/fork.c, heap.busy) leaves both processes whole. Nobody waits for
 * ever; the child finds what each lock guards unchanged or wholly changed; it uses a heap of a
 * thread it does not have only if that heap is whole, and no heap twice.
 * Method: two threads live: they take locks, any chain of them that rises in rank, free into their
 * lists, go through slow paths that take locks too, exit (the heap is pooled) and start again. A
 * third, with a heap of its own, forks, and so may another (whose child is left out). The child is a
 * copy of all that at one moment: it resets the locks, pools heaps, then takes every lock and every
 * pooled heap. changing[] stands for a heap in the middle of a change; no such thing in the code. A
 * deadlock is an invalid end state. That a process with one thread takes no locks at all is left out,
 * but not the variable that says so, which is nobody's own: those who fork share it.
 * That the child sees a prefix of each other thread's stores is the system's promise; the compiler
 * has to be told (compiler_barrier): a relaxed BARRIER lets the two stores change places.
 * FINITE: each thread takes a few steps.
 *
 * BROKEN_FORK_ORDER  end        fork takes the locks against the order of ranks
 * BROKEN_RANK        end        a thread takes a lock of lower rank than one it holds
 * BROKEN_PARENT      end        the parent keeps a lock after fork
 * BROKEN_RESET       end        the child does not reset the locks
 * BROKEN_SKIP        assertion  fork leaves out a lock
 * BROKEN_POOL_BUSY   assertion  the child pools heaps that were caught inside a slow path
 * BROKEN_POOL_AGAIN  assertion  the child pools heaps that are in the pool already
 * BROKEN_POOL_OWN    assertion  the child pools the heap of the thread that forked
 * BROKEN_ALONE       assertion  fork writes what it remembers before it has the locks
 * BROKEN_EXIT        assertion  thread exit changes the heap without marking it busy
 * RELAX=LOCK_lock_try       assertion  of all locks
 * RELAX=LOCK_lock_release   assertion
 * RELAX=BARRIER_entry_free  assertion
 * RELAX=BARRIER_heap_enter  assertion
 * RELAX=BARRIER_heap_leave  assertion
 * RELAX=BARRIER_push        pass       it is called from slow paths only, where the heap is busy
 */

#define THREADS 3
#define LOCKS   3 /* what carries views from one that forks to the next: the first lock */
#define ACTORS  4
#define ALONE   0 /* the object: what before_fork tells the two after it */
#define OBJECTS 1
#include "memory.pml"

#define SHARED_HEAP 0 /* ranks */
#define HEAP_POOL   1
#define ARENA       2 /* stands for the ranks between it and the pool as well */
#define PARCEL      3
#define RANKS       4

#define FORKER 2
#define HEAPS  3
#define NONE   7

#define ACTIVE 1 /* states of a heap */
#define POOLED 2
#define LOST   3

#define BY_THREAD 1 /* who holds a lock */
#define BY_FORK   2

typedef image {
    byte held[RANKS];
    byte state[HEAPS];
    bool busy[HEAPS];
    bool changing[HEAPS];
    bool linked[HEAPS]; /* the block that is being pushed leads to the rest of the list */
    bool pushed[HEAPS]; /* it is the head of the list */
    byte next_pooled[HEAPS];
    byte pool;
};

image parent, child;

/* ---- locks ---- */

inline lock(r)
{
    atomic { parent.held[r] == 0 -> parent.held[r] = BY_THREAD; }
}

inline unlock(r)
{
    parent.held[r] = 0;
}

/* One, and another one of higher rank. */
inline take_locks(low, high)
{
    select(low : 0 .. RANKS - 2);
    select(high : 1 .. RANKS - 1);
    if
#ifndef BROKEN_RANK
    :: high <= low
#endif
    :: else -> lock(low); lock(high); unlock(high); unlock(low);
    fi;
    low = 0;
    high = 0;
}

/* ---- heaps ---- */

/* Two stores each, which change places if nothing keeps them in order. */
inline push(h, site)
{
    atomic { parent.linked[h] = ordered(site); parent.pushed[h] = !ordered(site); }
    atomic { parent.linked[h] = true; parent.pushed[h] = true; }
}

inline pop(h)
{
    atomic { parent.pushed[h] = false; parent.linked[h] = false; }
}

inline begin_change(h)
{
    atomic {
        parent.busy[h] = ordered(BARRIER_heap_enter);
        parent.changing[h] = !ordered(BARRIER_heap_enter);
    }
    atomic { parent.busy[h] = true; parent.changing[h] = true; }
}

inline end_change(h)
{
    atomic {
        parent.changing[h] = !ordered(BARRIER_heap_leave);
        parent.busy[h] = ordered(BARRIER_heap_leave);
    }
    atomic { parent.changing[h] = false; parent.busy[h] = false; }
}

inline pool_push(memory, h)
{
    memory.state[h] = POOLED;
    memory.next_pooled[h] = memory.pool;
    memory.pool = h;
}

inline pool_pop(memory, h)
{
    h = memory.pool;
    if
    :: h != NONE -> memory.pool = memory.next_pooled[h]; memory.state[h] = ACTIVE;
    :: else
    fi
}

inline exit_thread(h)
{
#ifdef BROKEN_EXIT
    parent.changing[h] = true;
    parent.changing[h] = false;
#else
    begin_change(h);
    end_change(h);
#endif
    lock(HEAP_POOL);
    pool_push(parent, h);
    unlock(HEAP_POOL);
    h = NONE;
}

inline start_thread(h)
{
    lock(HEAP_POOL);
    pool_pop(parent, h);
    unlock(HEAP_POOL);
}

/* ---- fork ---- */

inline lock_for_fork(me, rank) /* [MO-LOCK] */
{
    atomic {
        parent.held[rank] == 0 -> parent.held[rank] = BY_FORK;
        if
        :: rank == 0 -> carry(LOCKS, me, ordered(LOCK_lock_try));
        :: else
        fi
    }
}

inline before_fork(me, r)
{
#ifdef BROKEN_ALONE
    touch(me, ALONE);
#endif
    for (r : 0 .. RANKS - 1) {
#ifdef BROKEN_FORK_ORDER
        lock_for_fork(me, (RANKS - 1 - r));
#else
#ifdef BROKEN_SKIP
        if
        :: r == ARENA
        :: else -> lock_for_fork(me, r);
        fi;
#else
        lock_for_fork(me, r);
#endif
#endif
    }
    touch(me, ALONE);
    r = 0;
}

inline after_fork_in_parent(me, r)
{
    touch(me, ALONE);
    carry(me, LOCKS, ordered(LOCK_lock_release)); /* [MO-LOCK] */
    for (r : 0 .. RANKS - 1) {
#ifdef BROKEN_PARENT
        parent.held[RANKS - 1 - r] = (r == 0 -> BY_FORK : 0);
#else
        parent.held[RANKS - 1 - r] = 0;
#endif
    }
    r = 0;
}

inline copy_memory(r)
{
    d_step {
        for (r : 0 .. RANKS - 1) {
            child.held[r] = parent.held[r];
            assert(child.held[r] != BY_THREAD); /* else: what it guards is half changed */
        }
        for (r : 0 .. HEAPS - 1) {
            child.state[r] = parent.state[r];
            child.busy[r] = parent.busy[r];
            child.changing[r] = parent.changing[r];
            child.linked[r] = parent.linked[r];
            child.pushed[r] = parent.pushed[r];
            child.next_pooled[r] = parent.next_pooled[r];
        }
        child.pool = parent.pool;
        r = 0;
    }
}

inline reset_heap(h)
{
    if
#ifdef BROKEN_POOL_AGAIN
    :: child.busy[h] -> child.state[h] = LOST;
#else
    :: child.state[h] == POOLED
    :: child.state[h] == ACTIVE && child.busy[h] ->
#ifdef BROKEN_POOL_BUSY
        pool_push(child, h);
#else
        child.state[h] = LOST;
#endif
#endif
    :: else -> pool_push(child, h);
    fi
}

inline after_fork_in_child(r)
{
#ifndef BROKEN_RESET
    for (r : 0 .. RANKS - 1) {
        child.held[r] = 0;
    }
#endif
    for (r : 0 .. HEAPS - 1) {
#ifndef BROKEN_POOL_OWN
        if
        :: r == FORKER
        :: else -> reset_heap(r);
        fi
#else
        reset_heap(r);
#endif
    }
}

inline forget_child(r)
{
    d_step {
        for (r : 0 .. HEAPS - 1) {
            child.state[r] = 0;
            child.busy[r] = false;
            child.changing[r] = false;
            child.linked[r] = false;
            child.pushed[r] = false;
            child.next_pooled[r] = 0;
        }
        child.pool = 0;
        r = 0;
    }
}

/* The child has one thread, and nobody else sees its memory: one step, unless it has to wait. */
inline live_in_child(r, h, uses)
{
    after_fork_in_child(r);
    for (r : 0 .. RANKS - 1) {
        child.held[r] == 0;
    }
    uses = 1 << FORKER;
    pool_pop(child, h);
    do
    :: h != NONE ->
        assert(!(uses & (1 << h))); /* else: two holders */
        uses = uses | (1 << h);
        assert(!child.changing[h]);
        assert(!child.pushed[h] || child.linked[h]);
        pool_pop(child, h);
    :: else -> break;
    od;
    forget_child(r);
    h = 0;
    uses = 0;
}

/* ---- threads ---- */

proctype thread(byte me, steps, forks)
{
    byte h = me, low, high;
    do
    :: steps > 0 ->
        steps--;
        if
        :: h != NONE -> push(h, BARRIER_entry_free); pop(h);
        :: h != NONE ->
            begin_change(h);
            push(h, BARRIER_push);
            pop(h);
            take_locks(low, high);
            end_change(h);
        :: h != NONE -> exit_thread(h);
        :: h == NONE -> start_thread(h);
        :: take_locks(low, high);
        :: forks > 0 -> forks--; before_fork(me, low); after_fork_in_parent(me, low);
        fi
    :: else -> break;
    od
}

proctype forker()
{
    byte r, h, uses;
    before_fork(FORKER, r);
    atomic { copy_memory(r); live_in_child(r, h, uses); }
    after_fork_in_parent(FORKER, r);
}

init
{
    atomic {
        parent.pool = NONE;
        parent.state[0] = ACTIVE;
        parent.state[1] = ACTIVE;
        parent.state[FORKER] = ACTIVE;
        view[LOCKS] = EVERYTHING;
        run thread(0, 3, 0);
        run thread(1, 2, 1);
        run forker();
    }
}
