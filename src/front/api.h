/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The edges of glibc's semantics that hak_* and the standard names share: argument checks and
 * errno. Inline, so that both sets of names reach the entry directly. Threads: any.
 */

#include <errno.h>

#include "base/bits.h"
#include "front/entry.h"
#include "os/os.h"

HAK_INLINE void *api_aligned_alloc(size_t alignment, size_t size)
{
    if (!bits_is_power_of_two(alignment)) {
        errno = EINVAL;
        return NULL;
    }
    return entry_aligned(alignment, size);
}

HAK_INLINE void *api_memalign(size_t alignment, size_t size)
{
    if (alignment > SIZE_MAX / 2 + 1) {
        errno = EINVAL;
        return NULL;
    }
    if (!bits_is_power_of_two(alignment)) {
        alignment = alignment == 0 ? 1 : (size_t)2 << bits_log2(alignment);
    }
    return entry_aligned(alignment, size);
}

HAK_INLINE int api_posix_memalign(void **block, size_t alignment, size_t size)
{
    if (!bits_is_power_of_two(alignment) || alignment % sizeof(void *) != 0) {
        return EINVAL;
    }
    void *p = entry_aligned_no_errno(alignment, size);
    if (p == NULL) {
        return ENOMEM;
    }
    *block = p;
    return 0;
}

/* The size that reallocarray and pvalloc ask for, or false and ENOMEM. */
HAK_INLINE bool api_array_bytes(size_t count, size_t size, size_t *bytes)
{
    if (!entry_multiply(count, size, bytes)) {
        errno = ENOMEM;
        return false;
    }
    return true;
}

HAK_INLINE bool api_whole_pages(size_t size, size_t *bytes)
{
    size_t page = os_page_bytes();
    *bytes = size == 0 ? page : (size + page - 1) & ~(page - 1);
    if (*bytes < size) {
        errno = ENOMEM;
        return false;
    }
    return true;
}
