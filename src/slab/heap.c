/* SPDX-License-Identifier: MIT */
#include "slab/heap.h"

#include "base/bits.h"
#include "slab/adopt.h"
#include "slab/pages.h"

struct heap *heaps;
struct map_area heap_area = {(void **)&heaps, sizeof(struct heap), 0, HEAP_COUNT_MAX + 2, 0, false};
struct lock heap_pool_lock;

static unsigned cached_from, cached_end; /* classes that use the lists */
static atomic_u32 heap_made;         /* heaps ever made; grows under the pool lock */
static struct heap *heap_pooled;        /* under the pool lock */
static atomic_u32 heap_pooled_number;  /* changes under the pool lock */

/* ---- the table and the pool ---- */

static unsigned batch_limit(unsigned size_class)
{
    unsigned by_bytes = BATCH_BYTES_MAX / class_bytes[size_class];
    unsigned n = by_bytes < BATCH_MAX ? by_bytes : BATCH_MAX;
    return n != 0 ? n : 1;
}

static void class_init(struct size_class_state *cs, unsigned size_class)
{
    bool cached = size_class >= cached_from && size_class < cached_end;
    unsigned first = CARVE_BYTES / class_bytes[size_class];
    first = first < BATCH_FIRST ? first : BATCH_FIRST;
    cs->batch_max = cached ? (uint16_t)batch_limit(size_class) : 1;
    cs->batch = first > cs->batch_max ? cs->batch_max : (uint16_t)(first != 0 ? first : 1);
    cs->list_limit = cached;
    cs->mode = cached ? MODE_CACHED : MODE_DRAINING;
}

static struct heap *heap_create(void)
{
    uint32_t id = u32_load_relaxed(&heap_made) + 1; /* relaxed: written under the lock we hold */
    if (id + 1 >= heap_area.count || !map_commit_area(&heap_area, (id + 1) * sizeof(struct heap))) {
        return NULL;
    }
    struct heap *h = &heaps[id];
    h->id = id;
    h->front.id_word = ID_WORD(id);
    for (size_t step = 0; step < FRONT_STEPS; step++) {
        h->front.list_offset[step] = offsetof(struct front, list[class_of_step[step]]);
    }
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        class_init(&h->classes[c], c);
    }
    u32_store_relaxed(&heap_made, id); /* relaxed: a heap's id travels by map words and locks */
    return h;
}

void heap_set_cached_classes(unsigned from, unsigned end)
{
    cached_from = from;
    cached_end = end;
}

/* The shared heap caches nothing: its lists stay empty and its slabs closed. */
bool heap_init(void)
{
    unsigned end = cached_end;
    cached_end = 0;
    bool done = heap_create() != NULL;
    cached_end = end;
    return done;
}

struct heap *heap_acquire(void)
{
    struct heap *h = heap_take_pooled(0);
    if (h == NULL) {
        lock_acquire(&heap_pool_lock);
        h = heap_create();
        lock_release(&heap_pool_lock);
    }
    return h;
}

static void pool_push(struct heap *h)
{
    h->state = HEAP_POOLED;
    h->next_pooled = heap_pooled;
    heap_pooled = h;
    u32_add_relaxed(&heap_pooled_number, 1); /* relaxed: a hint for others */
}

void heap_pool(struct heap *h)
{
    lock_acquire(&heap_pool_lock);
    pool_push(h);
    lock_release(&heap_pool_lock);
}

uint32_t heap_pooled_count(void)
{
    return u32_load_relaxed(&heap_pooled_number); /* relaxed: a hint */
}

struct heap *heap_take_all_pooled(void)
{
    lock_acquire(&heap_pool_lock);
    struct heap *chain = heap_pooled;
    for (struct heap *h = chain; h != NULL; h = h->next_pooled) {
        h->state = HEAP_ACTIVE;
    }
    heap_pooled = NULL;
    u32_store_relaxed(&heap_pooled_number, 0); /* relaxed: a hint for others */
    lock_release(&heap_pool_lock);
    return chain;
}

