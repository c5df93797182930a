/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * model: what must be true of the blocks that are live: the shadow of the allocator.
 * Each block carries a pattern (all of a small one, samples of every part of a large one), no two
 * overlap, each has the alignment and the size that were asked for, and its usable size does not
 * change. Whatever contradicts ends the process by fuzz_fail. One thread at a time.
 */

#include "fuzz.h"

enum { MODEL_BLOCKS = 512 };

struct block {
    unsigned char *address; /* NULL: none */
    size_t size;            /* bytes asked for */
    size_t usable;          /* bytes it has */
    size_t align;           /* asked for; 1 if none was */
    size_t key;             /* of its pattern */
};
extern struct block model_blocks[MODEL_BLOCKS];

void model_clear(void);

/* From now on the allocator may run out of memory, because the system refuses. */
void model_allow_failure(bool allowed);
/* A request failed: it may only if it is huge, much is live, or the system refuses. */
void model_failed(size_t size, size_t align);

/* A call returned p for a free slot. */
void model_enter(unsigned slot, void *p, size_t size, size_t align);
/* The block is as it should be. */
void model_check(unsigned slot);
void model_check_all(void);
/* The block is about to be freed; before that it is checked. */
struct block model_leave(unsigned slot);
/* It was not freed after all. */
void model_return(unsigned slot, const struct block *block);

/* p holds what the first `bytes` of the block held. */
void model_check_kept(const struct block *block, void *p, size_t bytes);
void model_check_zero(void *p, size_t bytes);

/* The slot at or after `slot` (round the end) that has a block, or has none; MODEL_BLOCKS if there
 * is no such. */
unsigned model_find(unsigned slot, bool live);
