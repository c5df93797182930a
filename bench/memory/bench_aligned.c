/* SPDX-License-Identifier: MIT */
/*
 * Buffers for vector instructions, cache lines and direct I/O: random replacement of blocks of
 * MIN..MAX bytes with alignments of 32 to 4096 bytes, each half as frequent as the one below it.
 * A size is rounded up to a multiple of its alignment. Ops: one free and one aligned_alloc per
 * cycle. Warm-up fills all slots and then replaces WS of them.
 *
 * mimalloc 2.0.9 returns misaligned blocks where size and alignment are both 256, 512 or 1024;
 * with a MIN above 1024 that does not occur.
 */
#include "slots.h"

enum { ALIGNMENT_MIN = 32, DOUBLINGS = 7 };

/* The size comes from the high bits of the lower half, the alignment from its low bits. */
static unsigned char *new_block(struct bench_span span, uint64_t random) {
    size_t size = bench_span_size(span, random);
    size_t alignment = (size_t)ALIGNMENT_MIN << __builtin_ctzll(random | 1u << DOUBLINGS);
    unsigned char *block = bench_must(bench_aligned(alignment, size));
    if ((uintptr_t)block % alignment != 0) {
        bench_die("aligned_alloc returned a block that is not aligned");
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
                              "bench_aligned CYCLES [WS MIN MAX SEED] (default 1024 16 8192 1)"};
    uint32_t cycles = bench_arg(&args, 1);
    uint32_t ws = bench_arg_or(&args, 1, 1024);
    struct bench_span span = bench_arg_span(&args, 16, 8192);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);

    struct slots *slots = slots_set_up(1, ws, cycles, span, seed);
    const struct bench_job job = {warm_up, work, slots_empty};
    struct bench_result result = bench_run(&job, slots, sizeof *slots, 1);
    bench_report("bench_aligned", 1, 2ull * cycles, &result,
                 "cycles:%u;ws:%u;min:%u;max:%u;seed:%u", cycles, ws, span.min, span.max, seed);
    return 0;
}
