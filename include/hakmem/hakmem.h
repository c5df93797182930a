/* SPDX-License-Identifier: MIT */
#ifndef HAKMEM_HAKMEM_H
#define HAKMEM_HAKMEM_H
/*
 * hakmem: a general-purpose memory allocator.
 *
 * The functions below do what their standard twins do, also where malloc itself is not replaced.
 * All sizes and alignments are in bytes. All functions may be called from any thread at any time,
 * before main and after exit handlers included, but not from signal handlers. A block may be freed
 * by any thread. On failure an allocating function returns NULL and sets errno to ENOMEM.
 */

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HAKMEM_VERSION "0.1.0"

/* A block of at least `size` bytes, aligned to 16; size 0 gives a unique pointer. */
void *hak_malloc(size_t size);

/* Gives a block back. NULL and pointers of other allocators are ignored. errno is kept. */
void hak_free(void *block);

/* A zeroed block of count * size bytes; an overflow of the product is ENOMEM. */
void *hak_calloc(size_t count, size_t size);

/* Changes a block's size, keeping its contents up to the smaller size. NULL allocates, size 0 frees
 * and returns NULL. On failure the block is left as it is. */
void *hak_realloc(void *block, size_t size);
/* hak_realloc of count * size bytes; an overflow of the product is ENOMEM. */
void *hak_reallocarray(void *block, size_t count, size_t size);

/* A block whose address is a multiple of `alignment`, a power of two; otherwise EINVAL. */
void *hak_aligned_alloc(size_t alignment, size_t size);
/* The same; an alignment that is no power of two is rounded up to one. */
void *hak_memalign(size_t alignment, size_t size);
/* The same, returning 0, EINVAL or ENOMEM; *block and errno are left alone on failure. The
 * alignment must also be a multiple of sizeof(void *). */
int hak_posix_memalign(void **block, size_t alignment, size_t size);
/* Aligned to a page; hak_pvalloc also rounds the size up to whole pages, at least one. */
void *hak_valloc(size_t size);
void *hak_pvalloc(size_t size);

/* C23: hak_free by somebody who knows the size (and alignment); wrong ones are tolerated. */
void hak_free_sized(void *block, size_t size);
void hak_free_aligned_sized(void *block, size_t alignment, size_t size);

/* The bytes of a block that may be used, at least what was asked for; 0 for NULL. */
size_t hak_usable_size(const void *block);

/* The size that a request of `size` bytes is rounded up to: asking for it wastes nothing. */
size_t hak_good_size(size_t size);

/* Gives all memory back to the system that is free and that the calling thread can reach: its own
 * caches, those of threads that are gone, free pages of what other threads have used, and everything
 * shared. Takes milliseconds. */
void hak_purge(void);

/* Validates the whole heap; false means corruption. No other thread may use the heap meanwhile. */
bool hak_check(void);

/* The version of the library, as in HAKMEM_VERSION. */
const char *hak_version(void);

#ifdef __cplusplus
}
#endif

#endif
