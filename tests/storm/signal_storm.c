/* SPDX-License-Identifier: MIT */
/*
 * Goal: signals at any moment of malloc and free do no harm: not in a fast path, not in a wait for a
 * lock, not in a system call, with SA_RESTART or without.
 * Method: threads exchange blocks on a shelf while a timer and a thread send signals to all of them,
 * some onto an alternative stack. The handlers allocate nothing, change errno and put it back, and
 * use the stack. Meanwhile children are forked, so that signals also meet the fork handlers.
 *
 *   signal_storm [--seconds N]
 */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "allocator.h"
#include "child.h"
#include "shelf.h"

enum { THREADS = 3, STACK_BYTES = 64 * MEMORY_KIB, PERIOD_US = 200, PURGE_EVERY = 1000 };

static shelf_place shelf[SHELF_PLACES];
static atomic_bool must_stop;
static atomic_long signals;
static long forks;

struct worker {
    pthread_t thread;
    uint64_t random;
    atomic_long steps;
};

static struct worker workers[THREADS];

static void on_signal(int number)
{
    int saved = errno;
    volatile char bytes[512];
    memset((char *)bytes, number, sizeof bytes);
    errno = EINTR;
    atomic_fetch_add(&signals, bytes[100] == (char)number);
    errno = saved;
}

static void *allocate_until_stop(void *argument)
{
    static _Thread_local char stack[STACK_BYTES];
    const stack_t alternative = {.ss_sp = stack, .ss_size = sizeof stack};
    struct worker *w = argument;
    CHECK(sigaltstack(&alternative, NULL) == 0);
    while (!atomic_load(&must_stop)) {
        errno = 0;
        shelf_step(shelf, &w->random);
        CHECK(errno == 0); /* nothing failed, and free keeps it */
        if (atomic_fetch_add(&w->steps, 1) % PURGE_EVERY == 0) {
            malloc_trim(0);
        }
    }
    return NULL;
}

static void *signal_until_stop(void *unused)
{
    for (int i = 0; !atomic_load(&must_stop); i++) {
        CHECK(pthread_kill(workers[i % THREADS].thread, i % 2 ? SIGUSR1 : SIGUSR2) == 0);
        if (i % 64 == 0) {
            sched_yield();
        }
    }
    return unused;
}

static void fork_for(time_t seconds)
{
    time_t end = time(NULL) + seconds;
    uint64_t random = (uint64_t)end;
    do {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            child_begin();
            shelf_clear(shelf);
            shelf_step(shelf, &random);
            _exit(0);
        }
        CHECK(child_ended_well(pid));
        forks++;
    } while (time(NULL) < end);
}

static long storm(int restart, time_t seconds)
{
    const struct sigaction plain = {.sa_handler = on_signal, .sa_flags = restart};
    const struct sigaction aside = {.sa_handler = on_signal, .sa_flags = restart | SA_ONSTACK};
    const struct itimerval often = {{0, PERIOD_US}, {0, PERIOD_US}};
    const struct itimerval never = {{0, 0}, {0, 0}};
    pthread_t sender;
    long steps = 0;
    atomic_store(&must_stop, false);
    CHECK(sigaction(SIGALRM, &plain, NULL) == 0 && sigaction(SIGUSR1, &plain, NULL) == 0);
    CHECK(sigaction(SIGUSR2, &aside, NULL) == 0);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&workers[i].thread, NULL, allocate_until_stop, &workers[i]) == 0);
    }
    CHECK(pthread_create(&sender, NULL, signal_until_stop, NULL) == 0);
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    fork_for(seconds);
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    atomic_store(&must_stop, true);
    CHECK(pthread_join(sender, NULL) == 0);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
        steps += atomic_exchange(&workers[i].steps, 0);
    }
    return steps;
}

int main(int argc, char **argv)
{
    time_t seconds = argc > 2 && strcmp(argv[1], "--seconds") == 0 ? atol(argv[2]) : 1;
    allocator_expect();
    uint64_t random = random_seed();
    for (int i = 0; i < THREADS; i++) {
        workers[i].random = random_next(&random);
    }
    long steps = storm(0, seconds);
    steps += storm(SA_RESTART, seconds);
    shelf_clear(shelf);
    printf("signal_storm: %ld signals during %ld steps, half of the time with SA_RESTART, %ld forks\n",
           atomic_load(&signals), steps, forks);
    fflush(stdout);
    CHECK(atomic_load(&signals) > 0);
    return 0;
}
