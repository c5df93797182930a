/* SPDX-License-Identifier: MIT */
/*
 * WS slots per thread; each of the CYCLES per thread picks a random slot, frees the block in
 * it and allocates one of a random size in MIN..MAX, touching its first and last byte. Threads
 * share nothing. Warm-up fills all slots and then replaces WS of them.
 */
#include "slots.h"

static unsigned char *new_block(struct bench_span span, uint64_t random) {
    size_t size = bench_span_size(span, random);
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
    struct bench_args args = {argv + 1, "bench_random_mixed CYCLES WS SEED [MIN MAX THREADS]"};
    uint32_t cycles = bench_arg(&args, 1);
    uint32_t ws = bench_arg(&args, 1);
    uint32_t seed = bench_arg(&args, 0);
    struct bench_span span = bench_arg_span(&args, 16, 1024);
    uint32_t threads = bench_arg_or(&args, 1, 1);
    bench_args_end(&args);

    struct slots *slots = slots_set_up(threads, ws, cycles, span, seed);
    const struct bench_job job = {warm_up, work, slots_empty};
    struct bench_result result = bench_run(&job, slots, sizeof *slots, threads);
    bench_report("bench_random_mixed", threads, 2ull * cycles * threads, &result,
                 "cycles:%u;ws:%u;seed:%u;min:%u;max:%u;threads:%u", cycles, ws, seed, span.min,
                 span.max, threads);
    return 0;
}
