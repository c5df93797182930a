/* SPDX-License-Identifier: MIT */
/*
 * An allocator to preload that breaks one promise now and then, or makes a known number of system
 * calls, to see whether a program with checks notices. Apart from that it is the one of glibc.
 *
 * BAD_MALLOC chooses:
 *   overlap     malloc: a block that the caller still holds
 *   misaligned  aligned_alloc, posix_memalign: 16 bytes off
 *   refused     malloc: NULL
 *   dirty       calloc: the last byte is not 0
 *   forgotten   realloc: the first byte changes
 *   calls       malloc of at least 64 KiB: one system call brk each; nothing is broken
 * Anything else: nothing is broken.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);

enum { RARE = 1000, OFTEN = 20, BIG = 64 * 1024 };

/* The last block this thread got, as long as it has freed nothing since: surely still held. */
static __thread struct {
    void *block;
    size_t size;
} last;

static bool mode(const char *name) {
    const char *wanted = getenv("BAD_MALLOC");
    return wanted != NULL && strcmp(wanted, name) == 0;
}

static bool now_and_then(unsigned every) {
    static atomic_uint calls; /* relaxed: it only has to go up */
    return atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) % every == every - 1;
}

void *malloc(size_t size) {
    if (size >= 64 && size <= last.size && mode("overlap") && now_and_then(RARE)) {
        return last.block;
    }
    if (size >= 1024 && mode("refused") && now_and_then(RARE)) {
        errno = ENOMEM;
        return NULL;
    }
    if (size >= BIG && mode("calls")) {
        syscall(SYS_brk, 0);
    }
    last.block = __libc_malloc(size);
    last.size = last.block == NULL ? 0 : size;
    return last.block;
}

void free(void *block) {
    last.size = 0;
    __libc_free(block);
}

/* Small blocks stay clean: libc itself relies on calloc for the tables of a new thread. */
void *calloc(size_t count, size_t size) {
    last.size = 0;
    unsigned char *block = __libc_calloc(count, size);
    size_t bytes = count * size;
    if (block != NULL && bytes >= 4096 && mode("dirty") && now_and_then(OFTEN)) {
        block[bytes - 1] = 0x5a;
    }
    return block;
}

void *realloc(void *block, size_t size) {
    last.size = 0;
    unsigned char *moved = __libc_realloc(block, size);
    if (moved != NULL && size >= 1024 && mode("forgotten") && now_and_then(OFTEN)) {
        moved[0] ^= 1;
    }
    return moved;
}

void *aligned_alloc(size_t alignment, size_t size) {
    last.size = 0;
    if (alignment > 16 && mode("misaligned") && now_and_then(OFTEN)) {
        unsigned char *block = __libc_memalign(alignment, size + 16);
        return block == NULL ? NULL : block + 16;
    }
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
    *block = aligned_alloc(alignment, size);
    return *block == NULL ? ENOMEM : 0;
}
