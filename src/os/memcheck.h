/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What valgrind's memcheck is told, so that it knows our blocks where it does not put its own malloc
 * in our place: in the prefix library, in wholly static programs, and when it is told not to.
 *
 * Without <valgrind/memcheck.h> all this is nothing. With it, malloc's and free's fast paths are as
 * they were: on memcheck a thread's lists stay empty (run/thread.c), so that every call misses, and
 * a miss is one compare longer. On other tools of valgrind nothing changes.
 * Threads: any, and memcheck runs one at a time. Allocates nothing, calls nothing.
 */

#include "base/atomic.h"
#include "base/compiler.h"

#if __has_include(<valgrind/memcheck.h>)
enum { BUILD_MEMCHECK = 1 };
#else
enum { BUILD_MEMCHECK = 0 };
#endif

enum { MEMCHECK_UNKNOWN, MEMCHECK_OFF, MEMCHECK_ON };
extern atomic_u32 memcheck_state __attribute__((visibility("hidden")));

bool memcheck_ask(void);

HAK_INLINE bool memcheck_is_on(void)
{
    if (!BUILD_MEMCHECK || likely(u32_load_relaxed(&memcheck_state) == MEMCHECK_OFF)) {
        return false; /* relaxed: whoever asks finds the same */
    }
    return memcheck_ask();
}

/* A block begins: reading it is an error until it is written. It ends: any access is. */
void memcheck_block_begins(const void *p, size_t bytes, bool zeroed);
void memcheck_block_ends(const void *p);

/* What fresh memory is for: our tables, which may be used, and blocks to come, which may not. */
void memcheck_tables(const void *p, size_t bytes);
void memcheck_free_memory(const void *p, size_t bytes);

/* Between these the calling thread may touch free memory, as the allocator does. They nest. */
void memcheck_hide(void);
void memcheck_show(void);
