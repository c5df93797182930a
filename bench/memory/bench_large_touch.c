/* SPDX-License-Identifier: MIT */
/*
 * Media, compression, columns of numbers: few large buffers of MIN..MAX bytes (all doublings
 * equally frequent) are live; each of the CYCLES replaces a random one of WS and writes to every
 * page of the new one. Giving pages back on each free costs faults, keeping all of them costs
 * memory. Ops: one free and one malloc per cycle. Warm-up fills all slots and then replaces WS
 * of them.
 */
#include <unistd.h>

#include "sizes.h"
#include "slots.h"

static size_t page_bytes; /* set once, by main */

static unsigned char *new_block(struct bench_span span, uint64_t random) {
    size_t size = sizes_log_uniform(span, random);
    unsigned char *block = bench_must(bench_malloc(size));
    for (size_t offset = 0; offset < size; offset += page_bytes) {
        block[offset] = 1;
    }
    block[size - 1] = 1;
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
    struct bench_args args = {argv + 1, "bench_large_touch CYCLES [WS MIN MAX SEED] "
                                        "(default 4 65536 67108864 1)"};
    page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    uint32_t cycles = bench_arg(&args, 1);
    uint32_t ws = bench_arg_or(&args, 1, 4);
    struct bench_span span = bench_arg_span(&args, 65536, 67108864);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);

    struct slots *slots = slots_set_up(1, ws, cycles, span, seed);
    const struct bench_job job = {warm_up, work, slots_empty};
    struct bench_result result = bench_run(&job, slots, sizeof *slots, 1);
    bench_report("bench_large_touch", 1, 2ull * cycles, &result,
                 "cycles:%u;ws:%u;min:%u;max:%u;seed:%u", cycles, ws, span.min, span.max, seed);
    return 0;
}
