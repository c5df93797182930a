/* SPDX-License-Identifier: MIT */
/*
 * Goal: memory that is given back is not in use, and comes back whole. A slab that is wholly free
 * leaves its heap for its superslab (slab/super.c), a wholly free superslab for the free runs
 * (map/run.c), a free run's pages for the system. Nothing of this happens while a block is live or
 * under way; nobody gets a granule that another one has; a granule that is not dirty reads as zero;
 * a free finds the word of the present use of its memory, not of an earlier one; nothing is lost.
 * Method: two granules, which are one superslab of two slabs of one block each, or two runs of one
 * granule, or free. A and B are heaps with their threads. Each makes slabs in the one superslab, takes
 * over slabs of the other (one step here: handover.pml), passes their blocks to a third thread
 * and purges (entry_purge). The third writes to blocks, frees them, and uses large blocks. A fourth
 * ticks: it purges free runs, without the lock. The words are cells (memory.pml). Purging a page is
 * an access to it: it must happen after the last use and before the next.
 * A section under a lock is one step, nested ones too: lock.pml, fork.pml.
 * FINITE: slabs, gifts, purges and large blocks are numbered, and so is what becomes of them.
 *
 * BROKEN_COUNTED_EARLY   assertion  a block counts as home when it is sent
 * BROKEN_WORD_LATE       assertion  heap_retire_slab clears the word when the slab has left
 * BROKEN_GUARD           assertion  a superslab is released although a slab of it is used
 * BROKEN_GUARD_UNLOCKED  assertion  whether a superslab is wholly free is asked again without the lock
 * BROKEN_PURGE_UNLOCKED  assertion  granules are not taken while they are purged without the lock
 * BROKEN_PURGE_LISTED    assertion  a run that is purged is among the free ones meanwhile
 * BROKEN_CLEAN_LATE      assertion  a purged run is known to be clean when it is free again only
 * BROKEN_REFUSED         assertion  a run counts as clean although the system refused to take it
 * BROKEN_FREED_LATE      assertion  large_free marks the word when the run is free already
 * BROKEN_KEPT            assertion  a purged run does not become free again
 * RELAX=LOCK_lock_try      assertion  of superslabs and of runs
 * RELAX=LOCK_lock_release  assertion
 * RELAX=MAIL_publish       assertion
 * RELAX=MAIL_remote_take   assertion
 * LONG LARGES=2
 * LONG B_SLABS=1
 */

#ifndef LARGES
#define LARGES 1 /* large blocks, and ticks */
#endif
#ifndef B_SLABS
#define B_SLABS 0
#endif

#define A      0 /* heaps, and their threads */
#define B      1
#define OTHER  2 /* the thread that frees what is passed to it and uses large blocks */
#define TICKER 3 /* one that passes by when runs are old */
#define THREADS 3 /* those that read words */
#define SUPER_LOCK 4
#define RUN_LOCK   5
#define MAIL(heap) (6 + (heap))
#define ACTORS 8

#define MEMORY(g) (g) /* objects: the pages, what is known of them, the slab's bitmap and links */
#define DIRTY(g)  (2 + (g))
#define SLAB(g)   (4 + (g))
#define SUPERS    6   /* masks and lists of superslabs */
#define RUNS      7   /* bins and neighbours of runs */
#define OBJECTS   8

#define CELLS    2 /* the word of each granule: a heap, or */
#define NOBODY   2
#define LARGE    3
#define FREED    4
#define VERSIONS 16

#include "memory.pml"

#define BIT(g) (1 << (g))
#define WHOLE 3         /* both granules, as sets */

byte free_runs = WHOLE; /* under the lock of runs */
byte free_mask;         /* of the superslab; under the lock of superslabs */
bool is_super;          /* there is one */
bool dirty[2];
byte content[2];        /* 0: zeroes, else who wrote */
byte holder[2] = NOBODY; /* heap that has the slab */
byte passed;            /* blocks the program has passed to OTHER */
byte mail[2];
byte used;              /* granules with a live block; no such thing in the code */

inline acquire(lock, me) /* [MO-LOCK] */
{
    carry(lock, me, ordered(LOCK_lock_try));
}

inline release(me, lock) /* [MO-LOCK] */
{
    carry(me, lock, ordered(LOCK_lock_release));
}

inline pick(set, g)
{
    if :: set & 1 -> g = 0; :: set & 2 -> g = 1; fi
}

/* Gives the pages of a granule to the system, which gives zeroes in return, or refuses. */
inline purge(me, g, done)
{
    atomic {
        assert(!(used & BIT(g)));
        touch(me, MEMORY(g));
        if :: content[g] = 0; done = true; :: done = false; fi
    }
}

/* A live block is made, written to by `user`, and its end. */
inline use(who, g, user)
{
    atomic {
        assert(!(used & BIT(g))); /* else: handed out twice */
        used = used | BIT(g);
        touch(who, MEMORY(g));
        content[g] = user + 1;
    }
}

inline unuse(me, g)
{
    atomic { touch(me, MEMORY(g)); assert(content[g] == me + 1); used = used & ~BIT(g); }
}

/* ---- runs ---- */

