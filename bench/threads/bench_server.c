/* SPDX-License-Identifier: MIT */
/*
 * A thread pool that serves sessions, as web and application servers do. SESSIONS live in a
 * shared table and belong to no thread: whoever serves a request takes a random one out. A
 * request allocates 4..11 small objects (headers, parameters) and a response buffer of 1..16
 * KiB, renews one of the session's values, frees objects and response and puts the session
 * back. One request in 64 ends the session and starts another in its place. So long-lived
 * blocks of all threads lie among short-lived ones, and are freed by any thread.
 */
#include <stdatomic.h>

#include "stamped.h"
#include "wait.h"

enum { VALUES = 4, OBJECTS_MIN = 4, OBJECTS_MAX = 11, REQUESTS_PER_END = 64 };

static const struct bench_span session_span = {128, 768}, value_span = {32, 256};
static const struct bench_span object_span = {16, 256}, response_span = {1024, 16384};

struct session {
    uint32_t number;
    struct stamped *values[VALUES];
    struct stamped *state; /* buffers and the like: one block of any size */
};

typedef _Atomic(struct session *) session_slot;

struct worker {
    alignas(BENCH_CACHE_LINE) session_slot *table;
    struct bench_rng rng;
    uint32_t number, threads, sessions, requests;
    uint64_t ops;
};

static struct stamped *new_block(struct worker *worker, struct bench_span span, uint32_t number) {
    worker->ops++;
    return stamped_new(bench_span_size(span, bench_rng_next(&worker->rng)), number);
}

static void free_block(struct worker *worker, struct stamped *block, uint32_t number) {
    if (block->number != number) {
        bench_die("a block of one session turned up in another");
    }
    worker->ops++;
    stamped_free(block);
}

static struct session *session_start(struct worker *worker) {
    struct session *session = bench_must(bench_malloc(sizeof *session));
    worker->ops++;
    session->number = (uint32_t)bench_rng_next(&worker->rng);
    session->state = new_block(worker, session_span, session->number);
    for (uint32_t i = 0; i < VALUES; i++) {
        session->values[i] = new_block(worker, value_span, session->number);
    }
    return session;
}

static void session_end(struct worker *worker, struct session *session) {
    for (uint32_t i = 0; i < VALUES; i++) {
        free_block(worker, session->values[i], session->number);
    }
    free_block(worker, session->state, session->number);
    worker->ops++;
    bench_free(session);
}

/*
 * Takes the session at or after a slot that no other thread serves now; *slot becomes its slot.
 * acquire: pairs with session_put of the thread that served it last.
 */
static struct session *session_take(const struct worker *worker, size_t *slot) {
    uint32_t spins = 0;
    for (;; *slot = (*slot + 1) % worker->sessions) {
        struct session *session =
            atomic_exchange_explicit(&worker->table[*slot], NULL, memory_order_acquire);
        if (session != NULL) {
            return session;
        }
        bench_wait(&spins);
    }
}

/* release: publishes the session's new contents to the next thread that takes it. */
static void session_put(const struct worker *worker, size_t slot, struct session *session) {
    atomic_store_explicit(&worker->table[slot], session, memory_order_release);
}

static void serve(struct worker *worker) {
    const uint64_t random = bench_rng_next(&worker->rng);
    const uint32_t request = (uint32_t)random;
    size_t slot = bench_slot(worker->sessions, random);
    struct session *session = session_take(worker, &slot);
    struct stamped *objects[OBJECTS_MAX];
    const size_t count = OBJECTS_MIN + bench_pick(request, OBJECTS_MAX - OBJECTS_MIN + 1);
    for (size_t i = 0; i < count; i++) {
        objects[i] = new_block(worker, object_span, request);
    }
    struct stamped *response = new_block(worker, response_span, request);
    struct stamped **value = &session->values[request % VALUES];
    free_block(worker, *value, session->number);
    *value = new_block(worker, value_span, session->number);
    if (request / VALUES % REQUESTS_PER_END == 0) {
        session_end(worker, session);
        session = session_start(worker);
    }
    session_put(worker, slot, session);
    for (size_t i = 0; i < count; i++) {
        free_block(worker, objects[i], request);
    }
    free_block(worker, response, request);
}

static void warm_up(void *state) {
    struct worker *worker = state;
    for (size_t slot = worker->number; slot < worker->sessions; slot += worker->threads) {
        session_put(worker, slot, session_start(worker));
    }
    for (uint32_t i = 0; i < worker->requests / 20 + 1; i++) {
        serve(worker);
    }
    worker->ops = 0;
}

static void work(void *state) {
    struct worker *worker = state;
    for (uint32_t i = 0; i < worker->requests; i++) {
        serve(worker);
    }
}

static void clean_up(void *state) {
    struct worker timed = *(struct worker *)state; /* a copy: these frees do not count */
    for (size_t slot = timed.number; slot < timed.sessions; slot += timed.threads) {
        /* relaxed: all threads have passed a barrier since the last store */
        session_end(&timed, atomic_load_explicit(&timed.table[slot], memory_order_relaxed));
    }
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {
        argv + 1, "bench_server REQUESTS [THREADS SESSIONS SEED] (per thread; default 2 2000 1)"};
    uint32_t requests = bench_arg(&args, 1);
    uint32_t threads = bench_arg_or(&args, 1, 2);
    uint32_t sessions = bench_arg_or(&args, 1, 2000);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);

    session_slot *table = bench_table(sessions, sizeof *table);
    struct worker *workers = bench_table(threads, sizeof *workers);
    for (uint32_t i = 0; i < threads; i++) {
        workers[i] = (struct worker){table,    bench_rng_seed(seed, i), i, threads, sessions,
                                     requests, 0};
    }
    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, workers, sizeof *workers, threads);
    uint64_t ops = 0;
    for (uint32_t i = 0; i < threads; i++) {
        ops += workers[i].ops;
    }
    bench_report("bench_server", threads, ops, &result,
                 "requests:%u;threads:%u;sessions:%u;seed:%u", requests, threads, sessions, seed);
    return 0;
}
