/* SPDX-License-Identifier: MIT */
/*
 * Long-running programs whose data changes its nature: random replacement of WS blocks, with a
 * window of sizes, one doubling wide, that moves from MIN up to MAX and back within TRIP cycles.
 * Memory that one size no longer needs has to serve the next one. Ops: one free and one malloc
 * per cycle. Warm-up fills all slots with the smallest sizes and then replaces WS of them.
 */
#include "sizes.h"
#include "slots.h"
#include "touched.h"

enum { STEPS = 256 }; /* per trip; the window stands still during a step */

struct drift {
    struct slots *slots;
    struct bench_span span;
    uint32_t step_cycles;
};

static struct bench_span window_at(struct bench_span span, uint32_t step) {
    const uint32_t half = STEPS / 2;
    uint32_t way = step < half ? step : STEPS - step;
    const struct bench_span lower_ends = {span.min, span.max / 2};
    uint32_t low = (uint32_t)sizes_log_uniform(lower_ends, way * (UINT32_MAX / half));
    return (struct bench_span){low, 2 * low};
}

static void warm_up(void *state) {
    struct drift *drift = state;
    drift->slots->span = window_at(drift->span, 0);
    slots_fill(drift->slots, touched_new);
}

static void work(void *state) {
    struct drift *drift = state;
    uint32_t left = drift->slots->cycles;
    for (uint32_t step = 0; left > 0; step = (step + 1) % STEPS) {
        uint32_t cycles = left < drift->step_cycles ? left : drift->step_cycles;
        drift->slots->span = window_at(drift->span, step);
        slots_replace(drift->slots, cycles, touched_new);
        left -= cycles;
    }
}

static void clean_up(void *state) {
    struct drift *drift = state;
    slots_empty(drift->slots);
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1, "bench_drift CYCLES [WS TRIP MIN MAX SEED] (TRIP >= 256, "
                                        "MAX >= 2 MIN) (default 8192 1000000 16 4096 1)"};
    struct drift drift;
    uint32_t cycles = bench_arg(&args, 1);
    uint32_t ws = bench_arg_or(&args, 1, 8192);
    uint32_t trip = bench_arg_or(&args, STEPS, 1000000);
    drift.span = bench_arg_span(&args, 16, 4096);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    if (drift.span.max / 2 < drift.span.min) {
        bench_usage(&args);
    }
    drift.step_cycles = trip / STEPS;
    drift.slots = slots_set_up(1, ws, cycles, drift.span, seed);

    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, &drift, sizeof drift, 1);
    bench_report("bench_drift", 1, 2ull * cycles, &result,
                 "cycles:%u;ws:%u;trip:%u;min:%u;max:%u;seed:%u", cycles, ws, trip,
                 drift.span.min, drift.span.max, seed);
    return 0;
}
