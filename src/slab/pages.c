/* SPDX-License-Identifier: MIT */
#include "slab/pages.h"

#include "base/bits.h"
#include "os/os.h"

uint16_t pages_watch_at(const struct slab *s)
{
    size_t bytes = class_bytes[s->size_class];
    unsigned used = s->capacity >> (bytes >= 2048 ? 1 : bytes >= 512 ? 2 : 3);
    return (uint16_t)(s->capacity - used);
}

/* ---- the list ---- */

void pages_watch(struct heap *h, uint32_t g)
{
    struct slab *s = &slabs[g];
    if (s->free_count < s->watch_at || s->is_watched) {
        return;
    }
    s->is_watched = true;
    s->watch_at = s->capacity;
    s->watched_ms = os_now_ms();
    s->older = h->newest_watched;
    s->newer = 0;
    *(s->older != 0 ? &slabs[s->older].newer : &h->oldest_watched) = g;
    h->newest_watched = g;
}

void pages_unwatch(struct heap *h, uint32_t g)
{
    struct slab *s = &slabs[g];
    s->watch_at = s->capacity;
    s->purged_at = 0;
    if (s->is_watched) {
        s->is_watched = false;
        *(s->older != 0 ? &slabs[s->older].newer : &h->oldest_watched) = s->newer;
        *(s->newer != 0 ? &slabs[s->newer].older : &h->newest_watched) = s->older;
    }
}

/* ---- the pages ---- */

/* The first block from i on that is free, or that is not; capacity if there is none. */
static unsigned next_block(const struct slab *s, unsigned i, bool is_free)
{
    while (i < s->capacity) {
        uint64_t bits = (is_free ? s->bits[i / 64] : ~s->bits[i / 64]) >> i % 64;
        if (bits != 0) {
            i += bits_first(bits);
            return i < s->capacity ? i : s->capacity;
        }
        i = (i / 64 + 1) * 64;
    }
    return s->capacity;
}

static bool purge_slab(uint32_t g)
{
    bool done = true;
    const struct slab *s = &slabs[g];
    size_t page = os_page_bytes();
    size_t size = class_bytes[s->size_class];
    size_t first = class_first[s->size_class];
    size_t touched = s->was_touched ? (size_t)slab_span(s->size_class) << GRANULE_SHIFT
                                    : first + s->fresh_block * size;
    for (unsigned i = next_block(s, 0, true), end; i < s->capacity; i = next_block(s, end, true)) {
        end = next_block(s, i, false);
        size_t from = i == 0 ? 0 : (first + i * size + page - 1) & ~(page - 1);
        size_t to = first + end * size;
        to = end == s->capacity || to > touched ? touched + page - 1 : to;
        to &= ~(page - 1);
        if (from < to) {
            done = run_purge_pages((char *)map_address(g) + from, to - from) && done;
        }
    }
    return done;
}

/* Once more when half of what is used now is free. */
static void purge_and_wait(struct heap *h, uint32_t g)
{
    struct slab *s = &slabs[g];
    bool is_new = s->free_count > s->purged_at;
    pages_unwatch(h, g);
    s->purged_at = !is_new || purge_slab(g) ? s->free_count : 0;
    s->watch_at = (uint16_t)(s->capacity - (s->capacity - s->free_count) / 2);
}

void pages_tick(struct heap *h)
{
    if (h->oldest_watched == 0) {
        return;
    }
    uint32_t now = os_now_ms();
    for (int i = 0; i < PURGE_SLABS_MAX && h->oldest_watched != 0; i++) {
        if (now - slabs[h->oldest_watched].watched_ms < DECAY_MS) {
            break;
        }
        purge_and_wait(h, h->oldest_watched);
    }
}

void pages_purge(struct heap *h)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        for (uint32_t g = h->classes[c].partial; g != 0; g = slabs[g].next) {
            purge_and_wait(h, g);
        }
    }
}

/* The slabs that are watched are those on the list. */
bool pages_check(const struct heap *h)
{
    uint32_t older = 0;
    for (uint32_t g = h->oldest_watched; g != 0; older = g, g = slabs[g].newer) {
        if (slabs[g].older != older || !slabs[g].is_watched || slabs[g].place != PLACE_PARTIAL ||
            WORD_OWNER(map_word(g)) != h->id) {
            return false;
        }
    }
    return older == h->newest_watched;
}
