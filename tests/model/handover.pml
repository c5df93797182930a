/* SPDX-License-Identifier: MIT */
/*
 * Goal: a slab may change heaps while blocks of it are under way (slab/adopt.c). Every freed block
 * gets home, once; nobody touches the slab's bitmap without holding the slab; no block is handed
 * out while it is not home; no block is sent on for ever.
 * Method: heap A has a slab of two blocks: one is live with a thread without a heap, one
 * is home. A and B publish, adopt, free and receive; the third thread frees what is passed to it
 * and uses the shared heap (adopt_malloc, adopt_purge). When nothing can move any more, all blocks
 * must be home. Mailboxes are sets here: remote_mail.pml is about the stacks.
 * The map word is not one variable but the history of what was stored to it: a relaxed load returns
 * any value that is not older than what the thread has seen or been told of, which is all that C11
 * promises, and a thread's view travels along the edges (views.pml does the same for the bitmap).
 * Left out: a slab that is wholly free leaves its heap for good, and has no block under way then.
 *
 * BROKEN_STORE_RELAXED  adopt_publish stores the word relaxed
 * BROKEN_LOAD_RELAXED   settle_block loads the word relaxed
 * BROKEN_INBOX_RELAXED  the push into the inbox is relaxed
 * BROKEN_LOCK_RELAXED   the shared heap's lock orders nothing
 * BROKEN_WORD_EARLY     the word is stored before the slab has left its heap
 * BROKEN_WORD_LATE      the slab is in the inbox before the word is stored
 * BROKEN_NO_LOCK        adopt_take does not take the lock
 * BROKEN_NO_FORWARD     who receives a block takes it for one of its own
 * BROKEN_OLDEST         settle_block may see a word older than the lock's last holder saw
 */

#define A      0 /* heaps, and the threads of two of them */
#define B      1
#define SHARED 2
#define NOHEAP 2 /* the thread without a heap */
#define LOCK   3 /* what carries the threads' views */
#define INBOX  4
#define ACTORS 5
#define OBJECTS 1 /* the slab: bitmap, counts, links */
#define SLAB   0
#define ALL    3  /* blocks, as sets */

#include "views.pml"

#define VERSIONS 12
byte word[VERSIONS];    /* its history */
byte words = 1;         /* how long that is; version 0 is A's */
int word_carries;       /* versions stored with release whose view includes the last access to the slab */
byte known[ACTORS];     /* newest version that each view includes */

byte home = 2;          /* the bitmap */
byte list[2], mail[3], live = 1;
bool linked[3];         /* the slab is in this heap */
bool inbox;
bool lock;

byte takes = 2;          /* blocks that are still to be handed out */

/* ---- views ---- */

inline edge(from, to)
{
    d_step {
        seen[SLAB] = seen[SLAB] | (((seen[SLAB] >> (from)) & 1) << (to));
        known[to] = (known[from] > known[to] -> known[from] : known[to]);
    }
}

inline touch_slab(me)
{
    atomic { touch(me, SLAB); word_carries = 0; }
}

inline word_store(writer, new) /* [MO-WORD] */
{
    d_step {
        assert(words < VERSIONS);
        word[words] = new;
        known[writer] = words;
        words++;
    }
}

inline word_store_release(me, released) /* [MO-HANDOVER] */
{
    atomic {
        word_store(me, released);
#ifndef BROKEN_STORE_RELAXED
        word_carries = word_carries | (((seen[SLAB] >> me) & 1) << known[me]);
#endif
    }
}

inline word_load(me, loaded) /* [MO-WORD] */
{
    atomic {
        do
        :: known[me] + 1 < words -> known[me]++;
        :: break;
        od;
        loaded = word[known[me]];
    }
}

inline word_load_acquire(me, acquired) /* [MO-HANDOVER] */
{
    atomic {
#ifdef BROKEN_OLDEST
        known[me] = 0;
#endif
        word_load(me, acquired);
#ifndef BROKEN_LOAD_RELAXED
        seen[SLAB] = seen[SLAB] | (((word_carries >> known[me]) & 1) << me);
#endif
    }
}

/* ---- blocks ---- */

inline pick(set, block)
{
    if
    :: set & 1 -> block = 1;
    :: set & 2 -> block = 2;
    fi
}

inline put(me, block)
{
    atomic {
        touch_slab(me);
        assert(!(home & block)); /* else: received twice */
        home = home | block;
    }
}

inline take(me, block)
{
    atomic { touch_slab(me); pick(home, block); home = home & ~block; }
}

/* [MO-MAIL], but without its edge: the contents of a block need it, its way home does not. */
inline send(block, heap)
{
    mail[heap] = mail[heap] | block;
}

inline receive(heap, set)
{
    atomic { set = mail[heap]; mail[heap] = 0; }
}

/* ---- the lock; the shared heap under it ---- */

