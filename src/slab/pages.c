/* SPDX-License-Identifier: MIT */
#include "slab/pages.h"

#include "base/bits.h"
#include "map/run.h"
#include "os/os.h"

uint16_t pages_watch_at(const struct slab *s)
{
    size_t bytes = class_bytes[s->size_class];
    unsigned used = s->capacity >> (bytes >= 2048 ? 1 : bytes >= 512 ? 2 : 3);
    return (uint16_t)(s->capacity - used);
}

/* ---- the list ---- */

struct lock pages_lock, watch_lock;
static struct {
    uint32_t oldest, newest;
    atomic_u32 count; /* a hint without the lock */
} watched; /* under watch_lock */

static void set_state(struct watch *w, uint32_t to)
{
    u32_store_relaxed(&w->state, to); /* relaxed: under watch_lock, or a guess of the holder */
}

static uint32_t state_of(const struct watch *w)
{
    return u32_load_relaxed(&w->state); /* relaxed: as above */
}

static void watch_append(uint32_t g)
{
    struct watch *w = &slabs[g].watch;
    set_state(w, WATCH_LISTED);
    w->since_ms = os_now_ms(); /* under the lock, so that the list is in order */
    w->older = watched.newest;
    w->newer = 0;
    *(watched.newest != 0 ? &slabs[watched.newest].watch.newer : &watched.oldest) = g;
    watched.newest = g;
    u32_add_relaxed(&watched.count, 1); /* relaxed: as said above */
}

static void watch_remove(uint32_t g, uint32_t to)
{
    struct watch *w = &slabs[g].watch;
    set_state(w, to);
    *(w->older != 0 ? &slabs[w->older].watch.newer : &watched.oldest) = w->newer;
    *(w->newer != 0 ? &slabs[w->newer].watch.older : &watched.newest) = w->older;
    u32_add_relaxed(&watched.count, UINT32_MAX); /* minus one */
}

/* Once more when half of what is used now is free. */
static void wait_for_half(struct slab *s)
{
    s->watch_at = (uint16_t)(s->capacity - (s->capacity - s->free_count) / 2);
}

bool pages_watch(uint32_t g)
{
    struct slab *s = &slabs[g];
    if (s->free_count < s->watch_at) {
        return false;
    }
    if (state_of(&s->watch) == WATCH_LISTED) { /* if it is not any more, the next half will be told */
        wait_for_half(s);
        return false;
    }
    lock_acquire(&watch_lock);
    if (!s->may_be_watched) {
        s->watch.purged_at = 0;
    }
    bool is_new = state_of(&s->watch) == WATCH_NONE;
    if (is_new) {
        watch_append(g);
    } else if (state_of(&s->watch) == WATCH_PURGED_NOW) { /* or it is listed again by now */
        set_state(&s->watch, WATCH_PURGED_AGAIN);
    }
    s->may_be_watched = true; /* here, for a child of a fork */
    lock_release(&watch_lock);
    wait_for_half(s);
    return is_new;
}

/* ---- waiting for a purge ---- */

#define WAITED_FOR ((uint32_t)1 << 31)

/* The slab that is purged now, and whether its holder sleeps until that is done. Relaxed throughout: what was
 * done is told by watch_lock. */
static atomic_u32 purging;

static void wait_until_purged(uint32_t g)
{
    uint32_t word = g;
    if (u32_cas_relaxed(&purging, &word, g | WAITED_FOR) || word == (g | WAITED_FOR)) {
        os_futex_wait(&purging, g | WAITED_FOR);
    }
}

static bool is_purged_now(const struct slab *s)
{
    return state_of(&s->watch) == WATCH_PURGED_NOW || state_of(&s->watch) == WATCH_PURGED_AGAIN;
}

void pages_unwatch(uint32_t g)
{
    struct slab *s = &slabs[g];
    s->watch_at = s->capacity;
    if (!s->may_be_watched) {
        return;
    }
    lock_acquire(&watch_lock);
    s->may_be_watched = false; /* here, for a child of a fork */
    while (is_purged_now(s)) {
        lock_release(&watch_lock);
        wait_until_purged(g);
        lock_acquire(&watch_lock);
    }
    if (state_of(&s->watch) == WATCH_LISTED) {
        watch_remove(g, WATCH_NONE);
    }
    lock_release(&watch_lock);
}

/* ---- the pages ---- */

/* The first block from i on that is free, or that is not; capacity if there is none. */
static unsigned next_block(const struct slab *s, unsigned i, bool is_free)
{
    while (i < s->capacity) {
        uint64_t bits = u64_load_acquire(&s->bits[i / 64]); /* [MO-WATCH] */
        bits = (is_free ? bits : ~bits) >> i % 64;
        if (bits != 0) {
            i += bits_first(bits);
            return i < s->capacity ? i : s->capacity;
        }
        i = (i / 64 + 1) * 64;
    }
    return s->capacity;
}

