/* SPDX-License-Identifier: MIT */
/*
 * Goal: a slab may change heaps while blocks of it are under way (slab/adopt.c). Every freed block
 * gets home, once; nobody touches the slab's bitmap without holding the slab; no block is handed
 * out while it is not home; no block is sent on for ever.
 * Method: heap A has a slab of two blocks: one is live with a thread without a heap, one
 * is home. A and B publish, adopt, free and receive; the third thread frees what is passed to it
 * and uses the shared heap (adopt_malloc, adopt_purge). When nothing can move any more, all blocks
 * must be home. Mailboxes are sets here: remote_mail.pml is about the stacks.
 * The map word is a cell (memory.pml), so a load may return what was overtaken long ago. With
 * GRANULES=2 the slab has a word for each of its blocks, which are stored one after the other.
 * Left out: a slab that is wholly free, which has no block under way: give_back.pml.
 *
 * BROKEN_WORD_EARLY  assertion  the word is stored before the slab has left its heap
 * BROKEN_WORD_LATE   assertion  the slab is in the inbox before the word is stored
 * BROKEN_NO_LOCK     assertion  adopt_take does not take the lock
 * BROKEN_NO_FORWARD  assertion  who receives a block takes it for one of its own
 * BROKEN_OLDEST      cycle      settle_block may see a word older than the lock's last holder saw
 * RELAX=HANDOVER_adopt_publish  assertion
 * RELAX=HANDOVER_settle_block   assertion
 * RELAX=MAIL_adopt_publish      assertion
 * RELAX=MAIL_absorb_inbox       assertion
 * RELAX=LOCK_lock_try           assertion  of the shared heap
 * RELAX=LOCK_lock_release       assertion
 * LONG GRANULES=2
 */

#ifndef GRANULES
#define GRANULES 1
#endif

#define A      0 /* heaps, and the threads of two of them */
#define B      1
#define SHARED 2
#define NOHEAP 2 /* the thread without a heap */
#define THREADS 3
#define LOCK   3 /* what carries the threads' views */
#define INBOX  4
#define ACTORS 5
#define SLAB   0 /* the object: bitmap, counts, links */
#define OBJECTS 1
#define CELLS  GRANULES /* the words */
#define VERSIONS 12
#define word_of(block) (((block) - 1) % GRANULES)
#define ALL    3 /* blocks, as sets */

#ifdef BROKEN_OLDEST
#define FORGET_NOTHING
#endif

#include "memory.pml"

byte home = 2;          /* the bitmap */
byte list[2], mail[3], live = 1;
bool linked[3];         /* the slab is in this heap */
bool inbox;
bool lock;

byte takes = 2;          /* blocks that are still to be handed out */

/* ---- the words ---- */

inline set_words(holder, word, is_ordered)
{
    store(holder, 0, word, is_ordered);
#if GRANULES == 2
    store(holder, 1, word, is_ordered);
#endif
}

inline load_word(me, block, loaded) /* [MO-WORD] */
{
    load(me, word_of(block), loaded, false);
}

inline load_word_settling(me, block, loaded) /* [MO-HANDOVER] */
{
#ifdef BROKEN_OLDEST
    do
    :: stale < newest[word_of(block)] -> stale++;
    :: break;
    od;
    loaded = value[word_of(block) * VERSIONS + stale];
    carry(VERSION(word_of(block), stale), me, true);
    stale = 0;
#else
    load(me, word_of(block), loaded, ordered(HANDOVER_settle_block));
#endif
}

/* ---- blocks ---- */

inline pick(set, block)
{
    if
    :: set & 1 -> block = 1;
    :: set & 2 -> block = 2;
    fi;
    set = set & ~block;
}

inline put(me, block)
{
    atomic {
        touch(me, SLAB);
        assert(!(home & block)); /* else: received twice */
        home = home | block;
    }
}

inline take(me, block)
{
    atomic { touch(me, SLAB); pick(home, block); }
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
    carry(LOCK, me, ordered(LOCK_lock_try));
}

inline unlock(me) /* [MO-LOCK] */
{
    atomic { lock = false; carry(me, LOCK, ordered(LOCK_lock_release)); }
}

inline absorb_inbox(me, set)
{
    atomic { /* [MO-MAIL] */
        set = inbox;
        inbox = false;
        carry(INBOX, me, ordered(MAIL_absorb_inbox));
    }
    if
    :: set -> /* heap_link_slab */
        atomic { touch(me, SLAB); linked[SHARED] = true; }
        set_words(me, SHARED, false);
        set = 0;
    :: else
    fi
}

inline settle(me, set, block, owner)
{
    absorb_inbox(me, set);
    receive(SHARED, set);
    do
    :: atomic { set != 0 -> pick(set, block); load_word_settling(me, block, owner); }
        if
        :: owner == SHARED -> put(me, block);
        :: else -> send(block, owner);
        fi
    :: else -> break;
    od
}

/* ---- a heap and its thread ---- */

inline push_inbox(me) /* [MO-MAIL] */
{
    atomic { inbox = true; carry(me, INBOX, ordered(MAIL_adopt_publish)); }
}

inline unlink(me)
{
    atomic { touch(me, SLAB); linked[me] = false; }
}

inline adopt_publish(me)
{
#ifdef BROKEN_WORD_EARLY
    set_words(me, SHARED, true);
    unlink(me);
    push_inbox(me);
#else
    unlink(me);
#ifdef BROKEN_WORD_LATE
    push_inbox(me);
    set_words(me, SHARED, true);
#else
    set_words(me, SHARED, ordered(HANDOVER_adopt_publish)); /* [MO-HANDOVER] */
    push_inbox(me);
#endif
#endif
}

inline adopt_take(me, set, block, owner)
{
    settle(me, set, block, owner);
    if
    :: atomic { linked[SHARED] && home != 0 -> touch(me, SLAB); linked[SHARED] = false; linked[me] = true; }
        set_words(me, me, false);
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

proctype heap(byte me; byte publishes)
{
    byte adopts = 1, set, block, owner, stale;
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
        :: atomic { set != 0 -> pick(set, block); load_word(me, block, owner); }
            route(me, block, owner);
        :: else -> break;
        od
    :: atomic { takes > 0 && linked[me] && home != 0 -> takes--; } /* a refill; the program passes it on */
        take(me, block);
        atomic { live = live | block; carry(me, NOHEAP, true); }
    :: atomic { list[me] != 0 -> pick(list[me], block); load_word(me, block, owner); }
        /* a flush */
        if
        :: owner == me -> put(me, block);
        :: else -> send(block, owner);
        fi
    od
}

proctype without_heap()
{
    byte set, block, owner, stale;
end:
    do
    :: atomic { live != 0 -> pick(live, block); load_word(NOHEAP, block, owner); }
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
        value[0] = A;
#if GRANULES == 2
        value[VERSIONS] = A;
#endif
        linked[A] = true;
        view[A] = EVERYTHING;
        run heap(A, 2);
        run heap(B, 1);
        run without_heap();
    }
}
