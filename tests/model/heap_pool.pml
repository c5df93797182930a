/* SPDX-License-Identifier: MIT */
/*
 * Goal: a heap that changes threads (run/thread.c, slab/heap.c) has one holder at a time, who sees
 * all that the one before did; mail that arrives at any moment, also while the heap is pooled, is
 * received once; a forked child pools no heap that was caught in the middle of a change.
 * Method: two threads live and exit, one of them twice, at most two heaps exist, a third thread frees
 * remotely what it was given, a fourth looks after pooled heaps (entry_purge), and once, at any moment,
 * somebody forks. When nothing can move any more, all mail must have been received. Steps of lock.pml
 * are not repeated here.
 * FINITE: lives and blocks are numbered, and who purges goes round once for each mail.
 *
 * BROKEN_EARLY           assertion  the heap is pooled before its last mail is drained
 * BROKEN_NO_LOCK         assertion  the pool is read and changed without the lock
 * BROKEN_FORGET          assertion  a pooled heap starts with an empty mailbox
 * BROKEN_KEEP            assertion  a thread goes on with the heap it has pooled (front_dead is set too late)
 * BROKEN_EXIT_UNMARKED   assertion  thread exit changes the heap without marking it busy
 * BROKEN_PURGE_UNMARKED  assertion  so does who looks after a pooled heap
 * RELAX=LOCK_lock_try      assertion
 * RELAX=LOCK_lock_release  assertion
 * RELAX=MAIL_publish       assertion
 * RELAX=MAIL_remote_take   assertion
 */

#define HEAPS   2
#define BLOCKS  2
#define NONE    7

#define FREER   2 /* threads 0 and 1, the one that frees, the one that purges */
#define PURGER  3
#define THREADS 4
#define LOCK    4
#define MAIL(heap) (5 + (heap))
#define ACTORS  7
#define OBJECTS 4 /* heaps, then blocks */
#define BLOCK(b) (HEAPS + (b))

#include "memory.pml"

byte made;                  /* heaps ever made */
byte pool = NONE;           /* head of the pool */
byte next_pooled[HEAPS];
bool pooled[HEAPS];         /* state == HEAP_POOLED */
bool busy[HEAPS];
bool changing[HEAPS];       /* somebody is in the middle of a change; no such thing in the code */
byte mail[HEAPS];           /* sets of blocks */
byte live, given, received; /* blocks */
byte owner[BLOCKS];

/* ---- the pool; a section under its lock is one step ---- */

#ifdef BROKEN_NO_LOCK
#define SECTION
#else
#define SECTION atomic
#endif

inline lock_acquire(me) /* [MO-LOCK] */
{
    carry(LOCK, me, ordered(LOCK_lock_try));
}

inline lock_release(me) /* [MO-LOCK] */
{
    carry(me, LOCK, ordered(LOCK_lock_release));
}

inline take_pooled(me, h)
{
    SECTION {
        lock_acquire(me);
        h = pool;
        if
        :: h != NONE ->
            pool = next_pooled[h];
            pooled[h] = false;
#ifdef BROKEN_FORGET
            mail[h] = 0;
#endif
        :: else
        fi;
        lock_release(me);
    }
}

/* entry_purge takes one after the other; only those with mail matter here. */
inline take_pooled_with_mail(me, h)
{
    SECTION {
        lock_acquire(me);
        h = pool;
        if
        :: h == NONE
        :: h != NONE && mail[h] != 0 -> pool = next_pooled[h]; pooled[h] = false;
        :: h != NONE && mail[h] == 0 ->
            h = next_pooled[pool];
            if
            :: h != NONE -> next_pooled[pool] = next_pooled[h]; pooled[h] = false;
            :: else
            fi
        fi;
        lock_release(me);
    }
}

inline create(me, h)
{
    SECTION {
        lock_acquire(me);
        if
        :: made < HEAPS -> h = made; made++;
        :: else
        fi;
        lock_release(me);
    }
}