/* Pages of free blocks [i, end) that do not hold others too. */
static bool purge_between(uint32_t g, unsigned i, unsigned end)
{
    const struct slab *s = &slabs[g];
    size_t page = os_page_bytes();
    size_t size = class_bytes[s->size_class];
    size_t first = class_first[s->size_class];
    size_t touched = s->was_touched ? (size_t)slab_span(s->size_class) << GRANULE_SHIFT
                                    : first + s->fresh_block * size;
    size_t from = i == 0 ? 0 : (first + i * size + page - 1) & ~(page - 1);
    size_t to = first + end * size;
    to = end == s->capacity || to > touched ? touched + page - 1 : to;
    to &= ~(page - 1);
    return from >= to || run_purge_pages((char *)map_address(g) + from, to - from);
}

/* Returns how many blocks were seen to be free, or 0 if a page may be left: the system refused to take it, or
 * a block was freed between two runs of free ones meanwhile. */
static unsigned purge_slab(uint32_t g)
{
    bool done = true;
    unsigned count = 0;
    const struct slab *s = &slabs[g];
    unsigned end = s->capacity;
    for (unsigned i = next_block(s, 0, true); i < s->capacity; i = next_block(s, end, true)) {
        done = done && i != end;
        end = next_block(s, i, false);
        count += end - i;
        done = purge_between(g, i, end) && done;
    }
    return done ? count : 0;
}

static uint32_t begin_purge(uint32_t age_ms)
{
    lock_acquire(&watch_lock);
    uint32_t g = watched.oldest;
    if (g != 0 && os_now_ms() - slabs[g].watch.since_ms < age_ms) {
        g = 0;
    }
    if (g != 0) {
        watch_remove(g, WATCH_PURGED_NOW);
        u32_store_relaxed(&purging, g);
    }
    lock_release(&watch_lock);
    return g;
}

static void end_purge(uint32_t g, unsigned purged_at)
{
    struct slab *s = &slabs[g];
    lock_acquire(&watch_lock);
    bool again = state_of(&s->watch) == WATCH_PURGED_AGAIN && s->may_be_watched;
    s->watch.purged_at = (uint16_t)purged_at;
    set_state(&s->watch, WATCH_NONE);
    if (again) {
        watch_append(g);
    }
    lock_release(&watch_lock);
    if (u32_swap_relaxed(&purging, 0) == (g | WAITED_FOR)) {
        os_futex_wake(&purging);
    }
}

/* Under pages_lock, which is passed on: false if no slab is that old. */
static bool purge_oldest(uint32_t age_ms)
{
    uint32_t g = begin_purge(age_ms);
    if (g != 0) {
        end_purge(g, purge_slab(g));
    }
    lock_release(&pages_lock);
    return g != 0;
}

static uint32_t watched_count(void)
{
    return u32_load_relaxed(&watched.count); /* relaxed: a hint */
}

void pages_tick(void)
{
    for (int i = 0; i < PURGE_SLABS_MAX && watched_count() != 0; i++) {
        if (!lock_try(&pages_lock) || !purge_oldest(DECAY_MS)) {
            break;
        }
    }
}

/* Not those that become due meanwhile, or this would go on while others free; one that another thread is at
 * now is left to it. */
void pages_purge_all(void)
{
    for (uint32_t n = watched_count(); n != 0; n--) {
        lock_acquire(&pages_lock);
        if (!purge_oldest(0)) {
            break;
        }
    }
}

void pages_purge(uint32_t g)
{
    struct slab *s = &slabs[g];
    bool is_known = s->may_be_watched;
    pages_unwatch(g); /* from now on nobody else looks at it */
    if (!is_known || s->watch.purged_at != s->free_count) {
        s->watch.purged_at = (uint16_t)purge_slab(g);
    }
    s->may_be_watched = true;
    wait_for_half(s);
}

/* What is on the list is watched. */
bool pages_check(void)
{
    uint32_t older = 0, count = 0;
    bool sound = true;
    lock_acquire(&watch_lock);
    for (uint32_t g = watched.oldest; sound && g != 0; older = g, g = slabs[g].watch.newer) {
        sound = slabs[g].watch.older == older && state_of(&slabs[g].watch) == WATCH_LISTED &&
                slabs[g].may_be_watched && slabs[g].place == PLACE_PARTIAL && count++ < watched_count();
    }
    sound = sound && older == watched.newest && count == watched_count();
    lock_release(&watch_lock);
    return sound;
}
