/* SPDX-License-Identifier: MIT */
/*
 * Goal: no granule of a superslab is in two slabs, the fullest superslab and the smallest hole are used
 * first, superslabs go back when they are free (but for SUPERS_WARM), what is free for DECAY_MS goes
 * back to the system, and fresh memory is told from used.
 * Method: scripted cases and a random driver with a shadow model.
 */
#include "slab/super.h"

#include <unistd.h>

#include "base/bits.h"
#include "os/os.h"
#include "unit.h"

#define SUPER_BYTES (SUPER_GRANULES * GRANULE_BYTES)
enum { SLABS_MAX = 300, OPERATIONS = 20000, HUGE_TRIES = 64 };

static uint32_t take(unsigned span)
{
    bool touched;
    uint32_t g = super_alloc(span, false, &touched);
    assert_int_not_equal(g, RUN_NONE);
    assert_int_equal(g % span, 0);
    assert_true(super_check());
    return g;
}

/* A superslab of which every granule is taken, singly. */
static uint32_t take_superslab(void)
{
    uint32_t first = take(1);
    assert_int_equal(first % SUPER_GRANULES, 0);
    for (unsigned i = 1; i < SUPER_GRANULES; i++) {
        assert_int_equal(take(1), first + i);
    }
    return first;
}

static void give(uint32_t g, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        super_free(g + i, 1);
        assert_true(super_check());
    }
}

static size_t superslabs(void)
{
    return super_measure().superslabs;
}

static void test_a_superslab_is_used_up_first(void **state)
{
    (void)state;
    size_t before = superslabs();
    uint32_t first = take_superslab();
    assert_int_equal(superslabs(), before + 1);
    assert_int_equal(super_measure().free_granules, 0);
    uint32_t second = take(1);
    assert_int_equal(superslabs(), before + 2);
    assert_int_equal(super_measure().free_granules, SUPER_GRANULES - 1);
    give(first, SUPER_GRANULES);
    assert_int_equal(superslabs(), before + 2); /* one that is wholly free stays warm */
    give(second, 1);
    assert_int_equal(superslabs(), before + SUPERS_WARM);
    super_purge();
    assert_int_equal(superslabs(), before);
    assert_true(super_check());
}

static void test_the_fullest_superslab_is_used_first(void **state)
{
    (void)state;
    uint32_t s[3];
    for (int i = 0; i < 3; i++) {
        s[i] = take_superslab();
    }
    give(s[0], 8);
    give(s[1], 3);
    give(s[2], 12);
    assert_int_equal(take(8) / SUPER_GRANULES, s[0] / SUPER_GRANULES); /* the fullest with room for it */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(take(1) / SUPER_GRANULES, s[1] / SUPER_GRANULES);
    }
    uint32_t last = take(1);
    assert_int_equal(last / SUPER_GRANULES, s[2] / SUPER_GRANULES);
    give(s[0], SUPER_GRANULES);
    give(s[1], SUPER_GRANULES);
    give(last, 1);
    give(s[2] + 12, SUPER_GRANULES - 12);
    super_purge();
    assert_int_equal(superslabs(), 0);
}

/* The smallest hole that will do is used: pairs and larger groups stay whole as long as they can. */
static void test_the_smallest_hole_is_used(void **state)
{
    (void)state;
    uint32_t base = take_superslab();
    static const unsigned holes[] = {0, 1, 2, 3, 8, 9, 13};
    for (unsigned i = 0; i < sizeof holes / sizeof *holes; i++) {
        super_free(base + holes[i], 1);
    }
    assert_int_equal(take(1), base + 13);
    assert_int_equal(take(1), base + 8);
    assert_int_equal(take(2), base);
    assert_int_equal(take(1), base + 9);
    assert_int_equal(take(2), base + 2);
    give(base, SUPER_GRANULES);
    super_purge();
    assert_int_equal(superslabs(), 0);
}

/* ---- memory ---- */

static void fresh_and_used(void *unused)
{
    (void)unused;
    bool touched = true;
    uint32_t keep = super_alloc(1, false, &touched);
    CHECK(!touched); /* this process has used nothing yet */
    uint32_t g = super_alloc(SLAB_MID_GRANULES, false, &touched);
    CHECK(!touched);
    memset(map_address(g), 1, (size_t)SLAB_MID_GRANULES << GRANULE_SHIFT);
    super_free(g, SLAB_MID_GRANULES);
    CHECK(super_alloc(SLAB_MID_GRANULES, false, &touched) == g && touched);
    super_free(g, SLAB_MID_GRANULES);
    super_purge();
    CHECK(memory_is_zero(map_address(g), (size_t)SLAB_MID_GRANULES << GRANULE_SHIFT));
    CHECK(super_alloc(SLAB_MID_GRANULES, false, &touched) == g && !touched);
    super_free(keep, 1);
}

static void test_fresh_memory_is_told_from_used(void **state)
{
    (void)state;
    unit_child(fresh_and_used, NULL);
}

static void wait_ms(uint32_t ms)
{
    for (uint32_t start = os_now_ms(); os_now_ms() - start <= ms;) {
        usleep(1000);
    }
}

