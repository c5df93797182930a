/* SPDX-License-Identifier: MIT */
/*
 * Goal: no granule is ever in two runs, neighbours join again, alignment is one of addresses, and
 * memory that is not marked dirty reads as zero when it is handed out.
 * Method: scripted cases in children with a fresh heap, then a random driver with a shadow model
 * (owner of every granule) and run_check after each operation; threads at the end.
 */
#include "map/run.h"

#include <pthread.h>

#include "os/os.h"
#include "unit.h"

enum {
    OPERATIONS = 10000,
    LIVE_MAX = 60,
    LEN_MAX = 120,
    SHADOW_GRANULES = 1 << 17,
    THREADS = 3,
    THREAD_OPERATIONS = 3000,
};

/* ---- scripted cases ---- */

static void *address(uint32_t g)
{
    return map_address(g);
}

static void coalesce_in_order(const int order[3])
{
    uint32_t g[3];
    for (int i = 0; i < 3; i++) {
        g[i] = run_alloc(10, 1);
        CHECK(i == 0 || g[i] == g[i - 1] + 10);
    }
    uint32_t guard = run_alloc(1, 1);
    CHECK(guard == g[2] + 10);
    size_t free_before = run_measure().free_granules;
    for (int i = 0; i < 3; i++) {
        run_free(g[order[i]]);
        CHECK(run_check());
    }
    CHECK(run_measure().free_granules == free_before + 30);
    uint32_t whole = run_alloc(30, 1);
    CHECK(whole == g[0]);
    run_free(whole);
    run_free(guard);
}

static void coalesce(void *unused)
{
    (void)unused;
    static const int orders[6][3] = {
        {0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0},
    };
    for (int i = 0; i < 6; i++) {
        coalesce_in_order(orders[i]);
    }
}

static void test_neighbours_join(void **state)
{
    (void)state;
    unit_child(coalesce, NULL);
}

static void extend_and_shrink(void *unused)
{
    (void)unused;
    uint32_t g = run_alloc(30, 1);
    uint32_t guard = run_alloc(1, 1);
    CHECK(guard == g + 30);
    CHECK(!run_extend(g, 31)); /* the neighbour is in the way */
    CHECK(runs[g].len == 30);
    run_shrink(g, 30);
    run_shrink(g, 12);
    CHECK(runs[g].len == 12 && run_check());
    CHECK(run_extend(g, 20) && runs[g].len == 20 && run_check());
    CHECK(!run_extend(g, 31) && runs[g].len == 20 && run_check());
    CHECK(run_extend(g, 30) && runs[g].len == 30 && run_check());
    CHECK(run_extend(guard, 50) && run_check()); /* the last run grows into what was never used */
    run_free(g);
    run_free(guard);
    CHECK(run_check() && run_measure().used_granules == 0);
}

static void test_extend_and_shrink(void **state)
{
    (void)state;
    unit_child(extend_and_shrink, NULL);
}

/* Frees 40 dirty granules and asks for 60 new ones: how many dirty ones are left? */
static size_t dirty_after_growth(void)
{
    uint32_t g = run_alloc(40, 1);
    uint32_t guard = run_alloc(1, 1);
    CHECK(g != RUN_NONE && guard == g + 40);
    run_mark_dirty(g, 40);
    run_free(g);
    uint32_t more = run_alloc(60, 1);
    CHECK(more != RUN_NONE && run_check());
    size_t dirty = run_measure().dirty_granules;
    run_free(more);
    run_free(guard);
    return dirty;
}

static void limited(void *unused)
{
    (void)unused;
    size_t most = SUPER_GRANULES + 1 + 60 + 40; /* what is not handed out at the start counts too */
    size_t bytes = (most << GRANULE_SHIFT) / (LIMIT_PART - 1) * LIMIT_PART;
    os_fail_every(0);
    run_set_limit(SIZE_MAX);
    CHECK(BUILD_TINY || dirty_after_growth() == 40); /* in the tiny build it may be old already */
    run_purge_all();
    run_set_limit(bytes + 2 * GRANULE_BYTES);
    CHECK(BUILD_TINY || dirty_after_growth() == 40);
    run_purge_all();
    run_set_limit(bytes - 2 * GRANULE_BYTES);
    CHECK(dirty_after_growth() == 0);
    run_set_limit(0);
    CHECK(dirty_after_growth() == 0); /* but what is asked for is given */
}

