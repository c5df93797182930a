/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * crew: heaps without threads, driven by one thread that allocates and frees for each of them the
 * way the fast paths do (front/entry.h), but by heap and not by thread.
 */

#include "front/cache.h"
#include "slab/remote.h"
#include "unit.h"

/* One block, from the list or through cache_refill; NULL if memory is out. */
static inline void *crew_malloc(struct heap *h, unsigned size_class)
{
    void *p = h->front.list[size_class];
    if (p == NULL) {
        return cache_refill(h, size_class);
    }
    h->front.list[size_class] = *(void **)p;
    return p;
}

static inline void crew_free(struct heap *h, void *p)
{
    uint32_t word = map_word_of(p);
    uint32_t c = word ^ h->front.id_word;
    if (c >= CLASS_COUNT) {
        if (WORD_OWNER(word) == h->id || !remote_send_simple(h, p, word)) {
            cache_free(h, p, word);
        }
        return;
    }
    *(void **)p = h->front.list[c];
    h->front.list[c] = p;
}

static inline size_t crew_list_length(const struct heap *h, unsigned size_class)
{
    size_t n = 0;
    for (void *p = h->front.list[size_class]; p != NULL; p = *(void **)p) {
        n++;
    }
    return n;
}

/* Blocks that are not at home, summed over all heaps. */
static inline uint64_t crew_away(void)
{
    uint64_t away = 0;
    for (uint32_t id = HEAP_SHARED_ID; id <= heap_count(); id++) {
        for (unsigned c = 0; c < CLASS_COUNT; c++) {
            away += u64_load_relaxed(&heaps[id].classes[c].away);
        }
    }
    return away;
}

static inline size_t crew_slabs(void)
{
    size_t n = 0;
    for (uint32_t id = HEAP_SHARED_ID; id <= heap_count(); id++) {
        for (unsigned c = 0; c < CLASS_COUNT; c++) {
            n += heaps[id].classes[c].slab_count;
        }
    }
    return n;
}