static void free_granules_decay(void *unused)
{
    (void)unused;
    bool touched;
    uint32_t keep = super_alloc(1, false, &touched);
    uint32_t g = super_alloc(SLAB_MID_GRANULES, false, &touched);
    memset(map_address(g), 1, (size_t)SLAB_MID_GRANULES << GRANULE_SHIFT);
    super_free(g, SLAB_MID_GRANULES);
    super_tick(); /* too young: at most this tick comes before the age */
    CHECK(BUILD_TINY || run_is_dirty(g, SLAB_MID_GRANULES));
    for (int i = 0; i < 100 && run_is_dirty(g, 1); i++) {
        wait_ms(DECAY_MS);
        super_tick();
    }
    CHECK(run_is_clean(g, SLAB_MID_GRANULES) && !run_is_clean(keep, 1) && super_check());
    CHECK(memory_is_zero(map_address(g), (size_t)SLAB_MID_GRANULES << GRANULE_SHIFT));
}

static void test_free_granules_decay(void **state)
{
    (void)state;
    unit_child(free_granules_decay, NULL);
}

/* Where there can be no new superslab, one of the other kind will do. */
static void other_kind_when_memory_is_out(void *unused)
{
    (void)unused;
    bool touched = false;
    for (unsigned i = 0; i < HUGE_FROM_SUPERS * SUPER_GRANULES + 1; i++) {
        CHECK(super_alloc(1, false, &touched) != RUN_NONE);
    }
    while (run_alloc(SUPER_GRANULES, SUPER_GRANULES) != RUN_NONE) {
    }
    CHECK(super_alloc(1, true, &touched) != RUN_NONE && super_check());
}

static void test_other_kind_when_memory_is_out(void **state)
{
    (void)state;
    unit_child(other_kind_when_memory_is_out, NULL);
}

/* A huge page is resident whole, and must count as used to be given back. */
static void huge_from_the_eighth(void *unused)
{
    (void)unused;
    bool touched = false;
    char *area = os_reserve(2 * SUPER_BYTES);
    area += -(uintptr_t)area % SUPER_BYTES;
    CHECK(os_commit(area, SUPER_BYTES));
    bool gives = os_huge_page(area);
    for (unsigned i = 0; i < HUGE_FROM_SUPERS * SUPER_GRANULES; i++) {
        CHECK(super_alloc(1, false, &touched) != RUN_NONE && !touched);
    }
    CHECK(super_alloc(1, false, &touched) != RUN_NONE && !touched); /* one that may stay sparse */
    bool any = false; /* the system may be too slow for the first ones */
    for (unsigned i = 0; i < HUGE_TRIES * SUPER_GRANULES && !any; i++) {
        uint32_t g = super_alloc(1, true, &touched);
        CHECK(g != RUN_NONE && memory_is_zero(map_address(g), GRANULE_BYTES));
        any = touched;
    }
    CHECK(any == gives);
}

static void test_large_heaps_have_huge_pages(void **state)
{
    (void)state;
    unit_child(huge_from_the_eighth, NULL);
}

/* ---- random operations ---- */

struct taken {
    uint32_t g;
    unsigned span;
};

static struct taken taken[SLABS_MAX];
static size_t taken_count;

static void random_take(uint64_t *random)
{
    unsigned span = random_below(random, 4) ? SLAB_SMALL_GRANULES : 2u << random_below(random, 3);
    bool touched;
    uint32_t g = super_alloc(span, random_below(random, 2) != 0, &touched);
    assert_int_not_equal(g, RUN_NONE);
    assert_int_equal(g % span, 0);
    assert_true(super_check());
    for (size_t i = 0; i < taken_count; i++) {
        assert_true(g + span <= taken[i].g || taken[i].g + taken[i].span <= g);
    }
    taken[taken_count++] = (struct taken){g, span};
}

static void random_free(uint64_t *random)
{
    size_t i = random_below(random, taken_count);
    super_free(taken[i].g, taken[i].span);
    assert_true(super_check());
    taken[i] = taken[--taken_count];
}

static void test_random_operations(void **state)
{
    (void)state;
    uint64_t random = random_seed();
    size_t before = superslabs();
    for (int i = 0; i < OPERATIONS; i++) {
        bool growing = i / 1000 % 2 == 0;
        bool more = random_below(&random, 10) < (growing ? 6 : 4);
        if (taken_count == 0 || (more && taken_count < SLABS_MAX)) {
            random_take(&random);
        } else {
            random_free(&random);
        }
        if (i % 500 == 499) {
            super_purge();
        }
        super_tick();
    }
    while (taken_count != 0) {
        random_free(&random);
    }
    super_purge();
    assert_int_equal(superslabs(), before);
    assert_true(run_check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fresh_memory_is_told_from_used),
        cmocka_unit_test(test_large_heaps_have_huge_pages),
        cmocka_unit_test(test_other_kind_when_memory_is_out),
        cmocka_unit_test(test_free_granules_decay),
        cmocka_unit_test(test_a_superslab_is_used_up_first),
        cmocka_unit_test(test_the_fullest_superslab_is_used_first),
        cmocka_unit_test(test_the_smallest_hole_is_used),
        cmocka_unit_test(test_random_operations),
    };
    return cmocka_run_group_tests(tests, unit_start, NULL);
}
