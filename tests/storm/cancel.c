/* SPDX-License-Identifier: MIT */
/*
 * Goal: malloc, realloc and free are no cancellation points, on no path: a thread that was cancelled
 * ends where it asks to and nowhere else, and its blocks are not lost.
 * Method: threads with a cancellation pending allocate, move and free blocks of all sizes, and count
 * their steps; all steps must have been done when they end at pthread_testcancel. The same with all
 * memory gone, where the allocator gives back what it has, reads its size and writes its line. Threads
 * that are cancelled at any moment of a loop, with a cleanup handler that frees, come last.
 */
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>

#include "allocator.h"
#include "child.h"
#include "shelf.h"

enum { STEPS = 3000, THREADS = 200, LIMIT_BYTES = 48 * MEMORY_MIB, TOO_MUCH = 64 * MEMORY_MIB };

static shelf_place shelf[SHELF_PLACES];
static atomic_long steps;
static pthread_barrier_t is_pending;

/* Waits, without a cancellation point, until the main thread has cancelled it. */
static void start_cancelled(void)
{
    int state;
    CHECK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state) == 0);
    pthread_barrier_wait(&is_pending);
    pthread_barrier_wait(&is_pending);
    CHECK(pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state) == 0);
}

static void *step_while_cancelled(void *random)
{
    start_cancelled();
    for (int i = 0; i < STEPS; i++) {
        shelf_step(shelf, random);
        if (i % 100 == 0) {
            malloc_trim(0);
        }
        atomic_fetch_add(&steps, 1);
    }
    pthread_testcancel();
    return NULL;
}

/* Each refusal is of another burst, so that each is worth a line. */
static void *be_refused_while_cancelled(void *unused)
{
    start_cancelled();
    for (int i = 0; i < 5; i++) {
        CHECK(malloc(TOO_MUCH + (size_t)i * MEMORY_MIB) == NULL && errno == ENOMEM);
        atomic_fetch_add(&steps, 1);
    }
    pthread_testcancel();
    return unused;
}

/* True if the thread was cancelled after it had done all its steps. */
static bool comes_through(void *(*body)(void *), void *argument, long expected)
{
    pthread_t thread;
    void *result;
    atomic_store(&steps, 0);
    CHECK(pthread_barrier_init(&is_pending, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, body, argument) == 0);
    pthread_barrier_wait(&is_pending);
    CHECK(pthread_cancel(thread) == 0);
    pthread_barrier_wait(&is_pending);
    CHECK(pthread_join(thread, &result) == 0);
    long done = atomic_load(&steps);
    printf("cancel: %ld of %ld steps with a cancellation pending\n", done, expected);
    fflush(stdout);
    return result == PTHREAD_CANCELED && done == expected;
}

static bool comes_through_without_memory(void)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        const struct rlimit limit = {LIMIT_BYTES, LIMIT_BYTES};
        child_begin();
        CHECK(setrlimit(RLIMIT_DATA, &limit) == 0);
        _exit(comes_through(be_refused_while_cancelled, NULL, 5) ? 0 : 1);
    }
    return child_ended_well(pid);
}

/* ---- any moment ---- */

static void free_block(void *block)
{
    shelf_free(*(size_t **)block);
}

static void *step_until_cancelled(void *random)
{
    size_t *block = shelf_new(random);
    CHECK(block != NULL);
    pthread_cleanup_push(free_block, &block);
    for (;;) {
        shelf_step(shelf, random);
        block = shelf_resize(block, random);
        pthread_testcancel();
    }
    pthread_cleanup_pop(1);
    return NULL;
}

static void cancel_at_any_moment(uint64_t *random)
{
    for (int i = 0; i < THREADS; i++) {
        pthread_t threads[2];
        uint64_t seeds[2] = {random_next(random), random_next(random)};
        void *result;
        for (int k = 0; k < 2; k++) {
            CHECK(pthread_create(&threads[k], NULL, step_until_cancelled, &seeds[k]) == 0);
        }
        for (int k = 0; k < 2; k++) {
            CHECK(pthread_cancel(threads[k]) == 0);
            CHECK(pthread_join(threads[k], &result) == 0 && result == PTHREAD_CANCELED);
        }
    }
    shelf_clear(shelf);
}

int main(void)
{
    allocator_expect();
    uint64_t random = random_seed();
    cancel_at_any_moment(&random);
    bool good = comes_through(step_while_cancelled, &random, STEPS);
    good = comes_through_without_memory() && good;
    shelf_clear(shelf);
    return good ? 0 : 1;
}
