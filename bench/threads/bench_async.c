/* SPDX-License-Identifier: MIT */
/*
 * Tasks for each other, as in actor systems, asynchronous runtimes and engines with a queue per
 * thread: every thread creates task objects of MIN..MAX bytes, a closure each, and sends them
 * in batches to the others' queues in turn; between two batches it executes and frees what has
 * come into its own. Every thread allocates and frees all the time, but frees only blocks of
 * others. CYCLES batches of BATCH tasks per thread; a task is two ops.
 */
#include "ring.h"

struct task {
    uint64_t words; /* of the closure */
    uint64_t closure[];
};

struct worker {
    alignas(BENCH_CACHE_LINE) struct ring *rings; /* from thread F to T: [F * threads + T] */
    struct bench_rng rng;
    struct bench_span span;
    uint32_t number, threads, batch, cycles;
    uint64_t created_sum, executed_sum; /* of the closures */
};

static struct task *new_task(struct worker *worker) {
    const uint64_t random = bench_rng_next(&worker->rng);
    const size_t size = bench_span_size(worker->span, random);
    struct task *task = bench_must(bench_malloc(size));
    task->words = (size - sizeof *task) / sizeof task->closure[0];
    for (uint64_t i = 0; i < task->words; i++) {
        task->closure[i] = random + i;
        worker->created_sum += random + i;
    }
    return task;
}

static void execute(struct worker *worker, struct task *task) {
    for (uint64_t i = 0; i < task->words; i++) {
        worker->executed_sum += task->closure[i];
    }
    bench_free(task);
}

/* To the next of the other threads; false when its queue is full. */
static bool send_batch(struct worker *worker, uint32_t cycle) {
    const uint32_t step = 1 + cycle % (worker->threads - 1);
    const size_t to = ((size_t)worker->number + step) % worker->threads;
    struct ring *ring = &worker->rings[(size_t)worker->number * worker->threads + to];
    uint64_t head = ring_head(ring);
    if (!ring_has_room(ring, head, worker->batch)) {
        return false;
    }
    for (uint32_t i = 0; i < worker->batch; i++) {
        ring_put(ring, head++, new_task(worker));
    }
    ring_publish(ring, head);
    return true;
}

/* All tasks that are there, of all senders; returns their number. */
static uint64_t execute_tasks(struct worker *worker) {
    uint64_t executed = 0;
    for (uint32_t from = 0; from < worker->threads; from++) {
        struct ring *ring = &worker->rings[(size_t)from * worker->threads + worker->number];
        uint64_t tail = ring_tail(ring), head = ring_published(ring);
        executed += head - tail;
        while (tail != head) {
            execute(worker, ring_take(ring, tail++));
        }
        ring_give_back(ring, tail);
    }
    return executed;
}

/*
 * Every thread gets as many tasks as it sends: over all senders each step from 1 to THREADS - 1
 * leads to it once.
 */
static void run_cycles(struct worker *worker, uint32_t cycles) {
    uint64_t expected = (uint64_t)cycles * worker->batch;
    uint32_t sent = 0, spins = 0;
    while (sent < cycles || expected > 0) {
        const bool went = sent < cycles && send_batch(worker, sent);
        sent += went;
        const uint64_t executed = execute_tasks(worker);
        expected -= executed;
        if (!went && executed == 0) {
            bench_wait(&spins);
        }
    }
}

static void warm_up(void *state) {
    struct worker *worker = state;
    run_cycles(worker, worker->cycles / 20 + 1);
}

static void work(void *state) {
    struct worker *worker = state;
    run_cycles(worker, worker->cycles);
}

static void clean_up(void *state) {
    (void)state; /* every task has been executed and freed */
}

static struct worker *set_up(uint32_t threads, const struct worker *form, uint32_t seed) {
    struct ring *rings = bench_table((size_t)threads * threads, sizeof *rings);
    struct worker *workers = bench_table(threads, sizeof *workers);
    for (uint32_t i = 0; i < threads; i++) {
        workers[i] = *form;
        workers[i].rings = rings;
        workers[i].number = i;
        workers[i].threads = threads;
        workers[i].rng = bench_rng_seed(seed, i);
    }
    return workers;
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1,
                              "bench_async CYCLES [THREADS MIN MAX BATCH SEED] "
                              "(default 2 48 200 16 1; THREADS >= 2, MIN >= 16, BATCH <= 4096)"};
    uint32_t cycles = bench_arg(&args, 1);
    uint32_t threads = bench_arg_or(&args, 2, 2);
    struct bench_span span = bench_arg_span(&args, 48, 200);
    uint32_t batch = bench_arg_or(&args, 1, 16);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);
    if (span.min < 16 || batch > RING_SLOTS) {
        bench_usage(&args);
    }

    const struct worker form = {.span = span, .batch = batch, .cycles = cycles};
    struct worker *workers = set_up(threads, &form, seed);
    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, workers, sizeof *workers, threads);
    uint64_t created = 0, executed = 0;
    for (uint32_t i = 0; i < threads; i++) {
        created += workers[i].created_sum;
        executed += workers[i].executed_sum;
    }
    if (created != executed) {
        bench_die("a task changed on its way");
    }
    bench_report("bench_async", threads, 2ull * cycles * batch * threads, &result,
                 "cycles:%u;threads:%u;min:%u;max:%u;batch:%u;seed:%u", cycles, threads, span.min,
                 span.max, batch, seed);
    return 0;
}
