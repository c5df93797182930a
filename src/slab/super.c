/* SPDX-License-Identifier: MIT */
#include "slab/super.h"

#include "base/bits.h"
#include "os/os.h"

enum { SUPER_SEARCH_MAX = 8 };
#define ALL_FREE UINT32_MAX

_Static_assert(SUPER_GRANULES == 32, "the mask has one bit per granule");

static struct super *supers;
struct map_area super_area = {(void **)&supers, sizeof(struct super), SUPER_GRANULES, 0, 0, false};
struct lock super_lock;
static size_t superslabs; /* under super_lock */

static void super_insert(uint32_t *home, uint32_t s)
{
    supers[s].prev = 0;
    supers[s].next = *home;
    if (*home != 0) {
        supers[*home].prev = s;
    }
    *home = s;
}

static void super_remove(uint32_t *home, uint32_t s)
{
    if (supers[s].next != 0) {
        supers[supers[s].next].prev = supers[s].prev;
    }
    if (supers[s].prev != 0) {
        supers[supers[s].prev].next = supers[s].next;
    } else {
        *home = supers[s].next;
    }
}

static uint32_t super_mask(unsigned span)
{
    return (uint32_t)bits_low(span);
}

/* Position of a free slab, or SUPER_GRANULES: of the smallest free buddies that can hold it, so that
 * large ones are left whole. */
static unsigned super_place(uint32_t mask, unsigned span)
{
    static const uint32_t starts[] = {0x55555555, 0x11111111, 0x01010101, 0};
    uint32_t free = mask; /* of `size` granules each, by their first one */
    unsigned size = 1;
    for (int i = 0; free != 0; i++, size *= 2) {
        uint32_t pairs = free & free >> size & starts[i];
        uint32_t single = free & ~(pairs | pairs << size);
        if (size >= span && single != 0) {
            return bits_first(single);
        }
        free = pairs;
    }
    return SUPER_GRANULES;
}

/* The fullest superslab among the first few that has room. */
static uint32_t super_find(uint32_t *home, unsigned span)
{
    uint32_t best = 0;
    unsigned best_free = SUPER_GRANULES + 1;
    uint32_t s = *home;
    for (int i = 0; s != 0 && (i < SUPER_SEARCH_MAX || best == 0); i++, s = supers[s].next) {
        unsigned n = bits_count(supers[s].free_mask);
        if (n < best_free && super_place(supers[s].free_mask, span) < SUPER_GRANULES) {
            best = s;
            best_free = n;
        }
    }
    return best;
}

/* In a large heap a fresh superslab is one huge page: one fault and one TLB entry instead of 512. It
 * is resident at once, all of it. */
static void use_huge_page(uint32_t g)
{
    if (superslabs >= HUGE_FROM_SUPERS && run_is_clean(g, SUPER_GRANULES) &&
        os_huge_pages(map_address(g), SUPER_GRANULES * GRANULE_BYTES)) {
        run_mark_dirty(g, SUPER_GRANULES);
    }
}

static uint32_t super_create(uint32_t *home)
{
    uint32_t g = run_alloc(SUPER_GRANULES, SUPER_GRANULES);
    if (g == RUN_NONE) {
        return 0;
    }
    use_huge_page(g);
    uint32_t s = g / SUPER_GRANULES;
    supers[s].free_mask = ALL_FREE;
    supers[s].home = home;
    super_insert(home, s);
    superslabs++;
    return s;
}

uint32_t super_alloc(uint32_t *home, unsigned span, bool *was_touched)
{
    lock_acquire(&super_lock);
    uint32_t s = super_find(home, span);
    if (s == 0) {
        s = super_create(home);
    }
    uint32_t g = RUN_NONE;
    if (s != 0) {
        unsigned at = super_place(supers[s].free_mask, span);
        g = s * SUPER_GRANULES + at;
        supers[s].free_mask &= ~(super_mask(span) << at);
        if (supers[s].free_mask == 0) {
            super_remove(home, s);
        }
        *was_touched = run_is_dirty(g, span);
        run_mark_dirty(g, span);
    }
    lock_release(&super_lock);
    return g;
}

static void super_release(uint32_t s)
{
    super_remove(supers[s].home, s);
    superslabs--;
    run_free(s * SUPER_GRANULES);
}

void super_free(uint32_t g, unsigned span)
{
    uint32_t s = g / SUPER_GRANULES;
    lock_acquire(&super_lock);
    uint32_t before = supers[s].free_mask;
    supers[s].free_mask = before | super_mask(span) << g % SUPER_GRANULES;
    if (before == 0) {
        super_insert(supers[s].home, s);
    }
    bool is_last = supers[s].next == 0 && supers[s].prev == 0;
    if (supers[s].free_mask == ALL_FREE && !is_last) {
        super_release(s);
    }
    lock_release(&super_lock);
}

void super_purge(uint32_t *home)
{
    lock_acquire(&super_lock);
    uint32_t s = *home;
    while (s != 0) {
        uint32_t next = supers[s].next;
        if (supers[s].free_mask == ALL_FREE) {
            super_release(s);
        } else {
            for (uint32_t m = supers[s].free_mask; m != 0; m &= m - 1) {
                run_purge_range(s * SUPER_GRANULES + bits_first(m), 1);
            }
        }
        s = next;
    }
    lock_release(&super_lock);
}

size_t super_free_granules(uint32_t *home)
{
    size_t n = 0;
    lock_acquire(&super_lock);
    for (uint32_t s = *home; s != 0; s = supers[s].next) {
        n += bits_count(supers[s].free_mask);
    }
    lock_release(&super_lock);
    return n;
}

size_t super_count(void)
{
    lock_acquire(&super_lock);
    size_t n = superslabs;
    lock_release(&super_lock);
    return n;
}

bool super_check(uint32_t *home)
{
    bool sound = true;
    lock_acquire(&super_lock);
    uint32_t before = 0;
    for (uint32_t s = *home; sound && s != 0; before = s, s = supers[s].next) {
        const struct run *r = &runs[s * SUPER_GRANULES];
        sound = supers[s].prev == before && supers[s].home == home && supers[s].free_mask != 0 &&
                r->state == RUN_USED && r->len == SUPER_GRANULES;
        for (uint32_t m = supers[s].free_mask; m != 0; m &= m - 1) {
            uint32_t word = map_word(s * SUPER_GRANULES + bits_first(m));
            sound = sound && (word == 0 || word == CODE_FREED);
        }
    }
    lock_release(&super_lock);
    return sound;
}