static void test_limit(void **state)
{
    (void)state;
    unit_child(limited, NULL);
}

static void test_alignment_is_one_of_addresses(void **state)
{
    (void)state;
    size_t most = ((size_t)1 << 30) >> GRANULE_SHIFT;
    for (size_t align = 1; align <= most; align *= 2) {
        uint32_t odd = run_alloc(1, 1);
        uint32_t g = run_alloc(3, align);
        assert_int_not_equal(g, RUN_NONE);
        assert_int_equal((uintptr_t)address(g) % (align << GRANULE_SHIFT), 0);
        assert_true(run_check());
        memset(address(g), 1, GRANULE_BYTES);
        run_mark_dirty(g, 1);
        run_free(g);
        run_free(odd);
        assert_true(run_check());
    }
}

static void test_impossible_requests(void **state)
{
    (void)state;
    size_t used = run_measure().used_granules;
    assert_int_equal(run_alloc(map_granules, 1), RUN_NONE);
    assert_int_equal(run_alloc(SIZE_MAX, 1), RUN_NONE);
    assert_int_equal(run_alloc(SIZE_MAX >> GRANULE_SHIFT, 1), RUN_NONE);
    assert_int_equal(run_measure().used_granules, used);
    assert_true(run_check());
}

static void dirty_knowledge(void *unused)
{
    (void)unused;
    uint32_t g = run_alloc(10, 1);
    uint32_t guard = run_alloc(1, 1);
    CHECK(guard == g + 10);
    CHECK(!run_is_dirty(g, 1));
    memset(address(g), 0x5a, 3 * GRANULE_BYTES);
    run_mark_dirty(g, 3);
    run_free(g);
    CHECK(run_measure().dirty_granules == 3);
    CHECK(run_alloc(10, 1) == g);
    CHECK(run_is_dirty(g, 3) && !run_is_dirty(g, 4) && !run_is_dirty(g + 3, 1));
    run_clear(g, 2 * GRANULE_BYTES + 100); /* not beyond the bytes asked for */
    CHECK(memory_is_zero(address(g), 2 * GRANULE_BYTES + 100));
    CHECK(((char *)address(g))[2 * GRANULE_BYTES + 100] == 0x5a);
    run_mark_clean(g, 2);
    CHECK(!run_is_dirty(g, 1) && !run_is_dirty(g + 1, 1) && run_is_dirty(g + 2, 1));
    run_purge_range(g, 10);
    CHECK(!run_is_dirty(g + 2, 1) && memory_is_zero(address(g), 10 * GRANULE_BYTES));
}

static void test_dirty_knowledge(void **state)
{
    (void)state;
    unit_child(dirty_knowledge, NULL);
}

static void purge_all(void *unused)
{
    (void)unused;
    uint32_t g[6];
    for (int i = 0; i < 6; i++) {
        g[i] = run_alloc(4, 1);
        memset(address(g[i]), 0x5a, 4 * GRANULE_BYTES);
        run_mark_dirty(g[i], 4);
    }
    run_free(g[0]);
    run_free(g[2]);
    run_free(g[4]);
    run_purge_all();
    CHECK(run_check() && run_measure().dirty_granules == 0);
    CHECK(memory_is_zero(address(g[0]), 4 * GRANULE_BYTES));
    CHECK(((char *)address(g[1]))[0] == 0x5a); /* a used run keeps its bytes */
    CHECK(run_alloc(4, 1) != RUN_NONE);
}

static void test_purge_all(void **state)
{
    (void)state;
    unit_child(purge_all, NULL);
}

