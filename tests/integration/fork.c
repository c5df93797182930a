/* SPDX-License-Identifier: MIT */
/*
 * Goal: fork, _Fork, vfork + exec and posix_spawn work at any moment of a process whose
 * threads allocate; the child gets a working heap, may free what the parent's threads made,
 * and the parent goes on.
 * Method: four threads allocate, free and exchange blocks without pause while the main thread
 * (and now and then a fresh thread) forks 1,000 times. Each child allocates, frees blocks of
 * threads that do not exist in it, runs a thread of its own, some fork again, and half leave
 * through exit(), half through _exit(). A lock left held in the child shows as a hang.
 */
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocator.h"
#include "check.h"
#include "child.h"
#include "memory.h"
#include "random.h"

enum { THREADS = 4, SLOTS = 200, FORKS = 1000, EXCHANGES = 128, EXECS = 40 };

extern char **environ;

struct worker {
    pthread_t thread;
    uint64_t random;
    atomic_size_t rounds;
};

static struct worker workers[THREADS];
static atomic_bool must_stop;

/* Blocks on their way between threads; each starts with its own size. */
static _Atomic(size_t *) exchanges[EXCHANGES];

static size_t *make_block(uint64_t *random)
{
    size_t bytes = sizeof(size_t) + random_size(random, random_below(random, 64) ? 12 : 18);
    size_t *block = random_below(random, 2) ? malloc(bytes) : calloc(1, bytes);

    CHECK(block);
    *block = bytes;
    memory_fill(block + 1, bytes - sizeof *block, bytes);
    return block;
}

static void check_and_free(size_t *block)
{
    if (block)
        CHECK(memory_holds(block + 1, *block - sizeof *block, *block));
    free(block);
}

static void *allocate_wildly(void *argument)
{
    struct worker *worker = argument;
    size_t *blocks[SLOTS] = {NULL};

    while (!atomic_load(&must_stop)) {
        size_t slot = random_below(&worker->random, SLOTS);
        size_t exchange = random_below(&worker->random, EXCHANGES);

        check_and_free(blocks[slot]);
        blocks[slot] = make_block(&worker->random);
        blocks[slot] = atomic_exchange(&exchanges[exchange], blocks[slot]);
        atomic_fetch_add(&worker->rounds, 1);
    }
    for (size_t i = 0; i < SLOTS; i++)
        check_and_free(blocks[i]);
    return NULL;
}

static void start_workers(uint64_t *random)
{
    for (int i = 0; i < THREADS; i++) {
        workers[i].random = random_next(random);
        CHECK(pthread_create(&workers[i].thread, NULL, allocate_wildly, &workers[i]) == 0);
    }
}

static void stop_workers(void)
{
    atomic_store(&must_stop, true);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
        CHECK(atomic_load(&workers[i].rounds) > 0);
    }
    for (size_t i = 0; i < EXCHANGES; i++)
        check_and_free(atomic_exchange(&exchanges[i], NULL));
}

/* ---- the child ---- */

static void churn(uint64_t *random, int rounds)
{
    enum { HELD = 32 };
    size_t *held[HELD] = {NULL};

    for (int i = 0; i < rounds; i++) {
        size_t slot = random_below(random, HELD);

        check_and_free(held[slot]);
        held[slot] = make_block(random);
    }
    for (size_t i = 0; i < HELD; i++)
        check_and_free(held[i]);
}

static void *churn_in_thread(void *seed)
{
    uint64_t random = *(uint64_t *)seed;

    churn(&random, 50);
    return make_block(&random);
}

static void live_in_child(uint64_t seed, size_t *inherited)
{
    pthread_t thread;
    void *from_thread;

    churn(&seed, 50);
    check_and_free(inherited);
    for (size_t i = 0; i < EXCHANGES; i++)
        check_and_free(atomic_exchange(&exchanges[i], NULL));
    CHECK(pthread_create(&thread, NULL, churn_in_thread, &seed) == 0);
    CHECK(pthread_join(thread, &from_thread) == 0);
    check_and_free(from_thread);
    churn(&seed, 50);
}

static _Noreturn void run_child(int number, uint64_t seed, size_t *inherited)
{
    child_begin();
    live_in_child(seed, inherited);
    if (number % 16 == 0) {
        pid_t grandchild = fork();

        CHECK(grandchild >= 0);
        if (grandchild == 0) {
            churn(&seed, 50);
            _exit(0);
        }
        CHECK(child_ended_well(grandchild));
    }
    if (number % 2)
        exit(0);
    _exit(0);
}

/* ---- the parent ---- */

struct fork_order {
    int number;
    uint64_t seed;
};

static void *fork_once(void *argument)
{
    struct fork_order *order = argument;
    size_t *inherited = make_block(&order->seed);
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0)
        run_child(order->number, order->seed, inherited);
    CHECK(child_ended_well(pid));
    check_and_free(inherited);
    churn(&order->seed, 10);
    return NULL;
}

static void fork_many_times(uint64_t *random)
{
    for (int i = 0; i < FORKS; i++) {
        struct fork_order order = {i, random_next(random)};
        pthread_t thread;

        if (i % 8 != 7) {
            fork_once(&order);
            continue;
        }
        CHECK(pthread_create(&thread, NULL, fork_once, &order) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
}

/* vfork shares memory with the child, which may only exec. */
static void vfork_and_exec(void)
{
    char *const argv[] = {(char *)"fork", (char *)"child", NULL};

    for (int i = 0; i < EXECS; i++) {
        pid_t pid = vfork();

        if (pid == 0) {
            execv("/proc/self/exe", argv);
            _exit(127);
        }
        CHECK(pid > 0);
        CHECK(child_ended_well(pid));
    }
}

static void spawn(void)
{
    char *const argv[] = {(char *)"fork", (char *)"child", NULL};

    for (int i = 0; i < EXECS; i++) {
        pid_t pid;

        CHECK(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ) == 0);
        CHECK(child_ended_well(pid));
    }
}

/* _Fork runs no fork handlers: with other threads about, its child may only leave or exec. */
static void raw_fork_among_threads(void)
{
    for (int i = 0; i < EXECS; i++) {
        pid_t pid = _Fork();

        CHECK(pid >= 0);
        if (pid == 0)
            _exit(0);
        CHECK(child_ended_well(pid));
    }
}

static void raw_fork_alone(uint64_t *random)
{
    for (int i = 0; i < 20; i++) {
        uint64_t seed = random_next(random);
        size_t *inherited = make_block(&seed);
        pid_t pid = _Fork();

        CHECK(pid >= 0);
        if (pid == 0) {
            check_and_free(inherited);
            churn(&seed, 200);
            _exit(0);
        }
        CHECK(child_ended_well(pid));
        check_and_free(inherited);
    }
}

int main(int argc, char **argv)
{
    uint64_t random = 1;

    (void)argv;
    allocator_expect();
    if (argc > 1) {
        churn(&random, 200);
        return 0;
    }
    random = random_seed();
    raw_fork_alone(&random);
    start_workers(&random);
    fork_many_times(&random);
    vfork_and_exec();
    spawn();
    raw_fork_among_threads();
    stop_workers();
    raw_fork_alone(&random);
    return 0;
}