struct heap *heap_take_pooled(uint32_t nth)
{
    lock_acquire(&heap_pool_lock);
    struct heap **at = &heap_pooled;
    while (*at != NULL && nth-- != 0) {
        at = &(*at)->next_pooled;
    }
    struct heap *h = *at;
    if (h != NULL) {
        *at = h->next_pooled;
        h->state = HEAP_ACTIVE;
        u32_add_relaxed(&heap_pooled_number, UINT32_MAX); /* relaxed: a hint for others */
    }
    lock_release(&heap_pool_lock);
    return h;
}

void heap_reset_after_fork(struct heap *own)
{
    for (uint32_t id = HEAP_SHARED_ID + 1; id <= heap_count(); id++) {
        struct heap *h = &heaps[id];
        if (h == own || h->state != HEAP_ACTIVE) {
            continue;
        }
        if (u32_load_relaxed(&h->busy) != 0) { /* relaxed: its thread does not exist here */
            h->state = HEAP_LOST;
        } else {
            pool_push(h);
        }
    }
}

uint32_t heap_count(void)
{
    return u32_load_relaxed(&heap_made); /* relaxed: a bound; heaps are read only by their doors */
}

bool heap_is_alone(void)
{
    return heap_count() <= HEAP_SHARED_ID + 1;
}

/* ---- lists of slabs ---- */

static uint32_t *list_of(struct size_class_state *cs, unsigned slab_place)
{
    return slab_place == PLACE_PARTIAL ? &cs->partial : &cs->full;
}

static void list_insert(struct size_class_state *cs, uint32_t g, unsigned slab_place)
{
    uint32_t *head = list_of(cs, slab_place);
    slabs[g].place = (uint8_t)slab_place;
    slabs[g].watch_at = slab_place == PLACE_FULL ? 1 : pages_watch_at(&slabs[g]);
    slabs[g].prev = 0;
    slabs[g].next = *head;
    if (*head != 0) {
        slabs[*head].prev = g;
    }
    *head = g;
    cs->partial_count += slab_place == PLACE_PARTIAL;
}

static void list_remove(struct size_class_state *cs, uint32_t g)
{
    const struct slab *s = &slabs[g];
    if (s->next != 0) {
        slabs[s->next].prev = s->prev;
    }
    if (s->prev != 0) {
        slabs[s->prev].next = s->next;
    } else {
        *list_of(cs, s->place) = s->next;
    }
    cs->partial_count -= s->place == PLACE_PARTIAL;
}

static void set_words(uint32_t g, unsigned size_class, uint32_t word)
{
    for (unsigned i = 0; i < slab_span(size_class); i++) {
        map_set_word(g + i, word);
    }
}

static uint32_t closed_word(const struct heap *h, uint32_t g)
{
    return h->front.id_word | CODE_CLOSED | slabs[g].size_class;
}

/* When n blocks are replaced at random, the number of free ones drifts by some sqrt(n): a list that
 * long never needs to be shortened, and is a vanishing part of a large heap. */
static void set_list_limit(struct size_class_state *cs, unsigned size_class)
{
    if (cs->list_limit == 0) {
        return;
    }
    size_t drifts = slab_span(size_class) == SLAB_SMALL_GRANULES ? CACHE_DRIFTS : CACHE_DRIFTS_MID;
    size_t drift = drifts * bits_sqrt((size_t)cs->slab_count * slab_blocks(size_class));
    size_t blocks = CACHE_BYTES_MIN / class_bytes[size_class] + drift;
    cs->list_limit = (uint32_t)(blocks > CACHE_BLOCKS_MIN ? blocks : CACHE_BLOCKS_MIN);
}

static void count_away(struct size_class_state *cs, uint64_t change)
{
    u64_add_single_writer(&cs->away, change); /* wraps round for negative changes */
}

void heap_unlink_slab(struct heap *h, uint32_t g)
{
    unsigned c = slabs[g].size_class;
    struct size_class_state *cs = &h->classes[c];
    list_remove(cs, g);
    pages_unwatch(g);
    slabs[g].place = PLACE_NONE;
    slabs[g].watch_at = 0;
    cs->slab_count--;
    count_away(cs, -(uint64_t)(slabs[g].capacity - slabs[g].free_count));
    set_list_limit(cs, c);
}

