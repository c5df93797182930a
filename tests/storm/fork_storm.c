/* SPDX-License-Identifier: MIT */
/*
 * Goal: several threads may fork at once while others allocate, free, start, end and trim; each
 * child has a whole heap, may free what the parent's threads left, and may start threads and fork
 * again while they run; nothing of this grows.
 * Method: allocators exchange blocks on a shelf; another thread starts and joins short threads and trims;
 * forkers fork without pause. A child checks and frees all it inherited on the shelf, then runs
 * allocators of its own and forks among them; a grandchild does the same without threads. Blocks
 * carry their bytes; a lock that is left held shows as a hang. At the end, trimmed, the parent
 * may be 2 MiB larger than at the start: that includes what the C library keeps of stacks.
 *
 *   fork_storm [--forks N]
 */
#include <malloc.h>
#include <pthread.h>
#include <string.h>

#include "allocator.h"
#include "child.h"
#include "shelf.h"

enum {
    ALLOCATORS = 2,
    FORKERS = 3,
    CHILD_ALLOCATORS = 2,
    CHILD_STEPS = 200,
    CHILD_FORKS = 2,
    SHORT_THREADS = 8,
    GROWTH_BYTES = 2 * MEMORY_MIB,
};

static shelf_place shelf[SHELF_PLACES];
static atomic_bool must_stop;
static atomic_long forks_left;
static atomic_long children;

struct thread {
    pthread_t id;
    uint64_t random;
};

static void start(struct thread *threads, int count, void *(*body)(void *), uint64_t *random)
{
    for (int i = 0; i < count; i++) {
        threads[i].random = random_next(random);
        CHECK(pthread_create(&threads[i].id, NULL, body, &threads[i].random) == 0);
    }
}

static void join(struct thread *threads, int count)
{
    for (int i = 0; i < count; i++) {
        CHECK(pthread_join(threads[i].id, NULL) == 0);
    }
}

static void *allocate_until_stop(void *random)
{
    while (!atomic_load(&must_stop)) {
        shelf_step(shelf, random);
    }
    return NULL;
}

static void *allocate_some(void *random)
{
    for (int i = 0; i < CHILD_STEPS; i++) {
        shelf_step(shelf, random);
    }
    return NULL;
}

/* Threads that start and end, so that forks meet heaps on their way into the pool and out of it. */
static void *start_and_end_threads(void *random)
{
    struct thread threads[SHORT_THREADS];
    while (!atomic_load(&must_stop)) {
        start(threads, SHORT_THREADS, allocate_some, random);
        join(threads, SHORT_THREADS);
        malloc_trim(0);
    }
    return NULL;
}

/* ---- children ---- */

static _Noreturn void live_as_grandchild(uint64_t *random)
{
    child_begin();
    shelf_clear(shelf);
    allocate_some(random);
    shelf_clear(shelf);
    malloc_trim(0);
    _exit(0);
}

static _Noreturn void live_as_child(uint64_t *random)
{
    struct thread threads[CHILD_ALLOCATORS];
    child_begin();
    shelf_clear(shelf);
    start(threads, CHILD_ALLOCATORS, allocate_some, random);
    for (int i = 0; i < CHILD_FORKS; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            live_as_grandchild(random);
        }
        CHECK(child_ended_well(pid));
    }
    join(threads, CHILD_ALLOCATORS);
    shelf_clear(shelf);
    malloc_trim(0);
    _exit(0);
}

static void *fork_many_times(void *random)
{
    while (atomic_fetch_sub(&forks_left, 1) > 0) {
        shelf_step(shelf, random);
        uint64_t seed = random_next(random);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            live_as_child(&seed);
        }
        CHECK(child_ended_well(pid));
        atomic_fetch_add(&children, 1);
    }
    return NULL;
}

static void storm(uint64_t *random)
{
    struct thread allocators[ALLOCATORS];
    struct thread forkers[FORKERS];
    struct thread starter;
    start(allocators, ALLOCATORS, allocate_until_stop, random);
    start(&starter, 1, start_and_end_threads, random);
    start(forkers, FORKERS, fork_many_times, random);
    join(forkers, FORKERS);
    atomic_store(&must_stop, true);
    join(allocators, ALLOCATORS);
    join(&starter, 1);
}

int main(int argc, char **argv)
{
    long forks = argc > 2 && strcmp(argv[1], "--forks") == 0 ? atol(argv[2]) : 200;
    allocator_expect();
    uint64_t random = random_seed();
    free(malloc(1));
    size_t base = memory_rss_bytes();
    atomic_store(&forks_left, forks);
    storm(&random);
    shelf_clear(shelf);
    malloc_trim(0);
    size_t above = memory_rss_above_bytes(base);
    long made = atomic_load(&children);
    printf("fork_storm: %ld forks, %ld of them in children of a process with threads; %zu KiB above "
           "the start\n", made * (1 + CHILD_FORKS), made * CHILD_FORKS, above / MEMORY_KIB);
    fflush(stdout);
    CHECK(above <= GROWTH_BYTES);
    return 0;
}
