/* SPDX-License-Identifier: MIT */
#include "front/entry.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "front/cache.h"
#include "front/checked.h"
#include "large/large.h"
#include "os/memcheck.h"
#include "os/os.h"
#include "os/report.h"
#include "run/config.h"
#include "run/init.h"
#include "slab/adopt.h"
#include "slab/pages.h"
#include "slab/remote.h"

#define SIZE_LIMIT ((size_t)PTRDIFF_MAX)
enum { REPORT_EVERY_MS = 10000, REPORTS_MAX = 10 };

bool entry_forced_slow(void)
{
    static atomic_u32 counter;
    uint32_t n = (uint32_t)setting_get(SETTING_test_force_slow);
    return n != 0 && u32_add_relaxed(&counter, 1) % n == 0; /* relaxed: a test's dice */
}

/* ---- memory is out ---- */

/* One line per burst: it ends when as much memory as was missing could be had again. A program that
 * lives at its limit gets REPORTS_MAX lines, then one in REPORT_EVERY_MS. relaxed throughout: two
 * threads may both report. */
static atomic_u64 missing;

static bool report_is_due(size_t size)
{
    static atomic_u32 reports, last_ms;
    if (u64_load_relaxed(&missing) != 0) {
        return false;
    }
    u64_store_relaxed(&missing, size != 0 ? size : 1);
    uint32_t now = os_now_ms();
    if (u32_add_relaxed(&reports, 1) >= REPORTS_MAX &&
        now - u32_load_relaxed(&last_ms) < REPORT_EVERY_MS) {
        return false;
    }
    u32_store_relaxed(&last_ms, now);
    return true;
}

static void note_success(size_t size)
{
    uint64_t n = u64_load_relaxed(&missing);
    if (unlikely(n != 0) && size >= n) {
        u64_store_relaxed(&missing, 0);
    }
}

static void report_out_of_memory(size_t size)
{
    if (!report_is_due(size)) {
        return;
    }
    struct report r;
    report_begin(&r);
    report_text(&r, "out of memory (ENOMEM): ");
    report_number(&r, size);
    report_text(&r, " bytes asked for; resident ");
    report_number(&r, os_resident_bytes() >> 10);
    report_text(&r, " KiB, committed ");
    struct run_totals t = run_measure();
    report_number(&r, t.committed_bytes >> 10);
    report_text(&r, " KiB of ");
    report_number(&r, map_granules << GRANULE_SHIFT >> 10);
    report_text(&r, " KiB, superslabs ");
    report_number(&r, super_measure().superslabs);
    report_text(&r, ", large blocks ");
    report_number(&r, t.large_count);
    report_end(&r);
}

/* Called after a first failure; whatever caches hold goes back where a second try finds it. */
HAK_COLD static bool reclaim(void)
{
    entry_purge();
    return init_once();
}

HAK_COLD static void *out_of_memory(size_t size)
{
    if (size <= SIZE_LIMIT) {
        report_out_of_memory(size);
    }
    errno = ENOMEM;
    return NULL;
}

/* ---- malloc ---- */

static void *refill_try(struct front *f, size_t size_class)
{
    struct heap *h = thread_heap(f);
    if (unlikely(h == NULL)) {
        return init_once() ? adopt_malloc((unsigned)size_class) : NULL;
    }
    if (unlikely(&h->front != f) && h->front.list[size_class] != NULL) {
        return cache_pop(h, (unsigned)size_class); /* an adopted heap comes with full lists */
    }
    heap_enter(h);
    void *p = cache_refill(h, (unsigned)size_class);
    heap_leave(h);
    return p;
}

HAK_INLINE void *refill(size_t size_class)
{
    void *p = refill_try(thread_front, size_class);
    if (unlikely(p == NULL) && reclaim()) {
        p = refill_try(thread_front, size_class);
    }
    if (unlikely(p == NULL)) {
        return out_of_memory(class_bytes[size_class]);
    }
    note_success(class_bytes[size_class]);
    return p;
}

HAK_NOINLINE static void *refill_or_checked(size_t size, size_t size_class)
{
    return unlikely(memcheck_is_on()) ? checked_malloc(size, 1, false) : refill(size_class);
}

