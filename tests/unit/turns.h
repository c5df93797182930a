/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * turns: acts that run one after the other, each in a thread of its own. The threads are all there
 * before the first act and wait for their turn by a relaxed flag, which orders nothing between
 * them: what one act sees of another is ordered by the allocator, or ThreadSanitizer reports it.
 */

#include <pthread.h>

#include "base/atomic.h"
#include "os/os.h"
#include "unit.h"

enum { TURNS_MAX = 4 };

struct turn {
    unit_act *act;
    void *context;
    uint32_t number;
};

static atomic_u32 turn_now;

static inline void turn_wait(uint32_t number)
{
    while (u32_load_relaxed(&turn_now) != number) {
        os_yield();
    }
}

static inline void turn_pass(uint32_t number)
{
    u32_store_relaxed(&turn_now, number);
}

static inline void *turn_take(void *context)
{
    const struct turn *t = context;
    turn_wait(t->number);
    t->act(t->context);
    turn_pass(t->number + 1);
    return NULL;
}

static inline void run_in_turn(unit_act *const acts[], uint32_t count, void *context)
{
    pthread_t threads[TURNS_MAX];
    struct turn turns[TURNS_MAX];
    assert_true(count <= TURNS_MAX);
    turn_pass(UINT32_MAX);
    for (uint32_t i = 0; i < count; i++) {
        turns[i] = (struct turn){acts[i], context, i};
        assert_int_equal(pthread_create(&threads[i], NULL, turn_take, &turns[i]), 0);
    }
    turn_pass(0);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}
