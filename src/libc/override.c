/* SPDX-License-Identifier: MIT */
/* The names of libc, with glibc's semantics. Each is its entry and nothing more. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "front/api.h"
#include "run/init.h"
#include "watch/stats.h"

const bool init_can_wait = true; /* pthread_create calls our calloc */

void cfree(void *block);
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);

HAK_EXPORT HAK_HOT void *malloc(size_t size)
{
    return entry_malloc(size);
}

HAK_EXPORT HAK_HOT void free(void *block)
{
    entry_free(block);
}

HAK_EXPORT void cfree(void *block)
{
    entry_free(block);
}

HAK_EXPORT void *calloc(size_t count, size_t size)
{
    return entry_calloc(count, size);
}

HAK_EXPORT void *realloc(void *block, size_t size)
{
    return entry_realloc(block, size);
}

HAK_EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return api_aligned_alloc(alignment, size);
}

HAK_EXPORT void *memalign(size_t alignment, size_t size)
{
    return api_memalign(alignment, size);
}

HAK_EXPORT int posix_memalign(void **block, size_t alignment, size_t size)
{
    return api_posix_memalign(block, alignment, size);
}

HAK_EXPORT void *valloc(size_t size)
{
    return entry_aligned(os_page_bytes(), size);
}

HAK_EXPORT size_t malloc_usable_size(void *block)
{
    return entry_usable_size(block);
}

/* ---- by the names above ----
 * Tools that put a malloc of their own in the place of ours, such as valgrind, may not know these: their
 * blocks must be those of that malloc. */

HAK_EXPORT void *reallocarray(void *block, size_t count, size_t size)
{
    size_t bytes;
    return api_array_bytes(count, size, &bytes) ? realloc(block, bytes) : NULL;
}

HAK_EXPORT void *pvalloc(size_t size)
{
    size_t bytes;
    return api_whole_pages(size, &bytes) ? memalign(os_page_bytes(), bytes) : NULL;
}

HAK_EXPORT void free_sized(void *block, size_t size)
{
    (void)size; /* a wrong size corrupts nothing: the map knows the right one */
    free(block);
}

HAK_EXPORT void free_aligned_sized(void *block, size_t alignment, size_t size)
{
    (void)alignment;
    (void)size;
    free(block);
}

/* ---- introspection ---- */

/* glibc keeps `pad` bytes; here all that is free goes. 1 if any memory was given back. */
HAK_EXPORT int malloc_trim(size_t pad)
{
    (void)pad;
    return entry_purge();
}

/* Parameters tune glibc's own mechanisms, which do not exist here: accepted and without effect. */
HAK_EXPORT int mallopt(int parameter, int value)
{
    (void)parameter;
    (void)value;
    return 1;
}

HAK_EXPORT struct mallinfo2 mallinfo2(void)
{
    struct stats s = stats_collect();
    return (struct mallinfo2){
        .arena = s.mapped_bytes - s.large_bytes,
        .ordblks = s.free_bytes >> GRANULE_SHIFT,
        .hblks = s.large_count,
        .hblkhd = s.large_bytes,
        .uordblks = s.live_bytes,
        .fordblks = s.mapped_bytes - s.large_bytes - s.live_bytes,
        .keepcost = s.dirty_bytes,
    };
}

static int clamp_int(size_t n)
{
    return n > INT32_MAX ? INT32_MAX : (int)n;
}

HAK_EXPORT struct mallinfo mallinfo(void)
{
    struct mallinfo2 m = mallinfo2();
    return (struct mallinfo){
        .arena = clamp_int(m.arena),
        .ordblks = clamp_int(m.ordblks),
        .hblks = clamp_int(m.hblks),
        .hblkhd = clamp_int(m.hblkhd),
        .uordblks = clamp_int(m.uordblks),
        .fordblks = clamp_int(m.fordblks),
        .keepcost = clamp_int(m.keepcost),
    };
}

HAK_EXPORT void malloc_stats(void)
{
    stats_print();
}

/* The elements of glibc's version 1 that readers use, plus our own. The caller's stream allocates
 * as it likes: no lock of ours is held. */
HAK_EXPORT int malloc_info(int options, FILE *stream)
{
    if (options != 0) {
        return EINVAL;
    }
    struct stats s = stats_collect();
    int n = fprintf(stream,
                    "<malloc version=\"1\">\n<heap nr=\"0\">\n"
                    "<system type=\"current\" size=\"%zu\"/>\n<aspace type=\"total\" size=\"%zu\"/>\n"
                    "</heap>\n<total type=\"fast\" count=\"0\" size=\"%zu\"/>\n"
                    "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n"
                    "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n"
                    "<system type=\"current\" size=\"%zu\"/>\n"
                    "<hakmem live=\"%zu\" dirty=\"%zu\" superslabs=\"%zu\" heaps=\"%zu\"/>\n</malloc>\n",
                    s.mapped_bytes, s.mapped_bytes, s.cached_bytes, s.free_bytes >> GRANULE_SHIFT,
                    s.free_bytes, s.large_count, s.large_bytes, s.mapped_bytes, s.live_bytes,
                    s.dirty_bytes, s.superslabs, s.heaps);
    return n < 0 ? -1 : 0;
}
