/* SPDX-License-Identifier: MIT */
/*
 * Goal: threads may come and go in any number and order: destructors of thread-local data
 * allocate and free (also when they re-arm), blocks outlive the thread that made them, and
 * exited threads leave no memory behind.
 * Method: pthread keys created before and after the first malloc of the process, and
 * destructors registered with __cxa_thread_atexit_impl, that count their runs; blocks handed
 * from thread to thread with patterns; 100,000 short threads against the resident size.
 */
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "allocator.h"
#include "check.h"
#include "memory.h"
#include "random.h"

enum { GROWTH_LIMIT_BYTES = 16 * MEMORY_MIB };

static void *start_thread_and_join(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    void *result;

    CHECK(pthread_create(&thread, NULL, function, argument) == 0);
    CHECK(pthread_join(thread, &result) == 0);
    return result;
}

/* ---- destructors of thread-local data ---- */

/*
 * Early keys exist before anything can have called malloc; there are more than 32, so that
 * later keys live in glibc's second level, which pthread_setspecific allocates.
 */
enum { EARLY_KEYS = 40, LATE_KEYS = 20, KEYS = EARLY_KEYS + LATE_KEYS, ROUNDS = 4 };

static pthread_key_t keys[KEYS];
static atomic_int destructor_runs;
static atomic_int cxx_destructor_runs;

struct key_value {
    size_t key_index;
    int round;
    char text[200];
};

static void churn_a_little(size_t key)
{
    void *small = malloc(40 + key);
    void *large = malloc(30000 + key);

    CHECK(small && large);
    memory_fill(small, 40 + key, key);
    memory_fill(large, 30000 + key, key);
    CHECK(memory_holds(small, 40 + key, key));
    free(small);
    free(large);
}

static void set_key(size_t index, int round)
{
    struct key_value *value = malloc(sizeof *value);

    CHECK(value);
    value->key_index = index;
    value->round = round;
    memory_fill(value->text, sizeof value->text, index);
    CHECK(pthread_setspecific(keys[index], value) == 0);
}

/* Re-arms itself until glibc's last round (PTHREAD_DESTRUCTOR_ITERATIONS). */
static void destroy_key_value(void *pointer)
{
    struct key_value *value = pointer;
    struct key_value copy = *value;

    CHECK(memory_holds(value->text, sizeof value->text, value->key_index));
    free(value);
    churn_a_little(copy.key_index);
    atomic_fetch_add(&destructor_runs, 1);
    if (copy.round < ROUNDS)
        set_key(copy.key_index, copy.round + 1);
}

static void create_early_keys(int argc, char **argv, char **environment)
{
    (void)argc, (void)argv, (void)environment;
    for (size_t i = 0; i < EARLY_KEYS; i++)
        CHECK(pthread_key_create(&keys[i], destroy_key_value) == 0);
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit_entry)(
    int, char **, char **) = create_early_keys;

extern int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *dso);
extern void *__dso_handle;

static void destroy_cxx_object(void *object)
{
    CHECK(memory_holds(object, 300, 3));
    free(object);
    churn_a_little(1);
    atomic_fetch_add(&cxx_destructor_runs, 1);
}

static void *use_thread_local_data(void *first_key)
{
    void *object = malloc(300);

    CHECK(object);
    memory_fill(object, 300, 3);
    CHECK(__cxa_thread_atexit_impl(destroy_cxx_object, object, &__dso_handle) == 0);
    for (size_t i = *(size_t *)first_key; i < KEYS; i++)
        set_key(i, 1);
    return NULL;
}

static void destructors_allocate_and_rearm(void **state)
{
    enum { THREADS = 200 };
    size_t first_keys[] = {0, EARLY_KEYS, KEYS - 1};
    int expected = 0;

    (void)state;
    for (size_t i = EARLY_KEYS; i < KEYS; i++)
        assert_int_equal(pthread_key_create(&keys[i], destroy_key_value), 0);
    for (size_t i = 0; i < THREADS; i++) {
        start_thread_and_join(use_thread_local_data, &first_keys[i % 3]);
        expected += (int)(KEYS - first_keys[i % 3]) * ROUNDS;
    }
    assert_int_equal(destructor_runs, expected);
    assert_int_equal(cxx_destructor_runs, THREADS);
}

/* The thread's first call of the allocator happens in a destructor. */
static void *only_set_a_pointer(void *key)
{
    static char not_from_malloc;

    CHECK(pthread_setspecific(*(pthread_key_t *)key, &not_from_malloc) == 0);
    return NULL;
}

static void allocate_first(void *value)
{
    (void)value;
    churn_a_little(5);
    atomic_fetch_add(&destructor_runs, 1);
}

static void first_allocation_may_be_in_a_destructor(void **state)
{
    pthread_key_t key;

    (void)state;
    destructor_runs = 0;
    assert_int_equal(pthread_key_create(&key, allocate_first), 0);
    for (int i = 0; i < 200; i++)
        start_thread_and_join(only_set_a_pointer, &key);
    assert_int_equal(destructor_runs, 200);
    assert_int_equal(pthread_key_delete(key), 0);
}

/* ---- blocks outlive their thread ---- */

enum { ORPHANS = 2000 };
static void *orphans[ORPHANS];

static size_t orphan_bytes(size_t i)
{
    return 1 + i * 37 % 9000 + (i % 100 == 0 ? 300000 : 0);
}

static void *make_orphans(void *nothing)
{
    for (size_t i = 0; i < ORPHANS; i++) {
        orphans[i] = malloc(orphan_bytes(i));
        CHECK(orphans[i]);
        memory_fill(orphans[i], orphan_bytes(i), i);
    }
    return nothing;
}

