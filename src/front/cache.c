/* SPDX-License-Identifier: MIT */
#include "front/cache.h"

#include "slab/adopt.h"
#include "slab/pages.h"
#include "slab/remote.h"

HAK_INLINE void push(struct heap *h, unsigned size_class, void *p)
{
    *(void **)p = h->front.list[size_class];
    compiler_barrier(); /* a fork between the two stores must not see a list with a loose end */
    h->front.list[size_class] = p;
}

void *cache_pop(struct heap *h, unsigned size_class)
{
    void *p = h->front.list[size_class];
    if (p != NULL) {
        h->front.list[size_class] = *(void **)p;
    }
    return p;
}

/* ---- flush ---- */

static void send_home(struct heap *h, void *p)
{
    uint32_t word = map_word_of(p);
    if (likely(WORD_OWNER(word) == h->id)) {
        heap_put(h, word & CODE_CLASS_MASK, p);
    } else { /* its slab was published since */
        remote_send(h, p, word);
    }
}

static void send_chain_home(struct heap *h, void *p)
{
    while (p != NULL) {
        void *next = *(void **)p;
        send_home(h, p);
        p = next;
    }
}

/* The list is known to hold n blocks; it is due for a look when it may have reached its limit. */
static void set_length(struct size_class_state *cs, uint32_t n)
{
    uint32_t room = cs->list_limit > n ? cs->list_limit - n : 0;
    cs->list_known = n;
    cs->list_estimate = n;
    cs->list_check = n + (room << cs->backoff);
}

/* Keeps the hottest blocks, down to `last_kept`; the cold tail goes home. */
static void flush(struct heap *h, void *last_kept)
{
    void *tail = *(void **)last_kept;
    *(void **)last_kept = NULL;
    send_chain_home(h, tail);
}

/*
 * The list is long (n: at least so much). If it grew by a good part of what was freed since it was
 * last known, the program does nothing but free: close the slabs, and the rest goes straight home.
 * Otherwise it has drifted here while blocks were replaced: give up the colder half.
 */
static void shorten(struct heap *h, unsigned size_class, uint32_t n, void *last_kept)
{
    struct size_class_state *cs = &h->classes[size_class];
    uint32_t freed = cs->list_estimate - cs->list_known;
    uint32_t grown = n > cs->list_known ? n - cs->list_known : 0;
    cs->backoff = 0;
    cs->refills_since_flush = 0;
    cs->batch = (uint16_t)(cs->batch / 2 != 0 ? cs->batch / 2 : 1);
    u64_add_single_writer(&cs->flushes, 1);
    if (grown >= freed / 3) {
        set_length(cs, n);
        cs->mode = MODE_DRAINING;
        heap_close_slabs(h, size_class);
    } else {
        set_length(cs, cs->list_limit / 2);
        flush(h, last_kept);
    }
}

/*
 * Only frees are sampled, so a list that is used up as fast as it grows looks long too. Walk it:
 * most often it is short, and then the next walk comes later, up to CHECK_BACKOFF_MAX doublings,
 * so that programs that replace blocks for ever pay a fraction of a step per free.
 */
HAK_NOINLINE static void check_length(struct heap *h, unsigned size_class)
{
    struct size_class_state *cs = &h->classes[size_class];
    uint32_t half = cs->list_limit / 2 != 0 ? cs->list_limit / 2 : 1;
    uint32_t long_at = cs->list_limit - cs->list_limit / 4;
    uint32_t n = 0;
    void *middle = NULL;
    for (void *p = h->front.list[size_class]; p != NULL && n < long_at; p = *(void **)p) {
        middle = ++n == half ? p : middle;
    }
    if (n >= long_at && middle != NULL) {
        shorten(h, size_class, n, middle);
        return;
    }
    cs->backoff = n > half ? 0 : cs->backoff < CHECK_BACKOFF_MAX ? cs->backoff + 1 : cs->backoff;
    set_length(cs, n);
}

static void push_counted(struct heap *h, unsigned size_class, void *p, unsigned weight)
{
    struct size_class_state *cs = &h->classes[size_class];
    push(h, size_class, p);
    cs->list_estimate += weight;
    if (unlikely(cs->list_estimate > cs->list_check)) {
        check_length(h, size_class);
    }
}

/* ---- free ---- */

HAK_INLINE void free_own(struct heap *h, void *p, uint32_t word)
{
    unsigned c = word & CODE_CLASS_MASK;
    if (h->classes[c].mode == MODE_DRAINING) {
        heap_put(h, c, p);
    } else if (slabs[slab_of(p, c)].is_sentinel) {
        push_counted(h, c, p, heap_sentinel_every(c));
    } else {
        heap_open_slab(h, c, p);
        push(h, c, p);
    }
}