/* What the system does not take stays known as written to. */
static void refused_purge(void *unused)
{
    (void)unused;
    uint32_t g = run_alloc(4, 1);
    memset(address(g), 0x5a, 4 * GRANULE_BYTES);
    run_mark_dirty(g, 4);
    run_free(g);
    os_fail_every(1);
    run_purge_all();
    os_fail_every(0);
    CHECK(run_check() && run_measure().dirty_granules == 4);
    CHECK(run_alloc(4, 1) == g && run_is_dirty(g, 4));
    run_clear(g, 4 * GRANULE_BYTES);
    CHECK(memory_is_zero(address(g), 4 * GRANULE_BYTES));
}

static void test_refused_purge(void **state)
{
    (void)state;
    if (!BUILD_TINY) {
        skip();
    }
    unit_child(refused_purge, NULL);
}

/* With one system call in n failing, a request is refused or served, and nothing is lost. */
static void test_failing_system_calls(void **state)
{
    (void)state;
    if (!BUILD_TINY) {
        skip();
    }
    for (uint32_t every = 1; every <= 5; every++) {
        uint32_t taken[100];
        size_t used = run_measure().used_granules;
        size_t refused = 0;
        os_fail_every(every);
        for (int i = 0; i < 100; i++) {
            taken[i] = run_alloc(20, 1);
            refused += taken[i] == RUN_NONE;
        }
        os_fail_every(0);
        assert_true(every > 1 || refused > 0);
        for (int i = 0; i < 100; i++) {
            if (taken[i] != RUN_NONE) {
                memset(address(taken[i]), 1, 20 * GRANULE_BYTES);
                run_mark_dirty(taken[i], 20);
                run_free(taken[i]);
            }
        }
        assert_true(run_check());
        assert_int_equal(run_measure().used_granules, used);
    }
}

/* ---- random operations with a shadow model ---- */

struct live {
    uint32_t g;
    uint32_t len;
};

static struct {
    struct live live[LIVE_MAX];
    size_t count;
    uint8_t owned[SHADOW_GRANULES]; /* live[owned - 1] has this granule */
} model;

/* Two words of each granule stand for all. */
static bool reads_as_zero(uint32_t g)
{
    const char *p = address(g);
    return memory_is_zero(p, 64) && memory_is_zero(p + GRANULE_BYTES - 64, 64);
}

static void model_set(size_t i, uint32_t from, uint32_t to, bool owned)
{
    for (uint32_t g = from; g < to; g++) {
        assert_true(g < SHADOW_GRANULES);
        assert_int_equal(model.owned[g], owned ? 0 : i + 1);
        model.owned[g] = owned ? (uint8_t)(i + 1) : 0;
        assert_true(!owned || run_is_dirty(g, 1) || reads_as_zero(g));
    }
}

static void model_write(uint64_t *random, size_t i)
{
    struct live *l = &model.live[i];
    size_t n = random_below(random, l->len + 1);
    for (uint32_t g = l->g; g < l->g + n; g++) {
        memset(address(g), (int)i + 1, 64);
        memset((char *)address(g) + GRANULE_BYTES - 64, (int)i + 1, 64);
    }
    run_mark_dirty(l->g, n);
}

static void do_alloc(uint64_t *random)
{
    size_t len = 1 + random_below(random, random_below(random, 4) ? 12 : LEN_MAX);
    size_t align = (size_t)1 << (random_below(random, 4) ? 0 : random_below(random, 7));
    uint32_t g = run_alloc(len, align);
    assert_int_not_equal(g, RUN_NONE);
    assert_int_equal((uintptr_t)address(g) % (align << GRANULE_SHIFT), 0);
    assert_int_equal(runs[g].len, len);
    size_t i = model.count++;
    model.live[i] = (struct live){g, (uint32_t)len};
    model_set(i, g, g + (uint32_t)len, true);
    model_write(random, i);
}

static void do_free(uint64_t *random)
{
    size_t i = random_below(random, model.count);
    size_t last = --model.count;
    struct live l = model.live[i];
    model_set(i, l.g, l.g + l.len, false);
    run_free(l.g);
    if (i != last) {
        struct live moved = model.live[last];
        memset(model.owned + moved.g, (int)i + 1, moved.len);
        model.live[i] = moved;
    }
}

