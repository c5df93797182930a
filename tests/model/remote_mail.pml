/* SPDX-License-Identifier: MIT */
/*
 * Goal: no block that is freed remotely is lost, none is received twice, and whoever receives it
 * sees what the sender wrote (slab/remote.c).
 * Method: two senders fill parcels of two slots from a pool of two and publish them to one mailbox;
 * with the pool empty, blocks travel singly, linked through themselves. The owner takes whole
 * stacks and gives parcels back to the pool, so that a parcel's address comes back while a sender
 * still holds it as the head it has read (the ABA case). A lost block leaves the owner waiting for
 * ever: an invalid end state. The pool's lock is one step here; lock.pml is about it.
 *
 * BROKEN_PUSH     the push is a load and a store instead of a CAS
 * BROKEN_TAKE     the take is a load and a store instead of an exchange
 * BROKEN_RELEASE  the push is relaxed
 * BROKEN_ACQUIRE  the take is relaxed
 * BROKEN_REUSE    the parcel is given back before its slots are read
 */

#define EACH    3 /* blocks per sender */
#define BLOCKS  6
#define PARCELS 2
#define SLOTS   2
#define NONE    15

#define OWNER   2 /* actors: senders 0 and 1, the owner, and what carries their views */
#define MAIL    3
#define STRAYS  4
#define LOCK    5
#define OBJECTS 8 /* blocks, then parcels */
#define PARCEL(p) (BLOCKS + (p))

#include "views.pml"

byte mail = NONE, strays = NONE;
byte next_parcel[PARCELS], next_block[BLOCKS];
byte slots[PARCELS * SLOTS], count[PARCELS];
byte pool = 3;     /* set of parcels, under the lock */
byte received;     /* set of blocks */

/* ptr_cas_release: [MO-MAIL] */
inline cas_push(me, box, box_view, head, it, done)
{
#ifdef BROKEN_PUSH
    done = box == head;
    if
    :: done -> box = it; join(me, box_view);
    :: else -> head = box;
    fi
#else
    atomic {
        done = box == head;
        if
        :: done ->
            box = it;
#ifndef BROKEN_RELEASE
            join(me, box_view);
#endif
        :: else -> head = box;
        fi
    }
#endif
}

/* ptr_swap_acquire: [MO-MAIL] */
inline take_all(box, box_view, it)
{
#ifdef BROKEN_TAKE
    it = box;
    box = NONE;
    join(box_view, OWNER);
#else
    atomic {
        it = box;
        box = NONE;
#ifndef BROKEN_ACQUIRE
        join(box_view, OWNER);
#endif
    }
#endif
}

inline publish(me, p)
{
    head = mail;
    do
    :: touch(me, PARCEL(p));
        next_parcel[p] = head;
        cas_push(me, mail, MAIL, head, p, done);
        if
        :: done -> break;
        :: else
        fi
    od
}

inline send_single(me, b)
{
    head = strays;
    do
    :: touch(me, b);
        next_block[b] = head;
        cas_push(me, strays, STRAYS, head, b, done);
        if
        :: done -> break;
        :: else
        fi
    od
}

inline get_parcel(me, p) /* [MO-LOCK] */
{
    atomic {
        if
        :: pool & 1 -> p = 0;
        :: !(pool & 1) && (pool & 2) -> p = 1;
        :: else -> p = NONE;
        fi;
        if
        :: p != NONE ->
            pool = pool & ~(1 << p);
            join(LOCK, me);
            touch(me, PARCEL(p));
            count[p] = 0;
        :: else
        fi
    }
}

inline recycle(p) /* [MO-LOCK] */
{
    atomic {
        assert(!(pool & (1 << p)));
        pool = pool | (1 << p);
        join(OWNER, LOCK);
    }
}

proctype sender(byte me)
{
    byte b = me * EACH, p = NONE, head;
    bool done;
    do
    :: b < (me + 1) * EACH ->
        if
        :: p == NONE -> get_parcel(me, p);
        :: else
        fi;
        if
        :: p == NONE -> send_single(me, b);
        :: else ->
            touch(me, PARCEL(p));
            slots[p * SLOTS + count[p]] = b;
            count[p]++;
            if
            :: count[p] == SLOTS -> publish(me, p); p = NONE;
            :: else
            fi
        fi;
        b++;
    :: else -> break;
    od;
    if
    :: p != NONE -> publish(me, p); /* remote_publish_all */
    :: else
    fi
}

inline receive(b)
{
    touch(OWNER, b);
    assert(!(received & (1 << b)));
    received = received | (1 << b);
}

inline unpack(p)
{
    touch(OWNER, PARCEL(p));
    i = 0;
    do
    :: i < count[p] -> receive(slots[p * SLOTS + i]); i++;
    :: else -> break;
    od;
    i = 0;
}

active proctype owner()
{
    byte it = NONE, after, i;
    do
    :: received == (1 << BLOCKS) - 1 -> break;
    :: else ->
        mail != NONE || strays != NONE; /* remote_has_mail */
        take_all(mail, MAIL, it);
        do
        :: it != NONE ->
            after = next_parcel[it];
#ifdef BROKEN_REUSE
            recycle(it);
            unpack(it);
#else
            unpack(it);
            recycle(it);
#endif
            it = after;
        :: else -> break;
        od;
        take_all(strays, STRAYS, it);
        do
        :: it != NONE ->
            touch(OWNER, it);
            after = next_block[it];
            receive(it);
            it = after;
        :: else -> break;
        od
    od;
    assert(mail == NONE && strays == NONE && pool == 3);
}

init
{
    atomic {
        seen[0] = 1; seen[1] = 1; seen[2] = 1;
        seen[3] = 2; seen[4] = 2; seen[5] = 2;
        seen[PARCEL(0)] = 1 << LOCK;
        seen[PARCEL(1)] = 1 << LOCK;
        run sender(0);
        run sender(1);
    }
}
