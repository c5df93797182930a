/* SPDX-License-Identifier: MIT */
/*
 * Goal: a start that finds no memory is refused and tried again; a thread that finds the allocator
 * started by another sees its tables.
 * Method: this program lets the first allocation start it, as where malloc is replaced. The refused
 * start is in a child that has no address space, and in the tiny build one whose system calls fail;
 * the two threads take turns in an order that only the start itself makes visible (turns.h), so that
 * ThreadSanitizer, in its preset, reports a missing edge.
 */
#include "run/init.h"

#include <sys/resource.h>

#include "hakmem/hakmem.h"
#include "map/map.h"
#include "turns.h"
#include "watch/stats.h"

const bool init_can_wait = true;

enum { MIB = 1024 * 1024, TRIES = 1000, THREADS = 4, STARTS = 30 };

/* ---- a start that is refused ---- */

static void expect_refusals(void)
{
    int local = 0;
    void *block = &local;
    for (size_t size = 16; size <= (size_t)4 * MIB; size *= 64) {
        errno = 0;
        CHECK(hak_malloc(size) == NULL && errno == ENOMEM);
        CHECK(hak_calloc(1, size) == NULL && hak_realloc(NULL, size) == NULL);
        CHECK(hak_aligned_alloc(4096, size) == NULL && hak_aligned_alloc(MIB, size) == NULL);
        CHECK(hak_posix_memalign(&block, 64, size) == ENOMEM && block == &local);
    }
    hak_free(&local);
    CHECK(hak_usable_size(&local) == 0);
    CHECK(hak_realloc(&local, 10) == NULL);
    CHECK(map_granules == 0 && stats_collect().mapped_bytes == 0);
    hak_purge();
    CHECK(hak_check());
}

static void expect_service(void)
{
    for (size_t size = 16; size <= (size_t)4 * MIB; size *= 64) {
        char *p = hak_malloc(size);
        CHECK(p != NULL);
        memory_fill(p, size, size);
        CHECK(memory_holds(p, size, size));
        hak_free(p);
    }
    CHECK(map_granules != 0 && hak_check());
}

static size_t mapped_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    return pages * os_page_bytes();
}

static void start_without_room(void *unused)
{
    (void)unused;
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = mapped_bytes() + MIB;
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    expect_refusals();
    limit.rlim_cur = before;
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    expect_service();
}

static void test_no_room_to_start(void **state)
{
    (void)state;
    if (UNIT_HAS_SHADOW) {
        skip();
    }
    unit_child(start_without_room, NULL);
}

static void start_with_failures(void *unused)
{
    (void)unused;
    os_fail_every(1);
    expect_refusals();
    os_fail_every(0);
    expect_service();
}

static void start_sooner_or_later(void *every)
{
    void *p = NULL;
    os_fail_every(*(const uint32_t *)every);
    for (int i = 0; i < TRIES && p == NULL; i++) {
        p = hak_malloc(10);
    }
    os_fail_every(0);
    CHECK(p != NULL);
    hak_free(p);
    expect_service();
}

static void test_no_system_call_to_start(void **state)
{
    (void)state;
    if (!BUILD_TINY) {
        skip();
    }
    unit_child(start_with_failures, NULL);
    for (uint32_t every = 2; every < 6; every++) {
        unit_child(start_sooner_or_later, &every);
    }
}

/* ---- many threads start it at once ---- */

static pthread_barrier_t all_here;

static void *allocate_at_once(void *size)
{
    pthread_barrier_wait(&all_here);
    void *p = hak_malloc(*(const size_t *)size);
    CHECK(p != NULL);
    memory_fill(p, *(const size_t *)size, 1);
    CHECK(memory_holds(p, *(const size_t *)size, 1));
    hak_free(p);
    return NULL;
}

static void start_at_once(void *size)
{
    pthread_t threads[THREADS];
    CHECK(pthread_barrier_init(&all_here, NULL, THREADS) == 0);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, allocate_at_once, size) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(hak_check());
}

static void test_threads_start_it_at_once(void **state)
{
    (void)state;
    if (UNIT_HAS_TSAN) {
        skip(); /* it cannot follow threads of a forked child */
    }
    for (size_t i = 0; i < STARTS; i++) {
        size_t size = i % 2 == 0 ? 100 : MIB;
        unit_child(start_at_once, &size);
    }
}

/* ---- no key is left for the end of threads: their heaps stay behind ---- */

static void start_without_keys(void *unused)
{
    (void)unused;
    pthread_key_t key;
    while (pthread_key_create(&key, NULL) == 0) {
        continue;
    }
    size_t size = 1000;
    start_at_once(&size);
    expect_service();
}

static void test_no_key_for_the_end_of_threads(void **state)
{
    (void)state;
    if (UNIT_HAS_TSAN) {
        skip();
    }
    unit_child(start_without_keys, NULL);
}

/* ---- the edge from the start to other threads: last, since a process starts once ---- */

static void allocate_large(void *unused)
{
    (void)unused;
    char *p = hak_malloc(MIB);
    CHECK(p != NULL);
    p[0] = 1;
    hak_free(p);
}

static void test_another_thread_has_started(void **state)
{
    (void)state;
    static unit_act *const acts[] = {allocate_large, allocate_large};
    assert_int_equal(map_granules, 0);
    run_in_turn(acts, 2, NULL);
    assert_true(hak_check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_room_to_start),
        cmocka_unit_test(test_no_system_call_to_start),
        cmocka_unit_test(test_threads_start_it_at_once),
        cmocka_unit_test(test_no_key_for_the_end_of_threads),
        cmocka_unit_test(test_another_thread_has_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
