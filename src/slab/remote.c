/* SPDX-License-Identifier: MIT */
#include "slab/remote.h"

#include "base/bits.h"
#include "os/os.h"

enum { POOL_BATCH = 4, WORD_BITS = 64 };
#define PARCELS_MAX (PARCEL_AREA_BYTES / sizeof(struct parcel))
#define POOL_WORDS ((PARCELS_MAX + WORD_BITS - 1) / WORD_BITS)

static struct parcel *parcels; /* the area they are cut from */
struct map_area parcel_area = {(void **)&parcels, sizeof(struct parcel), 0,
                               PARCELS_MAX, 0, false};
struct lock parcel_lock;
/* Under the lock. The pool is a bit per parcel, away from the parcels, so that their pages can go. */
static uint64_t pool[POOL_WORDS];
static size_t pool_first; /* word: no parcel of the pool lies before it */
static size_t cut_count;

/* ---- parcels ---- */

static struct parcel *cut_parcel(void)
{
    if (cut_count == parcel_area.count ||
        !map_commit_area(&parcel_area, (cut_count + 1) * sizeof(struct parcel))) {
        return NULL;
    }
    return &parcels[cut_count++];
}

static void pool_put(const struct parcel *p)
{
    size_t i = (size_t)(p - parcels);
    pool[i / WORD_BITS] |= (uint64_t)1 << i % WORD_BITS;
    pool_first = i / WORD_BITS < pool_first ? i / WORD_BITS : pool_first;
}

static struct parcel *pool_take(void)
{
    for (; pool_first * WORD_BITS < cut_count; pool_first++) {
        uint64_t bits = pool[pool_first];
        if (bits != 0) {
            pool[pool_first] = bits & (bits - 1);
            return &parcels[pool_first * WORD_BITS + bits_first(bits)];
        }
    }
    return NULL;
}

static void spare_push(struct heap *h, struct parcel *p)
{
    p->next = h->spare;
    h->spare = p;
    h->spare_count++;
}

static struct parcel *spare_pop(struct heap *h)
{
    struct parcel *p = h->spare;
    if (p != NULL) {
        h->spare = p->next;
        h->spare_count--;
    }
    return p;
}

static struct parcel *get_parcel(struct heap *h)
{
    if (h->spare == NULL) {
        lock_acquire(&parcel_lock);
        struct parcel *p = pool_take();
        for (int i = 1; i < POOL_BATCH && p != NULL; i++) {
            spare_push(h, p);
            p = pool_take();
        }
        p = p == NULL && h->spare == NULL ? cut_parcel() : p;
        if (p != NULL) {
            spare_push(h, p);
        }
        lock_release(&parcel_lock);
    }
    return spare_pop(h);
}

void remote_recycle(struct heap *h, struct parcel *p)
{
    spare_push(h, p);
    if (h->spare_count > PARCELS_SPARE_MAX) {
        lock_acquire(&parcel_lock);
        while (h->spare_count > PARCELS_SPARE_MAX / 2) {
            pool_put(spare_pop(h));
        }
        lock_release(&parcel_lock);
    }
}

/* The pages of [from, to), which no other parcel reaches into. */
static void purge_parcels(size_t from, size_t to)
{
    size_t page = os_page_bytes();
    size_t start = (from * sizeof(struct parcel) + page - 1) / page * page;
    size_t end = to * sizeof(struct parcel) / page * page;
    if (start < end) {
        os_purge((char *)parcels + start, end - start);
    }
}

void remote_purge(void)
{
    lock_acquire(&parcel_lock);
    size_t from = 0;
    for (size_t at = 0; at <= cut_count; at++) {
        if (at == cut_count || (pool[at / WORD_BITS] >> at % WORD_BITS & 1) == 0) {
            purge_parcels(from, at);
            from = at + 1;
        }
    }
    lock_release(&parcel_lock);
}

/* ---- send ---- */

static void publish(struct heap *h, struct parcel *p)
{
    struct heap *to = &heaps[p->destination];
    u64_add_single_writer(&h->remote_sent, p->count);
    void *head = ptr_load_relaxed(&to->mail); /* relaxed: the CAS checks it */
    do {
        p->next = head;
    } while (!ptr_cas_release(&to->mail, &head, p)); /* [MO-MAIL] */
}

