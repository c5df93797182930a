/* SPDX-License-Identifier: MIT */
#include "large/large.h"

#include <string.h>

#include "base/sizeclass.h"
#include "os/os.h"
#include "os/report.h"

enum {
    MOVED_MAX = 8192, /* each moved block may split two mappings of the 65530 that a process has */
    HEADROOM_FACTOR = 16,
    HEADROOM_FROM_BYTES = 8 << 10,
};
#define HEADROOM_BYTES_MAX ((size_t)1 << 30)

static atomic_u32 moved_count;

static size_t granules_of(size_t bytes)
{
    return (bytes + GRANULE_BYTES - 1) >> GRANULE_SHIFT;
}

static void *large_alloc_run(size_t bytes, size_t len, size_t align)
{
    uint32_t g = run_alloc(len, align);
    if (g == RUN_NONE) {
        return NULL;
    }
    struct run *r = &runs[g];
    r->touched = 0;
    r->moved = false;
    large_set_bytes(r, bytes);
    map_set_word(g, CODE_LARGE);
    return map_address(g);
}

void *large_alloc(size_t size, size_t alignment, bool zero)
{
    size_t bytes = large_page_up(size);
    size_t align = granules_of(alignment);
    void *p = large_alloc_run(bytes, granules_of(bytes), align != 0 ? align : 1);
    if (p != NULL && zero) {
        run_clear((uint32_t)map_index(p), size);
    }
    return p;
}

/* Untouched head-room costs address space only; where that is limited, there is none. */
static size_t with_headroom(size_t bytes)
{
    if (bytes < HEADROOM_FROM_BYTES || !run_is_roomy()) {
        return granules_of(bytes);
    }
    bool huge = bytes > HEADROOM_BYTES_MAX / (HEADROOM_FACTOR - 1);
    return granules_of(bytes + (huge ? HEADROOM_BYTES_MAX : bytes * (HEADROOM_FACTOR - 1)));
}

void *large_alloc_growing(size_t size)
{
    size_t bytes = large_page_up(size);
    void *p = large_alloc_run(bytes, with_headroom(bytes), 1);
    return p != NULL ? p : large_alloc_run(bytes, granules_of(bytes), 1);
}

HAK_COLD _Noreturn void large_reject(const void *p, const char *caller)
{
    size_t g = map_index(p);
    bool freed = map_word(g) == CODE_FREED && map_address(g) == p;
    report_fail(caller, freed ? "double free of" : "invalid pointer", p);
}

/* Pages that were moved in keep their mappings apart from their neighbours': start afresh. */
static bool renew(uint32_t g, struct run *r)
{
    size_t len = r->len;
    enum os_renewal result = os_renew(map_address(g), len << GRANULE_SHIFT);
    if (result == OS_RENEW_DONE) {
        run_mark_clean(g, len);
        r->touched = 0;
    }
    u32_add_relaxed(&moved_count, UINT32_MAX); /* relaxed: a bound, minus one */
    return result != OS_RENEW_LOST;
}

void large_free(void *p)
{
    uint32_t g = (uint32_t)map_index(p);
    struct run *r = &runs[g];
    map_set_word(g, CODE_FREED);
    large_set_bytes(r, 0);
    if (r->moved && !renew(g, r)) {
        return; /* nothing is mapped there: the run stays used for ever */
    }
    run_mark_dirty(g, granules_of(r->touched));
    run_free(g);
}

size_t large_usable(const void *p)
{
    return large_bytes(&runs[map_index(p)]);
}

static bool extend(uint32_t g, size_t bytes)
{
    size_t need = granules_of(bytes);
    size_t generous = with_headroom(bytes);
    return (generous > need && run_extend(g, generous)) || run_extend(g, need);
}

/* Gives the end back if it is worth it: at least half of the run. */
static void shrink(uint32_t g, size_t bytes)
{
    struct run *r = &runs[g];
    size_t need = granules_of(bytes);
    if (need <= r->len / 2) {
        size_t written = granules_of(r->touched);
        run_mark_dirty(g, written);
        run_shrink(g, need);
        r->touched = bytes;
    }
}

bool large_resize_slow(void *p, size_t size)
{
    uint32_t g = (uint32_t)map_index(p);
    struct run *r = &runs[g];
    size_t bytes = large_page_up(size);
    if (bytes < large_bytes(r) / 2) {
        if (size <= CLASS_BYTES_MAX) {
            return false; /* a block of a class holds less memory */
        }
        if (!r->moved) {
            shrink(g, bytes);
        }
    } else if (!extend(g, bytes)) {
        return false;
    }
    large_set_bytes(r, bytes);
    return true;
}

static enum os_move large_move_pages(uint32_t from, uint32_t to)
{
    size_t bytes = large_bytes(&runs[from]);
    bool full = u32_load_relaxed(&moved_count) >= MOVED_MAX; /* relaxed: a bound */
    if (bytes < MOVE_BYTES_MIN || full || map_is_thrifty()) { /* a move needs address space twice */
        return OS_MOVE_REFUSED;
    }
    enum os_move result = os_move_pages(map_address(from), map_address(to), bytes);
    if (result != OS_MOVE_DONE) {
        return result;
    }
    u32_add_relaxed(&moved_count, 1); /* relaxed: a bound */
    runs[to].moved = true;
    size_t whole = bytes >> GRANULE_SHIFT; /* the rest of the last granule may hold old data */
    if (granules_of(runs[from].touched) == whole) {
        runs[from].touched = 0;
    }
    run_mark_clean(from, whole);
    return OS_MOVE_DONE;
}

void *large_move(void *p, size_t size)
{
    void *q = large_alloc_growing(size);
    if (q == NULL) {
        return NULL;
    }
    uint32_t from = (uint32_t)map_index(p);
    uint32_t to = (uint32_t)map_index(q);
    enum os_move moved = large_move_pages(from, to);
    if (moved == OS_MOVE_LOST) {
        map_set_word(to, 0); /* the run stays used for ever: it is not ours any more */
        large_set_bytes(&runs[to], 0);
        return NULL;
    }
    if (moved == OS_MOVE_REFUSED) {
        size_t old = large_bytes(&runs[from]);
        memcpy(q, p, old < size ? old : size);
    }
    large_free(p);
    return q;
}

bool large_check(void)
{
    bool sound = true;
    for (uint32_t g = run_after(RUN_NONE); sound && g != RUN_NONE; g = run_after(g)) {
        const struct run *r = &runs[g];
        size_t bytes = r->state == RUN_USED ? large_bytes(r) : 0;
        if (bytes != 0) {
            sound = map_word(g) == CODE_LARGE && bytes <= (size_t)r->len << GRANULE_SHIFT &&
                    bytes <= r->touched && bytes % os_page_bytes() == 0;
        }
    }
    return sound;
}
