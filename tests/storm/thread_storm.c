/* SPDX-License-Identifier: MIT */
/*
 * Goal: threads by the thousand, many at once, leave nothing behind: no memory, no heap that nobody
 * has, no block that is lost with its owner.
 * Method: waves of threads that are alive together. Each puts blocks of all sizes on a shelf, takes others'
 * from it, and ends in one of several ways: by return, by pthread_exit, detached, or allocating
 * once more in a destructor. The resident size is read after each epoch of waves, with the shelf empty and
 * memory trimmed. It may grow by 2 MiB after the first epoch, and by as much again for the stacks and
 * thread-local data of the last wave, which the C library keeps.
 *
 *   thread_storm [--threads N]
 */
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/stat.h>

#include "allocator.h"
#include "shelf.h"

enum { WAVE = 100, EPOCHS = 10, STEPS = 30, STACK_BYTES = 64 * MEMORY_KIB };
enum { GROWTH_BYTES = 4 * MEMORY_MIB };

static shelf_place shelf[SHELF_PLACES];
static pthread_barrier_t all_are_there;
static sem_t detached_are_done;
static pthread_key_t last_key;
static pthread_attr_t joinable, detached;

/* Runs in the rounds of key destructors: allocates and frees, twice. */
static void act_at_the_end(void *block)
{
    size_t *given = block;
    size_t rounds = given[1];
    free(block);
    uint64_t random = rounds;
    shelf_step(shelf, &random);
    if (rounds > 1) {
        given = malloc(2 * sizeof *given);
        CHECK(given != NULL);
        given[1] = rounds - 1;
        CHECK(pthread_setspecific(last_key, given) == 0);
    }
}

static void leave_something_for_the_end(void)
{
    size_t *given = malloc(2 * sizeof *given);
    CHECK(given != NULL);
    given[1] = 2;
    CHECK(pthread_setspecific(last_key, given) == 0);
}

static void live(uint64_t seed)
{
    pthread_barrier_wait(&all_are_there);
    for (int i = 0; i < STEPS; i++) {
        shelf_step(shelf, &seed);
    }
    if (seed % 4 == 0) {
        leave_something_for_the_end();
    }
}

static void *live_joinable(void *seed)
{
    live((uintptr_t)seed);
    if ((uintptr_t)seed % 2 == 0) {
        pthread_exit(NULL);
    }
    return NULL;
}

static void *live_detached(void *seed)
{
    live((uintptr_t)seed);
    sem_post(&detached_are_done);
    return NULL;
}

static void run_wave(uint64_t *random)
{
    pthread_t threads[WAVE];
    for (int i = 0; i < WAVE; i++) {
        bool joins = i % 4 != 0;
        void *seed = (void *)(uintptr_t)random_next(random);
        CHECK(pthread_create(&threads[i], joins ? &joinable : &detached,
                             joins ? live_joinable : live_detached, seed) == 0);
    }
    for (int i = 0; i < WAVE; i++) {
        if (i % 4 != 0) {
            CHECK(pthread_join(threads[i], NULL) == 0);
        } else {
            CHECK(sem_wait(&detached_are_done) == 0);
        }
    }
}

/* A detached thread that is done still has to leave: until then nobody else can reach what it holds. */
static void wait_until_alone(void)
{
    const nlink_t alone = 3; /* ".", ".." and the main thread */
    struct stat tasks;
    do {
        sched_yield();
        CHECK(stat("/proc/self/task", &tasks) == 0);
    } while (tasks.st_nlink > alone);
}

static size_t run_epoch(long waves, uint64_t *random)
{
    for (long i = 0; i < waves; i++) {
        run_wave(random);
    }
    wait_until_alone();
    shelf_clear(shelf);
    malloc_trim(0);
    return memory_rss_bytes();
}

static void start(void)
{
    CHECK(pthread_barrier_init(&all_are_there, NULL, WAVE) == 0);
    CHECK(sem_init(&detached_are_done, 0, 0) == 0);
    CHECK(pthread_key_create(&last_key, act_at_the_end) == 0);
    CHECK(pthread_attr_init(&joinable) == 0 && pthread_attr_init(&detached) == 0);
    CHECK(pthread_attr_setstacksize(&joinable, STACK_BYTES) == 0);
    CHECK(pthread_attr_setstacksize(&detached, STACK_BYTES) == 0);
    CHECK(pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED) == 0);
}

int main(int argc, char **argv)
{
    long threads = argc > 2 && strcmp(argv[1], "--threads") == 0 ? atol(argv[2]) : 2000;
    allocator_expect();
    uint64_t random = random_seed();
    start();
    long waves = threads / EPOCHS / WAVE > 0 ? threads / EPOCHS / WAVE : 1;
    size_t base = run_epoch(waves, &random);
    printf("thread_storm: resident KiB after each %ld threads: %zu", waves * WAVE,
           base / MEMORY_KIB);
    size_t last = base;
    for (int i = 1; i < EPOCHS; i++) {
        last = run_epoch(waves, &random);
        printf(" %zu", last / MEMORY_KIB);
    }
    printf("\nthread_storm: %ld threads; resident %zu KiB after a tenth of them, %zu KiB at the end\n",
           waves * WAVE * EPOCHS, base / MEMORY_KIB, last / MEMORY_KIB);
    fflush(stdout);
    CHECK(last <= base + GROWTH_BYTES);
    return 0;
}