HAK_NOINLINE void *entry_refill(size_t size)
{
    return refill_or_checked(size, class_of_size(size));
}

HAK_COLD void *entry_take(size_t size_class)
{
    return refill(size_class);
}

static void *large_try(size_t size, size_t alignment, bool zero)
{
    void *p = large_alloc(size, alignment, zero);
    bool can_ever_fit = size >> GRANULE_SHIFT < map_granules;
    if (unlikely(p == NULL) && can_ever_fit && reclaim()) {
        p = large_alloc(size, alignment, zero);
    }
    if (unlikely(p == NULL)) {
        return out_of_memory(size);
    }
    note_success(size);
    return p;
}

HAK_COLD void *entry_take_large(size_t size, size_t alignment, bool zero)
{
    return large_try(size, alignment, zero);
}

static void *large_or_checked(size_t size, size_t alignment, bool zero)
{
    return unlikely(memcheck_is_on()) ? checked_malloc(size, alignment, zero)
                                      : large_try(size, alignment, zero);
}

/* The hit path of the classes that malloc's table of offsets does not know: above 2 KiB, and aligned ones. */
HAK_INLINE void *take_first(size_t size, size_t size_class)
{
    struct front *f = thread_front;
    void *p = f->list[size_class];
    if (unlikely(p == NULL) || (BUILD_TINY && entry_forced_slow())) {
        return refill_or_checked(size, size_class);
    }
    return entry_pop(&f->list[size_class], p);
}

HAK_NOINLINE static void *malloc_large(size_t size)
{
    if (size == 0 && !memcheck_is_on()) {
        return entry_malloc(1);
    }
    if (unlikely(size > SIZE_LIMIT) || unlikely(!init_once())) {
        return out_of_memory(size);
    }
    return large_or_checked(size, 1, false);
}

HAK_NOINLINE void *entry_malloc_slow(size_t size)
{
    size_t step = size_step(size);
    return likely(step < CLASS_STEP_COUNT) ? take_first(size, class_of_step[step]) : malloc_large(size);
}

void *entry_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (!entry_multiply(count, size, &bytes)) {
        return out_of_memory(SIZE_MAX);
    }
    if (bytes > CLASS_BYTES_MAX) {
        bool can = bytes <= SIZE_LIMIT && init_once();
        return can ? large_or_checked(bytes, 1, true) : out_of_memory(bytes);
    }
    void *p = entry_malloc(bytes);
    return p != NULL ? memset(p, 0, bytes) : NULL;
}

