/* SPDX-License-Identifier: MIT */
/*
 * Goal: no granule of a superslab is in two slabs, whole groups of eight are spared for mid slabs,
 * superslabs go back when they are free (all but a home's last), and fresh memory is told from used.
 * Method: scripted cases and a random driver with a shadow model, on homes made by the test.
 */
#include "slab/super.h"

#include "base/bits.h"
#include "os/os.h"
#include "unit.h"

#define SUPER_BYTES (SUPER_GRANULES * GRANULE_BYTES)
enum { SLABS_MAX = 300, OPERATIONS = 20000, HOMES = 2 };

static uint32_t homes[HOMES];

static uint32_t take(uint32_t *home, unsigned span)
{
    bool touched;
    uint32_t g = super_alloc(home, span, &touched);
    assert_int_not_equal(g, RUN_NONE);
    assert_int_equal(g % span, 0);
    assert_true(super_check(home));
    return g;
}

static void test_a_superslab_is_used_up_first(void **state)
{
    (void)state;
    uint32_t *home = &homes[0];
    uint32_t first = take(home, 1) / SUPER_GRANULES;
    uint32_t seen = 1;
    size_t before = super_count();
    for (unsigned i = 1; i < SUPER_GRANULES; i++) {
        uint32_t g = take(home, 1);
        assert_int_equal(g / SUPER_GRANULES, first);
        seen |= (uint32_t)1 << g % SUPER_GRANULES;
        assert_int_equal(super_free_granules(home), SUPER_GRANULES - 1 - i);
    }
    assert_int_equal(seen, UINT32_MAX);
    assert_int_equal(super_count(), before);
    uint32_t next = take(home, 1);
    assert_int_not_equal(next / SUPER_GRANULES, first);
    assert_int_equal(super_count(), before + 1);
    for (unsigned i = 0; i < SUPER_GRANULES; i++) {
        super_free(first * SUPER_GRANULES + i, 1);
        assert_true(super_check(home));
    }
    assert_int_equal(super_count(), before); /* wholly free, and not the last: gone */
    super_free(next, 1);
    assert_int_equal(super_count(), before); /* the last stays */
    assert_int_equal(super_free_granules(home), SUPER_GRANULES);
    super_purge(home);
    assert_int_equal(super_count(), before - 1);
    assert_int_equal(*home, 0);
}

static void test_groups_of_eight_are_spared(void **state)
{
    (void)state;
    uint32_t *home = &homes[0];
    uint32_t single = take(home, 1);
    uint32_t mid = take(home, SLAB_MID_GRANULES);
    assert_int_not_equal(single / SLAB_MID_GRANULES, mid / SLAB_MID_GRANULES);
    uint32_t more[SLAB_MID_GRANULES];
    for (unsigned i = 1; i < SLAB_MID_GRANULES; i++) {
        more[i] = take(home, 1);
        assert_int_equal(more[i] / SLAB_MID_GRANULES, single / SLAB_MID_GRANULES);
    }
    more[0] = take(home, 1); /* the group is full: another one is broken */
    assert_int_not_equal(more[0] / SLAB_MID_GRANULES, single / SLAB_MID_GRANULES);
    assert_int_not_equal(more[0] / SLAB_MID_GRANULES, mid / SLAB_MID_GRANULES);
    for (unsigned i = 0; i < SLAB_MID_GRANULES; i++) {
        super_free(more[i], 1);
    }
    super_free(single, 1);
    super_free(mid, SLAB_MID_GRANULES);
    super_purge(home);
    assert_int_equal(*home, 0);
}

/* The smallest hole that will do is used: pairs and groups of four stay whole as long as they can. */
static void test_the_smallest_hole_is_used(void **state)
{
    (void)state;
    uint32_t *home = &homes[0];
    uint32_t g[SUPER_GRANULES];
    for (unsigned i = 0; i < SUPER_GRANULES; i++) {
        g[i] = take(home, 1);
    }
    uint32_t base = g[0] & ~(SUPER_GRANULES - 1u);
    static const unsigned holes[] = {0, 1, 2, 3, 8, 9, 13};
    for (unsigned i = 0; i < sizeof holes / sizeof *holes; i++) {
        super_free(base + holes[i], 1);
    }
    assert_int_equal(take(home, 1), base + 13);
    assert_int_equal(take(home, 1), base + 8);
    assert_int_equal(take(home, 2), base);
    assert_int_equal(take(home, 1), base + 9);
    assert_int_equal(take(home, 2), base + 2);
    for (unsigned i = 0; i < SUPER_GRANULES; i++) {
        super_free(base + i, 1);
    }
    super_purge(home);
    assert_int_equal(*home, 0);
}

