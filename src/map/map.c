/* SPDX-License-Identifier: MIT */
#include "map/map.h"

#include "os/memcheck.h"
#include "os/os.h"

uintptr_t map_base;
atomic_u32 *map_words;
size_t map_granules;

#define SUPER_BYTES ((size_t)SUPER_GRANULES << GRANULE_SHIFT)
#define PAGE_MAX GRANULE_BYTES /* areas start at multiples of the largest system page */

static struct layout {
    struct map_area *const *areas;
    size_t area_count;
    size_t reserved_end;  /* granules; all of them unless address space is limited */
    size_t committed_end; /* granules */
    size_t floor;         /* granules; past the last foreign mapping that was met */
    bool thrifty;         /* commit no more than is asked for */
} layout;

static size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

static size_t area_bytes(const struct map_area *a, size_t granules)
{
    size_t count = a->granules_each ? granules / a->granules_each : a->count;
    return round_up(count * a->element_bytes, PAGE_MAX);
}

static size_t tables_bytes(size_t granules)
{
    size_t bytes = round_up(granules * sizeof(atomic_u32), PAGE_MAX);
    for (size_t i = 0; i < layout.area_count; i++) {
        bytes += area_bytes(layout.areas[i], granules);
    }
    return bytes;
}

/* Tables first, then the granules, so that one call commits the tables and the first granules. */
static void map_lay_out(char *start, size_t granules)
{
    char *at = start;
    map_words = (atomic_u32 *)at;
    at += round_up(granules * sizeof(atomic_u32), PAGE_MAX);
    for (size_t i = 0; i < layout.area_count; i++) {
        *layout.areas[i]->where = at;
        at += area_bytes(layout.areas[i], granules);
    }
    map_base = round_up((uintptr_t)at, SUPER_BYTES);
}

static bool commit_table(char *table, size_t *committed, size_t bytes)
{
    size_t want = round_up(bytes, PAGE_MAX);
    if (want > *committed) {
        if (!os_commit(table + *committed, want - *committed)) {
            return false;
        }
        memcheck_tables(table + *committed, want - *committed);
        *committed = want;
    }
    return true;
}

bool map_commit_area(struct map_area *area, size_t bytes)
{
    return commit_table(*area->where, &area->committed_bytes, bytes);
}

/* Tables grow with the granules in use, so that core dumps and mlockall see no more than that. */
static bool commit_tables_to(size_t end)
{
    for (size_t i = 0; i < layout.area_count; i++) {
        struct map_area *a = layout.areas[i];
        if (a->granules_each == 0) {
            continue; /* its user commits it, under a lock of its own */
        }
        size_t bytes = (end / a->granules_each + 1) * a->element_bytes;
        size_t most = area_bytes(a, map_granules);
        if (!map_commit_area(a, bytes < most ? bytes : most)) {
            return false;
        }
    }
    return true;
}

static bool commit_tables(size_t granules)
{
    bool generous = !layout.thrifty && commit_tables_to(round_up(granules, TABLE_STEP_GRANULES));
    return generous || commit_tables_to(granules);
}

/* The words are needed whole, since any address may be asked for. */
static bool map_init_sized(size_t granules, size_t keep_granules)
{
    size_t keep = tables_bytes(granules) + (keep_granules << GRANULE_SHIFT) + SUPER_BYTES;
    size_t bytes = keep + ((granules - keep_granules) << GRANULE_SHIFT);
    char *start = os_reserve(bytes);
    if (start == NULL) {
        return false;
    }
    map_lay_out(start, granules);
    layout.reserved_end = keep_granules;
    size_t committed = 0;
    if (!commit_table(start, &committed, granules * sizeof(atomic_u32))) {
        os_unreserve(start, bytes);
        return false;
    }
    if (keep < bytes && !os_unreserve(start + keep, bytes - keep)) {
        layout.reserved_end = granules; /* it is all still ours */
    }
    os_no_huge_pages(start, map_base - (uintptr_t)start + COMMIT_BYTES);
    map_granules = granules; /* last: from here on addresses are looked up */
    return true;
}

/*
 * Unlimited address space is reserved whole, halving until it succeeds. Under RLIMIT_AS each
 * reserved byte counts: as much as there is is reserved to find a place with room above, and all
 * but the first superslabs given up again; map_reserve_more goes on from there.
 */
bool map_init(struct map_area *const *areas, size_t area_count, size_t limit)
{
    layout.areas = areas;
    layout.area_count = area_count;
    layout.thrifty = limit < ARENA_BYTES_MAX;
    size_t bytes = layout.thrifty ? limit - limit / 8 : ARENA_BYTES_MAX;
    for (; bytes >= ARENA_BYTES_MIN / 4; bytes -= layout.thrifty ? bytes / 8 : bytes / 2) {
        size_t granules = bytes / SUPER_BYTES * SUPER_GRANULES;
        size_t first = 2 * SUPER_GRANULES;
        if (map_init_sized(granules, layout.thrifty && first < granules ? first : granules)) {
            return true;
        }
    }
    return false;
}

/* Reserves up to `end`; on a foreign mapping, raises the floor past it. */
static bool map_reserve_more(size_t end)
{
    bool occupied = false;
    size_t piece = end - layout.reserved_end;
    if (os_reserve_at(map_address(layout.reserved_end), piece << GRANULE_SHIFT, &occupied)) {
        layout.reserved_end = end;
        return true;
    }
    if (!occupied) {
        return false;
    }
    layout.reserved_end = round_up(layout.reserved_end + 1, SUPER_GRANULES);
    layout.committed_end = layout.floor = layout.reserved_end;
    return true;
}

void map_forget(size_t granule, size_t len)
{
    size_t page = os_page_bytes();
    for (size_t i = 0; i < layout.area_count; i++) {
        const struct map_area *a = layout.areas[i];
        size_t start = round_up(granule * a->element_bytes, page);
        size_t end = (granule + len) * a->element_bytes / page * page;
        if (a->dead_when_free && start < end) {
            os_purge((char *)*a->where + start, end - start);
        }
    }
}

static bool map_commit_to(size_t end)
{
    if (end <= layout.committed_end) {
        return true;
    }
    size_t generous = round_up(end, COMMIT_BYTES >> GRANULE_SHIFT);
    size_t ends[2] = {layout.thrifty || generous > map_granules ? end : generous, end};
    for (int i = 0; i < 2; i++) {
        size_t bytes = (ends[i] - layout.committed_end) << GRANULE_SHIFT;
        void *fresh = map_address(layout.committed_end);
        if (commit_tables(ends[i]) && os_commit(fresh, bytes)) {
            memcheck_free_memory(fresh, bytes);
            layout.committed_end = ends[i];
            return true;
        }
    }
    return false;
}

static bool grow(size_t *start, size_t len)
{
    for (;;) {
        *start = *start > layout.floor ? *start : layout.floor;
        size_t end = *start + len;
        if (end > map_granules) {
            return false;
        }
        if (end <= layout.reserved_end) {
            return map_commit_to(end);
        }
        if (!map_reserve_more(end)) {
            return false;
        }
    }
}

/* Where everything was occupied up to the end there may be room the next time. */
bool map_grow(size_t *start, size_t len)
{
    struct layout before = layout;
    bool done = grow(start, len);
    if (!done && layout.reserved_end == layout.floor) {
        layout = before;
    }
    return done;
}

size_t map_floor(void)
{
    return layout.floor;
}

size_t map_committed_bytes(void)
{
    return layout.committed_end << GRANULE_SHIFT;
}

bool map_is_thrifty(void)
{
    return layout.thrifty;
}
