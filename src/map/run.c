/* SPDX-License-Identifier: MIT */
#include "map/run.h"

#include <string.h>

#include "base/bits.h"
#include "os/os.h"

enum {
    EXACT_BINS = 64,  /* bin n holds runs of n granules */
    BIN_COUNT = 192,  /* the rest: four bins per doubling */
    BIN_WORDS = BIN_COUNT / 64,
    FIT_SEARCH_MAX = 8,
    AGE_SEARCH_MAX = 32,
    PURGE_RUNS_MAX = 16, /* per tick: bounds the pause of the thread that ticks */
};

struct run *runs;
static uint8_t *dirty; /* by granule: was written to since it last read as zero */
struct map_area run_areas[2] = {
    {(void **)&runs, sizeof(struct run), 1, 0, 0, false},
    {(void **)&dirty, 1, 1, 0, 0, false},
};

struct lock run_lock;
static struct {
    uint32_t bins[BIN_COUNT];
    uint64_t filled[BIN_WORDS];
    atomic_u32 frontier; /* granules from here on were never handed out; read without the lock too */
    uint32_t oldest, newest;
    uint32_t now_ms; /* as of the last free */
    uint32_t last_tick_ms;
    size_t free_granules;
    size_t dirty_runs;    /* free runs on the list of ages */
    size_t aged_granules; /* in those runs; not all need be dirty */
    size_t most_granules; /* free memory is not kept while more than that is in use or aged */
} state = {.most_granules = SIZE_MAX};

static uint32_t frontier(void)
{
    return u32_load_relaxed(&state.frontier); /* relaxed: under the lock, or a guess */
}

static void set_frontier(size_t g)
{
    u32_store_relaxed(&state.frontier, (uint32_t)g);
}

/* ---- bins ---- */

static unsigned bin_of(size_t len)
{
    if (len < EXACT_BINS) {
        return (unsigned)len;
    }
    unsigned log = bits_log2(len);
    return EXACT_BINS + (log - 6) * 4 + (unsigned)((len >> (log - 2)) & 3);
}

static void bin_insert(uint32_t g)
{
    unsigned b = bin_of(runs[g].len);
    runs[g].next = state.bins[b];
    runs[g].prev = RUN_NONE;
    if (state.bins[b] != RUN_NONE) {
        runs[state.bins[b]].prev = g;
    }
    state.bins[b] = g;
    state.filled[b / 64] |= (uint64_t)1 << (b % 64);
}

static void bin_remove(uint32_t g)
{
    unsigned b = bin_of(runs[g].len);
    struct run *r = &runs[g];
    if (r->next != RUN_NONE) {
        runs[r->next].prev = r->prev;
    }
    if (r->prev != RUN_NONE) {
        runs[r->prev].next = r->next;
        return;
    }
    state.bins[b] = r->next;
    if (r->next == RUN_NONE) {
        state.filled[b / 64] &= ~((uint64_t)1 << (b % 64));
    }
}

/* ---- dirty free runs in the order of their age ---- */

/* Most stamps are young, so the walk is short; it is bounded, at the price of a little disorder. */
static void age_insert(uint32_t g, uint32_t stamp_ms)
{
    uint32_t older = state.newest;
    uint32_t newer = RUN_NONE;
    for (int i = 0; older != RUN_NONE && i < AGE_SEARCH_MAX; i++) {
        if ((int32_t)(runs[older].stamp_ms - stamp_ms) <= 0) {
            break;
        }
        newer = older;
        older = runs[older].older;
    }
    runs[g].stamp_ms = stamp_ms;
    runs[g].older = older;
    runs[g].newer = newer;
    *(older != RUN_NONE ? &runs[older].newer : &state.oldest) = g;
    *(newer != RUN_NONE ? &runs[newer].older : &state.newest) = g;
    state.dirty_runs++;
    state.aged_granules += runs[g].len;
}

static void age_remove(uint32_t g)
{
    uint32_t older = runs[g].older;
    uint32_t newer = runs[g].newer;
    *(older != RUN_NONE ? &runs[older].newer : &state.oldest) = newer;
    *(newer != RUN_NONE ? &runs[newer].older : &state.newest) = older;
    state.dirty_runs--;
    state.aged_granules -= runs[g].len;
}

/* ---- free runs ---- */

static void free_insert(uint32_t g, size_t len, bool any_dirty, uint32_t stamp_ms)
{
    struct run *r = &runs[g];
    runs[g + len - 1].len = (uint32_t)len;
    runs[g + len - 1].state = RUN_FREE_TAIL;
    r->len = (uint32_t)len;
    r->state = RUN_FREE;
    r->any_dirty = any_dirty;
    bin_insert(g);
    if (any_dirty) {
        age_insert(g, stamp_ms);
    }
    state.free_granules += len;
}

