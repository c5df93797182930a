/* SPDX-License-Identifier: MIT */
/*
 * Requests of a server, or passes over a document: each of the CYCLES is a phase that allocates
 * BATCH blocks of MIN..MAX bytes (many small, few large), reads them all, and frees them in the
 * order of allocation, as one would drop an arena. One block in KEEP survives until the end of
 * the next phase. Ops: BATCH mallocs and BATCH frees per phase.
 */
#include "sizes.h"
#include "tagged.h"

struct phases {
    unsigned char **blocks;
    unsigned char **survivors; /* of the phase before */
    struct bench_rng rng;
    struct bench_span span;
    uint32_t batch, keep, survivor_count, cycles;
};

static unsigned char *new_block(struct phases *phases) {
    return tagged_new(sizes_power_law(phases->span, bench_rng_next(&phases->rng)));
}

static size_t bytes_in_batch(const struct phases *phases) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < phases->batch; i++) {
        bytes += tagged_size(phases->blocks[i]);
    }
    return bytes;
}

/* A block that survives changes places with one of the phase before, which is freed instead. */
static void free_batch(struct phases *phases) {
    uint32_t next_survivor = 0, index = 0;
    for (uint32_t i = 0; i < phases->batch; i++) {
        unsigned char *block = phases->blocks[i];
        if (i == next_survivor) {
            unsigned char *earlier = phases->survivors[index];
            phases->survivors[index++] = block;
            block = earlier;
            next_survivor += phases->keep;
        }
        bench_free(block);
    }
}

static void one_phase(struct phases *phases) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < phases->batch; i++) {
        unsigned char *block = new_block(phases);
        phases->blocks[i] = block;
        bytes += tagged_size(block);
    }
    if (bytes_in_batch(phases) != bytes) {
        bench_die("a batch has changed its sizes");
    }
    free_batch(phases);
}

static void warm_up(void *state) {
    struct phases *phases = state;
    for (uint32_t i = 0; i < phases->survivor_count; i++) {
        phases->survivors[i] = new_block(phases);
    }
    for (uint32_t cycle = 0; cycle < phases->cycles / 20 + 1; cycle++) {
        one_phase(phases);
    }
}

static void work(void *state) {
    struct phases *phases = state;
    for (uint32_t cycle = 0; cycle < phases->cycles; cycle++) {
        one_phase(phases);
    }
}

static void clean_up(void *state) {
    const struct phases *phases = state;
    for (uint32_t i = 0; i < phases->survivor_count; i++) {
        tagged_free(phases->survivors[i]);
    }
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1, "bench_phases CYCLES [BATCH KEEP MIN MAX SEED] "
                                        "(MIN >= 8) (default 2000 50 16 16384 1)"};
    struct phases phases = {0};
    phases.cycles = bench_arg(&args, 1);
    phases.batch = bench_arg_or(&args, 1, 2000);
    phases.keep = bench_arg_or(&args, 1, 50);
    phases.span = tagged_arg_span(&args, 16, 16384);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    phases.rng = bench_rng_seed(seed, 0);
    phases.survivor_count = (phases.batch - 1) / phases.keep + 1;
    phases.blocks = bench_table(phases.batch, sizeof *phases.blocks);
    phases.survivors = bench_table(phases.survivor_count, sizeof *phases.survivors);

    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, &phases, sizeof phases, 1);
    bench_report("bench_phases", 1, 2ull * phases.batch * phases.cycles, &result,
                 "cycles:%u;batch:%u;keep:%u;min:%u;max:%u;seed:%u", phases.cycles, phases.batch,
                 phases.keep, phases.span.min, phases.span.max, seed);
    return 0;
}
