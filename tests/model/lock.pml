/* SPDX-License-Identifier: MIT */
/*
 * Goal: the lock of os/lock.h and os/lock.c excludes, orders what it guards and loses no wake-up,
 * and init_once of run/init.c starts once and shows everybody the result.
 * Method: three threads pass init_once and take the lock again, one of them by lock_try as
 * adopt_take does. The kernel's half of the futex is one atomic step: compare and sleep. Sleeps may
 * end for no reason, but only once, or that would cure every lost wake-up.
 * A lost wake-up is a thread that sleeps for ever: an invalid end state.
 *
 * BROKEN_TRY         the test and the set of lock_try are two steps
 * BROKEN_ONE         who was asleep takes the lock with state 1: the other sleepers are forgotten
 * BROKEN_WAIT        the futex sleeps without comparing
 * BROKEN_RELEASE     lock_release is relaxed
 * BROKEN_ACQUIRE     lock_acquire is relaxed
 * BROKEN_INIT_EARLY  ready is set before the start is complete
 * BROKEN_INIT_RELAXED  ready is read relaxed
 */

#define THREADS 3
#define LOCK    3 /* actors: the threads, and what carries their views */
#define READY   4
#define GUARDED 0 /* objects: what the lock guards, and what the start made */
#define STARTED 1
#define OBJECTS 2
#define EVERYBODY 31

#include "views.pml"

byte state;        /* of the lock: 0 free, 1 held, 2 held and somebody may sleep */
bool asleep[THREADS];
byte spurious = 1; /* wake-ups without a cause that are left */
byte inside;
bool ready;
byte starts;

inline enter_locked(me)
{
#ifdef BROKEN_ACQUIRE
    skip;
#else
    join(LOCK, me);
#endif
}

inline lock_try(me, done) /* [MO-LOCK] */
{
#ifdef BROKEN_TRY
    done = state == 0;
    if
    :: done -> state = 1; enter_locked(me);
    :: else
    fi
#else
    atomic {
        done = state == 0;
        if
        :: done -> state = 1; enter_locked(me);
        :: else
        fi
    }
#endif
}

inline futex_wait(me)
{
    atomic { /* the kernel compares and sleeps in one step */
#ifndef BROKEN_WAIT
        if
        :: state == 2 -> asleep[me] = true;
        :: else
        fi
#else
        asleep[me] = true;
#endif
    }
    if
    :: !asleep[me]
    :: atomic { asleep[me] && spurious > 0 -> spurious--; asleep[me] = false; }
    fi
}

inline lock_acquire(me, done, old)
{
    lock_try(me, done);
    if
    :: done
    :: else ->
        if /* one of the spins sees the lock free, or none does */
        :: lock_try(me, done);
        :: skip;
        fi;
        do
        :: done -> break;
        :: else ->
            atomic { /* [MO-LOCK] */
                old = state;
#ifdef BROKEN_ONE
                state = (old == 0 -> 1 : 2);
#else
                state = 2;
#endif
                if
                :: old == 0 -> done = true; enter_locked(me);
                :: else
                fi;
            }
            if
            :: done
            :: else -> futex_wait(me);
            fi
        od
    fi
}

inline wake_one()
{
    atomic {
        if
        :: asleep[0] -> asleep[0] = false;
        :: asleep[1] -> asleep[1] = false;
        :: asleep[2] -> asleep[2] = false;
        :: else
        fi
    }
}

inline lock_release(me, old)
{
    atomic { /* [MO-LOCK] */
        old = state;
        state = 0;
#ifndef BROKEN_RELEASE
        join(me, LOCK);
#endif
    }
    if
    :: old == 2 -> wake_one();
    :: else
    fi
}

inline critical(me)
{
    inside++;
    touch(me, GUARDED);
    assert(inside == 1);
    inside--;
}

inline start(me)
{
    assert(starts == 0);
    starts++;
    touch(me, STARTED);
}

inline set_ready(me)
{
    atomic { ready = true; join(me, READY); } /* [MO-INIT] */
}

inline look_ready(me, done)
{
    atomic { /* [MO-INIT] */
        done = ready;
#ifndef BROKEN_INIT_RELAXED
        if
        :: done -> join(READY, me);
        :: else
        fi
#endif
    }
}

inline init_once(me, done, old)
{
    look_ready(me, done);
    if
    :: done
    :: else ->
        lock_acquire(me, done, old);
        if
        :: !ready ->
#ifdef BROKEN_INIT_EARLY
            set_ready(me);
            start(me);
#else
            start(me);
            set_ready(me);
#endif
        :: else
        fi;
        lock_release(me, old);
    fi;
    assert(starts == 1);
    assert((seen[STARTED] >> me) & 1); /* reads of what the start made are no race */
}

proctype thread(byte me)
{
    bool done;
    byte old;
    init_once(me, done, old);
    lock_acquire(me, done, old);
    critical(me);
    lock_release(me, old);
    if
    :: me == 0 -> lock_try(me, done);
    :: else -> lock_acquire(me, done, old);
    fi;
    if
    :: done -> critical(me); lock_release(me, old);
    :: else
    fi
}

init
{
    atomic {
        seen[GUARDED] = EVERYBODY;
        seen[STARTED] = EVERYBODY;
        run thread(0);
        run thread(1);
        run thread(2);
    }
}
