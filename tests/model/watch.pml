/* SPDX-License-Identifier: MIT */
/*
 * Goal: free pages of a slab are given back by any thread (slab/pages.c) while its holder goes on
 * freeing into it, and takes from it again at any moment: no page of a block in use is given back,
 * and what a slab's holder does to it is seen by who purges, and the other way round.
 * Method: one slab of two blocks of a page each, one of them free; its holder frees, takes and reads the
 * blocks at random, calls pages_watch and pages_purge, and passes the slab on to another; two threads
 * purge. The bits are cells: who purges may see old ones. Whether enough is free, and for how long, is
 * left out: a slab is always due. Sections under watch_lock are one step; how a holder sleeps while its
 * slab is purged is left out.
 * FINITE: the holders do so many things, who purges goes round so often.
 *
 * BROKEN_NO_WAIT       assertion  pages_unwatch does not wait for the purge that is under way
 * BROKEN_NO_UNWATCH    assertion  the holder takes from a slab that is watched
 * BROKEN_STILL_LISTED  assertion  begin_purge leaves the slab on the list: unwatch does not know
 * BROKEN_EARLY_BIT     assertion  the bit is set before the program is done with the block
 * BROKEN_NO_END        end        end_purge leaves the slab in the state of being purged
 * BROKEN_AGAIN_ALWAYS  assertion  end_purge lists a slab again that its holder does not watch any more
 * BROKEN_LISTED_AGAIN  end        pages_watch takes a slab that was listed meanwhile for one that is purged
 * RELAX=WATCH_slab_put     assertion
 * RELAX=WATCH_next_block   assertion
 * RELAX=LOCK_lock_try      assertion
 * RELAX=LOCK_lock_release  assertion
 */

#define HOLDERS 2      /* threads 0 and 1; 2 and 3 purge */
#define THREADS 4
#define WATCH_LOCK 4
#define ACTORS  5
#define CELLS   2      /* a bit of the slab each: 1 is free */
#define VERSIONS 12
#define OBJECTS 4      /* the memory of two blocks; fresh_block of the slab; what watch_lock guards */
#define SLAB    2
#define WATCH   3

#ifndef STEPS
#define STEPS 3
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif

#include "memory.pml"

#define NONE    0
#define LISTED  1
#define PURGED_NOW 2
#define PURGED_AGAIN 3

byte state;            /* under watch_lock */
bool may_be_watched;   /* the holder's, changed under watch_lock */
byte content[2];       /* 0: zeroes; else what the program wrote */
bool used[2];          /* no such thing in the code */
byte finished;

inline lock_section(me) /* [MO-LOCK] */
{
    carry(WATCH_LOCK, me, ordered(LOCK_lock_try));
    touch(me, WATCH);
}

inline unlock_section(me) /* [MO-LOCK] */
{
    carry(me, WATCH_LOCK, ordered(LOCK_lock_release));
}

/* ---- by the holder ---- */

inline pages_watch(me, listed)
{
    listed = (state == LISTED); /* without the lock: old by the next step */
    if
    :: listed -> skip;
    :: !listed ->
        atomic {
            lock_section(me);
            if
            :: state == NONE -> state = LISTED;
#ifdef BROKEN_LISTED_AGAIN
            :: state != NONE -> state = PURGED_AGAIN;
#else
            :: state == PURGED_NOW -> state = PURGED_AGAIN;
            :: else
#endif
            fi;
            may_be_watched = true;
            unlock_section(me);
        }
    fi;
    listed = false;
}

#define is_purged_now (state == PURGED_NOW || state == PURGED_AGAIN)

inline pages_unwatch(me)
{
    if
    :: may_be_watched ->
        atomic { lock_section(me); may_be_watched = false; unlock_section(me); }
        atomic {
#ifndef BROKEN_NO_WAIT
            !is_purged_now ->
#endif
            lock_section(me);
            if :: state == LISTED -> state = NONE; :: else fi;
            unlock_section(me);
        }
    :: else
    fi
}

