/* SPDX-License-Identifier: MIT */
#include "slab/slab.h"

#include "base/bits.h"
#include "os/report.h"

struct slab *slabs;
struct map_area slab_area = {(void **)&slabs, sizeof(struct slab), 1, 0, 0, true};

void slab_init(uint32_t g, unsigned size_class, bool was_touched)
{
    struct slab *s = &slabs[g];
    unsigned capacity = slab_blocks(size_class);
    unsigned words = capacity / 64;
    s->next = s->prev = 0;
    s->capacity = s->free_count = (uint16_t)capacity;
    s->fresh_block = s->word_hint = 0;
    s->size_class = (uint8_t)size_class;
    s->place = PLACE_NONE;
    s->is_sentinel = s->may_be_watched = false;
    s->was_touched = was_touched;
    for (unsigned w = 0; w < words; w++) {
        u64_store_relaxed(&s->bits[w], ~(uint64_t)0); /* relaxed: nobody else looks at it yet */
    }
    if (capacity % 64 != 0) {
        u64_store_relaxed(&s->bits[words], bits_low(capacity % 64)); /* relaxed: as above */
    }
}

/* Fresh blocks are taken up to the end of the page that the next one ends in: memory that was never
 * touched stays so. */
static unsigned fresh_limit(const struct slab *s)
{
    if (s->was_touched) {
        return s->capacity;
    }
    size_t size = class_bytes[s->size_class];
    size_t first = class_first[s->size_class];
    size_t end = (first + (s->fresh_block + 1u) * size + CARVE_BYTES - 1) & ~(size_t)(CARVE_BYTES - 1);
    return (unsigned)((end - first) / size);
}

/* Everything is kept in registers: the links are stores to cold memory, and a load that had to
 * wait for them would stop the processor. */
unsigned slab_take(uint32_t g, unsigned want, void ***tail)
{
    struct slab *s = &slabs[g];
    size_t size = class_bytes[s->size_class];
    char *base = slab_base(g, s->size_class);
    unsigned limit = fresh_limit(s);
    unsigned most = want < s->free_count ? want : s->free_count;
    unsigned w = s->word_hint;
    unsigned last = 0;
    unsigned taken = 0;
    void **link = *tail;
    while (taken < most) {
        uint64_t bits = u64_load_relaxed(&s->bits[w]); /* relaxed: nobody else reads it now */
        for (; bits != 0 && taken < most; bits &= bits - 1, taken++) {
            last = w * 64 + bits_first(bits);
            if (last >= limit) {
                most = taken; /* leave the rest untouched */
                break;
            }
            *link = base + last * size;
            link = (void **)(base + last * size);
        }
        u64_store_relaxed(&s->bits[w], bits); /* relaxed: as above */
        w += bits == 0;
    }
    *tail = link;
    s->word_hint = (uint16_t)w;
    s->free_count = (uint16_t)(s->free_count - taken);
    unsigned end = last < limit ? last + 1 : limit;
    s->fresh_block = end > s->fresh_block ? (uint16_t)end : s->fresh_block;
    return taken;
}

HAK_COLD _Noreturn void slab_reject(const void *p, bool is_block)
{
    report_fail("free", is_block ? "double free of" : "invalid pointer", p);
}

/* The bits of word w from block `from` on: what was never handed out, or does not exist. */
static uint64_t bits_from(unsigned w, unsigned from)
{
    unsigned first = w * 64;
    return from <= first ? ~(uint64_t)0 : from >= first + 64 ? 0 : ~bits_low(from - first);
}

bool slab_check(uint32_t g)
{
    const struct slab *s = &slabs[g];
    unsigned count = 0;
    bool sound = s->fresh_block <= s->capacity;
    for (unsigned w = 0; w < (s->capacity + 63u) / 64; w++) {
        uint64_t fresh = bits_from(w, s->fresh_block) & ~bits_from(w, s->capacity);
        uint64_t bits = u64_load_relaxed(&s->bits[w]); /* relaxed: nobody else runs */
        count += bits_count(bits);
        sound = sound && (w >= s->word_hint || bits == 0) && (bits & fresh) == fresh &&
                (bits & bits_from(w, s->capacity)) == 0;
    }
    return sound && count == s->free_count;
}

bool slab_has_handed_out(const void *p, uint32_t word)
{
    unsigned c = word & CODE_CLASS_MASK;
    if (c >= CLASS_COUNT || WORD_OWNER(word) == 0) {
        return false;
    }
    const struct slab *s = &slabs[slab_of(p, c)];
    uint32_t offset = slab_offset(p, c);
    uint32_t i = offset / class_bytes[c];
    return s->size_class == c && i * class_bytes[c] == offset && i < s->fresh_block &&
           (u64_load_relaxed(&s->bits[i / 64]) >> i % 64 & 1) == 0; /* relaxed: nobody else runs */
}
