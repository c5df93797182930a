/* SPDX-License-Identifier: MIT */
/*
 * Random replacement with the mix of sizes that most programs have: half of the blocks below
 * 2 MIN, each doubling half as frequent, up to MAX. Small blocks decide the number of calls, but
 * every doubling holds as many bytes as any other. Ops: one free and one malloc per cycle.
 * Warm-up fills all slots and then replaces WS of them.
 */
#include "sizes.h"
#include "slots.h"

static unsigned char *new_block(struct bench_span span, uint64_t random) {
    size_t size = sizes_power_law(span, random);
    unsigned char *block = bench_must(bench_malloc(size));
    bench_touch(block, size);
    return block;
}

static void warm_up(void *state) {
    slots_fill(state, new_block);
}

static void work(void *state) {
    struct slots *slots = state;
    slots_replace(slots, slots->cycles, new_block);
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1,
                              "bench_powerlaw CYCLES [WS MIN MAX SEED] (default 16384 16 65536 1)"};
    uint32_t cycles = bench_arg(&args, 1);
    uint32_t ws = bench_arg_or(&args, 1, 16384);
    struct bench_span span = bench_arg_span(&args, 16, 65536);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);

    struct slots *slots = slots_set_up(1, ws, cycles, span, seed);
    const struct bench_job job = {warm_up, work, slots_empty};
    struct bench_result result = bench_run(&job, slots, sizeof *slots, 1);
    bench_report("bench_powerlaw", 1, 2ull * cycles, &result,
                 "cycles:%u;ws:%u;min:%u;max:%u;seed:%u", cycles, ws, span.min, span.max, seed);
    return 0;
}
