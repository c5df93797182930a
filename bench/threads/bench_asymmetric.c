/* SPDX-License-Identifier: MIT */
/*
 * One busy thread among many that mostly sleep, as in a database with a thread per connection
 * or a desktop program with its pools: the busy thread replaces CYCLES random blocks of a live
 * set of WS blocks of MIN..MAX bytes. After every PERIOD of them it wakes the next of the
 * THREADS - 1 idle threads, which replaces BURST random blocks of its own BURST and sleeps
 * again. Each idle thread has allocated and freed START_BLOCKS before, so that whatever its
 * cache keeps is memory that the busy thread could use. Each replacement is one free and one
 * malloc, by the same thread that allocated.
 */
#include <semaphore.h>

#include "slots.h"
#include "touched.h"

enum { START_BLOCKS = 2000 };

/* cycles of the busy thread's slots: all replacements; of an idle one's: how often it wakes. */
struct member {
    alignas(BENCH_CACHE_LINE) struct slots *slots;
    sem_t *wake;        /* an idle thread's own one; the busy thread's: all */
    uint32_t idlers;    /* 0: this is an idle thread */
    uint32_t period;    /* of the busy thread */
    uint32_t wakes_due; /* the busy thread's wake-ups */
};

static void warm_up(void *state) {
    struct member *member = state;
    struct slots *slots = member->slots;
    if (member->idlers == 0) {
        const uint32_t burst = slots->ws;
        slots->ws = START_BLOCKS;
        slots_fill(slots, touched_new);
        slots_empty(slots);
        slots->ws = burst;
    }
    slots_fill(slots, touched_new);
}

static void work(void *state) {
    struct member *member = state;
    struct slots *slots = member->slots;
    if (member->idlers == 0) {
        for (uint32_t i = 0; i < slots->cycles; i++) {
            while (sem_wait(member->wake) != 0) {
            }
            slots_replace(slots, slots->ws, touched_new);
        }
        return;
    }
    for (uint32_t i = 0; i < member->wakes_due; i++) {
        slots_replace(slots, member->period, touched_new);
        sem_post(&member->wake[i % member->idlers]);
    }
    slots_replace(slots, slots->cycles % member->period, touched_new);
}

static void clean_up(void *state) {
    struct member *member = state;
    slots_empty(member->slots);
}

/* Idle threads get equal shares of the wake-ups, the first ones one more. */
static struct member *set_up(uint32_t idlers, struct slots *busy, struct slots *idle,
                             uint32_t period, uint32_t wakes) {
    struct member *members = bench_table((size_t)idlers + 1, sizeof *members);
    sem_t *wake = bench_table(idlers, sizeof *wake);
    members[0] = (struct member){busy, wake, idlers, period, wakes};
    for (uint32_t i = 0; i < idlers; i++) {
        sem_init(&wake[i], 0, 0);
        idle[i].cycles = wakes / idlers + (i < wakes % idlers);
        members[i + 1] = (struct member){&idle[i], &wake[i], 0, 0, 0};
    }
    return members;
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1,
                              "bench_asymmetric CYCLES [THREADS WS PERIOD BURST MIN MAX SEED] "
                              "(default 17 100000 1000 32 16 512 1; THREADS >= 2, BURST <= 2000)"};
    uint32_t cycles = bench_arg(&args, 1);
    uint32_t threads = bench_arg_or(&args, 2, 17);
    uint32_t ws = bench_arg_or(&args, 1, 100000);
    uint32_t period = bench_arg_or(&args, 1, 1000);
    uint32_t burst = bench_arg_or(&args, 1, 32);
    struct bench_span span = bench_arg_span(&args, 16, 512);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    if (burst > START_BLOCKS) {
        bench_usage(&args);
    }

    const uint32_t wakes = cycles / period;
    struct slots *busy = slots_set_up(1, ws, cycles, span, seed);
    struct slots *idle = slots_set_up(threads - 1, START_BLOCKS, 0, span, seed + 1);
    for (uint32_t i = 0; i < threads - 1; i++) {
        idle[i].ws = burst;
    }
    struct member *members = set_up(threads - 1, busy, idle, period, wakes);
    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, members, sizeof *members, threads);
    bench_report("bench_asymmetric", threads, 2ull * cycles + 2ull * wakes * burst, &result,
                 "cycles:%u;threads:%u;ws:%u;period:%u;burst:%u;min:%u;max:%u;seed:%u", cycles,
                 threads, ws, period, burst, span.min, span.max, seed);
    return 0;
}
