/* SPDX-License-Identifier: MIT */
/*
 * Goal: the lock of os/lock.h and os/lock.c excludes, orders what it guards and loses no wake-up;
 * init_once of run/init.c starts once and shows everybody the result.
 * Method: three threads pass init_once and take the lock, two of them once more, one of these by
 * lock_try as adopt_take does. The kernel's half of the futex is one atomic step: compare and sleep.
 * Sleeps may end for no reason, but only once, or that would cure every lost wake-up. `ready` is a
 * cell: a thread may read it out of date.
 * FINITE: who finds the lock held sleeps, and each release wakes one.
 * A lost wake-up is a thread that sleeps for ever: an invalid end state.
 *
 * BROKEN_TRY         assertion  the test and the set of lock_try are two steps
 * BROKEN_ONE         end        who was asleep takes the lock with state 1, the other sleepers are forgotten
 * BROKEN_WAIT        end        the futex sleeps without comparing
 * BROKEN_WAKE        end        lock_release wakes nobody when it finds state 2
 * BROKEN_INIT_EARLY  assertion  ready is set before the start is complete
 * BROKEN_INIT_ONCE   assertion  ready is not looked at again under the lock
 * RELAX=LOCK_lock_try            assertion
 * RELAX=LOCK_lock_acquire_slow   assertion
 * RELAX=LOCK_lock_release        assertion
 * RELAX=INIT_init_once_acquire   assertion
 * RELAX=INIT_init_once_release   assertion
 */

#define THREADS  3
#define LOCK     3 /* what carries the threads' views */
#define ACTORS   4
#define GUARDED  0 /* objects: what the lock guards, and what the start made */
#define STARTED  1
#define OBJECTS  2
#define READY    0 /* the cell */
#define CELLS    1
#define VERSIONS 2

#include "memory.pml"

byte state;        /* of the lock: 0 free, 1 held, 2 held and somebody may sleep */
bool asleep[THREADS];
byte spurious = 1; /* wake-ups without a cause that are left */
byte inside;
byte starts;

inline lock_try(me, done) /* [MO-LOCK] */
{
#ifdef BROKEN_TRY
    done = state == 0;
    if
    :: done -> state = 1; carry(LOCK, me, ordered(LOCK_lock_try));
    :: else
    fi
#else
    atomic {
        done = state == 0;
        if
        :: done -> state = 1; carry(LOCK, me, ordered(LOCK_lock_try));
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
                :: old == 0 -> done = true; carry(LOCK, me, ordered(LOCK_lock_acquire_slow));
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
#ifndef BROKEN_WAKE
    atomic {
        if
        :: asleep[0] -> asleep[0] = false;
        :: asleep[1] -> asleep[1] = false;
        :: asleep[2] -> asleep[2] = false;
        :: else
        fi
    }
#else
    skip;
#endif
}

inline lock_release(me, old)
{
    atomic { /* [MO-LOCK] */
        old = state;
        state = 0;
        carry(me, LOCK, ordered(LOCK_lock_release));
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

inline set_ready(me) /* [MO-INIT] */
{
    store(me, READY, true, ordered(INIT_init_once_release));
}

inline init_once(me, done, old)
{
    load(me, READY, done, ordered(INIT_init_once_acquire)); /* [MO-INIT] */
    if
    :: done
    :: else ->
        lock_acquire(me, done, old);
#ifdef BROKEN_INIT_ONCE
        done = false;
#else
        load_newest(me, READY, done);
#endif
        if
        :: done
        :: else ->
#ifdef BROKEN_INIT_EARLY
            set_ready(me);
            start(me);
#else
            start(me);
            set_ready(me);
#endif
        fi;
        lock_release(me, old);
    fi;
    look(me, STARTED);
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
    :: me == 1 -> lock_acquire(me, done, old);
    :: me == 2 -> done = false;
    fi;
    if
    :: done -> critical(me); lock_release(me, old);
    :: else
    fi
}

init
{
    atomic {
        view[0] = EVERYTHING;
        view[1] = EVERYTHING;
        view[2] = EVERYTHING;
        view[LOCK] = EVERYTHING;
        run thread(0);
        run thread(1);
        run thread(2);
    }
}