static void free_remove(uint32_t g)
{
    bin_remove(g);
    if (runs[g].any_dirty) {
        age_remove(g);
    }
    state.free_granules -= runs[g].len;
}

static void set_used(uint32_t g, size_t len)
{
    runs[g].len = (uint32_t)len;
    runs[g + len - 1].state = RUN_USED;
    runs[g].state = RUN_USED;
}

static uint32_t free_before(uint32_t g)
{
    const struct run *p = &runs[g - 1];
    if (p->state == RUN_FREE && p->len == 1) {
        return g - 1;
    }
    return p->state == RUN_FREE_TAIL ? g - p->len : RUN_NONE;
}

static uint32_t free_after(uint32_t end)
{
    return end < frontier() && runs[end].state == RUN_FREE ? end : RUN_NONE;
}

/* Takes a free neighbour (or none) into a range that is being freed. */
static void absorb(uint32_t g, size_t *len, bool *any_dirty, uint64_t *granule_ms)
{
    if (g == RUN_NONE) {
        return;
    }
    if (runs[g].any_dirty) {
        *granule_ms += (uint64_t)(state.now_ms - runs[g].stamp_ms) * runs[g].len;
        *any_dirty = true;
    }
    *len += runs[g].len;
    free_remove(g);
}

/* Free a range: it grows together with the free runs on both sides. Its age is the mean over its
 * granules: a small busy block does not keep a large neighbour young, nor do old crumbs have memory
 * purged that a phase of the program has just freed and will want again. */
static void free_coalesced(uint32_t g, size_t len, bool any_dirty)
{
    uint32_t before = free_before(g);
    uint32_t after = free_after(g + (uint32_t)len);
    uint64_t granule_ms = 0;
    absorb(after, &len, &any_dirty, &granule_ms);
    absorb(before, &len, &any_dirty, &granule_ms);
    g = before != RUN_NONE ? before : g;
    uint32_t mean_ms = granule_ms != 0 ? (uint32_t)(granule_ms / len) : 0; /* a division takes its time */
    free_insert(g, len, any_dirty, state.now_ms - mean_ms);
}

static bool range_is_dirty(uint32_t g, size_t len)
{
    return memchr(dirty + g, 1, len) != NULL;
}

/* ---- handing out ---- */

/* Alignment is one of addresses: the map's base is aligned to a superslab only. */
static size_t align_up(size_t g, size_t align)
{
    size_t first = map_base >> GRANULE_SHIFT;
    return ((first + g + align - 1) & ~(align - 1)) - first;
}

static bool fits(uint32_t g, size_t len, size_t align)
{
    return align_up(g, align) + len <= (size_t)g + runs[g].len;
}

static uint32_t find_in_bin(unsigned b, size_t len, size_t align)
{
    uint32_t g = state.bins[b];
    for (int i = 0; g != RUN_NONE && i < FIT_SEARCH_MAX; i++, g = runs[g].next) {
        if (fits(g, len, align)) {
            return g;
        }
    }
    return RUN_NONE;
}

/* Good fit: the first bins that can hold it, a few runs of each. */
static uint32_t find_free(size_t len, size_t align)
{
    unsigned first = bin_of(len);
    for (unsigned w = first / 64; w < BIN_WORDS; w++) {
        uint64_t bits = state.filled[w];
        if (w == first / 64) {
            bits &= ~(uint64_t)0 << (first % 64);
        }
        for (; bits != 0; bits &= bits - 1) {
            uint32_t g = find_in_bin(w * 64 + bits_first(bits), len, align);
            if (g != RUN_NONE) {
                return g;
            }
        }
    }
    return RUN_NONE;
}

static void free_rest(size_t g, size_t len, bool any_dirty, uint32_t stamp_ms)
{
    if (len != 0) {
        any_dirty = any_dirty && range_is_dirty((uint32_t)g, len);
        free_insert((uint32_t)g, len, any_dirty, stamp_ms);
    }
}

/* Cut [at, at + len) out of the free run g; what is left on either side stays free and as old. */
static uint32_t cut_free(uint32_t g, size_t at, size_t len)
{
    size_t end = (size_t)g + runs[g].len;
    bool any_dirty = runs[g].any_dirty;
    uint32_t stamp = runs[g].stamp_ms;
    free_remove(g);
    free_rest(g, at - g, any_dirty, stamp);
    free_rest(at + len, end - at - len, any_dirty, stamp);
    set_used((uint32_t)at, len);
    return (uint32_t)at;
}