void heap_link_slab(struct heap *h, uint32_t g)
{
    struct slab *s = &slabs[g];
    unsigned c = s->size_class;
    struct size_class_state *cs = &h->classes[c];
    unsigned every = heap_sentinel_every(c);
    s->is_sentinel = cs->slab_count % every == every - 1;
    cs->slab_count++;
    count_away(cs, (uint64_t)(s->capacity - s->free_count));
    set_list_limit(cs, c);
    bool open = cs->mode == MODE_CACHED && !s->is_sentinel;
    set_words(g, c, open ? h->front.id_word | c : closed_word(h, g));
    list_insert(cs, g, s->free_count != 0 ? PLACE_PARTIAL : PLACE_FULL);
    if (s->free_count < s->capacity) { /* one that is wholly free will be used at once, or go */
        pages_watch(g);
    }
}

void heap_open_slab(struct heap *h, unsigned size_class, const void *p)
{
    set_words(slab_of(p, size_class), size_class, h->front.id_word | size_class);
}

static void close_list(struct heap *h, uint32_t g, unsigned size_class)
{
    for (; g != 0; g = slabs[g].next) {
        set_words(g, size_class, closed_word(h, g));
    }
}

void heap_close_slabs(struct heap *h, unsigned size_class)
{
    struct size_class_state *cs = &h->classes[size_class];
    close_list(h, cs->partial, size_class);
    close_list(h, cs->full, size_class);
    if (cs->current != 0) {
        set_words(cs->current, size_class, closed_word(h, cs->current));
    }
}

/* ---- blocks out ---- */

/* Fullest first, so that the emptier ones can become free; only a few are looked at. */
static uint32_t fullest_partial(const struct size_class_state *cs)
{
    uint32_t best = cs->partial;
    uint32_t g = best;
    for (int i = 0; g != 0 && i < PARTIAL_SEARCH_MAX; i++, g = slabs[g].next) {
        if (slabs[g].free_count < slabs[best].free_count) {
            best = g;
        }
    }
    return best;
}

static bool add_slab(struct heap *h, unsigned size_class)
{
    bool was_touched = false;
    bool is_dense = h->classes[size_class].slab_count >= DENSE_SLABS_MIN;
    uint32_t g = super_alloc(slab_span(size_class), is_dense, &was_touched);
    if (g == RUN_NONE) {
        return false;
    }
    slab_init(g, size_class, was_touched);
    heap_link_slab(h, g);
    return true;
}

/* Finds a current slab with free blocks: own partial, adopted, new. */
static bool next_current(struct heap *h, unsigned size_class)
{
    struct size_class_state *cs = &h->classes[size_class];
    if (cs->current != 0) {
        list_insert(cs, cs->current, PLACE_FULL);
        cs->current = 0;
    }
    if (cs->partial == 0 && !adopt_take(h, size_class) && !add_slab(h, size_class)) {
        return false;
    }
    uint32_t g = fullest_partial(cs);
    list_remove(cs, g);
    pages_unwatch(g);
    slabs[g].place = PLACE_CURRENT;
    cs->current = g;
    return true;
}

unsigned heap_take(struct heap *h, unsigned size_class, unsigned want, void *rest, void **head)
{
    struct size_class_state *cs = &h->classes[size_class];
    void *first = NULL;
    void **tail = &first;
    unsigned taken = 0;
    while (taken < want) {
        if (cs->current == 0 || slabs[cs->current].free_count == 0) {
            if (taken != 0 && cs->partial == 0) {
                break; /* a new slab only when it is needed */
            }
            if (!next_current(h, size_class)) {
                break;
            }
        }
        unsigned fresh = slabs[cs->current].fresh_block;
        taken += slab_take(cs->current, want - taken, &tail);
        if (slabs[cs->current].fresh_block != fresh && !slabs[cs->current].was_touched) {
            break; /* carved a page of fresh memory: enough */
        }
    }
    *tail = rest;
    *head = first;
    count_away(cs, taken);
    return taken;
}

/* ---- blocks home ---- */

void heap_retire_slab(struct heap *h, uint32_t g)
{
    unsigned c = slabs[g].size_class;
    heap_unlink_slab(h, g);
    set_words(g, c, 0);
    super_free(g, slab_span(c));
}

