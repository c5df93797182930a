/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A slab: blocks of one class in one to eight granules, without headers, the first class_first bytes from
 * its start. Free blocks are the set bits of a bitmap kept away from the blocks, so that giving a block back
 * touches one metadata line and not the block, and free pages inside a used slab are known without reading
 * them.
 *
 * Owns: struct slab of every granule (used at the first granule of a slab).
 * Threads: only the holder: the owner thread of the heap in the map word, or whoever holds the
 * shared heap's lock; of a watched slab (slab/pages.h) others may read the bitmap.
 * Invariants: free_count == bits set; fresh_block is past the last block ever handed out; bits below
 * word_hint * 64 are clear.
 * A block that is not in the bitmap is live, on its heap's list, or on its way in a parcel.
 */

#include "base/sizeclass.h"
#include "map/map.h"

enum slab_place { PLACE_NONE, PLACE_CURRENT, PLACE_PARTIAL, PLACE_FULL };

/* PURGED_AGAIN: so much was freed during the purge that it is to be purged once more. */
enum watch_state { WATCH_NONE, WATCH_LISTED, WATCH_PURGED_NOW, WATCH_PURGED_AGAIN };

/* Its free pages are to be purged: its place among the slabs of which that is true. */
struct watch {
    uint32_t older, newer;
    uint32_t since_ms;
    atomic_u32 state;   /* changes under the lock of slab/pages.c */
    uint16_t purged_at; /* so many free blocks were seen at the last purge; holds while it may be watched */
};

struct slab {
    uint32_t next, prev; /* class list, by granule; 0 ends it */
    uint16_t capacity;
    uint16_t free_count;
    uint16_t fresh_block;
    uint16_t word_hint;
    uint8_t size_class;
    uint8_t place;
    uint8_t is_sentinel;
    uint8_t was_touched;
    uint16_t watch_at;   /* at so many free blocks the heap has more to do than set a bit; 0: at any number */
    bool may_be_watched; /* others may look at the bitmap (slab/pages.h) */
    atomic_u64 bits[SLAB_WORDS]; /* of up to 320 blocks: on the same cache line as the rest */
    struct watch watch;    /* under that lock, or the holder's while it is not watched */
    char pad[CACHE_LINE - 24 - sizeof(struct watch)];
};
_Static_assert(sizeof(struct slab) == 576, "nine cache lines: neighbours use different cache sets");

extern struct slab *slabs;
extern struct map_area slab_area;

HAK_INLINE unsigned slab_span(unsigned size_class)
{
    return class_span[size_class];
}

/* First granule of the slab that a block of this class lies in. */
HAK_INLINE uint32_t slab_of(const void *p, unsigned size_class)
{
    return (uint32_t)map_index(p) & ~(slab_span(size_class) - 1u);
}

/* How many blocks fit behind the place of the first one. */
HAK_INLINE unsigned slab_blocks(unsigned size_class)
{
    size_t bytes = ((size_t)slab_span(size_class) << GRANULE_SHIFT) - class_first[size_class];
    return (unsigned)(bytes / class_bytes[size_class]);
}

/* Where its first block is. */
HAK_INLINE char *slab_base(uint32_t g, unsigned size_class)
{
    return (char *)map_address(g) + class_first[size_class];
}

/* Of a block, from the first one of its slab; slabs start at multiples of their size. */
HAK_INLINE uint32_t slab_offset(const void *p, unsigned size_class)
{
    uint32_t bytes = slab_span(size_class) << GRANULE_SHIFT;
    return ((uint32_t)(uintptr_t)p & (bytes - 1)) - class_first[size_class];
}

/* was_touched: the memory is resident already, so there is nothing to be gained by sparing it. */
void slab_init(uint32_t g, unsigned size_class, bool was_touched);

/* Takes up to `want` free blocks in address order, at least one if there is one, and links them:
 * **tail becomes the first, *tail the place of the last one's link. Returns how many. */
unsigned slab_take(uint32_t g, unsigned want, void ***tail);

/* Ends the process: p is no block of its slab, or was freed before. */
_Noreturn void slab_reject(const void *p, bool is_block);

/* Whoever frees one block after the other in the order of their addresses, up or down, reads them, too, to
 * learn what else there is to free: the next ones are fetched. `others` are the free blocks around block
 * `bit`; downwards this is not seen in the last bits of a slab that are less than 64. */
HAK_INLINE void slab_fetch_ahead(const void *p, size_t size, uint64_t others, uint64_t bit)
{
    bool up = others + 1 == bit;
    if (up || others + 2 * bit == 0) {
        size_t ahead = size < FETCH_AHEAD_BYTES / 4 ? FETCH_AHEAD_BYTES : 4 * size;
        __builtin_prefetch((const void *)((uintptr_t)p + (up ? ahead : 0 - ahead)));
    }
}

/* Takes a block back. One metadata line or two are touched, and never the block. */
HAK_INLINE void slab_put(struct slab *s, unsigned size_class, const void *p)
{
    uint32_t size = class_bytes[size_class];
    uint32_t offset = slab_offset(p, size_class);
    uint32_t i = (uint32_t)((uint64_t)offset * class_reciprocal[size_class] >> 32);
    if (unlikely(i >= s->fresh_block || i * size != offset)) {
        slab_reject(p, false); /* also before the first block, where the offset wraps round */
    }
    uint64_t bit = (uint64_t)1 << i % 64;
    uint64_t bits = u64_load_relaxed(&s->bits[i / 64]); /* relaxed: the only writer */
    if (unlikely((bits & bit) != 0)) {
        slab_reject(p, true);
    }
    u64_store_release(&s->bits[i / 64], bits | bit); /* [MO-WATCH] */
    s->free_count++;
    if (i / 64 < s->word_hint) {
        s->word_hint = (uint16_t)(i / 64);
    }
    slab_fetch_ahead(p, size, bits, bit);
}

bool slab_check(uint32_t g);
/* p, whose map word is `word`, is a block that is not at home: live, on a list, or in a parcel. */
bool slab_has_handed_out(const void *p, uint32_t word);