inline enter_runs(me)
{
    acquire(RUN_LOCK, me);
    touch(me, RUNS);
}

inline run_free(me, set)
{
    atomic {
        enter_runs(me);
        assert(!(free_runs & set)); /* else: freed twice */
        free_runs = free_runs | set;
        release(me, RUN_LOCK);
    }
}

/* ---- superslabs ---- */

inline enter_supers(me)
{
    acquire(SUPER_LOCK, me);
    touch(me, SUPERS);
}

/* The run goes back when the lock is released; `gone` says that it has to. */
inline super_release(me, gone)
{
    is_super = false;
    free_mask = 0;
    gone = true;
}

inline run_free_if(me, gone)
{
    if
    :: gone ->
        atomic { touch(me, DIRTY(0)); touch(me, DIRTY(1)); } /* range_is_dirty */
        run_free(me, WHOLE);
        gone = false;
    :: else
    fi
}

/* RUN_NONE is 2 here. The lock is not held while a run is taken for a new superslab. */
inline super_alloc(me, g, made)
{
    atomic {
        enter_supers(me);
        made = free_mask == 0;
        release(me, SUPER_LOCK);
    }
    if
    :: made -> /* super_create, run_alloc */
        atomic {
            enter_runs(me);
            made = free_runs == WHOLE;
            if :: made -> free_runs = 0; :: else fi;
            release(me, RUN_LOCK);
        }
    :: else
    fi;
    atomic {
        enter_supers(me);
        if
        :: made -> assert(!is_super); is_super = true; free_mask = WHOLE;
        :: else
        fi;
        made = false;
        if
        :: free_mask != 0 ->
            pick(free_mask, g);
            free_mask = free_mask & ~BIT(g);
            touch(me, DIRTY(g));
            dirty[g] = true;
        :: else -> g = 2;
        fi;
        release(me, SUPER_LOCK);
    }
}

/* One that is wholly free is kept or not: there may be others (SUPERS_WARM). */
inline super_free(me, g, found, gone)
{
    atomic {
        enter_supers(me);
        assert(!(free_mask & BIT(g)));
        free_mask = free_mask | BIT(g);
#ifdef BROKEN_GUARD
        found = WHOLE;
#else
        found = free_mask;
#endif
#ifdef BROKEN_GUARD_UNLOCKED
        release(me, SUPER_LOCK);
    }
    atomic {
        enter_supers(me);
#endif
        if
        :: found == WHOLE -> super_release(me, gone);
        :: true
        fi;
        release(me, SUPER_LOCK);
    }
    found = 0;
    run_free_if(me, gone);
}

inline super_purge_granule(me, g, done)
{
    touch(me, DIRTY(g));
    if :: dirty[g] -> purge(me, g, done); dirty[g] = !done; done = false; :: else fi
}

/* purge_one: the granules are taken while their pages go back without the lock. */
inline super_purge(me, found, done, gone)
{
    atomic {
        enter_supers(me);
        found = free_mask;
        if
        :: found == WHOLE -> super_release(me, gone); found = 0;
        :: true
        fi;
#ifndef BROKEN_PURGE_UNLOCKED
        free_mask = free_mask & ~found;
#endif
        release(me, SUPER_LOCK);
    }
    run_free_if(me, gone);
    if :: found & 1 -> super_purge_granule(me, 0, done); :: else fi;
    if :: found & 2 -> super_purge_granule(me, 1, done); :: else fi;
    atomic {
        enter_supers(me);
        free_mask = free_mask | found;
        if
        :: found != 0 && free_mask == WHOLE -> super_release(me, gone);
        :: true
        fi;
        release(me, SUPER_LOCK);
    }
    found = 0;
    run_free_if(me, gone);
}

/* ---- heaps ---- */

/* slab_init, heap_link_slab */
inline add_slab(me, g)
{
    atomic { touch(me, SLAB(g)); assert(holder[g] == NOBODY); holder[g] = me; }
    store(me, g, me, false);
}

inline retire_slab(me, g, found, gone)
{
    atomic { touch(me, SLAB(g)); assert(holder[g] == me); holder[g] = NOBODY; }
#ifdef BROKEN_WORD_LATE
    super_free(me, g, found, gone);
    store(me, g, NOBODY, false);
#else
    store(me, g, NOBODY, false);
    super_free(me, g, found, gone);
#endif
}

/* The program gets the block, and passes it on or frees it itself. */
inline hand_out(me, g, found, gone)
{
    if
    :: atomic { use(me, g, OTHER); carry(me, OTHER, true); passed = passed | BIT(g); }
    :: atomic { use(me, g, me); unuse(me, g); } retire_slab(me, g, found, gone);
    fi
}

inline send(me, g, owner) /* [MO-MAIL] */
{
    atomic { mail[owner] = mail[owner] | BIT(g); carry(me, MAIL(owner), ordered(MAIL_publish)); }
}

/* Its last store, or one that came with the slab, is the newest while a block is under way. */
inline receive(me, g, owner, found, gone)
{
    load_newest(me, g, owner);
    assert(owner == A || owner == B); /* else: the slab has left */
    if
    :: owner == me -> retire_slab(me, g, found, gone);
    :: else -> send(me, g, owner);
    fi
}

