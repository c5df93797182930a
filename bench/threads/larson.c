/* SPDX-License-Identifier: MIT */
/*
 * The server simulation of Larson and Krishnan ("Memory Allocation for Long-Running Server
 * Applications", ISMM 1998). THREADS chains run side by side. A thread of a chain replaces
 * CHUNKS * ROUNDS random blocks of the chain's array and then hands the array to a freshly
 * created thread, which frees blocks that a dead thread allocated. After SECS (a fraction is
 * allowed) the chains end.
 */
#include <semaphore.h>
#include <stdatomic.h>

#include "bench.h"

/* One chain; only its current thread touches it. pthread_create hands it over. */
struct chain {
    alignas(BENCH_CACHE_LINE) unsigned char **blocks;
    struct bench_rng rng;
    struct bench_span span;
    uint32_t chunks, rounds;
    uint64_t replaced;
};

static atomic_bool stop; /* relaxed: a chain that sees it late only runs a round longer */
static sem_t ended;      /* one post per chain; publishes chain.replaced */

static unsigned char *new_block(struct bench_span span, uint64_t random) {
    size_t size = bench_span_size(span, random);
    unsigned char *block = bench_must(bench_malloc(size));
    bench_touch(block, size);
    return block;
}

static void one_round(struct chain *chain) {
    unsigned char **blocks = chain->blocks;
    const struct bench_span span = chain->span;
    const uint32_t chunks = chain->chunks;
    struct bench_rng rng = chain->rng;
    for (uint32_t i = 0; i < chunks; i++) {
        uint64_t random = bench_rng_next(&rng);
        size_t victim = bench_slot(chunks, random);
        bench_free(blocks[victim]);
        blocks[victim] = new_block(span, random);
    }
    chain->rng = rng;
    chain->replaced += chunks;
}

static void *chain_main(void *arg);

static void start_thread(struct chain *chain) {
    pthread_attr_t attr;
    pthread_t id;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&id, &attr, chain_main, chain) != 0) {
        bench_die("cannot create a thread");
    }
    pthread_attr_destroy(&attr);
}

static void *chain_main(void *arg) {
    struct chain *chain = arg;
    for (uint32_t round = 0; round < chain->rounds; round++) {
        if (atomic_load_explicit(&stop, memory_order_relaxed)) {
            break;
        }
        one_round(chain);
    }
    if (atomic_load_explicit(&stop, memory_order_relaxed)) {
        sem_post(&ended);
    } else {
        start_thread(chain);
    }
    return NULL;
}

/* As in the original, the main thread allocates the first blocks of all chains. */
static void warm_up(struct chain *chain) {
    for (uint32_t i = 0; i < chain->chunks; i++) {
        chain->blocks[i] = new_block(chain->span, bench_rng_next(&chain->rng));
    }
    one_round(chain);
    chain->replaced = 0;
}

static struct bench_result run(struct chain *chains, uint32_t threads, double seconds) {
    time_t whole = (time_t)seconds;
    struct timespec pause = {whole, (long)((seconds - (double)whole) * 1e9)};
    struct bench_mark start = bench_mark_now(RUSAGE_SELF);
    for (uint32_t i = 0; i < threads; i++) {
        start_thread(&chains[i]);
    }
    while (nanosleep(&pause, &pause) != 0) {
    }
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (uint32_t i = 0; i < threads; i++) {
        while (sem_wait(&ended) != 0) {
        }
    }
    return bench_since(&start, RUSAGE_SELF);
}

static double arg_seconds(struct bench_args *args) {
    char *end = NULL;
    double seconds = *args->next == NULL ? 0 : strtod(*args->next, &end);
    if (end == NULL || *end != '\0' || !(seconds > 0 && seconds < 1e6)) {
        bench_usage(args);
    }
    args->next++;
    return seconds;
}

int main(int argc, char **argv) {
    (void)argc;
    struct bench_args args = {argv + 1, "larson SECS MIN MAX CHUNKS ROUNDS SEED THREADS"};
    double seconds = arg_seconds(&args);
    uint32_t min = bench_arg(&args, 1);
    uint32_t max = bench_arg(&args, min);
    uint32_t chunks = bench_arg(&args, 1);
    uint32_t rounds = bench_arg(&args, 1);
    uint32_t seed = bench_arg(&args, 0);
    uint32_t threads = bench_arg(&args, 1);
    bench_args_end(&args);

    sem_init(&ended, 0, 0);
    struct chain *chains = bench_table(threads, sizeof *chains);
    for (uint32_t i = 0; i < threads; i++) {
        chains[i].blocks = bench_table(chunks, sizeof *chains[i].blocks);
        chains[i].rng = bench_rng_seed(seed, i);
        chains[i].span = (struct bench_span){min, max};
        chains[i].chunks = chunks;
        chains[i].rounds = rounds;
        warm_up(&chains[i]);
    }
    struct bench_result result = run(chains, threads, seconds);
    uint64_t ops = 0;
    for (uint32_t i = 0; i < threads; i++) {
        ops += 2 * chains[i].replaced;
        for (uint32_t k = 0; k < chunks; k++) {
            bench_free(chains[i].blocks[k]);
        }
    }
    bench_report("larson", threads, ops, &result,
                 "secs:%g;min:%u;max:%u;chunks:%u;rounds:%u;seed:%u;threads:%u", seconds, min, max,
                 chunks, rounds, seed, threads);
    return 0;
}
