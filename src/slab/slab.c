/* SPDX-License-Identifier: MIT */
#include "slab/slab.h"

#include <string.h>

#include "base/bits.h"
#include "os/report.h"

struct slab *slabs;
struct map_area slab_area = {(void **)&slabs, sizeof(struct slab), 1, 0, 0};

void slab_init(uint32_t g, unsigned size_class)
{
    struct slab *s = &slabs[g];
    size_t bytes = (size_t)slab_span(size_class) << GRANULE_SHIFT;
    unsigned capacity = (unsigned)(bytes / class_bytes[size_class]);
    unsigned words = capacity / 64;
    s->next = s->prev = 0;
    s->capacity = s->free_count = (uint16_t)capacity;
    s->fresh_block = s->word_hint = 0;
    s->size_class = (uint8_t)size_class;
    s->place = PLACE_NONE;
    s->is_sentinel = false;
    memset(s->bits, 0xff, words * sizeof s->bits[0]);
    if (capacity % 64 != 0) {
        s->bits[words] = bits_low(capacity % 64);
    }
}

static void chain_append(struct chain *chain, void *p)
{
    if (chain->head == NULL) {
        chain->head = p;
    } else {
        *(void **)chain->last = p;
    }
    chain->last = p;
    chain->count++;
}

/* Fresh blocks are taken a page's worth at a time: memory that was never touched stays so. */
static unsigned fresh_limit(const struct slab *s)
{
    unsigned blocks = CARVE_BYTES / class_bytes[s->size_class];
    return s->fresh_block + (blocks != 0 ? blocks : 1);
}

void slab_take(uint32_t g, unsigned want, struct chain *chain)
{
    struct slab *s = &slabs[g];
    size_t size = class_bytes[s->size_class];
    char *base = map_address(g);
    unsigned limit = fresh_limit(s);
    unsigned w = s->word_hint;
    unsigned taken = 0;
    while (taken < want && taken < s->free_count) {
        uint64_t bits = s->bits[w];
        while (bits != 0 && taken < want) {
            unsigned i = w * 64 + bits_first(bits);
            if (i >= limit) {
                want = taken; /* leave the rest untouched */
                break;
            }
            chain_append(chain, base + i * size);
            bits &= bits - 1;
            taken++;
            s->fresh_block = i >= s->fresh_block ? (uint16_t)(i + 1) : s->fresh_block;
        }
        s->bits[w] = bits;
        w += bits == 0;
    }
    s->word_hint = (uint16_t)w;
    s->free_count = (uint16_t)(s->free_count - taken);
}

void slab_put(uint32_t g, void *p)
{
    struct slab *s = &slabs[g];
    uint32_t offset = (uint32_t)((char *)p - (char *)map_address(g));
    uint32_t i = (uint32_t)((uint64_t)offset * class_reciprocal[s->size_class] >> 32);
    uint64_t bit = (uint64_t)1 << i % 64;
    if (unlikely(i * class_bytes[s->size_class] != offset || i >= s->fresh_block)) {
        report_fail("free", "invalid pointer", p);
    }
    if (unlikely(s->bits[i / 64] & bit)) {
        report_fail("free", "double free of", p);
    }
    s->bits[i / 64] |= bit;
    s->free_count++;
    if (i / 64 < s->word_hint) {
        s->word_hint = (uint16_t)(i / 64);
    }
}

bool slab_check(uint32_t g)
{
    const struct slab *s = &slabs[g];
    unsigned count = 0;
    bool sound = s->fresh_block <= s->capacity;
    for (unsigned w = 0; w < (s->capacity + 63u) / 64; w++) {
        count += bits_count(s->bits[w]);
        sound = sound && (w >= s->word_hint || s->bits[w] == 0);
    }
    return sound && count == s->free_count;
}