bool entry_multiply(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

/* ---- free ---- */

HAK_INLINE void give(void *p, struct front *f, uint32_t word_xor_id)
{
    uint32_t word = word_xor_id ^ f->id_word;
    if (!map_word_is_slab(word)) {
        large_check_pointer(p, word, "free");
        large_free(p);
        return;
    }
    struct heap *h = thread_heap(f);
    if (unlikely(h == NULL)) {
        remote_send_single(p, word);
        return;
    }
    if (unlikely(&h->front != f)) {
        word = map_word_of(p); /* a heap just acquired may have owned it when it was read */
    }
    heap_enter(h);
    cache_free(h, p, word);
    heap_leave(h);
}

HAK_NOINLINE HAK_FLATTEN static void free_otherwise(void *p, struct front *f, uint32_t word_xor_id)
{
    if (unlikely(memcheck_is_on())) {
        checked_free(p);
    } else {
        give(p, f, word_xor_id);
    }
}

/* An own block whose class drains, where nothing but its bit changes. */
HAK_INLINE bool put_simple(struct heap *h, unsigned size_class, const void *p)
{
    struct slab *s = &slabs[slab_of(p, size_class)];
    if (h->classes[size_class].mode != MODE_DRAINING || !heap_put_is_simple(s)) {
        return false;
    }
    heap_enter(h);
    heap_put_simple(h, s, size_class, p);
    heap_leave(h);
    return true;
}

/* First the two most frequent ways: put_simple, and a block of another heap to which a parcel is under way. h
 * is followed only where it is a heap. */
void entry_free_slow(void *p, struct front *f, uint32_t word_xor_id)
{
    uint32_t word = word_xor_id ^ f->id_word;
    struct heap *h = (struct heap *)f;
    unsigned c = word_xor_id ^ CODE_CLOSED;
    bool is_done = c < CLASS_COUNT ? put_simple(h, c, p)
                                   : f->id_word != FRONT_NO_ID && WORD_OWNER(word_xor_id) != 0 &&
                                         map_word_is_slab(word) && remote_send_simple(h, p, word);
    if (!is_done) {
        free_otherwise(p, f, word_xor_id);
    }
}

HAK_COLD void entry_give(void *p, struct front *f, uint32_t word_xor_id)
{
    give(p, f, word_xor_id);
}

/* ---- sizes ---- */

static size_t usable_size(const void *p, const char *caller)
{
    uint32_t word = map_word_of(p);
    if (likely(map_word_is_slab(word))) {
        return class_bytes[word & CODE_CLASS_MASK];
    }
    if (map_index(p) >= map_granules) {
        return 0; /* not ours */
    }
    large_check_pointer(p, word, caller);
    return large_usable(p);
}

size_t entry_capacity(const void *p)
{
    return usable_size(p, "malloc_usable_size");
}

size_t entry_usable_size(const void *p)
{
    return unlikely(memcheck_is_on()) ? checked_usable_size(p) : entry_capacity(p);
}

size_t entry_good_size(size_t size)
{
    if (size <= CLASS_BYTES_MAX) {
        return class_bytes[class_of_size(size != 0 ? size : 1)];
    }
    size_t page = os_page_bytes();
    return size > SIZE_LIMIT ? size : (size + page - 1) & ~(page - 1);
}

/* ---- realloc ---- */

static bool was_growing(const struct heap *h, const void *p)
{
    for (unsigned i = 0; i < GROWTH_HISTORY; i++) {
        if (h->growing[i] == p) {
            return true;
        }
    }
    return false;
}

/* A small block in a run holds a page and a granule's worth of address space, so only a few may be at
 * work at a time: a place is free again when its block was freed or has become large. */
static void **small_run_place(struct heap *h)
{
    for (unsigned i = 0; i < GROWTH_HISTORY; i++) {
        const void *p = h->small_runs[i];
        if (p == NULL || map_word_of(p) != CODE_LARGE || large_usable(p) >= GROWTH_BYTES_LARGE) {
            return &h->small_runs[i];
        }
    }
    return NULL;
}

static void *growth_alloc(struct heap *h, size_t size)
{
    if (size >= GROWTH_BYTES_LARGE) {
        return large_alloc_growing(size);
    }
    void **place = small_run_place(h);
    return place != NULL ? *place = large_alloc_growing(size) : NULL;
}

/* A block that grows for the second time by a factor, and not by a few bytes, is a vector that will
 * go on growing: give it a run with head-room. Blocks that creep stay in classes, which round less
 * than pages do. */
static void *grow_alloc(const void *old, size_t old_bytes, size_t size)
{
    struct heap *h = thread_heap_if_any();
    if (h == NULL || size < GROWTH_BYTES_MIN / 2) {
        return entry_malloc(size);
    }
    bool grows_fast = size > old_bytes + old_bytes / 8;
    void *p = grows_fast && was_growing(h, old) ? growth_alloc(h, size) : NULL;
    if (p == NULL) {
        p = entry_malloc(size);
        h->growing[h->growing_next++ % GROWTH_HISTORY] = p;
    }
    return p;
}

static void *realloc_by_copy(void *p, size_t old, size_t size)
{
    void *q = size > old ? grow_alloc(p, old, size) : entry_malloc(size);
    if (q != NULL) {
        memcpy(q, p, size < old ? size : old);
        entry_free(p);
    }
    return q;
}

HAK_NOINLINE static void *realloc_large(void *p, size_t size)
{
    size_t old = large_usable(p);
    if (size < old) {
        void *q = realloc_by_copy(p, old, size);
        return q != NULL ? q : p; /* the block is large enough as it is */
    }
    void *q = large_move(p, size);
    if (q == NULL && reclaim()) {
        q = large_move(p, size);
    }
    return q != NULL ? q : out_of_memory(size);
}

void *entry_realloc(void *p, size_t size)
{
    if (p == NULL) {
        return entry_malloc(size);
    }
    if (size == 0) {
        entry_free(p);
        return NULL;
    }
    uint32_t word = map_word_of(p);
    if (unlikely(size > SIZE_LIMIT || map_index(p) >= map_granules)) {
        return out_of_memory(SIZE_MAX); /* too large, or a block that is not ours: left as it is */
    }
    if (unlikely(memcheck_is_on())) {
        return checked_realloc(p, size);
    }
    if (!map_word_is_slab(word)) {
        large_check_pointer(p, word, "realloc");
        return large_resize(p, size) ? p : realloc_large(p, size);
    }
    size_t old = class_bytes[word & CODE_CLASS_MASK];
    if (size <= old && (size > old / 2 || old <= CACHE_LINE)) {
        return p;
    }
    void *q = realloc_by_copy(p, old, size);
    return q == NULL && size <= old ? p : q;
}

/* ---- aligned ---- */

static void *aligned_slow(size_t alignment, size_t size)
{
    if (size > SIZE_LIMIT || alignment > SIZE_LIMIT - size || !init_once()) {
        return out_of_memory(SIZE_MAX);
    }
    return large_or_checked(size != 0 ? size : 1, alignment, false);
}

/* alignment <= 16 is every block's: the plain path. */
void *entry_aligned(size_t alignment, size_t size)
{
    if (alignment <= 16) {
        return entry_malloc(size);
    }
    if (size > CLASS_ALIGNED_BYTES_MAX || alignment > CLASS_ALIGNED_BYTES_MAX || memcheck_is_on()) {
        return aligned_slow(alignment, size);
    }
    return take_first(size, class_of_aligned(size, alignment));
}

void *entry_aligned_no_errno(size_t alignment, size_t size)
{
    int saved = errno;
    void *p = entry_aligned(alignment, size);
    errno = saved;
    return p;
}

/* ---- purge, check ---- */

static void purge_own(void)
{
    struct heap *h = thread_heap_if_any();
    if (h != NULL) {
        heap_enter(h);
        cache_flush_all(h);
        for (unsigned c = 0; c < CLASS_COUNT; c++) {
            heap_release_current(h, c);
        }
        heap_purge_pages(h);
        heap_leave(h);
    }
}

/* Heaps of threads that are gone hold memory too. Each sends others' blocks home, and all of them have
 * to do so before any can know what it has. Slabs of threads that sleep are reached where they are watched.
 * Superslabs come last: slabs of all heaps may have become free on the way. */
static void purge(void)
{
    struct heap *pooled = heap_take_all_pooled();
    for (struct heap *h = pooled; h != NULL; h = h->next_pooled) {
        heap_enter(h);
        cache_flush_all(h);
        heap_leave(h);
    }
    purge_own();
    for (struct heap *h = pooled, *next; h != NULL; h = next) {
        next = h->next_pooled;
        heap_enter(h);
        cache_give_up(h);
        heap_purge_pages(h);
        heap_leave(h);
        heap_pool(h);
    }
    adopt_purge();
    pages_purge_all();
    super_purge();
    remote_purge();
}

bool entry_purge(void)
{
    if (!init_once()) {
        return false;
    }
    uint32_t before = run_purges();
    memcheck_hide();
    purge();
    memcheck_show();
    run_purge_all();
    return run_purges() != before;
}

bool entry_check(void)
{
    if (map_granules == 0) {
        return true; /* nothing was ever allocated */
    }
    memcheck_hide();
    bool sound = run_check() && large_check() && super_check() && adopt_check() && pages_check();
    for (uint32_t id = HEAP_SHARED_ID; sound && id <= heap_count(); id++) {
        /* a heap that a fork caught in the middle of a change is used no more */
        bool lost = heaps[id].state == HEAP_LOST;
        sound = lost || (heap_check(&heaps[id]) && remote_check(&heaps[id]));
    }
    memcheck_show();
    return sound;
}
