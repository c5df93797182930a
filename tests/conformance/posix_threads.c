/* SPDX-License-Identifier: MIT */
/*
 * Goal: what POSIX.1-2024 says of allocation in threads, under a pending cancellation, and when a
 * signal handler interrupts it. docs/conformance.md says which clause each case stands for.
 * Method: threads hand blocks of all functions round; cancellation is pending while everything is
 * called, failures included, in a process of its own, where the first failure is still to come; a
 * timer interrupts allocation, and its handler forks a child that spoils its copy of the memory.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/single_threaded.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "allocator.h"
#include "check.h"
#include "child.h"
#include "conform.h"
#include "memory.h"
#include "random.h"

/* ---- no cancellation point ---- */

static void *call_everything_while_cancelled(void *done)
{
    CHECK(pthread_cancel(pthread_self()) == 0);
    for (size_t w = 0; w < conform_way_count; w++) {
        for (size_t size = 1; size < 40 * MEMORY_MIB; size += 1 + 2 * size) {
            void *block = realloc(conform_ways[w].allocate(size), size + size / 2);

            CHECK(block);
            free(block);
        }
        CHECK(conform_ways[w].allocate(conform_hide(PTRDIFF_MAX - 100000)) == NULL);
    }
    *(bool *)done = true;
    pthread_testcancel();
    return NULL;
}

static int run_cancelled(void)
{
    bool done = false;
    void *result;
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, call_everything_while_cancelled, &done) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(done);
    CHECK(result == PTHREAD_CANCELED);
    return 0;
}

static void allocation_is_no_cancellation_point(void **state)
{
    static struct child_result result;
    const char *const argv[] = {"posix_threads", "cancelled", NULL};

    (void)state;
    child_run_self(argv, NULL, NULL, &result);
    if (!child_status_is_good(result.status, 0))
        fail_msg("%s", result.err);
}

/* ---- signals, and fork from a handler ---- */

static char *volatile in_use; /* a block with a pattern, or NULL */
static volatile sig_atomic_t handled, went_wrong;
enum { IN_USE_BYTES = 3000 };

static pid_t (*volatile fork_function)(void);

/* Calls only what may be called here. The child spoils its copy of the parent's memory. */
static void fork_in_handler(int number)
{
    int saved = errno;
    int status = -1;
    pid_t pid = fork_function();

    (void)number;
    if (pid == 0) {
        if (in_use)
            memset(in_use, 0xee, IN_USE_BYTES);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        went_wrong = 1;
    handled = handled + 1;
    errno = saved;
}

static void allocate_through(const struct way *way, size_t round)
{
    size_t size = IN_USE_BYTES + round % 11 * 9000;
    char *block = way->allocate(size);

    assert_non_null(block);
    memory_fill(block, size, round);
    in_use = block;
    free(realloc(way->allocate(size / 2), size));
    free(realloc(malloc(size), size / 3));
    assert_true(memory_holds(block, size, round));
    in_use = NULL;
    free(block);
}

/* The timer is set anew after each signal, so that a slow machine does not drown in them. */
static void assert_handlers_may_call(pid_t (*function)(void))
{
    enum { HANDLED = 300 };
    struct sigaction action = {.sa_handler = fork_in_handler, .sa_flags = SA_RESTART};
    uint64_t random = random_seed();
    int seen = -1;

    fork_function = function;
    handled = 0;
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    for (size_t round = 0; handled < HANDLED; round++) {
        struct itimerval once = {{0, 0}, {0, 50 + (int)random_below(&random, 500)}};

        if (seen != handled) {
            seen = handled;
            assert_int_equal(setitimer(ITIMER_REAL, &once, NULL), 0);
        }
        allocate_through(&conform_ways[round % conform_way_count], round);
    }
    assert_int_equal(went_wrong, 0);
}

static void handlers_may_call__Fork_at_any_moment(void **state)
{
    (void)state;
    assert_handlers_may_call(_Fork);
}

/* Before 2024 fork was on the list; glibc keeps it safe where there is one thread. */
static void handlers_of_the_only_thread_may_call_fork(void **state)
{
    (void)state;
    assert_true(__libc_single_threaded);
    assert_handlers_may_call(fork);
}

/* ---- threads ---- */

enum { THREADS = 4, EXCHANGES = 64, ROUNDS = 20000 };
static _Atomic(size_t *) exchanges[EXCHANGES]; /* each block begins with its size */

static void check_and_free(size_t *block)
{
    if (block)
        CHECK(memory_holds(block + 1, *block - sizeof *block, *block));
    free(block);
}

/* What one thread wrote before it let go of memory is never seen to be written later. */
static void *allocate_and_exchange(void *seed)
{
    uint64_t random = *(uint64_t *)seed;

    for (int round = 0; round < ROUNDS; round++) {
        size_t bytes = sizeof(size_t) + random_size(&random, round % 6 ? 10 : 18);
        size_t way = random_below(&random, conform_way_count);
        size_t *block = conform_ways[way].allocate(bytes);

        CHECK(block);
        if (conform_ways[way].zeroes)
            CHECK(memory_is_zero(block, bytes));
        *block = bytes;
        memory_fill(block + 1, bytes - sizeof *block, bytes);
        check_and_free(atomic_exchange(&exchanges[random_below(&random, EXCHANGES)], block));
    }
    return NULL;
}

static void every_function_may_run_in_all_threads(void **state)
{
    uint64_t random = random_seed();
    uint64_t seeds[THREADS];
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        seeds[i] = random_next(&random);
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_and_exchange, &seeds[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < EXCHANGES; i++)
        check_and_free(atomic_exchange(&exchanges[i], NULL));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocation_is_no_cancellation_point),
        cmocka_unit_test(handlers_may_call__Fork_at_any_moment),
        cmocka_unit_test(handlers_of_the_only_thread_may_call_fork),
        cmocka_unit_test(every_function_may_run_in_all_threads),
    };

    (void)argv;
    allocator_expect();
    if (argc > 1)
        return run_cancelled();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
