/* SPDX-License-Identifier: MIT */
/*
 * Which accesses without atomics there were. For each eight bytes the last few: enough to find a
 * conflict soon, and one that is forgotten is never one too many.
 */
#include <sys/mman.h>

#include "check.h"
#include "machine.h"

enum { ENTRIES = 6, CELL_SHIFT = 3, PAGE_SHIFT = 12, CELLS = 1 << (PAGE_SHIFT - CELL_SHIFT), PAGES = 1 << 15,
       LONG_BYTES = 1 << PAGE_SHIFT };

struct entry {
    uint32_t code; /* the program is linked to low addresses */
    uint16_t at;   /* the thread's clock; 0: none */
    uint8_t thread;
    uint8_t mask;  /* bytes */
    bool is_write;
};

struct page {
    uintptr_t number;
    struct entry cells[CELLS][ENTRIES];
};

static struct page *pages[PAGES];

/* NULL if the page has no record and shall have none. */
static struct page *page_of(uintptr_t number, bool create)
{
    size_t i = (size_t)(number * 0x9e3779b97f4a7c15u >> 32) % PAGES;
    while (pages[i] != NULL && pages[i]->number != number) {
        i = (i + 1) % PAGES;
    }
    if (pages[i] == NULL && create) {
        int flags = MAP_PRIVATE | MAP_ANONYMOUS;
        pages[i] = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, flags, -1, 0);
        CHECK(pages[i] != MAP_FAILED);
        pages[i]->number = number;
    }
    return pages[i];
}

static bool happened_before(const struct entry *e, const struct access *a)
{
    return e->at <= a->now->at[e->thread];
}

/* Where the access is noted: in place of one that it makes superfluous, if there is one. */
static struct entry *place_of(struct entry *cell, const struct access *a, uint8_t mask)
{
    for (unsigned i = 0; i < ENTRIES; i++) {
        struct entry *e = &cell[i];
        bool covers = (e->mask & ~mask) == 0 && (a->is_write || !e->is_write);
        bool same = e->thread == a->thread || a->is_write;
        if (e->at == 0 || (covers && same && happened_before(e, a))) {
            return e;
        }
    }
    return &cell[a->now->at[a->thread] % ENTRIES];
}

static void check_cell(struct entry *cell, const struct access *a, uint8_t mask, const void *address)
{
    for (unsigned i = 0; i < ENTRIES && cell[i].at != 0; i++) {
        const struct entry *e = &cell[i];
        if ((e->mask & mask) != 0 && (e->is_write || a->is_write) && !happened_before(e, a)) {
            machine_report(e->is_write ? "data race with a write" : "data race with a read", address, a->code,
                           (const void *)(uintptr_t)e->code);
        }
    }
    *place_of(cell, a, mask) = (struct entry){(uint32_t)(uintptr_t)a->code, a->now->at[a->thread],
                                              (uint8_t)a->thread, mask, a->is_write};
}

/* A long access, purging most of all, leaves no mark on pages that nobody has touched. */
void shadow_access(const struct access *a)
{
    uintptr_t at = (uintptr_t)a->address;
    uintptr_t end = at + a->bytes;
    while (at < end) {
        uintptr_t cell_end = (at | 7) + 1;
        uintptr_t stop = cell_end < end ? cell_end : end;
        uint8_t mask = (uint8_t)((0xffu << (at & 7)) & (0xffu >> (cell_end - stop)));
        struct page *page = page_of(at >> PAGE_SHIFT, a->bytes <= LONG_BYTES);
        if (page == NULL) {
            at = (at | ((1 << PAGE_SHIFT) - 1)) + 1;
            continue;
        }
        check_cell(page->cells[at >> CELL_SHIFT & (CELLS - 1)], a, mask, (const void *)at);
        at = stop;
    }
}
