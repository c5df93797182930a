/* SPDX-License-Identifier: MIT */
/*
 * Short-lived threads: THREADS_TOTAL of them, two alive at a time, each doing OPS random
 * mallocs and frees of 16..1024 B on a few slots of its own and then freeing the rest (these
 * frees count too). Thread start and end are part of the time.
 */
#include "bench.h"

enum { ALIVE = 2, SLOTS = 64, WARM_UP_THREADS = 8 };

static const struct bench_span span = {16, 1024};

struct worker {
    alignas(BENCH_CACHE_LINE) pthread_t id;
    struct bench_rng rng;
    uint32_t ops_wanted;
    uint64_t ops_done; /* over all threads that used this entry */
};

static void *worker_main(void *arg) {
    struct worker *worker = arg;
    unsigned char *slots[SLOTS] = {NULL};
    struct bench_rng rng = worker->rng;
    uint64_t ops = worker->ops_wanted;
    for (uint32_t op = 0; op < worker->ops_wanted; op++) {
        uint64_t random = bench_rng_next(&rng);
        size_t slot = bench_slot(SLOTS, random);
        if (slots[slot] != NULL) {
            bench_free(slots[slot]);
            slots[slot] = NULL;
        } else {
            size_t size = bench_span_size(span, random);
            slots[slot] = bench_must(bench_malloc(size));
            bench_touch(slots[slot], size);
        }
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        ops += slots[slot] != NULL;
        bench_free(slots[slot]);
    }
    worker->ops_done += ops;
    worker->rng = rng;
    return NULL;
}

/* The oldest thread is joined before the next one starts in its place. Returns the ops done. */
static uint64_t run_threads(struct worker *workers, uint32_t total) {
    for (uint32_t i = 0; i < ALIVE; i++) {
        workers[i].ops_done = 0;
    }
    for (uint32_t i = 0; i < total; i++) {
        struct worker *worker = &workers[i % ALIVE];
        if (i >= ALIVE) {
            pthread_join(worker->id, NULL);
        }
        if (pthread_create(&worker->id, NULL, worker_main, worker) != 0) {
            bench_die("cannot create a thread");
        }
    }
    uint64_t ops = 0;
    for (uint32_t i = 0; i < ALIVE && i < total; i++) {
        pthread_join(workers[i].id, NULL);
        ops += workers[i].ops_done;
    }
    return ops;
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1, "bench_churn THREADS_TOTAL OPS"};
    uint32_t total = bench_arg(&args, 1);
    uint32_t ops_wanted = bench_arg(&args, 1);
    bench_args_end(&args);

    struct worker *workers = bench_table(ALIVE, sizeof *workers);
    for (uint32_t i = 0; i < ALIVE; i++) {
        workers[i].rng = bench_rng_seed(1, i);
        workers[i].ops_wanted = ops_wanted;
    }
    run_threads(workers, WARM_UP_THREADS);
    struct bench_mark start = bench_mark_now(RUSAGE_SELF);
    uint64_t ops = run_threads(workers, total);
    struct bench_result result = bench_since(&start, RUSAGE_SELF);
    bench_report("bench_churn", ALIVE, ops, &result, "threads_total:%u;ops:%u;alive:%u", total,
                 ops_wanted, ALIVE);
    return 0;
}
