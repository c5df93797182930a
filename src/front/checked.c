/* SPDX-License-Identifier: MIT */
#include "front/checked.h"

#include <string.h>

#include "front/entry.h"
#include "os/memcheck.h"

enum { RED_ZONE_BYTES = 16, QUEUE_BLOCKS = 1024 };
#define SIZE_OF_FREED SIZE_MAX

static atomic_ptr queue[QUEUE_BLOCKS];
static atomic_u32 queue_next;

/* ---- blocks ---- */

/* Not so for pointers that no malloc ever returned, and for blocks that are at home. */
static bool is_handed_out(const void *p)
{
    uint32_t word = map_word_of(p);
    return map_word_is_slab(word) ? slab_has_handed_out(p, word) : word == CODE_LARGE;
}

static size_t *size_asked(const void *p)
{
    return (size_t *)((uintptr_t)p + entry_capacity(p)) - 1;
}

static void *take(size_t bytes, size_t alignment, bool zero)
{
    if (alignment <= 16 && bytes <= CLASS_BYTES_MAX) {
        return entry_take(class_of_size(bytes));
    }
    if (bytes <= CLASS_ALIGNED_BYTES_MAX && alignment <= CLASS_ALIGNED_BYTES_MAX) {
        return entry_take(class_of_aligned(bytes, alignment));
    }
    return entry_take_large(bytes, alignment, zero);
}

static void give_home(void *p)
{
    entry_give(p, thread_front, map_word_of(p) ^ thread_front->id_word);
}

/* ---- the calls ---- */

void *checked_malloc(size_t size, size_t alignment, bool zero)
{
    memcheck_hide();
    void *p = take(size + RED_ZONE_BYTES, alignment, zero);
    if (p != NULL) {
        *size_asked(p) = size;
    }
    memcheck_show();
    if (p != NULL) {
        memcheck_block_begins(p, size, zero);
    }
    return p;
}

static void put_back(void *p)
{
    if (!map_word_is_slab(map_word_of(p))) {
        give_home(p);
    } else if (is_handed_out(p) && *size_asked(p) != SIZE_OF_FREED) {
        *size_asked(p) = SIZE_OF_FREED;
        uint32_t place = u32_add_relaxed(&queue_next, 1) % QUEUE_BLOCKS; /* relaxed: one thread at a time */
        void *first = ptr_swap_relaxed(&queue[place], p); /* relaxed: as above */
        if (first != NULL) {
            give_home(first);
        }
    }
}

/* A wrong pointer is left alone once memcheck has reported it; that of a large block ends the process. */
void checked_free(void *p)
{
    memcheck_block_ends(p);
    memcheck_hide();
    put_back(p);
    memcheck_show();
}

/* 0 if p is no block. */
static size_t bytes_to_keep(const void *p)
{
    memcheck_hide();
    size_t size = is_handed_out(p) ? *size_asked(p) : 0;
    memcheck_show();
    return size != SIZE_OF_FREED ? size : 0;
}

void *checked_realloc(void *p, size_t size)
{
    size_t old = bytes_to_keep(p);
    void *q = checked_malloc(size, 1, false);
    if (q != NULL) {
        memcpy(q, p, size < old ? size : old);
        checked_free(p);
    }
    return q;
}

size_t checked_usable_size(const void *p)
{
    memcheck_hide();
    size_t size = entry_capacity(p) != 0 ? *size_asked(p) : 0;
    memcheck_show();
    return size;
}
