/* SPDX-License-Identifier: MIT */
/*
 * Goal: a forked child finds every heap either whole or marked as lost, and can use the rest.
 * Method: children forked while threads start, work and end check all heaps. What such a race hits
 * rarely is shown directly: a thread is stopped halfway through a change of a heap by a lock that
 * the test holds, and the heap must say that it is busy. These tests come first: the main thread
 * must not have a heap of its own, since the tiny build has few.
 */
#include "run/fork.h"

#include <pthread.h>

#include "hakmem/hakmem.h"
#include "os/os.h"
#include "run/thread.h"
#include "unit.h"
#include "work.h"

enum { THREADS = 4, FORKS = 100 };

/* ---- children of a process at work ---- */

static atomic_u32 must_stop;

static void *short_life(void *seed)
{
    uint64_t random = (uint64_t)(uintptr_t)seed;
    work_with_blocks(&random);
    return NULL;
}

/* Starts threads that end together: more heaps are released than wait in the pool untouched. */
static void *start_and_end_threads(void *unused)
{
    (void)unused;
    pthread_t threads[THREADS * 2];
    for (uintptr_t round = 1; u32_load_relaxed(&must_stop) == 0; round++) {
        for (int i = 0; i < THREADS * 2; i++) {
            void *seed = (void *)(round + (uintptr_t)i);
            CHECK(pthread_create(&threads[i], NULL, short_life, seed) == 0);
        }
        for (int i = 0; i < THREADS * 2; i++) {
            CHECK(pthread_join(threads[i], NULL) == 0);
        }
        hak_purge();
    }
    return NULL;
}

/* heap_check of every heap that the child may still use. */
static void usable_heaps_are_sound(void)
{
    for (uint32_t id = HEAP_SHARED_ID; id <= heap_count(); id++) {
        CHECK(heaps[id].state == HEAP_LOST || heap_check(&heaps[id]));
    }
}

static void check_in_child(void *context)
{
    usable_heaps_are_sound();
    work_with_blocks(context);
    hak_purge();
    usable_heaps_are_sound();
}

static void test_children_find_whole_heaps(void **state)
{
    (void)state;
    pthread_t thread;
    uint64_t random = random_seed();
    u32_store_relaxed(&must_stop, 0);
    assert_int_equal(pthread_create(&thread, NULL, start_and_end_threads, NULL), 0);
    for (int i = 0; i < FORKS; i++) {
        unit_child(check_in_child, &random);
        random_next(&random);
    }
    u32_store_relaxed(&must_stop, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(hak_check());
}

/* context: heaps in the pool of the parent, to which the waiting thread's was added. */
static void threads_in_child(void *context)
{
    pthread_t thread;
    uint32_t made = heap_count();
    uint32_t pooled = heap_pooled_count();
    CHECK(pooled == *(uint32_t *)context + 1);
    if (UNIT_HAS_TSAN) {
        return; /* it cannot follow a thread of such a child */
    }
    CHECK(pthread_create(&thread, NULL, short_life, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(heap_count() == made && heap_pooled_count() == pooled);
    CHECK(hak_check());
}

static void *wait_with_heap(void *context)
{
    pthread_barrier_t *barrier = context;
    void *block = hak_malloc(64);
    pthread_barrier_wait(barrier);
    pthread_barrier_wait(barrier);
    hak_free(block);
    return NULL;
}

/* The heap of a thread that waits is idle at the fork: the child's next thread gets it. */
static void test_the_child_pools_heaps_of_lost_threads(void **state)
{
    (void)state;
    pthread_t thread;
    pthread_barrier_t barrier;
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, wait_with_heap, &barrier), 0);
    pthread_barrier_wait(&barrier);
    uint32_t pooled = heap_pooled_count();
    unit_child(threads_in_child, &pooled);
    pthread_barrier_wait(&barrier);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_barrier_destroy(&barrier);
}

/* ---- a heap under change says so (a forked child must leave it alone) ---- */

struct leaver {
    pthread_barrier_t step; /* all have a heap; the main thread has looked */
    struct heap *heap;
};

static void *leave_with_free_slab(void *context)
{
    struct leaver *l = context;
    hak_free(hak_malloc(5000));
    l->heap = thread_heap_if_any();
    pthread_barrier_wait(&l->step);
    pthread_barrier_wait(&l->step);
    return NULL;
}

static void leaver_start(struct leaver *l, pthread_t *thread)
{
    assert_int_equal(pthread_barrier_init(&l->step, NULL, 2), 0);
    assert_int_equal(pthread_create(thread, NULL, leave_with_free_slab, l), 0);
    pthread_barrier_wait(&l->step);
    assert_non_null(l->heap);
}

static void leaver_end(struct leaver *l, pthread_t thread)
{
    pthread_barrier_wait(&l->step);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_barrier_destroy(&l->step);
}

/* Waits until some thread sleeps on the lock, which the caller holds. */
static void wait_for_a_sleeper(struct lock *l)
{
    while (u32_load_relaxed(&l->state) != 2) {
        os_yield();
    }
}

/* The last of several threads gives up what its heap holds; it is stopped while it returns a slab,
 * when the heap is half changed. */
static void test_a_leaving_thread_marks_its_heap_busy(void **state)
{
    (void)state;
    enum { LEAVERS = 5 };
    static struct leaver leavers[LEAVERS];
    pthread_t threads[LEAVERS];
    for (int i = 0; i < LEAVERS; i++) {
        leaver_start(&leavers[i], &threads[i]);
    }
    for (int i = 0; i + 1 < LEAVERS; i++) {
        leaver_end(&leavers[i], threads[i]);
    }
    struct leaver *last = &leavers[LEAVERS - 1];
    lock_acquire(&super_lock);
    pthread_barrier_wait(&last->step);
    wait_for_a_sleeper(&super_lock);
    uint32_t busy = u32_load_relaxed(&last->heap->busy);
    lock_release(&super_lock);
    assert_int_equal(pthread_join(threads[LEAVERS - 1], NULL), 0);
    assert_int_equal(busy, 1);
    assert_int_equal(u32_load_relaxed(&last->heap->busy), 0);
}

static void *purge(void *unused)
{
    hak_purge();
    return unused;
}

/* A purge takes heaps from the pool to look after them. The first heap is pooled as it is, with a
 * free slab, so that the purge is stopped when it returns that. */
static void test_a_purge_marks_the_heap_busy(void **state)
{
    (void)state;
    static struct leaver leaver;
    pthread_t thread;
    assert_int_equal(heap_pooled_count(), 0);
    leaver_start(&leaver, &thread);
    leaver_end(&leaver, thread);
    lock_acquire(&super_lock);
    assert_int_equal(pthread_create(&thread, NULL, purge, NULL), 0);
    wait_for_a_sleeper(&super_lock);
    uint32_t busy = u32_load_relaxed(&leaver.heap->busy);
    lock_release(&super_lock);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(busy, 1);
    assert_int_equal(u32_load_relaxed(&leaver.heap->busy), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_purge_marks_the_heap_busy),
        cmocka_unit_test(test_a_leaving_thread_marks_its_heap_busy),
        cmocka_unit_test(test_children_find_whole_heaps),
        cmocka_unit_test(test_the_child_pools_heaps_of_lost_threads),
    };
    return cmocka_run_group_tests(tests, unit_start, NULL);
}
