/* SPDX-License-Identifier: MIT */
/*
 * Goal: allocation works from the first instruction of user code to the last, in the order
 * preinit, library constructor, constructor, main, atexit, destructor, library destructor,
 * and the process may end in any way while threads allocate.
 * Method: the program runs itself; every step of the child allocates and frees, then writes a
 * letter. The parent compares the letters and the exit code.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "allocator.h"
#include "check.h"
#include "child.h"
#include "early.h"
#include "memory.h"

static void *preinit_block;
static void *constructor_block;
static atomic_int busy_threads;

/* ---- the steps of the child (they run in the parent too, which ignores their letters) ---- */

static void before_all_constructors(int argc, char **argv, char **environment)
{
    (void)argc, (void)argv, (void)environment;
    early_step('p');
    preinit_block = calloc(3, 1000);
    CHECK(preinit_block && memory_is_zero(preinit_block, 3000));
    memory_fill(preinit_block, 3000, 1);
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit_entry)(
    int, char **, char **) = before_all_constructors;

__attribute__((constructor(101))) static void first_constructor(void)
{
    early_step('c');
    constructor_block = aligned_alloc(4096, 70000);
    CHECK(constructor_block);
    memory_fill(constructor_block, 70000, 2);
}

static void at_program_exit(void)
{
    early_step('a');
}

__attribute__((destructor(101))) static void last_destructor(void)
{
    CHECK(memory_holds(constructor_block, 70000, 2));
    free(constructor_block);
    early_step('d');
}

static void check_early_blocks(void)
{
    CHECK(memory_holds(preinit_block, 3000, 1));
    CHECK(memory_holds(constructor_block, 70000, 2));
    CHECK(strcmp(getenv("EARLY_LIBRARY"), "started") == 0);
    preinit_block = realloc(preinit_block, 30000);
    CHECK(preinit_block && memory_holds(preinit_block, 3000, 1));
    free(preinit_block);
    constructor_block = realloc(constructor_block, 140000);
    CHECK(constructor_block && memory_holds(constructor_block, 70000, 2));
}

/* ---- ways to end ---- */

static _Noreturn void *allocate_forever(void *nothing)
{
    (void)nothing;
    atomic_fetch_add(&busy_threads, 1);
    for (;;)
        early_churn();
}

static void start_busy_threads(void)
{
    enum { THREADS = 4 };

    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;

        CHECK(pthread_create(&thread, NULL, allocate_forever, NULL) == 0);
        CHECK(pthread_detach(thread) == 0);
    }
    while (atomic_load(&busy_threads) < THREADS)
        sched_yield();
}

/* Runs after the main thread is gone; the last thread to return ends the process. */
static void *outlive_main(void *main_thread)
{
    CHECK(pthread_join(*(pthread_t *)main_thread, NULL) == 0);
    early_step('t');
    return NULL;
}

static _Noreturn void end_by_pthread_exit(void)
{
    static pthread_t self;
    pthread_t thread;

    self = pthread_self();
    CHECK(pthread_create(&thread, NULL, outlive_main, &self) == 0);
    CHECK(pthread_detach(thread) == 0);
    pthread_exit(malloc(100));
}

static void *call_exit(void *nothing)
{
    (void)nothing;
    exit(0);
}

static void end_from_another_thread(void)
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, call_exit, NULL) == 0);
    for (;;)
        early_churn();
}

static int run_as_child(const char *way)
{
    check_early_blocks();
    CHECK(atexit(at_program_exit) == 0);
    CHECK(at_quick_exit(at_program_exit) == 0);
    early_step('m');
    if (strcmp(way, "busy") == 0)
        start_busy_threads();
    if (strcmp(way, "pthread_exit") == 0)
        end_by_pthread_exit();
    if (strcmp(way, "other_thread") == 0)
        end_from_another_thread();
    if (strcmp(way, "quick_exit") == 0)
        quick_exit(0);
    return 0;
}

/* ---- the parent ---- */

static void assert_letters(const char *way, const char *letters, int times)
{
    const char *const argv[] = {"lifecycle", way, NULL};
    static struct child_result result;

    for (int i = 0; i < times; i++) {
        child_run_self(argv, NULL, NULL, &result);
        assert_string_equal(result.err, "");
        assert_true(child_status_is_good(result.status, 0));
        assert_string_equal(result.out, letters);
    }
}

static void allocation_works_from_preinit_to_the_last_destructor(void **state)
{
    (void)state;
    assert_letters("return", "plcmadAx", 5);
}

static void exit_works_while_threads_allocate(void **state)
{
    (void)state;
    assert_letters("busy", "plcmadAx", 20);
}

static void exit_works_from_another_thread(void **state)
{
    (void)state;
    assert_letters("other_thread", "plcmadAx", 20);
}

static void threads_outlive_main(void **state)
{
    (void)state;
    assert_letters("pthread_exit", "plcmtadAx", 5);
}

static void quick_exit_works(void **state)
{
    (void)state;
    assert_letters("quick_exit", "plcma", 5);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocation_works_from_preinit_to_the_last_destructor),
        cmocka_unit_test(exit_works_while_threads_allocate),
        cmocka_unit_test(exit_works_from_another_thread),
        cmocka_unit_test(threads_outlive_main),
        cmocka_unit_test(quick_exit_works),
    };

    allocator_expect();
    if (argc > 1)
        return run_as_child(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
