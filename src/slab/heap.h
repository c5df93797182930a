/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A heap: the per-thread lists and, per size class, the page heap of slabs they are filled from
 * (current slab, partial slabs, full slabs). Heaps have ids, not threads: when a thread exits its
 * heap is pooled whole, and the next thread adopts it (run/thread.c).
 *
 * Owns: the heap table and the pool (RANK_HEAP_POOL). Each field of struct heap says who may
 * touch it. Heap 1 is the shared heap: nobody's, used under its lock (slab/adopt.h).
 * Doors: heap_take (blocks out), heap_put (blocks home). Failure: nothing taken.
 * Calls: slab, super, adopt.
 */

#include "slab/slab.h"
#include "slab/super.h"

/* Of so many slabs of a class, one is a sentinel: rare enough to cost little, and 2 MiB to 8 MiB of
 * blocks stand behind one. */
HAK_INLINE unsigned heap_sentinel_every(unsigned size_class)
{
    return slab_span(size_class) == SLAB_SMALL_GRANULES ? SENTINEL_EVERY_SMALL : SENTINEL_EVERY_MID;
}

#define HEAP_SHARED_ID 1u
#define ID_WORD(id) ((uint32_t)(id) << 8)
#define FRONT_NO_ID ID_WORD(UINT32_MAX) /* of a front that is no heap's: matches no map word */

#define FRONT_STEPS (SMALL_BYTES_MAX / 16)

/* What malloc and free touch; the first member of a heap. */
struct front {
    void *list[CLASS_COUNT]; /* owner: LIFO of free blocks, linked through their first word */
    uint32_t id_word;        /* const: id << 8, as in the map */
    size_t list_offset[FRONT_STEPS]; /* const: by step of size, bytes from here to its class's list */
};

struct parcel;

/*
 * How frees of a class travel (docs/data-path.md):
 * CACHED: slabs are open, free pushes on the list; sentinel slabs sample the list's growth.
 * DRAINING: the list was over its limit; slabs are closed, frees set a bit at home.
 */
enum class_mode { MODE_CACHED, MODE_DRAINING };

/* Owner thread. Counters may be read by anyone: they have one writer. */
struct size_class_state {
    uint32_t current, partial, full; /* slabs by granule; 0: none */
    uint32_t slab_count, partial_count;
    uint32_t list_estimate; /* blocks on the list, as far as sampled; reset by refill and flush */
    uint32_t list_known;    /* its length when it was last known */
    uint32_t list_check;    /* estimate at which the list is walked */
    uint32_t list_limit;    /* blocks; 0: this class is never cached */
    uint16_t batch, batch_max;
    uint8_t mode;
    uint8_t refills_since_flush;
    uint64_t refills_when_tended;
    const void *head_when_tended; /* of the list; not to be followed */
    uint8_t backoff;        /* log2 of how much later than due the list is walked */
    atomic_u64 away; /* blocks not at home: live, on the list, in parcels */
    atomic_u64 refills, flushes, adopted;
};

enum heap_state { HEAP_ACTIVE, HEAP_POOLED, HEAP_LOST };

struct heap {
    struct front front; /* must be first: front pointers are heap pointers */
    uint32_t id;
    atomic_u32 busy;    /* owner: inside a slow path; read by a forked child only */
    struct size_class_state classes[CLASS_COUNT];
    struct parcel *outbox[OUTBOX_COUNT]; /* owner: remote frees being collected */
    struct parcel *spare;                /* owner: empty parcels */
    struct parcel *mail_taken;           /* owner: not yet unpacked */
    uint32_t spare_count;
    uint32_t mail_countdown;             /* owner: refills by mail until all of it is unpacked */
    uint32_t tend_countdown, tend_class, tend_pooled; /* owner: what to look after next */
    uint32_t exit_rounds;                /* owner: times its thread's destructor ran */
    uint32_t growing_next;
    void *growing[GROWTH_HISTORY];       /* owner: results of recent growing reallocs */
    void *small_runs[GROWTH_HISTORY];    /* owner: blocks given a run while small */
    atomic_u64 remote_sent, remote_received;
    uint32_t state;                      /* under the pool lock */
    struct heap *next_pooled;            /* under the pool lock */
    /* any thread: [MO-MAIL] */
    _Alignas(CACHE_LINE) atomic_ptr mail; /* published parcels */
    atomic_ptr strays;                    /* single blocks, linked through their first word */
};