void heap_put_slow(struct heap *h, struct slab *s, unsigned size_class, void *p)
{
    uint32_t g = (uint32_t)(s - slabs);
    if (s->place == PLACE_NONE) {
        slab_put(s, size_class, p);
        return; /* on its way to the shared heap, which counts when it links it */
    }
    heap_put_simple(h, s, size_class, p);
    if (s->place == PLACE_FULL) {
        list_remove(&h->classes[size_class], g);
        list_insert(&h->classes[size_class], g, PLACE_PARTIAL);
    }
    if (s->free_count < s->watch_at || s->place != PLACE_PARTIAL) {
        return;
    }
    if (s->free_count == s->capacity) {
        heap_retire_slab(h, g);
    } else if (pages_watch(g)) {
        pages_tick();
    }
}

void heap_release_current(struct heap *h, unsigned size_class)
{
    struct size_class_state *cs = &h->classes[size_class];
    uint32_t g = cs->current;
    if (g == 0) {
        return;
    }
    cs->current = 0;
    list_insert(cs, g, slabs[g].free_count != 0 ? PLACE_PARTIAL : PLACE_FULL);
    if (slabs[g].free_count == slabs[g].capacity) {
        heap_retire_slab(h, g);
    } else {
        pages_watch(g);
    }
}

void heap_purge_pages(struct heap *h)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        for (uint32_t g = h->classes[c].partial; g != 0; g = slabs[g].next) {
            pages_purge(g);
        }
    }
}

/* ---- measure, check ---- */

struct tally {
    uint32_t slabs;
    uint64_t away;
};

static bool one_check(const struct heap *h, uint32_t g, unsigned size_class, unsigned place,
                      struct tally *tally)
{
    const struct slab *s = &slabs[g];
    uint32_t word = map_word(g);
    bool sound = s->place == place && s->size_class == size_class && slab_check(g) &&
                 WORD_OWNER(word) == h->id && (word & CODE_CLASS_MASK) == size_class;
    for (unsigned i = 1; i < slab_span(size_class); i++) {
        sound = sound && map_word(g + i) == word;
    }
    tally->slabs++;
    tally->away += (uint64_t)(s->capacity - s->free_count);
    return sound;
}

static bool list_check(const struct heap *h, uint32_t g, unsigned size_class, unsigned place,
                       struct tally *tally)
{
    bool sound = true;
    for (uint32_t before = 0; sound && g != 0; before = g, g = slabs[g].next) {
        sound = slabs[g].prev == before && one_check(h, g, size_class, place, tally) &&
                (slabs[g].free_count == 0) == (place == PLACE_FULL) &&
                slabs[g].free_count < slabs[g].capacity; /* or it would have left */
    }
    return sound;
}

/* Every block on the list is one of the class, none is at home as well, and the list ends: a second
 * walk at half the pace would meet the first one in a ring (Floyd). */
static bool blocks_check(const struct heap *h, unsigned size_class)
{
    void *behind = h->front.list[size_class];
    bool odd = false;
    for (void *p = behind; p != NULL; odd = !odd) {
        uint32_t word = map_word_of(p);
        if ((word & CODE_CLASS_MASK) != size_class || !slab_has_handed_out(p, word)) {
            return false;
        }
        p = *(void **)p;
        behind = odd ? *(void **)behind : behind;
        if (p == behind && p != NULL) {
            return false;
        }
    }
    return true;
}

static bool class_check(const struct heap *h, unsigned c)
{
    const struct size_class_state *cs = &h->classes[c];
    struct tally tally = {0, 0};
    bool sound = list_check(h, cs->partial, c, PLACE_PARTIAL, &tally);
    sound = sound && tally.slabs == cs->partial_count;
    sound = sound && list_check(h, cs->full, c, PLACE_FULL, &tally);
    sound = sound && (cs->current == 0 || one_check(h, cs->current, c, PLACE_CURRENT, &tally));
    return sound && tally.slabs == cs->slab_count &&
           tally.away == u64_load_relaxed(&cs->away) && /* relaxed: nobody else runs */
           blocks_check(h, c);
}

bool heap_check(struct heap *h)
{
    bool sound = true;
    for (unsigned c = 0; sound && c < CLASS_COUNT; c++) {
        sound = class_check(h, c);
    }
    return sound;
}