inline give(me, g)
{
    atomic {
        holder[g] == me ->
        touch(me, SLAB(g));
        holder[g] = 1 - me;
        store(me, g, 1 - me, false);
        carry(me, 1 - me, true);
    }
}

proctype heap(byte me; byte slabs; byte gifts; byte purges)
{
    byte g, owner, found;
    bool done, gone;
end:
    do
    :: slabs > 0 ->
        slabs--;
        super_alloc(me, g, gone);
        if :: g != 2 -> add_slab(me, g); hand_out(me, g, found, gone); :: else fi;
        g = 0;
    :: atomic { /* [MO-MAIL] */
            mail[me] != 0 -> pick(mail[me], g);
            mail[me] = mail[me] & ~BIT(g);
            carry(MAIL(me), me, ordered(MAIL_remote_take));
        }
        receive(me, g, owner, found, gone);
        g = 0;
        owner = 0;
#ifdef BROKEN_COUNTED_EARLY
    :: atomic { mail[me] & 1 && holder[0] == me -> skip; }
        retire_slab(me, 0, found, gone);
#endif
    :: gifts > 0 && (holder[0] == me || holder[1] == me) ->
        gifts--;
        if :: give(me, 0); :: give(me, 1); fi
    :: purges > 0 -> purges--; super_purge(me, found, done, gone);
    od
}

/* ---- large blocks ---- */

inline large_alloc(me, g)
{
    atomic {
        enter_runs(me);
        if
        :: free_runs != 0 -> pick(free_runs, g); free_runs = free_runs & ~BIT(g);
        :: else -> g = 2;
        fi;
        release(me, RUN_LOCK);
    }
    if
    :: g != 2 ->
        store(me, g, LARGE, false);
        atomic { /* run_clear */
            touch(me, DIRTY(g));
            touch(me, MEMORY(g));
            assert(dirty[g] || content[g] == 0);
        }
        use(me, g, me);
    :: else
    fi
}

inline large_free(me, g, owner)
{
    load_newest(me, g, owner);
    assert(owner == LARGE);
    unuse(me, g);
#ifndef BROKEN_FREED_LATE
    store(me, g, FREED, false);
#endif
    atomic { touch(me, DIRTY(g)); dirty[g] = true; } /* run_mark_dirty */
    run_free(me, BIT(g));
#ifdef BROKEN_FREED_LATE
    store(me, g, FREED, false);
#endif
}

proctype program()
{
    byte large = LARGES, g, owner;
end:
    do
    :: atomic { passed != 0 -> pick(passed, g); passed = passed & ~BIT(g); }
        unuse(OTHER, g);
        load(OTHER, g, owner, false);
        assert(owner == A || owner == B); /* else: the word of another use */
        send(OTHER, g, owner);
        g = 0;
        owner = 0;
    :: large > 0 ->
        large--;
        large_alloc(OTHER, g);
        if :: g != 2 -> large_free(OTHER, g, owner); :: else fi;
        g = 0;
        owner = 0;
    od
}

/* ---- purge_older ---- */

inline set_clean(g)
{
    atomic { touch(TICKER, DIRTY(g)); dirty[g] = false; }
}

inline purge_granule(g, done)
{
    purge(TICKER, g, done);
#ifdef BROKEN_REFUSED
    done = true;
#endif
#ifndef BROKEN_CLEAN_LATE
    if :: done -> set_clean(g); :: else fi;
    done = false;
#endif
}

proctype ticker()
{
    byte purges = LARGES, set;
    bool done;
end:
    do
    :: atomic {
            purges > 0 && free_runs != 0 -> purges--;
            enter_runs(TICKER);
            set = free_runs; /* neighbours are one run */
#ifndef BROKEN_PURGE_LISTED
            free_runs = 0;
#endif
            release(TICKER, RUN_LOCK);
        }
        if :: set & 1 -> purge_granule(0, done); :: else fi;
        if :: set & 2 -> purge_granule(1, done); :: else fi;
#ifdef BROKEN_PURGE_LISTED
        skip;
#else
#ifndef BROKEN_KEPT
        run_free(TICKER, set);
#endif
#endif
#ifdef BROKEN_CLEAN_LATE
        if :: done && set & 1 -> set_clean(0); done = false; :: else fi;
#endif
        set = 0;
    od
}

active proctype monitor()
{
end:
    timeout -> /* nothing can move any more */
    assert(used == 0 && passed == 0);
    assert(holder[0] == NOBODY && holder[1] == NOBODY);
    assert(!is_super && free_runs == WHOLE || is_super && free_runs == 0 && free_mask == WHOLE);
}

init
{
    atomic {
        value[0] = NOBODY;
        value[VERSIONS] = NOBODY;
        view[SUPER_LOCK] = EVERYTHING & ~(1 << RUNS);
        view[RUN_LOCK] = EVERYTHING & ~(1 << SUPERS);
        run heap(A, 2 - B_SLABS, 1, 1); /* both are A's, or one is B's */
        run heap(B, B_SLABS, 0, 0);
        run program();
        run ticker();
    }
}
