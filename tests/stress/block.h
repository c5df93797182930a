/* SPDX-License-Identifier: MIT */
/*
 * A block of the allocator under test together with what is known about it.
 *
 * All usable bytes of a held block carry a pattern derived from its address, requested size
 * and serial number. Whoever holds the record may touch the block; records travel between
 * threads by value (mailbox.h). Two blocks that overlap, a block handed out twice, a stray
 * write or memory given back too early all show as a broken pattern.
 */
#ifndef STRESS_BLOCK_H
#define STRESS_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block {
    unsigned char *address; /* NULL: no block */
    size_t size;            /* bytes requested */
    size_t usable;          /* bytes the allocator reported, >= size, all patterned */
    uint64_t serial;
    size_t align;           /* given to aligned_alloc; 0 for the malloc family */
    bool sized;             /* a sized free is legal for it */
};

/* One stream of operations; used by one thread at a time. */
struct actor {
    unsigned id;      /* for reports */
    uint64_t rng;
    uint64_t serial;  /* of the next block */
    uint64_t ops;     /* calls into the allocator */
    uint64_t refused; /* calls that returned NULL */
    uint64_t written; /* bytes of pattern written */
};

/* Set once, before the first thread starts. */
struct block_rules {
    bool may_fail; /* NULL with ENOMEM is a legal answer */
    bool strict;   /* hakmem's own promises: 16-byte alignment always, realloc(p, 0) frees,
                      free() and a refused posix_memalign() leave errno alone */
};
extern struct block_rules block_rules;

/* False: refused. The record is only valid after true. */
bool block_malloc(struct actor *who, struct block *block, size_t size);
bool block_calloc(struct actor *who, struct block *block, size_t size);
bool block_aligned(struct actor *who, struct block *block, size_t align, size_t size);

/* The block keeps its contents; address becomes NULL if it was freed (size 0). */
void block_realloc(struct actor *who, struct block *block, size_t size);

void block_check(struct actor *who, const struct block *block);

/* Checks, then frees. */
void block_free(struct actor *who, const struct block *block);

#endif