static uint32_t cut_frontier(size_t len, size_t align)
{
    size_t at = align_up(frontier(), align);
    for (size_t start = at;; at = start = align_up(start, align)) {
        if (!map_grow(&start, len)) {
            return RUN_NONE;
        }
        if (start == at) {
            break;
        }
    }
    size_t skipped = at - frontier();
    if (skipped != 0) {
        uint32_t from = frontier();
        set_frontier((uint32_t)at);
        set_used(from, skipped); /* for ever, if a foreign mapping is among them */
        if (from >= map_floor()) {
            free_coalesced(from, skipped, false);
        }
    }
    set_frontier((uint32_t)(at + len));
    set_used((uint32_t)at, len);
    return (uint32_t)at;
}

/* ---- giving back ---- */

static atomic_u32 purges;

uint32_t run_purges(void)
{
    return u32_load_relaxed(&purges); /* relaxed: a count */
}

bool run_purge_pages(void *start, size_t bytes)
{
    bool done = os_purge(start, bytes);
    u32_add_relaxed(&purges, done); /* relaxed: a count */
    return done;
}

void run_purge_range(uint32_t g, size_t len)
{
    size_t end = g + len;
    for (size_t at = g; at < end;) {
        size_t stop = at;
        while (stop < end && dirty[stop]) {
            stop++;
        }
        if (stop > at && run_purge_pages(map_address(at), (stop - at) << GRANULE_SHIFT)) {
            memset(dirty + at, 0, stop - at);
        }
        at = stop > at ? stop : at + 1;
    }
}

/* Purges up to `most` free runs that are at least `age` old; the lock is not held during the system
 * calls. What the system refuses to take stays dirty and counts as young again. */
static void purge_older(uint32_t age, size_t most)
{
    uint32_t now = state.now_ms;
    for (size_t i = 0; i < most && state.oldest != RUN_NONE; i++) {
        uint32_t g = state.oldest;
        size_t len = runs[g].len;
        if ((int32_t)(now - runs[g].stamp_ms) < (int32_t)age) {
            break;
        }
        free_remove(g);
        set_used(g, len);
        lock_release(&run_lock);
        run_purge_range(g, len);
        if (len >= SUPER_GRANULES) {
            map_forget(g, len);
        }
        bool left = range_is_dirty(g, len);
        lock_acquire(&run_lock);
        free_coalesced(g, len, left);
    }
}

static void tick(void)
{
    if (state.oldest != RUN_NONE && state.now_ms - state.last_tick_ms >= DECAY_TICK_MS) {
        state.last_tick_ms = state.now_ms;
        purge_older(DECAY_MS, PURGE_RUNS_MAX);
    }
}

/* Free memory goes before it is old where there is little: the kernel would end the process. */
static void keep_limit(void)
{
    for (size_t n = state.dirty_runs; n != 0; n--) {
        if (frontier() - state.free_granules + state.aged_granules <= state.most_granules) {
            return;
        }
        purge_older(0, 1);
    }
}

uint32_t run_alloc(size_t len, size_t align)
{
    if (len >= map_granules) {
        return RUN_NONE;
    }
    lock_acquire(&run_lock);
    state.now_ms = os_now_ms();
    tick();
    uint32_t g = find_free(len, align);
    if (g != RUN_NONE) {
        g = cut_free(g, align_up(g, align), len);
    } else {
        g = cut_frontier(len, align);
    }
    keep_limit();
    lock_release(&run_lock);
    return g;
}

void run_free(uint32_t g)
{
    size_t len = runs[g].len;
    bool any_dirty = range_is_dirty(g, len);
    lock_acquire(&run_lock);
    state.now_ms = os_now_ms();
    free_coalesced(g, len, any_dirty);
    tick();
    lock_release(&run_lock);
}

void run_purge_all(void)
{
    lock_acquire(&run_lock);
    purge_older(0, state.dirty_runs);
    lock_release(&run_lock);
}

bool run_extend(uint32_t g, size_t len)
{
    size_t old = runs[g].len;
    size_t more = len - old;
    uint32_t end = g + (uint32_t)old;
    bool done = false;
    lock_acquire(&run_lock);
    uint32_t after = free_after(end);
    size_t start = end;
    if (after != RUN_NONE && runs[after].len >= more) {
        cut_free(after, after, more);
        done = true;
    } else if (end == frontier() && map_grow(&start, more) && start == end) {
        set_frontier(end + (uint32_t)more);
        done = true;
    }
    if (done) {
        set_used(g, len);
    }
    lock_release(&run_lock);
    return done;
}

void run_shrink(uint32_t g, size_t len)
{
    size_t old = runs[g].len;
    if (len >= old) {
        return;
    }
    bool any_dirty = range_is_dirty(g + (uint32_t)len, old - len);
    lock_acquire(&run_lock);
    set_used(g, len);
    free_coalesced(g + (uint32_t)len, old - len, any_dirty);
    lock_release(&run_lock);
}

void run_tick(void)
{
    if (!lock_try(&run_lock)) {
        return;
    }
    state.now_ms = os_now_ms();
    tick();
    lock_release(&run_lock);
}

