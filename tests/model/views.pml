/* SPDX-License-Identifier: MIT */
/*
 * A race detector for the models, because spin itself executes every step in one global order.
 *
 * An actor is a thread, or a place that carries a release to an acquire (a mailbox, a lock). For
 * each object that is accessed without atomics, seen[] is the set of the actors whose view includes
 * the last access. touch() demands that the thread is among them, so an access that does not happen
 * after the one before it is an error, whichever order the search happened to execute. join() is
 * one half of an edge: release joins a thread's view into the place, acquire the place's into the
 * thread. A step whose order is weakened leaves its join out.
 *
 * The including model defines OBJECTS first. At most 15 actors.
 */

short seen[OBJECTS];
hidden byte view_at;

inline touch(who, object)
{
    d_step {
        assert((seen[object] >> (who)) & 1); /* else: a data race */
        seen[object] = 1 << (who);
    }
}

inline join(from, to)
{
    d_step {
        view_at = 0;
        do
        :: view_at < OBJECTS ->
            seen[view_at] = seen[view_at] | (((seen[view_at] >> (from)) & 1) << (to));
            view_at++;
        :: else -> break;
        od;
        view_at = 0;
    }
}
