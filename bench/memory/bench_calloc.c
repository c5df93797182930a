/* SPDX-License-Identifier: MIT */
/*
 * Random replacement with calloc. The first and last byte of a fresh block must be zero and
 * are then dirtied, so that an allocator which forgets to clear is caught and not rewarded.
 * Warm-up fills all slots and then replaces WS of them.
 */
#include "slots.h"

static unsigned char *new_block(struct bench_span span, uint64_t random) {
    size_t size = bench_span_size(span, random);
    unsigned char *block = bench_must(bench_calloc(size));
    if (block[0] != 0 || block[size - 1] != 0) {
        bench_die("calloc returned memory that is not zero");
    }
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
                              "bench_calloc CYCLES [WS MIN MAX SEED] (default 1024 16 4096 1)"};
    uint32_t cycles = bench_arg(&args, 1);
    uint32_t ws = bench_arg_or(&args, 1, 1024);
    struct bench_span span = bench_arg_span(&args, 16, 4096);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);

    struct slots *slots = slots_set_up(1, ws, cycles, span, seed);
    const struct bench_job job = {warm_up, work, slots_empty};
    struct bench_result result = bench_run(&job, slots, sizeof *slots, 1);
    bench_report("bench_calloc", 1, 2ull * cycles, &result, "cycles:%u;ws:%u;min:%u;max:%u;seed:%u",
                 cycles, ws, span.min, span.max, seed);
    return 0;
}
