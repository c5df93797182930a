/* SPDX-License-Identifier: MIT */
#include "slab/adopt.h"

#include "slab/remote.h"

struct lock shared_heap_lock;
static atomic_ptr inbox;                /* published slabs, linked by slab.next */
static atomic_u32 offered[CLASS_COUNT]; /* under the lock, a hint without: partial slabs are here */

static struct heap *shared_heap(void)
{
    return &heaps[HEAP_SHARED_ID];
}

/* ---- publish ---- */

void adopt_publish(struct heap *h, uint32_t g)
{
    unsigned c = slabs[g].size_class;
    heap_unlink_slab(h, g);
    for (unsigned i = 0; i < slab_span(c); i++) { /* [MO-HANDOVER] the slab is whole before this */
        map_set_word_release(g + i, shared_heap()->front.id_word | CODE_CLOSED | c);
    }
    void *head = ptr_load_relaxed(&inbox); /* relaxed: the CAS checks it */
    do {
        slabs[g].next = (uint32_t)(uintptr_t)head;
    } while (!ptr_cas_release(&inbox, &head, (void *)(uintptr_t)g)); /* [MO-MAIL] */
}

/* ---- under the lock ---- */

static void absorb_inbox(void)
{
    uint32_t g = (uint32_t)(uintptr_t)ptr_swap_acquire(&inbox, NULL); /* [MO-MAIL] */
    while (g != 0) {
        uint32_t next = slabs[g].next;
        heap_link_slab(shared_heap(), g);
        u32_store_relaxed(&offered[slabs[g].size_class], 1); /* relaxed: a hint */
        if (slabs[g].free_count == slabs[g].capacity) { /* the last block came home on the way */
            heap_retire_slab(shared_heap(), g);
        }
        g = next;
    }
}

/* A block that came to the shared heap: home if its slab is here, else on to where it is. */
static void settle_block(void *p)
{
    uint32_t word = map_word_acquire(map_index(p)); /* [MO-HANDOVER] */
    if (WORD_OWNER(word) == HEAP_SHARED_ID) {
        heap_put(shared_heap(), word & CODE_CLASS_MASK, p);
        u32_store_relaxed(&offered[word & CODE_CLASS_MASK], 1); /* relaxed: a hint */
    } else {
        remote_send_single(p, word);
    }
}

static void settle_mail(void)
{
    struct heap *shared = shared_heap();
    for (struct parcel *p = remote_take(shared), *next; p != NULL; p = next) {
        next = p->next;
        for (unsigned i = 0; i < p->count; i++) {
            settle_block(p->slots[i]);
        }
        remote_recycle(shared, p);
    }
    for (void *p = remote_take_strays(shared), *next; p != NULL; p = next) {
        next = *(void **)p;
        settle_block(p);
    }
}

static void settle(void)
{
    absorb_inbox();
    if (remote_has_mail(shared_heap())) {
        settle_mail();
    }
}

/* ---- adopt ---- */

bool adopt_take(struct heap *h, unsigned size_class)
{
    /* relaxed: a hint that saves the lock; the shared heap itself holds it already */
    bool any = u32_load_relaxed(&offered[size_class]) != 0 || ptr_load_relaxed(&inbox) != NULL;
    if (!any || h->id == HEAP_SHARED_ID || !lock_try(&shared_heap_lock)) {
        return false;
    }
    settle();
    struct size_class_state *cs = &shared_heap()->classes[size_class];
    uint32_t g = cs->partial;
    if (g != 0) {
        heap_unlink_slab(shared_heap(), g);
        heap_link_slab(h, g);
        u64_add_single_writer(&h->classes[size_class].adopted, 1);
    }
    u32_store_relaxed(&offered[size_class], cs->partial != 0); /* relaxed: a hint */
    lock_release(&shared_heap_lock);
    return g != 0;
}

void adopt_tend(void)
{
    bool any = remote_has_mail(shared_heap()) || ptr_load_relaxed(&inbox) != NULL; /* relaxed: a hint */
    if (any && lock_try(&shared_heap_lock)) {
        settle();
        lock_release(&shared_heap_lock);
    }
}

void *adopt_malloc(unsigned size_class)
{
    lock_acquire(&shared_heap_lock);
    settle();
    void *p;
    heap_take(shared_heap(), size_class, 1, NULL, &p);
    lock_release(&shared_heap_lock);
    return p;
}

void adopt_purge(void)
{
    lock_acquire(&shared_heap_lock);
    settle();
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        heap_release_current(shared_heap(), c); /* nobody would come back to one that is wholly free */
    }
    heap_purge_pages(shared_heap());
    lock_release(&shared_heap_lock);
}

bool adopt_check(void)
{
    uint32_t g = (uint32_t)(uintptr_t)ptr_load_relaxed(&inbox); /* relaxed: nobody else runs */
    bool sound = true;
    for (; sound && g != 0; g = slabs[g].next) {
        sound = slabs[g].place == PLACE_NONE && slab_check(g) &&
                map_word(g) == (shared_heap()->front.id_word | CODE_CLOSED | slabs[g].size_class);
    }
    return sound;
}