void cache_free(struct heap *h, void *p, uint32_t word)
{
    if (likely(WORD_OWNER(word) == h->id)) {
        free_own(h, p, word);
    } else {
        remote_send(h, p, word);
    }
}

/* ---- mail ---- */

static void unpack(struct heap *h, void *p)
{
    uint32_t word = map_word_of(p);
    unsigned c = word & CODE_CLASS_MASK;
    if (unlikely(WORD_OWNER(word) != h->id)) { /* the slab moved on while this was under way */
        remote_send(h, p, word);
    } else if (h->classes[c].mode == MODE_DRAINING) {
        heap_put(h, c, p);
    } else {
        push_counted(h, c, p, 1);
    }
}

/* Every line of a parcel and of its blocks comes from another core: they are fetched ahead. */
static void unpack_parcel(struct heap *h, struct parcel *p)
{
    unsigned ahead = p->count < UNPACK_AHEAD ? p->count : UNPACK_AHEAD;
    for (unsigned i = 0; i < ahead; i++) {
        prefetch_for_write(p->slots[i]);
    }
    for (unsigned i = 0; i < p->count; i++) {
        if (i + ahead < p->count) {
            prefetch_for_write(p->slots[i + ahead]);
        }
        unpack(h, p->slots[i]);
    }
    u64_add_single_writer(&h->remote_received, p->count);
    remote_recycle(h, p);
}

static void unpack_strays(struct heap *h)
{
    for (void *p = remote_take_strays(h), *next; p != NULL; p = next) {
        next = *(void **)p;
        unpack(h, p);
    }
}

/* One parcel; those taken with it wait. False: there was none. */
static bool unpack_next(struct heap *h)
{
    struct parcel *p = h->mail_taken;
    if (p == NULL) {
        unpack_strays(h);
        p = remote_take(h);
    }
    if (p == NULL) {
        return false;
    }
    h->mail_taken = p->next;
    for (size_t line = 0; line < sizeof *p; line += CACHE_LINE) {
        __builtin_prefetch((const void *)((uintptr_t)p->next + line)); /* of any address, NULL too */
    }
    unpack_parcel(h, p);
    return true;
}

static void unpack_taken(struct heap *h)
{
    while (h->mail_taken != NULL) {
        unpack_next(h);
    }
}

/* The mailbox is looked into once, however fast the others send. */
void cache_drain_mail(struct heap *h)
{
    unpack_taken(h);
    unpack_next(h);
    unpack_taken(h);
}

/* ---- refill ---- */

/* Slow start: twice the batch after two refills without a flush between. */
static unsigned next_batch(struct size_class_state *cs)
{
    unsigned batch = cs->batch;
    if (++cs->refills_since_flush >= 2) {
        cs->refills_since_flush = 0;
        unsigned doubled = batch * 2;
        cs->batch = (uint16_t)(doubled < cs->batch_max ? doubled : cs->batch_max);
    }
    return batch;
}

/* A class with many nearly free slabs offers one to the other heaps: few blocks of ours are left
 * in it, so few frees become remote. */
static void offer_slab(struct heap *h, struct size_class_state *cs)
{
    uint32_t g = cs->partial;
    if (cs->partial_count <= PUBLISH_PARTIALS_MIN || heap_is_alone()) {
        return;
    }
    for (int i = 0; g != 0 && i < PARTIAL_SEARCH_MAX; i++, g = slabs[g].next) {
        if (slabs[g].free_count >= slabs[g].capacity - slabs[g].capacity / 4) {
            adopt_publish(h, g);
            return;
        }
    }
}

/* A list that is not small gives up its colder half, or in the mid classes, where each block is
 * pages, all but TEND_BYTES. */
static void trim(struct heap *h, unsigned size_class)
{
    size_t keep = TEND_BYTES / class_bytes[size_class] + 1;
    bool halve = slab_span(size_class) == SLAB_SMALL_GRANULES;
    uint32_t n = 0;
    void *last_kept = NULL;
    for (void *p = h->front.list[size_class]; p != NULL; p = *(void **)p) {
        n++;
        if (n <= keep) {
            last_kept = p;
        } else if (halve && n % 2 == 0 && n / 2 > keep) {
            last_kept = *(void **)last_kept;
        }
    }
    if (n > keep) {
        flush(h, last_kept);
        set_length(&h->classes[size_class], halve && n / 2 > keep ? n / 2 + 1 : (uint32_t)keep);
        u64_add_single_writer(&h->classes[size_class].flushes, 1);
    }
}

