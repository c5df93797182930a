/* SPDX-License-Identifier: MIT */
/*
 * The allocator under test, seen through one set of names.
 *
 * With STRESS_HAK defined the names are the hak_* calls of the prefix-only library;
 * without it they are the standard calls, so that the same program runs over whatever
 * allocator is preloaded or linked in. Every result passes through api_seen(), which
 * hides its origin from the compiler: otherwise it would assume that calloc() returns
 * zeroes and that malloc() is aligned, and drop the very checks this program is for.
 */
#ifndef STRESS_API_H
#define STRESS_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#ifdef STRESS_HAK
#include <hakmem/hakmem.h>
#define API(name) hak_##name
#define API_USABLE hak_usable_size
#define API_IS_HAK true
#else
#include <malloc.h>
#define API(name) name
#define API_USABLE malloc_usable_size
#define API_IS_HAK false
#endif

static inline void *api_seen(void *address)
{
    __asm__ volatile("" : "+r"(address));
    return address;
}

/* Validates the whole heap; only where the library can, and while all threads rest. */
static inline bool api_check(void)
{
#ifdef STRESS_HAK
    return hak_check();
#else
    return true;
#endif
}

static inline void api_purge(void)
{
#ifdef STRESS_HAK
    hak_purge();
#else
    (void)malloc_trim(0);
#endif
}

/* Frees with what is known of the block; `align` is 0 unless it came from aligned_alloc. */
static inline void api_free_sized(void *address, size_t align, size_t size)
{
#ifdef STRESS_HAK
    if (align != 0)
        hak_free_aligned_sized(address, align, size);
    else
        hak_free_sized(address, size);
#else
    (void)align;
    (void)size;
    free(address);
#endif
}

#endif
