/* SPDX-License-Identifier: MIT */
/*
 * The fastest path: BATCH blocks of one SIZE, freed in reverse order, CYCLES times. The blocks
 * are not touched; only the allocator's own work is measured.
 */
#include "bench.h"

struct tiny {
    void **blocks;
    uint32_t size, batch, cycles;
};

static void run_cycles(const struct tiny *tiny, uint32_t cycles) {
    void **blocks = tiny->blocks;
    const uint32_t size = tiny->size, batch = tiny->batch;
    for (uint32_t cycle = 0; cycle < cycles; cycle++) {
        for (uint32_t i = 0; i < batch; i++) {
            blocks[i] = bench_must(bench_malloc(size));
        }
        for (uint32_t i = batch; i-- > 0;) {
            bench_free(blocks[i]);
        }
    }
}

static void warm_up(void *state) {
    const struct tiny *tiny = state;
    run_cycles(tiny, tiny->cycles / 20 + 1);
}

static void work(void *state) {
    const struct tiny *tiny = state;
    run_cycles(tiny, tiny->cycles);
}

static void clean_up(void *state) {
    (void)state; /* every cycle frees what it allocated */
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1, "bench_tiny_hot SIZE BATCH CYCLES"};
    struct tiny tiny;
    tiny.size = bench_arg(&args, 0);
    tiny.batch = bench_arg(&args, 1);
    tiny.cycles = bench_arg(&args, 1);
    bench_args_end(&args);
    tiny.blocks = bench_table(tiny.batch, sizeof *tiny.blocks);

    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, &tiny, sizeof tiny, 1);
    bench_report("bench_tiny_hot", 1, 2ull * tiny.batch * tiny.cycles, &result,
                 "size:%u;batch:%u;cycles:%u", tiny.size, tiny.batch, tiny.cycles);
    return 0;
}
