/* SPDX-License-Identifier: MIT */
#include "slab/super.h"

#include "base/bits.h"
#include "os/os.h"

enum { SUPER_SEARCH_MAX = 4 };
#define ALL_FREE UINT32_MAX

_Static_assert(SUPER_GRANULES == 32, "the mask has one bit per granule");

static struct super *supers;
struct map_area super_area = {(void **)&supers, sizeof(struct super), SUPER_GRANULES, 0, 0, false};
struct lock super_lock;
static struct {
    uint32_t lists[2][SUPER_GRANULES + 1]; /* sparse and dense ones, by the number of free granules */
    uint32_t end;    /* no superslab has this number or a higher one */
    uint32_t cursor; /* where the next tick looks on */
    size_t count, wholly_free;
    uint32_t last_tick_ms;
} tier; /* under super_lock */

static void super_insert(uint32_t s)
{
    uint32_t *head = &tier.lists[supers[s].is_dense][bits_count(supers[s].free_mask)];
    supers[s].prev = 0;
    supers[s].next = *head;
    if (*head != 0) {
        supers[*head].prev = s;
    }
    *head = s;
}

static void super_remove(uint32_t s)
{
    const struct super *r = &supers[s];
    if (r->next != 0) {
        supers[r->next].prev = r->prev;
    }
    if (r->prev != 0) {
        supers[r->prev].next = r->next;
    } else {
        tier.lists[r->is_dense][bits_count(r->free_mask)] = r->next;
    }
}

static void set_free(uint32_t s, uint32_t mask)
{
    uint32_t before = supers[s].free_mask;
    if (before != 0) {
        super_remove(s);
    }
    supers[s].free_mask = mask;
    if (mask != 0) {
        super_insert(s);
    }
    tier.wholly_free += (mask == ALL_FREE) - (size_t)(before == ALL_FREE);
}

/* ---- slabs out ---- */

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

/* One fault and one TLB entry instead of 512; but it is resident at once, all of it. So only for slabs
 * that will be used up soon. */
static void use_huge_page(uint32_t g)
{
    if (run_is_clean(g, SUPER_GRANULES) && os_huge_page(map_address(g))) {
        run_mark_dirty(g, SUPER_GRANULES);
    }
}

static void super_add(uint32_t s, bool is_dense)
{
    supers[s].free_mask = 0;
    supers[s].is_dense = is_dense;
    supers[s].is_used = true;
    supers[s].freed_ms = os_now_ms(); /* or what is still to be used would be purged by the next tick */
    set_free(s, ALL_FREE);
    tier.end = s >= tier.end ? s + 1 : tier.end;
    tier.count++;
}

/* The lock is not held while the arena and the system are asked. */
static uint32_t super_create(bool is_dense)
{
    lock_release(&super_lock);
    uint32_t g = run_alloc(SUPER_GRANULES, SUPER_GRANULES);
    if (g != RUN_NONE && is_dense) {
        use_huge_page(g);
    }
    lock_acquire(&super_lock);
    if (g == RUN_NONE) {
        return 0;
    }
    super_add(g / SUPER_GRANULES, is_dense);
    return g / SUPER_GRANULES;
}

/* The fullest with room; of those that are equally full a few are looked at. */
static uint32_t super_with_room(unsigned span, bool is_dense)
{
    for (unsigned n = span; n <= SUPER_GRANULES; n++) {
        uint32_t s = tier.lists[is_dense][n];
        for (int i = 0; s != 0 && i < SUPER_SEARCH_MAX; i++, s = supers[s].next) {
            if (super_place(supers[s].free_mask, span) < SUPER_GRANULES) {
                return s;
            }
        }
    }
    return 0;
}

/* Of the other kind one whose room is resident anyway will do before there is a new one; any, if there
 * can be none. */
static uint32_t super_find(unsigned span, bool is_dense)
{
    uint32_t s = super_with_room(span, is_dense);
    if (s != 0) {
        return s;
    }
    s = super_with_room(span, !is_dense);
    if (s != 0 && run_is_dirty(s * SUPER_GRANULES + super_place(supers[s].free_mask, span), span)) {
        return s;
    }
    s = super_create(is_dense);
    return s != 0 ? s : super_with_room(span, !is_dense);
}

uint32_t super_alloc(unsigned span, bool is_dense, bool *was_touched)
{
    lock_acquire(&super_lock);
    uint32_t g = RUN_NONE;
    uint32_t s = super_find(span, is_dense && tier.count >= HUGE_FROM_SUPERS);
    if (s != 0) {
        unsigned at = super_place(supers[s].free_mask, span);
        set_free(s, supers[s].free_mask & ~(super_mask(span) << at));
        g = s * SUPER_GRANULES + at;
        *was_touched = run_is_dirty(g, span);
        run_mark_dirty(g, span);
    }
    lock_release(&super_lock);
    return g;
}

/* ---- slabs home ---- */

