/* SPDX-License-Identifier: MIT */
/*
 * A thread pool that serves connections, as web and application servers do. CONNECTIONS live in a
 * shared table and belong to no thread: whoever serves a request takes a random one out. A
 * request allocates 4..11 small objects (headers, parameters) and a response buffer of 1..16
 * KiB, renews one of the connection's values, frees objects and response and puts the connection
 * back. One request in 64 ends the connection and starts another in its place. So long-lived
 * blocks of all threads lie among short-lived ones, and are freed by any thread.
 */
#include <stdatomic.h>

#include "stamped.h"
#include "wait.h"

enum { VALUES = 4, OBJECTS_MIN = 4, OBJECTS_MAX = 11, REQUESTS_PER_END = 64 };

static const struct bench_span connection_span = {128, 768}, value_span = {32, 256};
static const struct bench_span object_span = {16, 256}, response_span = {1024, 16384};

struct connection {
    uint32_t number;
    struct stamped *values[VALUES];
    struct stamped *state; /* buffers and the like: one block of any size */
};

typedef _Atomic(struct connection *) connection_slot;

struct worker {
    alignas(BENCH_CACHE_LINE) connection_slot *table;
    struct bench_rng rng;
    uint32_t number, threads, connections, requests;
    uint64_t ops;
};

static struct stamped *new_block(struct worker *worker, struct bench_span span, uint32_t number) {
    worker->ops++;
    return stamped_new(bench_span_size(span, bench_rng_next(&worker->rng)), number);
}

static void free_block(struct worker *worker, struct stamped *block, uint32_t number) {
    if (block->number != number) {
        bench_die("a block of one connection turned up in another");
    }
    worker->ops++;
    stamped_free(block);
}

static struct connection *connection_start(struct worker *worker) {
    struct connection *connection = bench_must(bench_malloc(sizeof *connection));
    worker->ops++;
    connection->number = (uint32_t)bench_rng_next(&worker->rng);
    connection->state = new_block(worker, connection_span, connection->number);
    for (uint32_t i = 0; i < VALUES; i++) {
        connection->values[i] = new_block(worker, value_span, connection->number);
    }
    return connection;
}

static void connection_end(struct worker *worker, struct connection *connection) {
    for (uint32_t i = 0; i < VALUES; i++) {
        free_block(worker, connection->values[i], connection->number);
    }
    free_block(worker, connection->state, connection->number);
    worker->ops++;
    bench_free(connection);
}

/*
 * Takes the connection at or after a slot that no other thread serves now; *slot becomes its slot.
 * acquire: pairs with connection_put of the thread that served it last.
 */
static struct connection *connection_take(const struct worker *worker, size_t *slot) {
    uint32_t spins = 0;
    for (;; *slot = (*slot + 1) % worker->connections) {
        struct connection *connection =
            atomic_exchange_explicit(&worker->table[*slot], NULL, memory_order_acquire);
        if (connection != NULL) {
            return connection;
        }
        bench_wait(&spins);
    }
}

/* release: publishes the connection's new contents to the next thread that takes it. */
static void connection_put(const struct worker *worker, size_t slot,
                           struct connection *connection) {
    atomic_store_explicit(&worker->table[slot], connection, memory_order_release);
}

static void serve(struct worker *worker) {
    const uint64_t random = bench_rng_next(&worker->rng);
    const uint32_t request = (uint32_t)random;
    size_t slot = bench_slot(worker->connections, random);
    struct connection *connection = connection_take(worker, &slot);
    struct stamped *objects[OBJECTS_MAX];
    const size_t count = OBJECTS_MIN + bench_pick(request, OBJECTS_MAX - OBJECTS_MIN + 1);
    for (size_t i = 0; i < count; i++) {
        objects[i] = new_block(worker, object_span, request);
    }
    struct stamped *response = new_block(worker, response_span, request);
    struct stamped **value = &connection->values[request % VALUES];
    free_block(worker, *value, connection->number);
    *value = new_block(worker, value_span, connection->number);
    if (request / VALUES % REQUESTS_PER_END == 0) {
        connection_end(worker, connection);
        connection = connection_start(worker);
    }
    connection_put(worker, slot, connection);
    for (size_t i = 0; i < count; i++) {
        free_block(worker, objects[i], request);
    }
    free_block(worker, response, request);
}

static void warm_up(void *state) {
    struct worker *worker = state;
    for (size_t slot = worker->number; slot < worker->connections; slot += worker->threads) {
        connection_put(worker, slot, connection_start(worker));
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
    for (size_t slot = timed.number; slot < timed.connections; slot += timed.threads) {
        /* relaxed: all threads have passed a barrier since the last store */
        connection_end(&timed, atomic_load_explicit(&timed.table[slot], memory_order_relaxed));
    }
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {
        argv + 1,
        "bench_server REQUESTS [THREADS CONNECTIONS SEED] (per thread; default 2 2000 1)"};
    uint32_t requests = bench_arg(&args, 1);
    uint32_t threads = bench_arg_or(&args, 1, 2);
    uint32_t connections = bench_arg_or(&args, 1, 2000);
    uint32_t seed = bench_arg_or(&args, 0, 1);
    bench_args_end(&args);

    connection_slot *table = bench_table(connections, sizeof *table);
    struct worker *workers = bench_table(threads, sizeof *workers);
    for (uint32_t i = 0; i < threads; i++) {
        workers[i] = (struct worker){table,    bench_rng_seed(seed, i), i, threads, connections,
                                     requests, 0};
    }
    const struct bench_job job = {warm_up, work, clean_up};
    struct bench_result result = bench_run(&job, workers, sizeof *workers, threads);
    uint64_t ops = 0;
    for (uint32_t i = 0; i < threads; i++) {
        ops += workers[i].ops;
    }
    bench_report("bench_server", threads, ops, &result,
                 "requests:%u;threads:%u;connections:%u;seed:%u", requests, threads, connections,
                 seed);
    return 0;
}
