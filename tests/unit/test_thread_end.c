/* SPDX-License-Identifier: MIT */
/*
 * Goal: a thread that ends has its heap while destructors run for the first time, has none from the
 * second time on, and leaves it once, with its mail unpacked and its own frees sent.
 * Method: a key whose destructor looks; keys made after the allocator's come after it in each round.
 */
#include <pthread.h>

#include "hakmem/hakmem.h"
#include "run/thread.h"
#include "slab/remote.h"
#include "unit.h"

enum { ROUNDS = 3 };

static pthread_key_t key;
static unsigned round_now;          /* of the one thread that has the key set */
static bool had_heap[ROUNDS];
static struct heap *its_heap;

static void look(void *block)
{
    had_heap[round_now] = thread_heap_if_any() != NULL;
    hak_free(block);
    if (++round_now < ROUNDS) {
        CHECK(pthread_setspecific(key, hak_malloc(100)) == 0);
    }
}

static void *set_key(void *unused)
{
    (void)unused;
    CHECK(pthread_setspecific(key, hak_malloc(100)) == 0);
    its_heap = thread_heap_if_any();
    return NULL;
}

static void test_the_heap_goes_in_the_second_round(void **state)
{
    (void)state;
    pthread_t thread;
    uint32_t pooled = heap_pooled_count();
    assert_int_equal(pthread_key_create(&key, look), 0);
    assert_int_equal(pthread_create(&thread, NULL, set_key, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(round_now, ROUNDS);
    assert_true(had_heap[0]);
    for (int i = 1; i < ROUNDS; i++) {
        assert_false(had_heap[i]);
    }
    assert_int_equal(heap_pooled_count(), pooled + 1);
    assert_int_equal(its_heap->state, HEAP_POOLED);
    pthread_key_delete(key);
    assert_true(hak_check());
}

/* ---- traffic ---- */

static void *blocks[2];
static pthread_barrier_t step;

static void *end_with_mail(void *unused)
{
    (void)unused;
    blocks[0] = hak_malloc(3000);
    its_heap = thread_heap_if_any();
    pthread_barrier_wait(&step); /* the main thread frees it, and makes another one */
    pthread_barrier_wait(&step);
    hak_free(blocks[1]);
    return NULL;
}

static void test_traffic_ends_with_the_thread(void **state)
{
    (void)state;
    pthread_t thread;
    blocks[1] = hak_malloc(3000);
    struct heap *own = thread_heap_if_any();
    assert_int_equal(pthread_barrier_init(&step, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, end_with_mail, NULL), 0);
    pthread_barrier_wait(&step);
    hak_free(blocks[0]);
    remote_publish_all(own);
    assert_true(remote_has_mail(its_heap));
    assert_false(remote_has_mail(own));
    pthread_barrier_wait(&step);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(remote_has_mail(its_heap)); /* unpacked */
    assert_true(remote_has_mail(own));       /* sent */
    pthread_barrier_destroy(&step);
    assert_true(hak_check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_heap_goes_in_the_second_round),
        cmocka_unit_test(test_traffic_ends_with_the_thread),
    };
    return cmocka_run_group_tests(tests, unit_start, NULL);
}
