/* SPDX-License-Identifier: MIT */
/* The public hak_* names (include/hakmem/hakmem.h); each is its entry and nothing more. */
#include "front/api.h"

#include "hakmem/hakmem.h"

HAK_EXPORT void *hak_malloc(size_t size)
{
    return entry_malloc(size);
}

HAK_EXPORT void hak_free(void *block)
{
    entry_free(block);
}

HAK_EXPORT void *hak_calloc(size_t count, size_t size)
{
    return entry_calloc(count, size);
}

HAK_EXPORT void *hak_realloc(void *block, size_t size)
{
    return entry_realloc(block, size);
}

HAK_EXPORT void *hak_reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    return api_array_bytes(count, size, &bytes) ? entry_realloc(block, bytes) : NULL;
}

HAK_EXPORT void *hak_aligned_alloc(size_t alignment, size_t size)
{
    return api_aligned_alloc(alignment, size);
}

HAK_EXPORT void *hak_memalign(size_t alignment, size_t size)
{
    return api_memalign(alignment, size);
}

HAK_EXPORT int hak_posix_memalign(void **block, size_t alignment, size_t size)
{
    return api_posix_memalign(block, alignment, size);
}

HAK_EXPORT void *hak_valloc(size_t size)
{
    return entry_aligned(os_page_bytes(), size);
}

HAK_EXPORT void *hak_pvalloc(size_t size)
{
    size_t bytes;
    return api_whole_pages(size, &bytes) ? entry_aligned(os_page_bytes(), bytes) : NULL;
}

HAK_EXPORT void hak_free_sized(void *block, size_t size)
{
    (void)size;
    entry_free(block);
}

HAK_EXPORT void hak_free_aligned_sized(void *block, size_t alignment, size_t size)
{
    (void)alignment;
    (void)size;
    entry_free(block);
}

HAK_EXPORT size_t hak_usable_size(const void *block)
{
    return entry_usable_size(block);
}

HAK_EXPORT size_t hak_good_size(size_t size)
{
    return entry_good_size(size);
}

HAK_EXPORT void hak_purge(void)
{
    entry_purge();
}

HAK_EXPORT bool hak_check(void)
{
    return entry_check();
}

HAK_EXPORT const char *hak_version(void)
{
    return HAKMEM_VERSION;
}