/* The run of a superslab that is one no more goes back when the lock is released. */
static void super_release(uint32_t s)
{
    set_free(s, 0);
    supers[s].is_used = false;
    tier.count--;
    lock_release(&super_lock);
    run_free(s * SUPER_GRANULES);
    lock_acquire(&super_lock);
}

/* Wholly free superslabs beyond `keep` go back to the arena. */
static void add_free(uint32_t s, uint32_t mask, size_t keep)
{
    set_free(s, supers[s].free_mask | mask);
    if (supers[s].free_mask == ALL_FREE && tier.wholly_free > keep) {
        super_release(s);
    }
}

void super_free(uint32_t g, unsigned span)
{
    uint32_t s = g / SUPER_GRANULES;
    uint32_t now = os_now_ms();
    lock_acquire(&super_lock);
    supers[s].freed_ms = now;
    add_free(s, super_mask(span) << g % SUPER_GRANULES, SUPERS_WARM);
    lock_release(&super_lock);
    super_tick();
}

/* ---- giving back ---- */

/* The free granules are taken while their pages go back, so that the lock need not be held. */
static void purge_one(uint32_t s, size_t keep)
{
    uint32_t taken = supers[s].free_mask;
    if (taken == ALL_FREE && keep == 0) {
        super_release(s);
        return;
    }
    set_free(s, 0);
    lock_release(&super_lock);
    for (uint32_t m = taken; m != 0;) {
        unsigned first = bits_first(m);
        unsigned n = bits_first(~((uint64_t)m >> first));
        run_purge_range(s * SUPER_GRANULES + first, n);
        m &= ~(super_mask(n) << first);
    }
    lock_acquire(&super_lock);
    add_free(s, taken, keep);
}

static bool is_due(uint32_t s, uint32_t now)
{
    const struct super *r = &supers[s];
    return r->is_used && bits_count(r->free_mask) >= PURGE_GRANULES_MIN && now - r->freed_ms >= DECAY_MS &&
           run_is_dirty_in(s * SUPER_GRANULES, r->free_mask);
}

void super_tick(void)
{
    uint32_t now = os_now_ms();
    if (!lock_try(&super_lock)) {
        return;
    }
    if (now - tier.last_tick_ms >= DECAY_TICK_MS) {
        tier.last_tick_ms = now;
        for (uint32_t i = 0; i < tier.end / SUPER_TICK_PART + 1; i++) {
            tier.cursor = tier.cursor + 1 < tier.end ? tier.cursor + 1 : 1;
            if (tier.cursor < tier.end && is_due(tier.cursor, now)) {
                purge_one(tier.cursor, SUPERS_WARM);
                break; /* one at a time: bounds the pause of the thread that ticks */
            }
        }
    }
    lock_release(&super_lock);
}

void super_purge(void)
{
    lock_acquire(&super_lock);
    for (uint32_t s = 1; s < tier.end; s++) {
        if (supers[s].is_used && supers[s].free_mask != 0) {
            purge_one(s, 0);
        }
    }
    lock_release(&super_lock);
}

/* ---- measure, check ---- */

struct super_totals super_measure(void)
{
    lock_acquire(&super_lock);
    struct super_totals t = {tier.count, 0};
    for (uint32_t s = 1; s < tier.end; s++) {
        t.free_granules += supers[s].is_used ? bits_count(supers[s].free_mask) : 0;
    }
    lock_release(&super_lock);
    return t;
}

static bool super_is_sound(uint32_t s)
{
    const struct run *r = &runs[s * SUPER_GRANULES];
    bool sound = r->state == RUN_USED && r->len == SUPER_GRANULES;
    for (uint32_t m = supers[s].free_mask; m != 0; m &= m - 1) {
        uint32_t word = map_word(s * SUPER_GRANULES + bits_first(m));
        sound = sound && (word == 0 || word == CODE_FREED);
    }
    return sound;
}

/* Each superslab with free granules is on its list and on no other; all are counted. */
bool super_check(void)
{
    size_t used = 0, with_free = 0, listed = 0;
    bool sound = true;
    lock_acquire(&super_lock);
    for (uint32_t s = 1; sound && s < tier.end; s++) {
        used += supers[s].is_used;
        with_free += supers[s].is_used && supers[s].free_mask != 0;
        sound = !supers[s].is_used || super_is_sound(s);
    }
    for (unsigned i = 2; i < 2 * (SUPER_GRANULES + 1); i++) {
        uint32_t before = 0;
        for (uint32_t s = tier.lists[i % 2][i / 2]; sound && s != 0; before = s, s = supers[s].next) {
            sound = supers[s].is_used && supers[s].prev == before && supers[s].is_dense == i % 2 &&
                    bits_count(supers[s].free_mask) == i / 2 && listed++ < with_free;
        }
    }
    sound = sound && used == tier.count && listed == with_free;
    lock_release(&super_lock);
    return sound;
}
