/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * shelf: places where the threads of a storm leave blocks for each other. Whoever takes a block owns
 * it; a block says its own size and carries bytes that follow from it, so that anybody can check it.
 */

#include <stdatomic.h>
#include <stdlib.h>

#include "check.h"
#include "memory.h"
#include "random.h"

enum { SHELF_PLACES = 256 };

typedef _Atomic(size_t *) shelf_place;

static inline size_t *shelf_new(uint64_t *random)
{
    size_t bytes = sizeof(size_t) + random_size(random, random_below(random, 64) == 0 ? 19 : 12);
    size_t *block = random_below(random, 4) == 0 ? calloc(1, bytes) : malloc(bytes);
    if (block != NULL) {
        *block = bytes;
        memory_fill(block + 1, bytes - sizeof *block, bytes);
    } else {
        CHECK(errno == ENOMEM);
    }
    return block;
}

static inline bool shelf_block_is_whole(const size_t *block)
{
    return memory_holds(block + 1, *block - sizeof *block, *block);
}

static inline void shelf_free(size_t *block)
{
    CHECK(block == NULL || shelf_block_is_whole(block));
    free(block);
}

/* Moves a block to another size; on refusal it stays as it is. */
static inline size_t *shelf_resize(size_t *block, uint64_t *random)
{
    size_t kept = *block;
    size_t bytes = sizeof(size_t) + random_size(random, 13);
    size_t *moved = realloc(block, bytes);
    if (moved == NULL) {
        CHECK(errno == ENOMEM && shelf_block_is_whole(block));
        return block;
    }
    CHECK(*moved == kept);
    CHECK(memory_holds(moved + 1, (kept < bytes ? kept : bytes) - sizeof *moved, kept));
    *moved = bytes;
    memory_fill(moved + 1, bytes - sizeof *moved, bytes);
    return moved;
}

/* One step of a thread: a new block takes the place of one that somebody left, which is freed. */
static inline void shelf_step(shelf_place *shelf, uint64_t *random)
{
    size_t *block = shelf_new(random);
    if (block != NULL && random_below(random, 8) == 0) {
        block = shelf_resize(block, random);
    }
    shelf_free(atomic_exchange(&shelf[random_below(random, SHELF_PLACES)], block));
}

static inline void shelf_clear(shelf_place *shelf)
{
    for (size_t i = 0; i < SHELF_PLACES; i++) {
        shelf_free(atomic_exchange(&shelf[i], NULL));
    }
}
