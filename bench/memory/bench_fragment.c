/* SPDX-License-Identifier: MIT */
/*
 * Fragmentation, as in caches and editors that run for days: a round fills MIB mebibytes with
 * blocks of one size and frees all of them but a random one in ten; the next round does so with
 * another size, while the survivors of all rounds before stay where they are. Each of the CYCLES
 * runs ROUNDS such rounds and then frees the survivors. Ops: the mallocs and the frees.
 *
 * What matters is rss_peak_kib. At most MIB * (1 + (ROUNDS - 1) / 10) are live, with the
 * defaults 16.8 MiB; what is above that are holes that only blocks of the old size would fit.
 */
#include "tagged.h"

enum { KEEP_ONE_IN = 10 };

static const uint32_t sizes[] = {48, 400, 112, 1024, 24, 208, 3000, 80, 640, 32, 1600, 144};

enum { ROUNDS = sizeof sizes / sizeof sizes[0] };

struct fragment {
    unsigned char **blocks;
    unsigned char **survivors;
    struct bench_rng rng;
    uint32_t mib, cycles;
};

static size_t blocks_in_round(const struct fragment *fragment, uint32_t round) {
    return ((size_t)fragment->mib << 20) / sizes[round];
}

/* Of each ten blocks in the order of allocation one stays. Returns how many. */
static size_t keep_some(struct fragment *fragment, size_t count, unsigned char **survivors) {
    size_t kept = 0;
    for (size_t start = 0; start < count; start += KEEP_ONE_IN) {
        size_t group = count - start < KEEP_ONE_IN ? count - start : KEEP_ONE_IN;
        size_t stays = bench_slot((uint32_t)group, bench_rng_next(&fragment->rng));
        for (size_t i = 0; i < group; i++) {
            unsigned char *block = fragment->blocks[start + i];
            if (i == stays) {
                survivors[kept++] = block;
            } else {
                tagged_free(block);
            }
        }
    }
    return kept;
}

/* Returns the number of mallocs. */
static uint64_t one_cycle(struct fragment *fragment) {
    size_t survivors = 0;
    uint64_t mallocs = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        size_t count = blocks_in_round(fragment, round);
        for (size_t i = 0; i < count; i++) {
            fragment->blocks[i] = tagged_new(sizes[round]);
        }
        survivors += keep_some(fragment, count, fragment->survivors + survivors);
        mallocs += count;
    }
    for (size_t i = 0; i < survivors; i++) {
        tagged_free(fragment->survivors[i]);
    }
    return mallocs;
}

/* Nothing to warm: the growth of the heap is what is measured. */
static void warm_up(void *state) {
    (void)state;
}

static void work(void *state) {
    struct fragment *fragment = state;
    for (uint32_t cycle = 0; cycle < fragment->cycles; cycle++) {
        one_cycle(fragment);
    }
}

static void clean_up(void *state) {
    (void)state; /* every cycle frees its survivors */
}

/* Returns the number of mallocs in one cycle. */
static uint64_t set_up(struct fragment *fragment) {
    size_t most = 0, survivors = 0;
    uint64_t mallocs = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        size_t count = blocks_in_round(fragment, round);
        most = count > most ? count : most;
        survivors += (count + KEEP_ONE_IN - 1) / KEEP_ONE_IN;
        mallocs += count;
    }
    fragment->blocks = bench_table(most, sizeof *fragment->blocks);
    fragment->survivors = bench_table(survivors, sizeof *fragment->survivors);
    return mallocs;
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1, "bench_fragment CYCLES [MIB SEED] (default 8 1)"};
    struct fragment fragment = {0};
    fragment.cycles = bench_arg(&args, 1);
    fragment.mib = bench_arg_or(&args, 1, 8);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    fragment.rng = bench_rng_seed(seed, 0);
    uint64_t mallocs = set_up(&fragment);

    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, &fragment, sizeof fragment, 1);
    bench_report("bench_fragment", 1, 2 * mallocs * fragment.cycles, &result,
                 "cycles:%u;mib:%u;seed:%u", fragment.cycles, fragment.mib, seed);
    return 0;
}
