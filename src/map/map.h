/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The map: one reservation of address space, and per 64 KiB granule of it one 32-bit word that
 * answers both questions of free(): whose is it, and of which class (docs/data-path.md).
 *
 * Owns: the reservation, the words, the per-granule tables of the boxes above (areas), what is
 * committed. Everything handed out lies inside, so "is it ours" is one subtract and compare.
 * Threads: words are read by any thread (relaxed: [MO-WORD]) and written by whoever owns the
 * granule; map_grow under the run box's lock; map_init once.
 * Failure: false; nothing was handed out, though reservation and tables may have grown. Calls: os.
 */

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/limits.h"

/*
 * A word is heap id << 8 | code. Codes below CLASS_COUNT are the one case that the fast path of
 * free accepts; every other code leaves it through the same branch.
 */
enum {
    CODE_CLASS_MASK = 0x7f,
    CODE_CLOSED = 0x80, /* | class: a slab whose frees take the slow path */
    CODE_LARGE = 0xfe,  /* head of a large run, no owner */
    CODE_FREED = 0xff,  /* head of a large run that was freed */
};

#define WORD_OWNER(word) ((word) >> 8)

/* A slab's word, open or closed; others are those of large runs, and of no block. */
HAK_INLINE bool map_word_is_slab(uint32_t word)
{
    return (word & 0xff) < CODE_LARGE && WORD_OWNER(word) != 0;
}

/* Const after map_init; before, no granules, so that nothing is found. Three variables and not a struct:
 * each is then one operand of an instruction of free(). */
#define MAP_HIDDEN __attribute__((visibility("hidden")))
extern uintptr_t map_base MAP_HIDDEN;
extern atomic_u32 *map_words MAP_HIDDEN;
extern size_t map_granules MAP_HIDDEN;

/* A table with one element for every `granules_each` granules, or `count` elements in all. */
struct map_area {
    void **where;
    size_t element_bytes;
    size_t granules_each; /* 0: a fixed table, committed by map_commit_area */
    size_t count;
    size_t committed_bytes;
    bool dead_when_free; /* elements of free granules mean nothing: their pages may go */
};

/* Reserves and lays out everything within an address-space limit. Called once, by one thread. */
bool map_init(struct map_area *const *areas, size_t area_count, size_t limit_bytes);

/* Commits `len` granules at or after *start, moving *start past foreign mappings. */
bool map_grow(size_t *start, size_t len);

/* Commits the first `bytes` of a fixed table. Callers serialise. */
bool map_commit_area(struct map_area *area, size_t bytes);

/* The granules are free: pages of tables that only they used go back. */
void map_forget(size_t granule, size_t len);

size_t map_committed_bytes(void); /* under the run box's lock */
/* Granules below it may be foreign mappings, unless they were handed out before. */
size_t map_floor(void);
bool map_is_thrifty(void); /* address space or commit charge is limited */

HAK_INLINE size_t map_index(const void *p)
{
    return ((uintptr_t)p - map_base) >> GRANULE_SHIFT;
}

HAK_INLINE void *map_address(size_t granule)
{
    return (void *)(map_base + (granule << GRANULE_SHIFT));
}

HAK_INLINE uint32_t map_word(size_t granule)
{
    return u32_load_relaxed(&map_words[granule]); /* [MO-WORD] */
}

HAK_INLINE void map_set_word(size_t granule, uint32_t word)
{
    u32_store_relaxed(&map_words[granule], word); /* [MO-WORD] */
}

/* For handing a slab from one holder to another: [MO-HANDOVER]. */
HAK_INLINE uint32_t map_word_acquire(size_t granule)
{
    return u32_load_acquire(&map_words[granule]);
}

HAK_INLINE void map_set_word_release(size_t granule, uint32_t word)
{
    u32_store_release(&map_words[granule], word);
}

/* The word of any address; 0 for foreign ones. */
HAK_INLINE uint32_t map_word_of(const void *p)
{
    size_t g = map_index(p);
    return g < map_granules ? map_word(g) : 0;
}
