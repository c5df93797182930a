/* SPDX-License-Identifier: MIT */
/*
 * Goal: one holder at a time, waiters wake, what the lock guards is seen whole by the next holder.
 * Method: threads count in a plain variable under the lock, by acquire and by try; a waiter is
 * driven to sleep before the lock is released (ThreadSanitizer watches in its preset).
 */
#include "os/lock.h"

#include <pthread.h>

#include "os/os.h"
#include "unit.h"

enum { THREADS = 4, ROUNDS = 20000 };

static struct lock lock;
static size_t counter; /* under the lock */

static void *count_by_acquire(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        lock_acquire(&lock);
        counter++;
        lock_release(&lock);
    }
    return NULL;
}

static void *count_by_try(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        while (!lock_try(&lock)) {
            os_yield();
        }
        counter++;
        lock_release(&lock);
    }
    return NULL;
}

static void run_threads(void *(*even)(void *), void *(*odd)(void *))
{
    pthread_t threads[THREADS];
    counter = 0;
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, i % 2 ? odd : even, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(counter, (size_t)THREADS * ROUNDS);
    assert_int_equal(u32_load_relaxed(&lock.state), 0);
}

static void test_counter(void **state)
{
    (void)state;
    run_threads(count_by_acquire, count_by_acquire);
}

static void test_counter_with_try(void **state)
{
    (void)state;
    run_threads(count_by_acquire, count_by_try);
}

static void test_try(void **state)
{
    (void)state;
    assert_true(lock_try(&lock));
    assert_false(lock_try(&lock));
    lock_release(&lock);
    assert_true(lock_try(&lock));
    lock_release(&lock);
}

static void test_a_sleeper_is_woken(void **state)
{
    (void)state;
    pthread_t thread;
    counter = 0;
    lock_acquire(&lock);
    assert_int_equal(pthread_create(&thread, NULL, count_by_acquire, NULL), 0);
    while (u32_load_relaxed(&lock.state) != 2) {
        os_yield();
    }
    assert_int_equal(counter, 0);
    lock_release(&lock);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(counter, ROUNDS);
}

static void test_reset(void **state)
{
    (void)state;
    lock_acquire(&lock);
    lock_reset(&lock);
    assert_true(lock_try(&lock));
    lock_release(&lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counter),
        cmocka_unit_test(test_counter_with_try),
        cmocka_unit_test(test_try),
        cmocka_unit_test(test_a_sleeper_is_woken),
        cmocka_unit_test(test_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
