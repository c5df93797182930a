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
 * BROKEN_PUSH   assertion  the push is a load and a store instead of a CAS
 * BROKEN_TAKE   end        the take is a load and a store instead of an exchange
 * BROKEN_REUSE  assertion  the parcel is given back before its slots are read
 * BROKEN_LOOSE  assertion  the parcel is published before its last slot is written
 * RELAX=MAIL_publish             assertion
 * RELAX=MAIL_remote_send_single  assertion
 * RELAX=MAIL_remote_take         assertion
 * RELAX=MAIL_remote_take_strays  assertion
 * RELAX=LOCK_lock_try            assertion  of the pool of parcels
 * RELAX=LOCK_lock_release        assertion
 */

#define EACH    3 /* blocks per sender */
#define BLOCKS  6
#define PARCELS 2
#define SLOTS   2
#define NONE    15

#define OWNER   2 /* senders 0 and 1, the owner, and what carries their views */
#define THREADS 3
#define MAIL    3
#define STRAYS  4
#define LOCK    5
#define ACTORS  6
#define OBJECTS 8 /* blocks, then parcels */
#define PARCEL(p) (BLOCKS + (p))

#include "memory.pml"

byte mail = NONE, strays = NONE;
byte next_parcel[PARCELS], next_block[BLOCKS];
byte slots[PARCELS * SLOTS], count[PARCELS];
byte pool = 3;     /* set of parcels, under the lock */
byte received;     /* set of blocks */

/* ptr_cas_release: [MO-MAIL] */
inline cas_push(me, box, box_view, head, it, site, done)
{
#ifdef BROKEN_PUSH
    done = box == head;
    if
    :: done -> box = it; carry(me, box_view, ordered(site));
    :: else -> head = box;
    fi
#else
    atomic {
        done = box == head;
        if
        :: done -> box = it; carry(me, box_view, ordered(site));
        :: else -> head = box;
        fi
    }
#endif
}

/* ptr_swap_acquire: [MO-MAIL] */
inline take_all(box, box_view, it, site)
{
#ifdef BROKEN_TAKE
    it = box;
    box = NONE;
    carry(box_view, OWNER, ordered(site));
#else
    atomic {
        it = box;
        box = NONE;
        carry(box_view, OWNER, ordered(site));
    }
#endif
}

inline publish(me, p)
{
    head = mail;
    do
    :: touch(me, PARCEL(p));
        next_parcel[p] = head;
        cas_push(me, mail, MAIL, head, p, MAIL_publish, done);
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
        cas_push(me, strays, STRAYS, head, b, MAIL_remote_send_single, done);
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
            carry(LOCK, me, ordered(LOCK_lock_try));
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
        carry(OWNER, LOCK, ordered(LOCK_lock_release));
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
#ifdef BROKEN_LOOSE
            :: count[p] == SLOTS -> publish(me, p); touch(me, PARCEL(p)); p = NONE;
#else
            :: count[p] == SLOTS -> publish(me, p); p = NONE;
#endif
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
        take_all(mail, MAIL, it, MAIL_remote_take);
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
        take_all(strays, STRAYS, it, MAIL_remote_take_strays);
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
        view[0] = 7;        /* its blocks */
        view[1] = 7 << EACH;
        view[LOCK] = 3 << BLOCKS;
        run sender(0);
        run sender(1);
    }
}