bool run_is_roomy(void)
{
    return !map_is_thrifty() && frontier() < map_granules / 4;
}

/* ---- dirty knowledge ---- */

void run_mark_dirty(uint32_t g, size_t len)
{
    memset(dirty + g, 1, len);
}

bool run_is_dirty(uint32_t g, size_t len)
{
    return memchr(dirty + g, 0, len) == NULL;
}

bool run_is_clean(uint32_t g, size_t len)
{
    return !range_is_dirty(g, len);
}

bool run_is_dirty_in(uint32_t g, uint32_t mask)
{
    bool any = false;
    for (; mask != 0 && !any; mask &= mask - 1) {
        any = dirty[g + bits_first(mask)];
    }
    return any;
}

void run_mark_clean(uint32_t g, size_t len)
{
    memset(dirty + g, 0, len);
}

void run_clear(uint32_t g, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += GRANULE_BYTES) {
        if (dirty[g + (at >> GRANULE_SHIFT)]) {
            size_t n = bytes - at < GRANULE_BYTES ? bytes - at : GRANULE_BYTES;
            memset((char *)map_address(g) + at, 0, n);
        }
    }
}

/* ---- start, measure, check ---- */

void run_init(void)
{
    set_frontier(SUPER_GRANULES); /* granule 0 means none */
}

void run_set_limit(size_t bytes)
{
    lock_acquire(&run_lock);
    state.most_granules = bytes == SIZE_MAX ? SIZE_MAX : (bytes - bytes / LIMIT_PART) >> GRANULE_SHIFT;
    lock_release(&run_lock);
}

struct run_totals run_measure(void)
{
    lock_acquire(&run_lock);
    struct run_totals t = {.free_granules = state.free_granules};
    t.committed_bytes = map_committed_bytes();
    t.used_granules = frontier() - SUPER_GRANULES - state.free_granules;
    for (uint32_t g = SUPER_GRANULES; g < frontier(); g += runs[g].len) {
        const struct run *r = &runs[g];
        for (uint32_t i = 0; r->state == RUN_FREE && r->any_dirty && i < r->len; i++) {
            t.dirty_granules += dirty[g + i];
        }
        size_t bytes = r->state == RUN_USED ? u64_load_relaxed(&r->bytes) : 0; /* relaxed: a sum */
        t.large_count += bytes != 0;
        t.large_bytes += bytes;
    }
    lock_release(&run_lock);
    return t;
}

static bool free_run_is_sound(uint32_t g)
{
    const struct run *r = &runs[g];
    const struct run *tail = &runs[g + r->len - 1];
    bool ends = r->state == RUN_FREE && tail->len == r->len &&
                (r->len == 1 || tail->state == RUN_FREE_TAIL);
    return ends && free_before(g) == RUN_NONE && free_after(g + r->len) == RUN_NONE &&
           (r->any_dirty || !range_is_dirty(g, r->len));
}

/* Nothing of a free run belongs to anybody; a freed large block's word may still say so. */
static bool words_are_free(uint32_t g, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint32_t word = map_word(g + i);
        if (word != 0 && word != CODE_FREED) {
            return false;
        }
    }
    return true;
}

static bool ages_check(void)
{
    size_t counted = 0;
    uint32_t older = RUN_NONE;
    for (uint32_t g = state.oldest; g != RUN_NONE; older = g, g = runs[g].newer) {
        if (runs[g].older != older || !runs[g].any_dirty || counted++ == state.dirty_runs) {
            return false;
        }
    }
    return counted == state.dirty_runs && older == state.newest;
}

/* Every free run has sound ends, is alone among free runs, in its bin and counted; the runs cover
 * everything up to the frontier. */
bool run_check(void)
{
    lock_acquire(&run_lock);
    size_t counted = 0;
    bool sound = ages_check();
    for (unsigned b = 0; b < BIN_COUNT; b++) {
        for (uint32_t g = state.bins[b]; sound && g != RUN_NONE; g = runs[g].next) {
            sound = bin_of(runs[g].len) == b && free_run_is_sound(g) &&
                    words_are_free(g, runs[g].len);
            counted += runs[g].len;
        }
    }
    size_t passed = 0;
    uint32_t g = SUPER_GRANULES;
    while (sound && g < frontier()) {
        sound = runs[g].len != 0 && (runs[g].state == RUN_FREE || runs[g].state == RUN_USED);
        passed += runs[g].state == RUN_FREE ? runs[g].len : 0;
        g += runs[g].len;
    }
    sound = sound && counted == state.free_granules && passed == counted && g == frontier();
    lock_release(&run_lock);
    return sound;
}

uint32_t run_after(uint32_t g)
{
    g = g == RUN_NONE ? SUPER_GRANULES : g + runs[g].len;
    return g < frontier() ? g : RUN_NONE;
}
