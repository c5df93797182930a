/* SPDX-License-Identifier: MIT */
/*
 * libfloor.so: what malloc costs when it does next to nothing. malloc pops a block from the
 * calling thread's stack of its class, free pushes it there; an empty stack takes a fresh block
 * from the class's part of one big reservation. Nothing is checked, given back or balanced
 * between threads. Run under a workload it shows what the loop itself costs, and how far an
 * allocator is from the least possible.
 *
 * Four classes per doubling; class c owns the addresses base + c * 2^28, so free finds the class
 * by a shift and reads no memory but the stack. malloc takes the class of a small size from a
 * table that fills itself: an entry not yet known is class 0, which has no blocks.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

enum { CLASS_SHIFT = 28, CLASSES = 96, STEPS_LOG2 = 2, LINE_BYTES = 64, TABLE_MAX = 65536 };

#define RESERVED ((size_t)CLASSES << CLASS_SHIFT)
/* Before the first malloc: so far from every address, NULL too, that none lies in a class. */
#define NO_BASE ((uintptr_t)1 << 62)
#define PUBLIC __attribute__((visibility("default")))
#define UNLIKELY(condition) __builtin_expect((condition), 0)

struct block {
    struct block *next;
};

static __thread struct block *stacks[CLASSES] __attribute__((tls_model("initial-exec")));
static _Atomic uintptr_t base = NO_BASE;    /* of the reservation */
static _Atomic size_t used[CLASSES];        /* bytes handed out of each class's part */
static uint8_t class_table[TABLE_MAX / 16 + 1]; /* by 16 bytes; racing threads store the same */

/* 16-byte steps to 64 B, then four classes per doubling, counted from 1. */
static unsigned class_of(size_t size) {
    if (size <= 64) {
        return (unsigned)((size + 15) / 16) + (size == 0);
    }
    unsigned log2 = 63u - (unsigned)__builtin_clzll(size - 1);
    return ((log2 - 5u) << STEPS_LOG2) + (unsigned)((size - 1) >> (log2 - STEPS_LOG2)) - 3u;
}

static size_t class_bytes(unsigned class) {
    unsigned step = (class - 1) & 3u;
    return class <= 4 ? class * 16u : (size_t)(step + 5) << ((class - 1) / 4 + 3);
}

__attribute__((noinline, cold)) static uintptr_t reserve(void) {
    void *memory = mmap(NULL, RESERVED, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return NO_BASE;
    }
    uintptr_t expected = NO_BASE;
    if (!atomic_compare_exchange_strong(&base, &expected, (uintptr_t)memory)) {
        munmap(memory, RESERVED);
        return expected;
    }
    return (uintptr_t)memory;
}

__attribute__((noinline)) static void *carve(unsigned class) {
    uintptr_t start = atomic_load(&base);
    if (start == NO_BASE) {
        start = reserve();
    }
    size_t bytes = class_bytes(class);
    if (start == NO_BASE || class >= CLASSES) {
        errno = ENOMEM;
        return NULL;
    }
    /* Small blocks come by the cache line, so that threads do not share one. */
    size_t chunk = bytes < LINE_BYTES ? LINE_BYTES * bytes / 16 : bytes;
    /* The parts begin at different cache sets, or the first blocks of all classes share one. */
    size_t offset = atomic_fetch_add(&used[class], chunk) + class * bytes;
    if (offset + chunk > (size_t)1 << CLASS_SHIFT) {
        errno = ENOMEM;
        return NULL;
    }
    char *first = (char *)(start + ((uintptr_t)class << CLASS_SHIFT) + offset);
    for (size_t at = bytes; at < chunk; at += bytes) {
        struct block *block = (struct block *)(void *)(first + at);
        block->next = stacks[class];
        stacks[class] = block;
    }
    return first;
}

__attribute__((noinline, cold)) static void *malloc_slow(size_t size) {
    unsigned class = size <= PTRDIFF_MAX ? class_of(size) : CLASSES;
    if (size <= TABLE_MAX) {
        class_table[(size + 15) / 16] = (uint8_t)class_of((size + 15) / 16 * 16);
    }
    struct block *block = class < CLASSES ? stacks[class] : NULL;
    if (block == NULL) {
        return carve(class);
    }
    stacks[class] = block->next;
    return block;
}

PUBLIC void *malloc(size_t size) {
    if (UNLIKELY(size > TABLE_MAX)) {
        return malloc_slow(size);
    }
    unsigned class = class_table[(size + 15) / 16];
    struct block *block = stacks[class];
    if (UNLIKELY(block == NULL)) {
        return malloc_slow(size);
    }
    stacks[class] = block->next;
    return block;
}

static inline size_t class_at(const void *pointer) {
    return ((uintptr_t)pointer - atomic_load_explicit(&base, memory_order_relaxed)) >>
           CLASS_SHIFT;
}

/* NULL and what ld.so allocated before lie in no class. */
PUBLIC void free(void *pointer) {
    size_t class = class_at(pointer);
    if (__builtin_expect(class < CLASSES, 1)) {
        struct block *block = pointer;
        block->next = stacks[class];
        stacks[class] = block;
    }
}

PUBLIC void *calloc(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    void *block = malloc(bytes);
    return block == NULL ? NULL : memset(block, 0, bytes);
}

PUBLIC void *realloc(void *pointer, size_t size) {
    if (pointer == NULL) {
        return malloc(size);
    }
    size_t class = class_at(pointer);
    if (class < CLASSES && class == class_of(size)) {
        return pointer;
    }
    void *block = malloc(size);
    if (block != NULL && class < CLASSES) {
        size_t old = class_bytes((unsigned)class);
        memcpy(block, pointer, old < size ? old : size);
        free(pointer);
    }
    return block;
}

/* Powers of two are classes of their own and aligned to their size: each part begins at a
 * multiple of the reservation's page, so alignments up to a page hold. */
PUBLIC void *aligned_alloc(size_t alignment, size_t size) {
    size_t bytes = alignment < 64 ? 64 : alignment;
    while (bytes < size && bytes < RESERVED) {
        bytes *= 2;
    }
    return malloc(bytes);
}

PUBLIC int posix_memalign(void **out, size_t alignment, size_t size) {
    void *block = aligned_alloc(alignment, size);
    if (block == NULL) {
        return ENOMEM;
    }
    *out = block;
    return 0;
}