static void do_resize(uint64_t *random)
{
    size_t i = random_below(random, model.count);
    struct live *l = &model.live[i];
    uint32_t len = 1 + (uint32_t)random_below(random, 2 * l->len);
    if (len < l->len) {
        model_set(i, l->g + len, l->g + l->len, false);
        run_shrink(l->g, len);
    } else if (len > l->len && run_extend(l->g, len)) {
        model_set(i, l->g + l->len, l->g + len, true);
    } else {
        return;
    }
    l->len = len;
    assert_int_equal(runs[l->g].len, len);
}

static void do_purge_used(uint64_t *random)
{
    const struct live *l = &model.live[random_below(random, model.count)];
    run_purge_range(l->g, l->len);
    for (uint32_t g = l->g; g < l->g + l->len; g++) {
        assert_true(!run_is_dirty(g, 1) && reads_as_zero(g));
    }
}

static void do_something(uint64_t *random)
{
    size_t dice = random_below(random, 100);
    if (model.count == 0 || (dice < 45 && model.count < LIVE_MAX)) {
        do_alloc(random);
    } else if (dice < 80) {
        do_free(random);
    } else if (dice < 96) {
        do_resize(random);
    } else if (dice < 98) {
        do_purge_used(random);
    } else {
        run_purge_all();
    }
}

static void test_random_operations(void **state)
{
    (void)state;
    uint64_t random = random_seed();
    size_t used_before = run_measure().used_granules;
    for (int i = 0; i < OPERATIONS; i++) {
        do_something(&random);
        assert_true(run_check());
        size_t used = used_before;
        for (size_t l = 0; l < model.count; l++) {
            used += model.live[l].len;
        }
        assert_int_equal(run_measure().used_granules, used);
    }
    while (model.count != 0) {
        do_free(&random);
    }
    assert_true(run_check());
    assert_int_equal(run_measure().used_granules, used_before);
}

/* ---- threads ---- */

static void *thread_of_runs(void *seed)
{
    uint64_t random = (uint64_t)(uintptr_t)seed;
    struct live live[16] = {{0, 0}};
    for (int i = 0; i < THREAD_OPERATIONS; i++) {
        struct live *l = &live[random_below(&random, 16)];
        if (l->g == RUN_NONE) {
            l->len = 1 + (uint32_t)random_below(&random, 8);
            l->g = run_alloc(l->len, 1);
            CHECK(l->g != RUN_NONE);
            memset(address(l->g), 0, 64);
            memory_fill(address(l->g), 64, (size_t)seed);
            run_mark_dirty(l->g, 1);
        } else {
            CHECK(memory_holds(address(l->g), 64, (size_t)seed));
            run_free(l->g);
            l->g = RUN_NONE;
        }
        if (i % 256 == 0) {
            run_purge_all();
        }
    }
    for (int i = 0; i < 16; i++) {
        if (live[i].g != RUN_NONE) {
            run_free(live[i].g);
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    uint64_t random = random_seed();
    size_t used = run_measure().used_granules;
    for (int i = 0; i < THREADS; i++) {
        void *seed = (void *)(uintptr_t)random_next(&random);
        assert_int_equal(pthread_create(&threads[i], NULL, thread_of_runs, seed), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_true(run_check());
    assert_int_equal(run_measure().used_granules, used);
}

/* The same where each run that is handed out has aged ones purged, also those of other threads. */
static void test_no_room_for_free_runs(void **state)
{
    run_set_limit(0);
    test_random_operations(state);
    test_threads(state);
    run_set_limit(SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_neighbours_join),
        cmocka_unit_test(test_extend_and_shrink),
        cmocka_unit_test(test_dirty_knowledge),
        cmocka_unit_test(test_purge_all),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_refused_purge),
        cmocka_unit_test(test_failing_system_calls),
        cmocka_unit_test(test_random_operations),
        cmocka_unit_test(test_alignment_is_one_of_addresses),
        cmocka_unit_test(test_impossible_requests),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_no_room_for_free_runs),
    };
    return cmocka_run_group_tests(tests, unit_start, NULL);
}