inline locked(me) /* [MO-LOCK] */
{
    lock = true;
#ifndef BROKEN_LOCK_RELAXED
    edge(LOCK, me);
#endif
}

inline unlock(me) /* [MO-LOCK] */
{
    atomic {
        lock = false;
#ifndef BROKEN_LOCK_RELAXED
        edge(me, LOCK);
#endif
    }
}

inline absorb_inbox(me, set)
{
    atomic { /* [MO-MAIL] */
        set = inbox;
        inbox = false;
        edge(INBOX, me);
    }
    if /* heap_link_slab */
    :: atomic { set -> touch_slab(me); linked[SHARED] = true; word_store(me, SHARED); set = 0; }
    :: else
    fi
}

inline settle_block(me, block, owner)
{
    if
    :: owner == SHARED -> put(me, block);
    :: else -> send(block, owner);
    fi
}

inline settle(me, set, block, owner)
{
    absorb_inbox(me, set);
    receive(SHARED, set);
    do
    :: atomic { set != 0 -> pick(set, block); set = set & ~block; word_load_acquire(me, owner); }
        settle_block(me, block, owner);
    :: else -> break;
    od
}

/* ---- a heap and its thread ---- */

inline adopt_publish(me)
{
#ifdef BROKEN_WORD_EARLY
    word_store_release(me, SHARED);
    touch_slab(me);
    linked[me] = false;
#else
    atomic { touch_slab(me); linked[me] = false; } /* heap_unlink_slab */
#ifndef BROKEN_WORD_LATE
    word_store_release(me, SHARED);
#endif
#endif
    atomic { /* [MO-MAIL] */
        inbox = true;
#ifndef BROKEN_INBOX_RELAXED
        edge(me, INBOX);
#endif
    }
#ifdef BROKEN_WORD_LATE
    word_store_release(me, SHARED);
#endif
}

inline adopt_take(me, set, block, owner)
{
    settle(me, set, block, owner);
    if
    :: atomic {
            linked[SHARED] && home != 0 -> touch_slab(me);
            linked[SHARED] = false;
            linked[me] = true;
            word_store(me, me);
        }
    :: else
    fi
}

/* A block in the hands of heap `me`: cached, or sent home (DRAINING), if it is its own. */
inline route(me, block, owner)
{
#ifdef BROKEN_NO_FORWARD
    owner = me;
#endif
    if
    :: owner == me -> put(me, block);
    :: owner == me -> list[me] = list[me] | block;
    :: owner != me -> send(block, owner);
    fi
}

proctype heap(byte me)
{
    byte publishes = 2, adopts = 1, set, block, owner;
end:
    do
    :: publishes > 0 && linked[me] && home != 0 ->
        publishes--;
        adopt_publish(me);
#ifdef BROKEN_NO_LOCK
    :: adopts > 0 && !linked[me] ->
        adopts--;
        adopt_take(me, set, block, owner);
#else
    :: atomic { adopts > 0 && !linked[me] && !lock -> locked(me); } /* lock_try */
        adopts--;
        adopt_take(me, set, block, owner);
        unlock(me);
#endif
    :: mail[me] != 0 ->
        receive(me, set);
        do
        :: atomic { set != 0 -> pick(set, block); set = set & ~block; word_load(me, owner); }
            route(me, block, owner);
        :: else -> break;
        od
    :: atomic { takes > 0 && linked[me] && home != 0 -> takes--; } /* a refill; the program passes it on */
        take(me, block);
        atomic { live = live | block; edge(me, NOHEAP); }
    :: atomic { list[me] != 0 -> pick(list[me], block); list[me] = list[me] & ~block; word_load(me, owner); }
        /* a flush */
        if
        :: owner == me -> put(me, block);
        :: else -> send(block, owner);
        fi
    od
}

proctype without_heap()
{
    byte set, block, owner;
end:
    do
    :: atomic { live != 0 -> pick(live, block); live = live & ~block; word_load(NOHEAP, owner); }
        send(block, owner); /* a free; the word may be out of date by now */
    :: atomic { (mail[SHARED] != 0 || inbox) && !lock -> locked(NOHEAP); }
        settle(NOHEAP, set, block, owner);
        if
        :: atomic { takes > 0 && linked[SHARED] && home != 0 -> takes--; } /* adopt_malloc */
            take(NOHEAP, block);
            live = live | block;
        :: skip; /* adopt_purge */
        fi;
        unlock(NOHEAP);
    od
}

active proctype monitor()
{
end:
    timeout -> /* nothing can move any more */
    assert(home == ALL);
    assert(!lock && !inbox && linked[A] + linked[B] + linked[SHARED] == 1);
}

init
{
    atomic {
        word[0] = A;
        linked[A] = true;
        seen[SLAB] = 1 << A;
        run heap(A);
        run heap(B);
        run without_heap();
    }
}
