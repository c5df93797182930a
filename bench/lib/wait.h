/* SPDX-License-Identifier: MIT */
/*
 * Waiting for another thread of the workload: spins, then yields. On a busy machine, or with
 * more threads than cores, the other thread may not be running.
 */
#ifndef BENCH_WAIT_H
#define BENCH_WAIT_H

#include <sched.h>
#include <stdint.h>

enum { WAIT_SPINS_BEFORE_YIELD = 256 };

/* One turn of a waiting loop; spins is a counter of the caller, at first 0. */
static inline void bench_wait(uint32_t *spins) {
    if (++*spins % WAIT_SPINS_BEFORE_YIELD == 0) {
        sched_yield();
    }
}

#endif
