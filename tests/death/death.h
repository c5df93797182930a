/* SPDX-License-Identifier: MIT */
/*
 * What the programs here share. Each commits one act that a correct program does not; the
 * driver (expect.sh) knows how the library has to react.
 *
 * Protocol: "pointer 0x.." on stdout names the offending pointer, "went on" is the last line
 * of a program that survived its act and then could still use the allocator.
 * DEATH_HAK selects the hak_* calls, otherwise the standard ones are used.
 */
#ifndef DEATH_H
#define DEATH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef DEATH_HAK
#include <hakmem/hakmem.h>
#define API(name) hak_##name
#define API_USABLE hak_usable_size
#else
#include <malloc.h>
#define API(name) name
#define API_USABLE malloc_usable_size
#endif

/* Hides from the compiler where a pointer comes from: these misuses are meant. */
static inline void *any(void *pointer)
{
    __asm__ volatile("" : "+r"(pointer));
    return pointer;
}

static inline void *allocate(size_t size)
{
    void *block = any(API(malloc)(size));
    if (block == NULL) {
        dprintf(2, "no memory for %zu bytes\n", size);
        exit(2);
    }
    memset(block, 0x5a, size);
    return block;
}

/* Names the pointer before the act; dprintf leaves no buffer behind when the process dies. */
static inline void *announce(void *pointer)
{
    dprintf(1, "pointer 0x%llx\n", (unsigned long long)(uintptr_t)pointer);
    return any(pointer);
}

/* A size or offset given as argument `index`. */
static inline size_t argument(int count, char **arguments, int index)
{
    char *end;
    if (index >= count) {
        dprintf(2, "argument %d is missing\n", index);
        exit(2);
    }
    size_t value = strtoull(arguments[index], &end, 0);
    if (*end != '\0') {
        dprintf(2, "argument %d is not a number\n", index);
        exit(2);
    }
    return value;
}

/* The allocator still works: blocks of many sizes, all held at once, keep their bytes. */
static inline int went_on(void)
{
    unsigned char *blocks[22];
    const int count = (int)(sizeof blocks / sizeof blocks[0]);
    for (int i = 0; i < count; i++) {
        blocks[i] = allocate((size_t)1 << i);
        memset(blocks[i], i, (size_t)1 << i);
    }
    for (int i = 0; i < count; i++) {
        if (blocks[i][0] != i || blocks[i][((size_t)1 << i) - 1] != i) {
            dprintf(2, "block %d was overwritten\n", i);
            return 1;
        }
        API(free)(blocks[i]);
    }
    dprintf(1, "went on\n");
    return 0;
}

#endif