/* Mail to heaps that no thread has would wait for the next thread: unpack it for one of them. */
static void tend_pooled(struct heap *h)
{
    uint32_t n = heap_pooled_count();
    n = n < TEND_POOLED_MAX ? n : TEND_POOLED_MAX;
    struct heap *other = n != 0 ? heap_take_pooled(h->tend_pooled++ % n) : NULL;
    if (other == NULL) {
        return;
    }
    heap_enter(other);
    if (remote_has_mail(other)) {
        cache_give_up(other);
    }
    heap_leave(other);
    heap_pool(other);
}

static void send_list_home(struct heap *h, unsigned size_class)
{
    void *p = h->front.list[size_class];
    h->front.list[size_class] = NULL;
    send_chain_home(h, p);
    set_length(&h->classes[size_class], 0);
}

/* If the list was never empty since the last time, part of it is not needed: what a phase of the
 * program left behind returns by halves. If even its first block is the same one, nobody seems to use
 * it, and a few blocks would keep many slabs from becoming free: the whole list goes, at the price of a
 * refill should it be used after all. */
static void tend_list(struct heap *h, unsigned size_class)
{
    struct size_class_state *cs = &h->classes[size_class];
    void **list = &h->front.list[size_class];
    uint64_t refills = u64_load_relaxed(&cs->refills); /* relaxed: our own */
    if (refills == cs->refills_when_tended) {
        if (*list == cs->head_when_tended) {
            send_list_home(h, size_class);
            heap_release_current(h, size_class);
        } else {
            trim(h, size_class);
        }
    }
    cs->refills_when_tended = refills;
    cs->head_when_tended = *list;
}

/* Every so many refills, one class is looked after, and what belongs to nobody. */
static void tend(struct heap *h)
{
    if (h->tend_countdown-- != 0) {
        return;
    }
    h->tend_countdown = TEND_EVERY;
    heap_leave(h); /* h is whole: a fork during the system calls need not lose it */
    adopt_tend();
    tend_pooled(h);
    run_tick();
    super_tick();
    pages_tick();
    heap_enter(h);
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        unsigned c = h->tend_class++ % CLASS_COUNT;
        if (h->front.list[c] != NULL) {
            tend_list(h, c);
            return;
        }
    }
}

/* As much as fills the list, so that what is unpacked is still in this core's cache when it is handed out;
 * but all of it now and then, or the free blocks of a large backlog would wait for ever while as many come
 * as are used. */
static void *refill_from_mail(struct heap *h, unsigned size_class)
{
    if (h->mail_countdown-- == 0) {
        h->mail_countdown = MAIL_DRAIN_EVERY;
        cache_drain_mail(h);
        h->tend_countdown = 0;
        tend(h);
    }
    while (h->front.list[size_class] == NULL && unpack_next(h)) {
    }
    return cache_pop(h, size_class);
}

void *cache_refill(struct heap *h, unsigned size_class)
{
    struct size_class_state *cs = &h->classes[size_class];
    if (unlikely(remote_has_mail(h))) {
        void *p = refill_from_mail(h, size_class);
        if (p != NULL) {
            cs->refills_when_tended = UINT64_MAX; /* it ran empty: no part of it is idle */
            return p;
        }
    }
    if (cs->list_limit != 0) {
        cs->mode = MODE_CACHED;
    }
    tend(h);
    offer_slab(h, cs);
    void *rest = h->front.list[size_class]; /* not empty only when the fast path was denied */
    void *p;
    unsigned taken = heap_take(h, size_class, next_batch(cs), rest, &p);
    if (taken == 0) {
        return cache_pop(h, size_class);
    }
    u64_add_single_writer(&cs->refills, 1);
    set_length(cs, rest == NULL ? taken : cs->list_estimate + taken);
    h->front.list[size_class] = *(void **)p;
    return p;
}

/* ---- giving up ---- */

void cache_flush_all(struct heap *h)
{
    cache_drain_mail(h);
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        send_list_home(h, c);
    }
    remote_publish_all(h);
}

static void publish_partials(struct heap *h, struct size_class_state *cs)
{
    uint32_t g = cs->partial;
    while (g != 0) {
        uint32_t next = slabs[g].next;
        if (slabs[g].free_count >= slabs[g].capacity / 4) {
            adopt_publish(h, g);
        }
        g = next;
    }
}

void cache_give_up(struct heap *h)
{
    cache_flush_all(h);
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        heap_release_current(h, c);
        publish_partials(h, &h->classes[c]);
    }
}
