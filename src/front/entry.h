/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * malloc and free, read from here downwards. The two hot functions are inline so that the public
 * names are the fast path itself; budget: malloc 14 instructions, free 16 on x86-64, without a
 * counter, a lock, an atomic read-modify-write or a call (checked on the disassembly by a test).
 *
 * The gatekeeper: size -> list is computed here once, or size -> class behind the slow door; pointer ->
 * (owner, class) here once, and passed down. Threads: any. Failure: NULL and ENOMEM at the edge.
 */

#include "base/sizeclass.h"
#include "map/map.h"
#include "run/thread.h"

/* Tiny build: every n-th fast path is missed (HAKMEM_TEST_FORCE_SLOW). */
bool entry_forced_slow(void);

void *entry_refill(size_t size); /* its class is small, and the list empty */
void *entry_malloc_slow(size_t size);
/* The map word of p is word_xor_id ^ f->id_word. */
void entry_free_slow(void *p, struct front *f, uint32_t word_xor_id);

/* Takes p, the head of the calling thread's list, and fetches the block that is handed out next. */
HAK_INLINE void *entry_pop(void **list, void *p)
{
    void *next = *(void **)p;
    *list = next;
    prefetch_for_write(next);
    return p;
}

/*
 * What takes time here is the chain of loads from one call to the next: the head of the list, then its
 * link. So the list is addressed without an index, which lets processors forward the store of the last
 * call without delay, and the block that comes next is fetched before it is asked for.
 */
HAK_INLINE void *entry_malloc(size_t size)
{
    size_t step = size_step(size);
    compiler_opaque(step); /* or the test is done on size - 1, at the price of a copy */
    if (unlikely(step >= FRONT_STEPS)) { /* not small, or 0 */
        return entry_malloc_slow(size);
    }
    struct front *f = thread_front;
    void **list = (void **)((char *)f + f->list_offset[step]);
    compiler_opaque(list);
    void *p = *list;
    if (unlikely(p == NULL) || (BUILD_TINY && entry_forced_slow())) {
        return entry_refill(size);
    }
    compiler_opaque(p); /* or the result is in another register than is returned */
    return entry_pop(list, p);
}

/*
 * One load answers everything: the word of the block's granule, xor the thread's id, is the class
 * exactly if the block is the thread's own and its slab is open. NULL and foreign addresses fail
 * the range test; remote, large, closed and never-used memory fail the class test.
 */
HAK_INLINE void entry_free(void *p)
{
    size_t g = map_index(p);
    if (unlikely(g >= map_granules)) {
        return; /* NULL, or not ours */
    }
    struct front *f = thread_front;
    uint32_t c = map_word(g) ^ f->id_word;
    if (unlikely(c >= CLASS_COUNT) || (BUILD_TINY && entry_forced_slow())) {
        entry_free_slow(p, f, c);
        return;
    }
    *(void **)p = f->list[c];
    compiler_barrier(); /* a fork between the two stores must not see a list with a loose end */
    f->list[c] = p;
}

/* The rest of the interface; glibc's semantics, as include/hakmem/hakmem.h tells. */
void *entry_calloc(size_t count, size_t size);
void *entry_realloc(void *p, size_t size);
void *entry_aligned(size_t alignment, size_t size); /* alignment: a power of two */
void *entry_aligned_no_errno(size_t alignment, size_t size);
size_t entry_usable_size(const void *p);
size_t entry_good_size(size_t size);
bool entry_multiply(size_t a, size_t b, size_t *product);

/* The slow paths behind the doors above, for front/checked.h. */
void *entry_take(size_t size_class);
void *entry_take_large(size_t size, size_t alignment, bool zero);
void entry_give(void *p, struct front *f, uint32_t word_xor_id);
size_t entry_capacity(const void *p);

/* Gives back all free memory that the calling thread can reach; true if any went meanwhile. */
bool entry_purge(void);
/* Walks the invariants of every box; no other thread may allocate meanwhile. */
bool entry_check(void);