static void fresh_and_used(void *unused)
{
    (void)unused;
    uint32_t home = 0;
    bool touched = true;
    uint32_t keep = super_alloc(&home, 1, &touched);
    CHECK(!touched); /* this process has used nothing yet */
    uint32_t g = super_alloc(&home, SLAB_MID_GRANULES, &touched);
    CHECK(!touched);
    memset(map_address(g), 1, (size_t)SLAB_MID_GRANULES << GRANULE_SHIFT);
    super_free(g, SLAB_MID_GRANULES);
    CHECK(super_alloc(&home, SLAB_MID_GRANULES, &touched) == g && touched);
    super_free(g, SLAB_MID_GRANULES);
    super_purge(&home);
    CHECK(memory_is_zero(map_address(g), (size_t)SLAB_MID_GRANULES << GRANULE_SHIFT));
    CHECK(super_alloc(&home, SLAB_MID_GRANULES, &touched) == g && !touched);
    super_free(keep, 1);
}

/* A huge page is resident whole, and must count as used to be given back. */
static void huge_from_the_eighth(void *unused)
{
    (void)unused;
    uint32_t home = 0;
    bool touched = false;
    bool gives = os_huge_pages(os_reserve(2 * SUPER_BYTES), SUPER_BYTES);
    for (unsigned i = 0; i < HUGE_FROM_SUPERS * SUPER_GRANULES; i++) {
        CHECK(super_alloc(&home, 1, &touched) != RUN_NONE && !touched);
    }
    for (unsigned i = 0; i < SUPER_GRANULES; i++) {
        uint32_t g = super_alloc(&home, 1, &touched);
        CHECK(touched == gives && memory_is_zero(map_address(g), GRANULE_BYTES));
    }
}

static void test_large_heaps_have_huge_pages(void **state)
{
    (void)state;
    unit_child(huge_from_the_eighth, NULL);
}

static void test_fresh_memory_is_told_from_used(void **state)
{
    (void)state;
    unit_child(fresh_and_used, NULL);
}

/* ---- random operations ---- */

struct taken {
    uint32_t g;
    uint32_t *home;
    unsigned span;
};

static struct taken taken[SLABS_MAX];
static size_t taken_count;

static void random_take(uint64_t *random)
{
    uint32_t *home = &homes[random_below(random, HOMES)];
    unsigned span = random_below(random, 4) ? SLAB_SMALL_GRANULES : 2u << random_below(random, 3);
    uint32_t g = take(home, span);
    for (size_t i = 0; i < taken_count; i++) {
        assert_true(g + span <= taken[i].g || taken[i].g + taken[i].span <= g);
        bool same = g / SUPER_GRANULES == taken[i].g / SUPER_GRANULES;
        assert_true(!same || home == taken[i].home); /* a superslab has one home */
    }
    taken[taken_count++] = (struct taken){g, home, span};
}

static void random_free(uint64_t *random)
{
    size_t i = random_below(random, taken_count);
    super_free(taken[i].g, taken[i].span);
    assert_true(super_check(taken[i].home));
    taken[i] = taken[--taken_count];
}

static void test_random_operations(void **state)
{
    (void)state;
    uint64_t random = random_seed();
    size_t before = super_count();
    for (int i = 0; i < OPERATIONS; i++) {
        bool growing = i / 1000 % 2 == 0;
        bool more = random_below(&random, 10) < (growing ? 6 : 4);
        if (taken_count == 0 || (more && taken_count < SLABS_MAX)) {
            random_take(&random);
        } else {
            random_free(&random);
        }
        if (i % 500 == 499) {
            super_purge(&homes[0]);
        }
    }
    while (taken_count != 0) {
        random_free(&random);
    }
    for (int i = 0; i < HOMES; i++) {
        super_purge(&homes[i]);
        assert_int_equal(homes[i], 0);
    }
    assert_int_equal(super_count(), before);
    assert_true(run_check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fresh_memory_is_told_from_used),
        cmocka_unit_test(test_large_heaps_have_huge_pages),
        cmocka_unit_test(test_a_superslab_is_used_up_first),
        cmocka_unit_test(test_groups_of_eight_are_spared),
        cmocka_unit_test(test_the_smallest_hole_is_used),
        cmocka_unit_test(test_random_operations),
    };
    return cmocka_run_group_tests(tests, unit_start, NULL);
}