static void *free_odd_orphans(void *nothing)
{
    for (size_t i = 1; i < ORPHANS; i += 2) {
        CHECK(memory_holds(orphans[i], orphan_bytes(i), i));
        free(orphans[i]);
    }
    return nothing;
}

static void adopt_even_orphans(void)
{
    for (size_t i = 0; i < ORPHANS; i += 2) {
        CHECK(memory_holds(orphans[i], orphan_bytes(i), i));
        if (i % 4 == 0) {
            orphans[i] = realloc(orphans[i], orphan_bytes(i) + 500);
            CHECK(memory_holds(orphans[i], orphan_bytes(i), i));
        }
        free(orphans[i]);
    }
}

static void blocks_outlive_their_thread(void **state)
{
    size_t settled_bytes = 0;

    (void)state;
    for (int round = 0; round < 100; round++) {
        start_thread_and_join(make_orphans, NULL);
        start_thread_and_join(free_odd_orphans, NULL);
        adopt_even_orphans();
        if (round == 10)
            settled_bytes = memory_rss_bytes();
    }
    assert_true(memory_rss_above_bytes(settled_bytes) <= GROWTH_LIMIT_BYTES);
}

/* One thread only allocates and another only frees, for 400 MiB in total. */
enum { PIPE_SLOTS = 256, PIPE_BLOCKS = 400000, PIPE_BLOCK_BYTES = 1024 };
static _Atomic(void *) pipe_slots[PIPE_SLOTS];

static void *produce(void *nothing)
{
    for (size_t i = 0; i < PIPE_BLOCKS; i++) {
        void *block = malloc(PIPE_BLOCK_BYTES);

        CHECK(block);
        memory_fill(block, 64, i);
        while (atomic_load(&pipe_slots[i % PIPE_SLOTS]))
            sched_yield();
        atomic_store(&pipe_slots[i % PIPE_SLOTS], block);
    }
    return nothing;
}

static void *consume(void *nothing)
{
    for (size_t i = 0; i < PIPE_BLOCKS; i++) {
        void *block;

        while (!(block = atomic_exchange(&pipe_slots[i % PIPE_SLOTS], NULL)))
            sched_yield();
        CHECK(memory_holds(block, 64, i));
        free(block);
    }
    return nothing;
}

static void a_thread_that_only_frees_piles_nothing_up(void **state)
{
    size_t before_bytes = memory_rss_bytes();
    pthread_t producer;
    pthread_t consumer;

    (void)state;
    assert_int_equal(pthread_create(&producer, NULL, produce, NULL), 0);
    assert_int_equal(pthread_create(&consumer, NULL, consume, NULL), 0);
    assert_int_equal(pthread_join(producer, NULL), 0);
    assert_int_equal(pthread_join(consumer, NULL), 0);
    assert_true(memory_rss_above_bytes(before_bytes) <= GROWTH_LIMIT_BYTES);
}

/* ---- very many short threads ---- */

enum { SHORT_THREADS = 100000, WARM_UP_THREADS = 2000, TOGETHER = 4, MAILBOXES = 64 };
static _Atomic(void *) mailboxes[MAILBOXES];

/* Leaves two blocks for others to free and frees what it finds there. */
static void *live_shortly(void *seed)
{
    enum { BLOCKS = 8, LEFT = 2 };
    uint64_t random = *(uint64_t *)seed;
    void *blocks[BLOCKS];

    for (size_t i = 0; i < BLOCKS; i++) {
        size_t bytes = 8 + random_size(&random, 12);

        blocks[i] = malloc(bytes);
        CHECK(blocks[i]);
        memory_fill(blocks[i], bytes, i);
        CHECK(memory_holds(blocks[i], bytes, i));
    }
    for (size_t i = 0; i < LEFT; i++)
        free(atomic_exchange(&mailboxes[random_below(&random, MAILBOXES)], blocks[i]));
    for (size_t i = LEFT; i < BLOCKS; i++)
        free(blocks[i]);
    return NULL;
}

static void run_short_threads(int count, uint64_t *random)
{
    for (int i = 0; i < count; i += TOGETHER) {
        pthread_t threads[TOGETHER];
        uint64_t seeds[TOGETHER];

        for (int k = 0; k < TOGETHER; k++) {
            seeds[k] = random_next(random);
            CHECK(pthread_create(&threads[k], NULL, live_shortly, &seeds[k]) == 0);
        }
        for (int k = 0; k < TOGETHER; k++)
            CHECK(pthread_join(threads[k], NULL) == 0);
    }
}

static void a_hundred_thousand_threads_leave_nothing(void **state)
{
    uint64_t random = random_seed();
    size_t settled_bytes;

    (void)state;
    run_short_threads(WARM_UP_THREADS, &random);
    settled_bytes = memory_rss_bytes();
    run_short_threads(SHORT_THREADS, &random);
    assert_true(memory_rss_above_bytes(settled_bytes) <= GROWTH_LIMIT_BYTES);
    for (size_t i = 0; i < MAILBOXES; i++)
        free(atomic_exchange(&mailboxes[i], NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(destructors_allocate_and_rearm),
        cmocka_unit_test(first_allocation_may_be_in_a_destructor),
        cmocka_unit_test(blocks_outlive_their_thread),
        cmocka_unit_test(a_thread_that_only_frees_piles_nothing_up),
        cmocka_unit_test(a_hundred_thousand_threads_leave_nothing),
    };

    allocator_expect();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