void remote_send_single(void *p, uint32_t word)
{
    struct heap *to = &heaps[WORD_OWNER(word)];
    void *head = ptr_load_relaxed(&to->strays); /* relaxed: the CAS checks it */
    do {
        *(void **)p = head;
    } while (!ptr_cas_release(&to->strays, &head, p)); /* [MO-MAIL] */
}

static struct parcel *open_parcel(struct heap *h, struct parcel **slot, uint32_t destination)
{
    if (*slot != NULL) {
        publish(h, *slot);
    }
    struct parcel *p = get_parcel(h);
    *slot = p;
    if (p != NULL) {
        p->destination = destination;
        p->count = 0;
        p->kib = 0;
    }
    return p;
}

void remote_send(struct heap *h, void *p, uint32_t word)
{
    uint32_t destination = WORD_OWNER(word);
    struct parcel **slot = &h->outbox[destination % OUTBOX_COUNT];
    struct parcel *parcel = *slot;
    if (unlikely(parcel == NULL || parcel->destination != destination)) {
        parcel = open_parcel(h, slot, destination);
        if (parcel == NULL) {
            remote_send_single(p, word);
            return;
        }
    }
    parcel_add(parcel, p, class_bytes[word & CODE_CLASS_MASK] >> 10);
    if (unlikely(parcel->count == PARCEL_SLOTS || parcel->kib >= PARCEL_BYTES_MAX >> 10)) {
        *slot = NULL;
        publish(h, parcel);
    }
}

void remote_publish_all(struct heap *h)
{
    for (unsigned i = 0; i < OUTBOX_COUNT; i++) {
        struct parcel *p = h->outbox[i];
        h->outbox[i] = NULL;
        if (p != NULL) {
            publish(h, p);
        }
    }
}

/* ---- receive ---- */

struct parcel *remote_take(struct heap *h)
{
    return ptr_swap_acquire(&h->mail, NULL); /* [MO-MAIL] */
}

void *remote_take_strays(struct heap *h)
{
    return ptr_swap_acquire(&h->strays, NULL); /* [MO-MAIL] */
}

/* ---- check ---- */

static bool parcel_is_ours(const struct parcel *p)
{
    return p >= parcels && p < parcels + cut_count;
}

static bool blocks_are_out(const struct parcel *p)
{
    bool sound = p->count <= PARCEL_SLOTS;
    for (unsigned i = 0; sound && i < p->count; i++) {
        sound = slab_has_handed_out(p->slots[i], map_word_of(p->slots[i]));
    }
    return sound;
}

/* Also ends where a chain has become a ring: no more parcels than were ever cut. */
static bool chain_is_ours(const struct parcel *p, bool full)
{
    size_t n = 0;
    for (; p != NULL; p = p->next) {
        if (!parcel_is_ours(p) || n++ == cut_count || (full && !blocks_are_out(p))) {
            return false;
        }
    }
    return true;
}

/* Nothing is in the pool before its first word, or that was never cut. */
static bool pool_check(void)
{
    bool sound = true;
    for (size_t w = 0; w < POOL_WORDS; w++) {
        size_t cut = cut_count > w * WORD_BITS ? cut_count - w * WORD_BITS : 0;
        uint64_t may = w < pool_first ? 0 : bits_low(cut < WORD_BITS ? (unsigned)cut : WORD_BITS);
        sound = sound && (pool[w] & ~may) == 0;
    }
    return sound;
}

bool remote_check(struct heap *h)
{
    lock_acquire(&parcel_lock);
    bool sound = pool_check() && chain_is_ours(h->spare, false) && chain_is_ours(h->mail_taken, true) &&
                 chain_is_ours(ptr_load_relaxed(&h->mail), true); /* relaxed: nobody else runs */
    for (unsigned i = 0; sound && i < OUTBOX_COUNT; i++) {
        const struct parcel *p = h->outbox[i];
        sound = p == NULL || (parcel_is_ours(p) && p->destination % OUTBOX_COUNT == i &&
                              p->count < PARCEL_SLOTS && blocks_are_out(p));
    }
    lock_release(&parcel_lock);
    return sound;
}