inline put(me, b)
{
#ifdef BROKEN_EARLY_BIT
    store(me, b, 1, ordered(WATCH_slab_put)); /* [MO-WATCH] */
#endif
    atomic { touch(me, b); assert(content[b] == 1); used[b] = false; }
#ifndef BROKEN_EARLY_BIT
    store(me, b, 1, ordered(WATCH_slab_put)); /* [MO-WATCH] */
#endif
}

/* The program writes to the block. */
inline take(me, b)
{
    store(me, b, 0, false);
    atomic { touch(me, SLAB); touch(me, b); used[b] = true; content[b] = 1; }
}

inline read_block(me, b)
{
    atomic { touch(me, b); assert(content[b] == 1); }
}

/* ---- the pages ---- */

inline purge_if(me, b, seen)
{
    if
    :: seen == 1 -> atomic { assert(!used[b]); touch(me, b); content[b] = 0; seen = 0; }
    :: else
    fi
}

inline purge_page(me, b, seen)
{
    load(me, b, seen, ordered(WATCH_next_block)); /* [MO-WATCH] */
    purge_if(me, b, seen);
}

/* By the holder, who set the bit, or was handed it on. */
inline purge_own_page(me, b, seen)
{
    load_newest(me, b, seen);
    purge_if(me, b, seen);
}

inline pages_purge(me, seen)
{
    pages_unwatch(me);
    purge_own_page(me, 0, seen);
    purge_own_page(me, 1, seen);
    may_be_watched = true;
}

proctype holder(byte me)
{
    byte steps, seen, b;
    bool listed;
    do
    :: steps < STEPS ->
        steps++;
        if :: b = 0; :: b = 1; fi;
        if
        :: used[b] -> put(me, b);
        :: used[b] -> read_block(me, b);
        :: !used[b] ->
#ifndef BROKEN_NO_UNWATCH
            pages_unwatch(me);
#endif
            take(me, b);
        :: pages_watch(me, listed);
        :: pages_purge(me, seen);
        fi
    :: break;
    od;
    pages_unwatch(me);
    if
    :: me + 1 < HOLDERS -> atomic { carry(me, me + 1, true); run holder(me + 1); }
    :: else -> finished++;
    fi
}

proctype purger(byte me)
{
    byte rounds, seen;
    bool mine;
    do
    :: rounds < ROUNDS ->
        rounds++;
        atomic { /* begin_purge */
            lock_section(me);
            mine = (state == LISTED);
#ifndef BROKEN_STILL_LISTED
            if :: mine -> state = PURGED_NOW; :: else fi;
#endif
            unlock_section(me);
        }
        if
        :: mine ->
            look(me, SLAB); /* constant while it is watched */
            purge_page(me, 0, seen);
            purge_page(me, 1, seen);
            atomic { /* end_purge */
                lock_section(me);
#ifndef BROKEN_NO_END
#ifdef BROKEN_AGAIN_ALWAYS
                state = (state == PURGED_AGAIN -> LISTED : NONE);
#else
                state = (state == PURGED_AGAIN && may_be_watched -> LISTED : NONE);
#endif
#endif
                assert(state != LISTED || may_be_watched); /* a child of a fork may look now */
                unlock_section(me);
                mine = false;
            }
        :: else
        fi;
    :: break;
    od;
    finished++;
}

init
{
    atomic {
        view[0] = EVERYTHING & ~(1 << WATCH);
        view[WATCH_LOCK] = 1 << WATCH;
        used[0] = true;
        value[VERSIONS] = 1; /* block 1 is free and was written to */
        view[VERSION(1, 0)] = 1 << 1;
        content[0] = 1;
        content[1] = 1;
        run holder(0);
        run purger(2);
        run purger(3);
    }
    finished == 3;
    assert(state == NONE);
}
