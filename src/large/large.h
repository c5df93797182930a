/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Large blocks: one run each, beyond CLASS_BYTES_MAX, and smaller ones that keep growing by
 * realloc. They have no owner; any thread may free any of them. A run may be longer than the block
 * (head-room), so that growth is a change of one number.
 *
 * Owns: the user fields of a used run. Threads: any; a block's fields belong to whoever may call
 * free on it. Failure: NULL or false, the block is unchanged. Calls: run.
 */

#include "map/run.h"
#include "os/os.h"

/* alignment: a power of two; zero: the memory must read as zero. */
void *large_alloc(size_t size, size_t alignment, bool zero);
/* With head-room, for a block that was seen to grow. */
void *large_alloc_growing(size_t size);
_Noreturn void large_reject(const void *p, const char *caller);

/* Where p's word tells that it is no large block's pointer, the process ends, named after `caller`. */
HAK_INLINE void large_check_pointer(const void *p, uint32_t word, const char *caller)
{
    if (unlikely(word != CODE_LARGE || (uintptr_t)p % GRANULE_BYTES != 0)) {
        large_reject(p, caller);
    }
}

void large_free(void *p);
size_t large_usable(const void *p);
bool large_resize_slow(void *p, size_t size);

HAK_INLINE size_t large_page_up(size_t bytes)
{
    size_t page = os_page_bytes();
    return (bytes + page - 1) & ~(page - 1);
}

HAK_INLINE size_t large_bytes(const struct run *r)
{
    return u64_load_relaxed(&r->bytes); /* relaxed: statistics read it too */
}

HAK_INLINE void large_set_bytes(struct run *r, size_t bytes)
{
    u64_store_relaxed(&r->bytes, bytes); /* relaxed: as above */
    if (bytes > r->touched) {
        r->touched = bytes;
    }
}

/* Changes the size in place if that is possible and not wasteful; most often within the run. */
HAK_INLINE bool large_resize(void *p, size_t size)
{
    struct run *r = &runs[map_index(p)];
    size_t bytes = large_page_up(size);
    if (likely(bytes <= (size_t)r->len << GRANULE_SHIFT && bytes >= large_bytes(r) / 2)) {
        large_set_bytes(r, bytes);
        return true;
    }
    return large_resize_slow(p, size);
}
/* Every large block. */
bool large_check(void);
/* Moves a block that must grow into a new one with head-room; NULL leaves it as it is. */
void *large_move(void *p, size_t size);
