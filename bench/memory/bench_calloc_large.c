/* SPDX-License-Identifier: MIT */
/*
 * Zeroed tables, images and matrices: each of the CYCLES allocates LIVE blocks of MIN..MAX bytes
 * (all doublings equally frequent) with calloc, expects zero in one byte per page and writes to
 * it, and frees them all. With LIVE = 1 a block can be the one just freed, which has to be
 * cleared again; with many, the heap grows and shrinks, and fresh pages from the system are zero
 * already. An allocator that clears those too, or gives pages back that it could have cleared,
 * pays for it. Ops: per cycle LIVE callocs and LIVE frees. The warm-up is a single block.
 */
#include <unistd.h>

#include "sizes.h"

struct tables {
    unsigned char **blocks;
    struct bench_rng rng;
    struct bench_span span;
    size_t page_bytes;
    uint32_t live, cycles;
};

static unsigned char *new_block(struct tables *tables) {
    size_t size = sizes_log_uniform(tables->span, bench_rng_next(&tables->rng));
    unsigned char *block = bench_must(bench_calloc(size));
    unsigned char dirt = block[size - 1];
    block[size - 1] = 1;
    for (size_t offset = 0; offset + 1 < size; offset += tables->page_bytes) {
        dirt |= block[offset];
        block[offset] = 1;
    }
    if (dirt != 0) {
        bench_die("calloc returned memory that is not zero");
    }
    return block;
}

static void warm_up(void *state) {
    bench_free(new_block(state));
}

static void work(void *state) {
    struct tables *tables = state;
    for (uint32_t cycle = 0; cycle < tables->cycles; cycle++) {
        for (uint32_t i = 0; i < tables->live; i++) {
            tables->blocks[i] = new_block(tables);
        }
        for (uint32_t i = 0; i < tables->live; i++) {
            bench_free(tables->blocks[i]);
        }
    }
}

static void clean_up(void *state) {
    (void)state; /* every cycle frees what it allocated */
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1, "bench_calloc_large CYCLES [LIVE MIN MAX SEED] "
                                        "(default 64 65536 4194304 1)"};
    struct tables tables = {0};
    tables.page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    tables.cycles = bench_arg(&args, 1);
    tables.live = bench_arg_or(&args, 1, 64);
    tables.span = bench_arg_span(&args, 65536, 4194304);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    tables.rng = bench_rng_seed(seed, 0);
    tables.blocks = bench_table(tables.live, sizeof *tables.blocks);

    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, &tables, sizeof tables, 1);
    bench_report("bench_calloc_large", 1, 2ull * tables.live * tables.cycles, &result,
                 "cycles:%u;live:%u;min:%u;max:%u;seed:%u", tables.cycles, tables.live,
                 tables.span.min, tables.span.max, seed);
    return 0;
}