inline heap_pool(me, h)
{
    SECTION {
        lock_acquire(me);
        next_pooled[h] = pool;
        pool = h;
        pooled[h] = true;
        lock_release(me);
    }
}

/* ---- mail ---- */

inline drain(me, h, set)
{
    atomic { set = mail[h]; mail[h] = 0; carry(MAIL(h), me, ordered(MAIL_remote_take)); } /* [MO-MAIL] */
    changing[h] = true;
    touch(me, h);
    if
    :: set & 1 -> touch(me, BLOCK(0));
    :: else
    fi;
    if
    :: set & 2 -> touch(me, BLOCK(1));
    :: else
    fi;
    atomic {
        assert(!(received & set));
        received = received | set;
        set = 0;
    }
    changing[h] = false;
}

inline send(me, b)
{
    atomic { /* [MO-MAIL] */
        mail[owner[b]] = mail[owner[b]] | (1 << b);
        carry(me, MAIL(owner[b]), ordered(MAIL_publish));
    }
}

/* ---- threads ---- */

inline enter(h)
{
    busy[h] = true;
}

inline leave(h)
{
    busy[h] = false;
}

inline release(me, h, set)
{
#ifdef BROKEN_EARLY
    heap_pool(me, h);
    drain(me, h, set);
#else
#ifndef BROKEN_EXIT_UNMARKED
    enter(h);
#endif
    drain(me, h, set);
#ifndef BROKEN_EXIT_UNMARKED
    leave(h);
#endif
    heap_pool(me, h);
#endif
#ifdef BROKEN_KEEP
    touch(me, h);
#endif
}

/* A thread with a heap allocates a block and passes it to the thread that frees. */
inline allocate(me, h)
{
    enter(h);
    changing[h] = true;
    touch(me, h);
    atomic {
        if
        :: given < BLOCKS ->
            owner[given] = h;
            touch(me, BLOCK(given));
            live = live | (1 << given);
            given++;
            carry(me, FREER, true);
        :: else
        fi
    }
    changing[h] = false;
    leave(h);
}

proctype thread(byte me, lives)
{
    byte h, set;
    do
    :: lives > 0 ->
        lives--;
        take_pooled(me, h);
        if
        :: h == NONE -> create(me, h);
        :: else
        fi;
        if
        :: h != NONE ->
            assert(!pooled[h]);
            allocate(me, h);
            release(me, h, set);
            h = NONE;
        :: else /* does without; the shared heap is not part of this model */
        fi
    :: else -> break;
    od
}

active proctype freer()
{
    byte b;
end:
    do
    :: live != 0 ->
        if
        :: live & 1 -> b = 0;
        :: live & 2 -> b = 1;
        fi;
        atomic { live = live & ~(1 << b); touch(FREER, BLOCK(b)); }
        send(FREER, b);
    od
}

active proctype purger()
{
    byte h, set;
end:
    do
    :: (mail[0] != 0 && pooled[0]) || (mail[1] != 0 && pooled[1]) ->
        take_pooled_with_mail(PURGER, h);
        if
        :: h != NONE ->
#ifndef BROKEN_PURGE_UNMARKED
            enter(h);
#endif
            drain(PURGER, h, set);
#ifndef BROKEN_PURGE_UNMARKED
            leave(h);
#endif
            heap_pool(PURGER, h);
            h = NONE;
        :: else
        fi
    od
}

/* The child sees the memory of one moment at which the forking thread held every lock; a heap that
 * is neither pooled nor busy is taken for whole. */
active proctype fork()
{
end:
    atomic {
        made > 0 -> assert(pooled[0] || busy[0] || !changing[0]);
        assert(pooled[1] || busy[1] || !changing[1]);
    }
}

active proctype monitor()
{
end:
    timeout -> /* nothing can move any more */
    assert(received == (1 << given) - 1);
    assert(pooled[0] + pooled[1] == made);
}

init
{
    atomic {
        view[LOCK] = EVERYTHING; /* heaps are made, and blocks come from the system, under a lock */
        run thread(0, 2);
        run thread(1, 1);
    }
}
