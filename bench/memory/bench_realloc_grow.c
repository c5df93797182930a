/* SPDX-License-Identifier: MIT */
/*
 * BLOCKS buffers that grow by half, in turn, until they have reached END bytes, and are then
 * freed; CYCLES times. Each step writes one byte at the new end.
 *
 * With one buffer, an allocator that places it at the end of its heap extends it for nothing;
 * with several, each is in the way of the others, as in a program with other live blocks.
 */
#include "bench.h"

struct grow {
    unsigned char **blocks;
    uint32_t start, end, cycles, count;
    uint64_t ops;
};

static uint32_t next_size(uint32_t size, uint32_t end) {
    uint64_t grown = (uint64_t)size + (size > 1 ? size / 2 : 1);
    return grown < end ? (uint32_t)grown : end;
}

static uint64_t grow_once(const struct grow *grow) {
    unsigned char **blocks = grow->blocks;
    const uint32_t count = grow->count;
    uint64_t ops = 2ull * count; /* the mallocs and the frees */
    for (uint32_t i = 0; i < count; i++) {
        blocks[i] = bench_must(bench_malloc(grow->start));
        blocks[i][grow->start - 1] = 1;
    }
    for (uint32_t size = grow->start; size < grow->end; ops += count) {
        size = next_size(size, grow->end);
        for (uint32_t i = 0; i < count; i++) {
            blocks[i] = bench_must(bench_realloc(blocks[i], size));
            blocks[i][size - 1] = 1;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        bench_free(blocks[i]);
    }
    return ops;
}

static void run_cycles(struct grow *grow, uint32_t cycles) {
    grow->ops = 0;
    for (uint32_t cycle = 0; cycle < cycles; cycle++) {
        grow->ops += grow_once(grow);
    }
}

static void warm_up(void *state) {
    struct grow *grow = state;
    run_cycles(grow, grow->cycles / 20 + 1);
}

static void work(void *state) {
    struct grow *grow = state;
    run_cycles(grow, grow->cycles);
}

static void clean_up(void *state) {
    (void)state; /* every cycle frees its block */
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1,
                              "bench_realloc_grow CYCLES [START END BLOCKS] "
                              "(default 16 1048576 1)"};
    struct grow grow = {0};
    grow.cycles = bench_arg(&args, 1);
    grow.start = bench_arg_or(&args, 1, 16);
    grow.end = bench_arg_or(&args, 1, 1u << 20);
    grow.count = bench_arg_or(&args, 1, 1);
    bench_args_end(&args);
    if (grow.start > grow.end) {
        bench_usage(&args);
    }
    grow.blocks = bench_table(grow.count, sizeof *grow.blocks);
    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, &grow, sizeof grow, 1);
    bench_report("bench_realloc_grow", 1, grow.ops, &result, "cycles:%u;start:%u;end:%u;blocks:%u",
                 grow.cycles, grow.start, grow.end, grow.count);
    return 0;
}
