/* SPDX-License-Identifier: MIT */
/*
 * Many threads on few cores, as in a server with a thread per client: each has a working set
 * of WS blocks of MIN..MAX bytes and replaces a random one in every cycle. After TURN cycles it
 * yields, as a thread does that waits for its client; others run with its core's caches, and
 * a thread may also be stopped anywhere inside the allocator. Threads share nothing. A cycle is
 * one free and one malloc.
 */
#include <sched.h>

#include "slots.h"
#include "touched.h"

static uint32_t turn; /* cycles between yields; constant after set-up */

static void warm_up(void *state) {
    slots_fill(state, touched_new);
}

static void work(void *state) {
    struct slots *slots = state;
    for (uint32_t left = slots->cycles; left > 0;) {
        const uint32_t cycles = left < turn ? left : turn;
        slots_replace(slots, cycles, touched_new);
        left -= cycles;
        sched_yield();
    }
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1, "bench_crowd CYCLES [THREADS WS TURN MIN MAX SEED] "
                                        "(default 32 64 500 16 1024 1)"};
    uint32_t cycles = bench_arg(&args, 1);
    uint32_t threads = bench_arg_or(&args, 1, 32);
    uint32_t ws = bench_arg_or(&args, 1, 64);
    turn = bench_arg_or(&args, 1, 500);
    struct bench_span span = bench_arg_span(&args, 16, 1024);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);

    struct slots *slots = slots_set_up(threads, ws, cycles, span, seed);
    const struct bench_job job = {warm_up, work, slots_empty};
    struct bench_result result = bench_run(&job, slots, sizeof *slots, threads);
    bench_report("bench_crowd", threads, 2ull * cycles * threads, &result,
                 "cycles:%u;threads:%u;ws:%u;turn:%u;min:%u;max:%u;seed:%u", cycles, threads, ws,
                 turn, span.min, span.max, seed);
    return 0;
}
