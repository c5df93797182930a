/* SPDX-License-Identifier: MIT */
/*
 * The memory of C11 for the models. spin executes one step after another in an order that all
 * processes agree on; what processors and compilers do beyond that has to be part of the model.
 *
 * An actor is a thread, a place that only read-modify-writes change (a lock, the head of a stack),
 * or one version of a cell. view[actor] is the set of the objects (memory accessed without atomics)
 * whose last access the actor's view includes. touch() demands that the thread's does: so an access
 * that does not happen after the one before it is an error, whichever order the search happened to
 * execute. carry() is half of an edge: release carries a thread's view to a place, acquire a
 * place's to a thread. A place keeps what it was given, since every later read-modify-write
 * continues the release sequence.
 *
 * A cell is a variable with plain atomic stores: not one value but the history of what was stored.
 * A load returns any value that is not older than what the thread has seen or been told of, which
 * is all that C11 promises. A store demands that its thread knows the store before: a cell has one
 * writer at a time. What no thread can read any more is forgotten.
 *
 * Each operation of the code that orders others has a site here: its id in docs/memory-order.md
 * and its function. With -DRELAX=SITE this one operation is relaxed, and nothing else changes.
 * `edges` holds the list against src/. A BARRIER keeps the compiler from moving one thread's stores.
 *
 * Not modelled: a load that takes effect after a later store of its own thread. No relaxed store of
 * the code can be part of such a circle: what other threads act upon is stored after the acquire of
 * a lock or with release.
 *
 * The including model defines OBJECTS (up to 15), THREADS (the first actors), ACTORS, and CELLS and
 * VERSIONS if it has cells.
 */

#define NOTHING 0
#define MAIL_publish 1
#define MAIL_remote_send_single 2
#define MAIL_remote_take 3
#define MAIL_remote_take_strays 4
#define MAIL_adopt_publish 5
#define MAIL_absorb_inbox 6
#define HANDOVER_adopt_publish 7
#define HANDOVER_settle_block 8
#define LOCK_lock_try 9
#define LOCK_lock_acquire_slow 10
#define LOCK_lock_release 11
#define INIT_init_once_acquire 12
#define INIT_init_once_release 13
#define BARRIER_entry_free 14
#define BARRIER_push 15
#define BARRIER_heap_enter 16
#define BARRIER_heap_leave 17
#define WATCH_slab_put 18
#define WATCH_next_block 19

#ifndef RELAX
#define RELAX NOTHING
#endif
#define ordered(site) ((site) != RELAX)

#ifdef CELLS
#define CARRIERS (ACTORS + CELLS * VERSIONS)
#define VERSION(cell, n) (ACTORS + (cell) * VERSIONS + (n))
#define KNOWN(who, cell) known[(who) * CELLS + (cell)]
#define EVERY_CELL(x) for (x : 0 .. CELLS - 1)
byte value[CELLS * VERSIONS];
byte newest[CELLS];           /* version; 0 was there from the start */
byte known[CARRIERS * CELLS]; /* newest version of each cell that each view includes */
hidden byte cell_1, cell_2;
#else
#define CARRIERS ACTORS
#endif

short view[CARRIERS];
hidden byte at;

#define EVERYTHING ((1 << OBJECTS) - 1)
#define sees(who, object) ((view[who] >> (object)) & 1)

/* ---- objects ---- */

inline touch(who, object)
{
    d_step {
        assert(sees(who, object)); /* else: a data race */
        for (at : 0 .. CARRIERS - 1) {
            view[at] = view[at] & ~(1 << (object));
        }
        view[who] = view[who] | (1 << (object));
        at = 0;
    }
}

/* A read of what is constant by now. */
inline look(who, object)
{
    assert(sees(who, object));
}

inline carry(from, to, is_ordered)
{
    d_step {
        view[to] = view[to] | (is_ordered -> view[from] : 0);
#ifdef CELLS
        EVERY_CELL(at) {
            KNOWN(to, at) =
                (is_ordered && KNOWN(from, at) > KNOWN(to, at) -> KNOWN(from, at) : KNOWN(to, at));
        }
        forget_old();
#endif
    }
}

/* ---- cells ---- */

#ifdef CELLS
inline move_version(cell, from, to)
{
    value[(cell) * VERSIONS + (to)] = value[(cell) * VERSIONS + (from)];
    view[VERSION(cell, to)] = view[VERSION(cell, from)];
    EVERY_CELL(cell_2) {
        KNOWN(VERSION(cell, to), cell_2) = KNOWN(VERSION(cell, from), cell_2);
    }
}

inline clear_version(cell, n)
{
    value[(cell) * VERSIONS + (n)] = 0;
    view[VERSION(cell, n)] = 0;
    EVERY_CELL(cell_2) {
        KNOWN(VERSION(cell, n), cell_2) = 0;
    }
}

inline forget_version_0(cell)
{
    for (at : 0 .. newest[cell] - 1) {
        move_version(cell, at + 1, at);
    }
    clear_version(cell, newest[cell]);
    newest[cell]--;
    for (at : 0 .. CARRIERS - 1) {
        KNOWN(at, cell) = (KNOWN(at, cell) > 0 -> KNOWN(at, cell) - 1 : 0);
    }
}

/* The versions that are older than what each thread knows: this keeps the state space finite. */
inline forget_old()
{
#ifndef FORGET_NOTHING
    EVERY_CELL(cell_1) {
        do
        :: newest[cell_1] > 0 ->
            at = 0;
            do
            :: at < THREADS && KNOWN(at, cell_1) > 0 -> at++;
            :: else -> break;
            od;
            if
            :: at == THREADS -> forget_version_0(cell_1);
            :: else -> break;
            fi;
        :: else -> break;
        od;
    }
#endif
    at = 0;
    cell_2 = 0;
    cell_1 = 0;
}

inline store(who, cell, new, is_ordered)
{
    d_step {
        assert(KNOWN(who, cell) == newest[cell]); /* else: two writers at a time */
        assert(newest[cell] + 1 < VERSIONS);
        newest[cell]++;
        KNOWN(who, cell) = newest[cell];
        value[(cell) * VERSIONS + newest[cell]] = new;
        view[VERSION(cell, newest[cell])] = (is_ordered -> view[who] : 0);
        EVERY_CELL(cell_2) {
            KNOWN(VERSION(cell, newest[cell]), cell_2) = (is_ordered -> KNOWN(who, cell_2) : 0);
        }
        KNOWN(VERSION(cell, newest[cell]), cell) = newest[cell];
        forget_old();
    }
}

/* A load under the lock that orders the stores: never out of date. */
inline load_newest(who, cell, loaded)
{
    assert(KNOWN(who, cell) == newest[cell]);
    loaded = value[(cell) * VERSIONS + newest[cell]];
}

inline load(who, cell, loaded, is_ordered)
{
    atomic {
        do
        :: KNOWN(who, cell) < newest[cell] -> KNOWN(who, cell)++;
        :: break;
        od;
        loaded = value[(cell) * VERSIONS + KNOWN(who, cell)];
        carry(VERSION(cell, KNOWN(who, cell)), who, is_ordered);
    }
}
#endif
