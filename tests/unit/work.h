/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * work: what a thread of a test does with the public calls: blocks of many classes, replaced at
 * random, each with its own bytes, all freed at the end.
 */

#include "hakmem/hakmem.h"
#include "unit.h"

enum { WORK_BLOCKS = 100 };

static inline void work_with_blocks(uint64_t *random)
{
    static const size_t sizes[] = {1, 24, 100, 700, 3000, 20000, 60000};
    unsigned char *blocks[WORK_BLOCKS] = {0};
    size_t bytes[WORK_BLOCKS] = {0};
    for (int i = 0; i < WORK_BLOCKS * 4; i++) {
        size_t at = random_below(random, WORK_BLOCKS);
        CHECK(memory_holds(blocks[at], bytes[at], at));
        hak_free(blocks[at]);
        bytes[at] = sizes[random_below(random, sizeof sizes / sizeof *sizes)];
        blocks[at] = hak_malloc(bytes[at]);
        CHECK(blocks[at] != NULL);
        memory_fill(blocks[at], bytes[at], at);
    }
    for (size_t i = 0; i < WORK_BLOCKS; i++) {
        CHECK(memory_holds(blocks[i], bytes[i], i));
        hak_free(blocks[i]);
    }
}
