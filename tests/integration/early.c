/* SPDX-License-Identifier: MIT */
/*
 * A shared library whose constructor and destructor allocate, with the first priority a
 * program may use: it starts before, and ends after, the library under test when that is
 * preloaded. Used by lifecycle.c.
 */
#include "early.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "memory.h"

static void *kept_block;

static void *churn_in_thread(void *nothing)
{
    early_churn();
    return nothing;
}

void early_churn(void)
{
    enum { BLOCKS = 100 };
    void *blocks[BLOCKS];

    for (size_t i = 0; i < BLOCKS; i++) {
        size_t bytes = 1 + i * i * 11;

        blocks[i] = i % 3 == 0 ? calloc(1, bytes) : i % 3 == 1 ? malloc(bytes)
                                                                : aligned_alloc(64, bytes);
        CHECK(blocks[i]);
        memory_fill(blocks[i], bytes, i);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t bytes = 1 + i * i * 11;

        CHECK(memory_holds(blocks[i], bytes, i));
        blocks[i] = realloc(blocks[i], bytes * 2);
        CHECK(blocks[i]);
        CHECK(memory_holds(blocks[i], bytes, i));
        free(blocks[i]);
    }
}

void early_step(char letter)
{
    early_churn();
    CHECK(write(STDOUT_FILENO, &letter, 1) == 1);
}

static void at_library_exit(void)
{
    early_step('A');
}

__attribute__((constructor(101))) static void start(void)
{
    pthread_t thread;

    early_step('l');
    kept_block = malloc(5000);
    CHECK(kept_block);
    memory_fill(kept_block, 5000, 9);
    CHECK(pthread_create(&thread, NULL, churn_in_thread, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(setenv("EARLY_LIBRARY", "started", 1) == 0);
    CHECK(atexit(at_library_exit) == 0);
}

__attribute__((destructor(101))) static void stop(void)
{
    CHECK(memory_holds(kept_block, 5000, 9));
    free(kept_block);
    early_step('x');
}
