/* SPDX-License-Identifier: MIT */
/*
 * A pipeline, as in log shippers, media filters and packet processors: STAGES threads in a
 * line, joined by rings. The first one makes messages of MIN..MAX bytes; each further one
 * allocates its own output, frees its input, which the stage before it allocated, and passes
 * the output on; the last one only frees. A stage takes up to BATCH messages at a time.
 *
 * Every stage but the last allocates each message once and every stage but the first frees
 * it once: 2 * (STAGES - 1) ops per message.
 */
#include "ring.h"
#include "stamped.h"

struct stage {
    alignas(BENCH_CACHE_LINE) struct ring *in; /* NULL: the first stage */
    struct ring *out;                          /* NULL: the last stage */
    struct bench_rng rng;
    struct bench_span span;
    uint32_t batch, messages;
    uint64_t passed; /* so far; equals the tail of in and the head of out */
};

/* One message; its number is its place in the order, kept by all stages. */
static void process(struct stage *stage) {
    struct stamped *input = NULL, *output = NULL;
    const uint32_t number = (uint32_t)stage->passed;
    if (stage->in != NULL) {
        input = ring_take(stage->in, stage->passed);
        if (input->number != number) {
            bench_die("a message came out of order");
        }
    }
    if (stage->out != NULL) {
        output = stamped_new(bench_span_size(stage->span, bench_rng_next(&stage->rng)), number);
        ring_put(stage->out, stage->passed, output);
    }
    if (input != NULL) {
        stamped_free(input);
    }
    stage->passed++;
}

static void pass(struct stage *stage, uint32_t messages) {
    const uint64_t end = stage->passed + messages;
    uint32_t spins = 0;
    while (stage->passed != end) {
        uint64_t ready = (stage->in != NULL ? ring_published(stage->in) : end) - stage->passed;
        ready = ready < stage->batch ? ready : stage->batch;
        if (ready == 0 ||
            (stage->out != NULL && !ring_has_room(stage->out, stage->passed, ready))) {
            bench_wait(&spins);
            continue;
        }
        for (uint64_t i = 0; i < ready; i++) {
            process(stage);
        }
        if (stage->in != NULL) {
            ring_give_back(stage->in, stage->passed);
        }
        if (stage->out != NULL) {
            ring_publish(stage->out, stage->passed);
        }
    }
}

static void warm_up(void *state) {
    struct stage *stage = state;
    pass(stage, stage->messages / 20 + 1);
}

static void work(void *state) {
    struct stage *stage = state;
    pass(stage, stage->messages);
}

static void clean_up(void *state) {
    (void)state; /* the last stage has freed every message */
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1,
                              "bench_pipeline MESSAGES [STAGES MIN MAX BATCH SEED] "
                              "(default 4 64 1024 32 1; STAGES >= 2, MIN >= 16, BATCH <= 4096)"};
    uint32_t messages = bench_arg(&args, 1);
    uint32_t stages = bench_arg_or(&args, 2, 4);
    struct bench_span span = bench_arg_span(&args, 64, 1024);
    uint32_t batch = bench_arg_or(&args, 1, 32);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    if (span.min < STAMPED_BYTES_MIN || batch > RING_SLOTS) {
        bench_usage(&args);
    }

    struct ring *rings = bench_table(stages - 1, sizeof *rings);
    struct stage *line = bench_table(stages, sizeof *line);
    for (uint32_t i = 0; i < stages; i++) {
        line[i].in = i == 0 ? NULL : &rings[i - 1];
        line[i].out = i == stages - 1 ? NULL : &rings[i];
        line[i].rng = bench_rng_seed(seed, i);
        line[i].span = span;
        line[i].batch = batch;
        line[i].messages = messages;
    }
    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, line, sizeof *line, stages);
    bench_report("bench_pipeline", stages, 2ull * messages * (stages - 1), &result,
                 "messages:%u;stages:%u;min:%u;max:%u;batch:%u;seed:%u", messages, stages,
                 span.min, span.max, batch, seed);
    return 0;
}