extern struct heap *heaps; /* by id; 0 is unused */
extern struct map_area heap_area;
extern struct lock heap_pool_lock;

/* The classes that use the lists: decided once at start by the route profile. */
void heap_set_cached_classes(unsigned from, unsigned end);
/* Makes the shared heap; false if there is no memory for it. */
bool heap_init(void);

/* A heap for a thread: a pooled one, or a new one; NULL when there are no more. */
struct heap *heap_acquire(void);
/* The thread is done with it. */
void heap_pool(struct heap *h);
/* Heaps in the pool, and one of them to be looked after (then given back to the pool). */
uint32_t heap_pooled_count(void);
struct heap *heap_take_pooled(uint32_t nth);
/* Empties the pool into a chain by next_pooled; the caller gives each back by heap_pool. */
struct heap *heap_take_all_pooled(void);
/* In a forked child: pools the heaps of threads that are gone, except those caught mid-change. */
void heap_reset_after_fork(struct heap *own);

/* A change of a heap is bracketed by these, so that a forked child knows which heaps are whole. */
HAK_INLINE void heap_enter(struct heap *h)
{
    u32_store_relaxed(&h->busy, 1); /* relaxed: read after fork only, in the same memory image */
    compiler_barrier();
}

HAK_INLINE void heap_leave(struct heap *h)
{
    compiler_barrier();
    u32_store_relaxed(&h->busy, 0); /* relaxed: as above */
}

/* Ids in use: 1 .. heap_count(). */
uint32_t heap_count(void);
bool heap_is_alone(void);

/* Takes up to `want` blocks of a class, at least one unless memory is out, linked in the order in
 * which they should be used and ending in `rest`. Returns how many; *head is the first. */
unsigned heap_take(struct heap *h, unsigned size_class, unsigned want, void *rest, void **head);
/* Block p goes home to slab s of h, where more than its bit may have to change. */
void heap_put_slow(struct heap *h, struct slab *s, unsigned size_class, void *p);

/* Whether nothing but the bit has to. */
HAK_INLINE bool heap_put_is_simple(const struct slab *s)
{
    return s->free_count + 1u < s->watch_at;
}

HAK_INLINE void heap_put_simple(struct heap *h, struct slab *s, unsigned size_class, const void *p)
{
    slab_put(s, size_class, p);
    u64_add_single_writer(&h->classes[size_class].away, UINT64_MAX); /* minus one */
}

/* Block p, whose slab belongs to h, goes home. */
HAK_INLINE void heap_put(struct heap *h, unsigned size_class, void *p)
{
    struct slab *s = &slabs[slab_of(p, size_class)];
    if (likely(heap_put_is_simple(s))) {
        heap_put_simple(h, s, size_class, p);
    } else {
        heap_put_slow(h, s, size_class, p);
    }
}

/* The current slab of a class becomes one like the others, or leaves if it is wholly free. */
void heap_release_current(struct heap *h, unsigned size_class);

/* Opens the slab that p lies in (frees become pushes), or closes all slabs of a class. */
void heap_open_slab(struct heap *h, unsigned size_class, const void *p);
void heap_close_slabs(struct heap *h, unsigned size_class);

/* Moves a slab between heaps; the caller holds both. */
void heap_unlink_slab(struct heap *h, uint32_t g);
void heap_link_slab(struct heap *h, uint32_t g);
/* A wholly free slab of h, on one of its lists, goes back to its superslab. */
void heap_retire_slab(struct heap *h, uint32_t g);

/* Free pages of all its partial slabs go back to the system. */
void heap_purge_pages(struct heap *h);

bool heap_check(struct heap *h);
