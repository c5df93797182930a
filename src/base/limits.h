/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Every constant of the allocator, with its unit and reason. The tiny build (HAKMEM_TINY) shrinks
 * the limits so that tests reach each rare path within a few operations.
 */

#include "base/compiler.h"

#ifdef HAKMEM_TINY
#define LIMIT(normal, tiny) (tiny)
enum { BUILD_TINY = 1 };
#else
#define LIMIT(normal, tiny) (normal)
enum { BUILD_TINY = 0 };
#endif

/* A granule is the unit of the pointer map; 64 KiB is also the largest page size of Linux/aarch64. */
#define GRANULE_SHIFT 16
#define GRANULE_BYTES ((size_t)1 << GRANULE_SHIFT)

enum {
    SUPER_GRANULES = 32,          /* 2 MiB: one huge page */
    SUPERS_WARM = 1,              /* wholly free superslabs that are kept */
    SUPER_TICK_PART = LIMIT(16, 1), /* a tick looks at this part of the superslabs */
    PURGE_SLABS_MAX = 8,          /* slabs whose pages go back at a time: bounds the pause */
    PURGE_GRANULES_MIN = LIMIT(4, 1), /* fewer free ones are left for the next slabs */
    HUGE_FROM_SUPERS = LIMIT(8, 1), /* processes with so many (16 MiB) ask for huge pages */
    HUGE_STALL_US = 1000,         /* five times what one takes: the system has to work for it */
    HUGE_WAIT_FIRST = 8,          /* requests left out after a stall; doubled at each further one */
    HUGE_WAIT_MAX = 4096,
    DENSE_SLABS_MIN = LIMIT(8, 2), /* a heap with so many of a class will use up one more */
    SLAB_SMALL_GRANULES = 1,      /* blocks up to SMALL_BYTES_MAX: 31 or more in a slab */
    SLAB_MID_GRANULES = 8,        /* 512 KiB: blocks of more than 8 KiB; others in between */
    SMALL_BYTES_MAX = 2048 + 64,
    SPAN_2_BYTES_MAX = 4096 + 64, /* blocks up to here in two granules, and up to */
    SPAN_4_BYTES_MAX = 8192 + 64, /* here in four: 31 or more in a slab, too */
    SLAB_BLOCKS_MAX = 4096,       /* 64 KiB of 16-byte blocks */
    SLAB_WORDS = SLAB_BLOCKS_MAX / 64,

    HEAP_COUNT_MAX = LIMIT(65536, 6),  /* heaps with an id; further threads share one under a lock */
    PARCEL_SLOTS = LIMIT(62, 3),       /* 62 pointers and two words are eight cache lines */
    OUTBOX_COUNT = LIMIT(16, 2),       /* destinations that collect at once, per heap */
    PARCEL_BYTES_MAX = LIMIT(256 << 10, 4096), /* memory one unfinished parcel may hold back */
    FETCH_AHEAD_BYTES = 1024,          /* at least; or four blocks, if that is more */
    UNPACK_AHEAD = 12,                 /* blocks: lines that a core can wait for at a time */
    PARCELS_SPARE_MAX = LIMIT(8, 1),

    CARVE_BYTES = 4096,           /* fresh memory touched per refill: one page */
    BATCH_FIRST = LIMIT(16, 1),
    BATCH_MAX = LIMIT(128, 3),
    BATCH_BYTES_MAX = 16 << 10,
    CACHE_BLOCKS_MIN = LIMIT(16, 2),
    CACHE_BYTES_MIN = LIMIT(64 << 10, 512), /* per class */
    CACHE_DRIFTS = LIMIT(6, 0),   /* plus so many times the square root of the class's blocks */
    CACHE_DRIFTS_MID = LIMIT(2, 0), /* for blocks of more than 2 KiB: to fetch them costs little */
    SENTINEL_EVERY_SMALL = LIMIT(32, 2), /* one slab in so many reports its frees */
    SENTINEL_EVERY_MID = LIMIT(16, 2),
    CHECK_BACKOFF_MAX = 3,        /* log2 of the longest delay of a walk */
    TEND_EVERY = LIMIT(8, 2),    /* refills between looks after idle lists */
    MAIL_DRAIN_EVERY = LIMIT(64, 2), /* refills by mail until all of it is unpacked */
    TEND_POOLED_MAX = 64,
    TEND_BYTES = LIMIT(32 << 10, 256), /* lists below this are left alone */
    PARTIAL_SEARCH_MAX = 8,       /* slabs looked at for the fullest one */
    PUBLISH_PARTIALS_MIN = LIMIT(8, 1), /* partial slabs a class keeps before it offers one */

    GROWTH_BYTES_MIN = 1024,      /* from here on growing twice earns head-room */
    GROWTH_BYTES_LARGE = 16 << 10, /* from here on a page more does not matter */
    GROWTH_HISTORY = 4,           /* blocks under growth remembered per thread */
    MOVE_BYTES_MIN = 1 << 20,     /* from here on moving pages beats copying */

    DECAY_MS = LIMIT(250, 1),    /* age at which freed runs go back to the system */
    DECAY_TICK_MS = LIMIT(50, 1),
    LIMIT_PART = 4,               /* one part in so many of a control group's memory is left to others */
};

/* Address space: asked for first, and the least that is worth having. */
#define ARENA_BYTES_MAX LIMIT((size_t)1 << 40, (size_t)1 << 34)
#define ARENA_BYTES_MIN ((size_t)16 << 20)
/* Tables are committed for so many granules at a time: 1 GiB of memory, 10 MiB of tables. */
#define TABLE_STEP_GRANULES ((size_t)LIMIT(16384, 64))
#define COMMIT_BYTES LIMIT((size_t)32 << 20, (size_t)2 << 20)
#define PARCEL_AREA_BYTES LIMIT((size_t)256 << 20, (size_t)32 << 10)
