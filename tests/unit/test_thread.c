/* SPDX-License-Identifier: MIT */
/*
 * Goal: heaps outlive their threads: a new thread gets an old heap with what it held; threads that
 * can have no heap, or have none any more, still allocate.
 * Method: threads that start and end under control; the heap table is cut short to run out of
 * heaps.
 */
#include "run/thread.h"

#include <pthread.h>

#include "front/entry.h"
#include "hakmem/hakmem.h"
#include "unit.h"
#include "work.h"

enum { THREADS = 4, KEY_ROUNDS = 3 };

/* ---- one thread after another ---- */

static void *own_heap(void *block)
{
    *(void **)block = hak_malloc(100);
    return thread_heap_if_any();
}

static struct heap *heap_of_new_thread(void **block)
{
    pthread_t thread;
    void *heap;
    assert_int_equal(pthread_create(&thread, NULL, own_heap, block), 0);
    assert_int_equal(pthread_join(thread, &heap), 0);
    return heap;
}

static void test_the_next_thread_gets_the_heap(void **state)
{
    (void)state;
    void *block[2];
    uint32_t pooled = heap_pooled_count();
    struct heap *first = heap_of_new_thread(&block[0]);
    assert_non_null(first);
    assert_int_equal(heap_pooled_count(), pooled + 1);
    uint32_t made = heap_count();
    struct heap *second = heap_of_new_thread(&block[1]);
    assert_ptr_equal(first, second);
    assert_int_equal(heap_count(), made);
    assert_ptr_not_equal(block[0], block[1]);
    hak_free(block[0]);
    hak_free(block[1]);
    assert_true(hak_check());
}

static void *no_heap_unless_used(void *unused)
{
    hak_free(unused);
    hak_free(&unused);
    return thread_heap_if_any();
}

static void test_a_thread_that_never_allocates_has_none(void **state)
{
    (void)state;
    pthread_t thread;
    void *heap;
    assert_int_equal(pthread_create(&thread, NULL, no_heap_unless_used, NULL), 0);
    assert_int_equal(pthread_join(thread, &heap), 0);
    assert_null(heap);
}

/* ---- allocation from destructors, also after the heap is gone ---- */

static pthread_key_t late_key;
static unsigned late_rounds; /* of the one thread that has the key set */

static void late_destructor(void *block)
{
    hak_free(block);
    void *next = hak_malloc(200);
    memory_fill(next, 200, late_rounds);
    CHECK(memory_holds(next, 200, late_rounds));
    if (++late_rounds < KEY_ROUNDS) {
        CHECK(pthread_setspecific(late_key, next) == 0);
    } else {
        CHECK(thread_heap_if_any() == NULL);
        hak_free(next);
    }
}

static void *set_late_key(void *unused)
{
    (void)unused;
    CHECK(pthread_setspecific(late_key, hak_malloc(200)) == 0);
    return NULL;
}

static void test_destructors_may_allocate(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_key_create(&late_key, late_destructor), 0);
    late_rounds = 0;
    assert_int_equal(pthread_create(&thread, NULL, set_late_key, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(late_rounds, KEY_ROUNDS);
    pthread_key_delete(late_key);
    assert_true(hak_check());
}

/* ---- more threads than heaps ---- */

struct crew {
    pthread_barrier_t all_here;
    uint64_t seed;
    atomic_u32 with_heap;
};

static void *crew_member(void *context)
{
    struct crew *crew = context;
    hak_free(hak_malloc(10));
    u32_add_relaxed(&crew->with_heap, thread_heap_if_any() != NULL);
    pthread_barrier_wait(&crew->all_here);
    uint64_t random = crew->seed ^ (uint64_t)(uintptr_t)&crew;
    work_with_blocks(&random);
    pthread_barrier_wait(&crew->all_here);
    return NULL;
}

static void test_more_threads_than_heaps(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    struct crew crew = {.seed = random_seed()};
    size_t count = heap_area.count;
    uint32_t available = heap_pooled_count();
    heap_area.count = heap_count() + 1; /* no more are made */
    assert_int_equal(pthread_barrier_init(&crew.all_here, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, crew_member, &crew), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    heap_area.count = count;
    pthread_barrier_destroy(&crew.all_here);
    assert_int_equal(u32_load_relaxed(&crew.with_heap), available < THREADS ? available : THREADS);
    assert_true(available < THREADS);
    assert_true(hak_check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_next_thread_gets_the_heap),
        cmocka_unit_test(test_a_thread_that_never_allocates_has_none),
        cmocka_unit_test(test_destructors_may_allocate),
        cmocka_unit_test(test_more_threads_than_heaps),
    };
    return cmocka_run_group_tests(tests, unit_start, NULL);
}
