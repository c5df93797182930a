/* SPDX-License-Identifier: MIT */
/*
 * Goal: any address has an answer, words are kept, memory is usable exactly after it was
 * committed, and a failure changes nothing, also where address space is limited or other mappings
 * are in the way.
 * Method: the live map of this process; growth in forked children; children started under
 * RLIMIT_AS; in the tiny build, every n-th system call fails.
 */
#include "map/map.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "map/run.h"
#include "os/os.h"
#include "slab/slab.h"
#include "unit.h"

enum { MIB_GRANULES = 16, FOREIGN_MAX = 8 };

/* ---- addresses and words ---- */

static void test_foreign_addresses_have_no_word(void **state)
{
    (void)state;
    int local = 0;
    uintptr_t end = map_base + (map_granules << GRANULE_SHIFT);
    assert_int_equal(map_word_of(NULL), 0);
    assert_int_equal(map_word_of(&local), 0);
    assert_int_equal(map_word_of((void *)UINTPTR_MAX), 0);
    assert_int_equal(map_word_of((void *)(map_base - 1)), 0);
    assert_int_equal(map_word_of((void *)end), 0);
    assert_true(map_index((void *)(map_base - 1)) >= map_granules);
    assert_true(map_index((void *)end) >= map_granules);
    assert_int_equal(map_index((void *)(end - 1)), map_granules - 1);
}

static void test_base_is_aligned_to_a_superslab(void **state)
{
    (void)state;
    assert_int_equal(map_base % ((size_t)SUPER_GRANULES << GRANULE_SHIFT), 0);
    for (size_t g = 0; g < 1000; g += 7) {
        assert_int_equal(map_index(map_address(g)), g);
    }
}

static void test_words_are_kept(void **state)
{
    (void)state;
    uint32_t g = run_alloc(2, 1);
    assert_int_not_equal(g, RUN_NONE);
    char *p = map_address(g);
    map_set_word(g, 0x12345678);
    map_set_word_release(g + 1, 0x9abcdef0);
    assert_int_equal(map_word(g), 0x12345678);
    assert_int_equal(map_word_acquire(g + 1), 0x9abcdef0);
    assert_int_equal(map_word_of(p), 0x12345678);
    assert_int_equal(map_word_of(p + GRANULE_BYTES - 1), 0x12345678);
    assert_int_equal(map_word_of(p + GRANULE_BYTES), 0x9abcdef0);
    map_set_word(g, 0);
    map_set_word(g + 1, 0);
    run_free(g);
}

/* ---- growth ---- */

static void grow(void *unused)
{
    (void)unused;
    size_t committed = map_committed_bytes();
    size_t at = committed >> GRANULE_SHIFT;
    size_t start = at;
    size_t len = (COMMIT_BYTES >> GRANULE_SHIFT) + 3;
    CHECK(map_grow(&start, len) && start == at);
    CHECK(map_committed_bytes() >= committed + (len << GRANULE_SHIFT));
    CHECK(memory_is_zero(map_address(start), len << GRANULE_SHIFT));
    memset(map_address(start), 1, len << GRANULE_SHIFT);
    CHECK(map_grow(&start, len) && start == at);
}

static void test_grown_memory_is_zero_and_usable(void **state)
{
    (void)state;
    unit_child(grow, NULL);
}

static void test_growth_ends_at_the_end(void **state)
{
    (void)state;
    size_t committed = map_committed_bytes();
    size_t start = map_granules - 1;
    assert_false(map_grow(&start, 2));
    assert_int_equal(start, map_granules - 1);
    assert_int_equal(map_committed_bytes(), committed);
}

static void grow_with_failures(void *unused)
{
    (void)unused;
    for (uint32_t every = 1; every <= 4; every++) {
        size_t committed = map_committed_bytes();
        os_fail_every(every);
        size_t start = committed >> GRANULE_SHIFT;
        bool grown = map_grow(&start, 40);
        os_fail_every(0);
        CHECK(every > 1 || !grown); /* even the second try, for less, fails */
        CHECK(grown || map_committed_bytes() == committed);
        start = committed >> GRANULE_SHIFT;
        CHECK(map_grow(&start, 40) && start == committed >> GRANULE_SHIFT);
        memset(map_address(start), 1, (size_t)40 << GRANULE_SHIFT);
    }
}

static void test_refused_growth_changes_nothing(void **state)
{
    (void)state;
    if (!BUILD_TINY) {
        skip();
    }
    unit_child(grow_with_failures, NULL);
}

/* Whatever was refused on the way: every committed granule has its entries in the tables. */
static void grow_and_use_tables(void *unused)
{
    (void)unused;
    size_t checked = map_committed_bytes() >> GRANULE_SHIFT;
    for (int round = 0; round < 400; round++) {
        size_t start = checked;
        os_fail_every(3);
        map_grow(&start, 7);
        os_fail_every(0);
        for (; checked < map_committed_bytes() >> GRANULE_SHIFT; checked++) {
            slabs[checked].watch.since_ms = 1;
            runs[checked].touched = 1;
        }
    }
    CHECK(checked > 400);
}

static void test_tables_follow_the_granules(void **state)
{
    (void)state;
    if (!BUILD_TINY) {
        skip();
    }
    unit_child(grow_and_use_tables, NULL);
}

/* ---- under RLIMIT_AS: this program again, with a mode as its argument ---- */

#define LIMIT_BYTES ((size_t)512 << 20)

static void limit_address_space(void *unused)
{
    (void)unused;
    const struct rlimit limit = {LIMIT_BYTES, LIMIT_BYTES};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

static void under_limit(const char *mode)
{
    if (UNIT_HAS_SHADOW) {
        skip();
    }
    static struct child_result result;
    const char *const argv[] = {"unit_map", mode, NULL};
    child_run_self(argv, limit_address_space, NULL, &result);
    print_message("%s", result.err);
    if (WIFSIGNALED(result.status)) {
        fail_msg("%s: ended by signal %d", mode, WTERMSIG(result.status));
    }
    assert_int_equal(WEXITSTATUS(result.status), 0);
}

static void write_run(uint32_t g, size_t len)
{
    memory_fill(map_address(g), len << GRANULE_SHIFT, g);
    run_mark_dirty(g, len);
}

/* Takes runs of 1 MiB, writes to them, and sees that none lies on another. */
static size_t fill_with_runs(size_t most)
{
    static uint32_t taken[2048];
    size_t n = 0;
    while (n < most && (taken[n] = run_alloc(MIB_GRANULES, 1)) != RUN_NONE) {
        write_run(taken[n++], MIB_GRANULES);
    }
    for (size_t i = 0; i < n; i++) {
        CHECK(memory_holds(map_address(taken[i]), (size_t)MIB_GRANULES << GRANULE_SHIFT, taken[i]));
    }
    CHECK(run_check());
    return n;
}

static void mode_fill(void)
{
    CHECK(map_is_thrifty());
    CHECK(map_granules <= LIMIT_BYTES >> GRANULE_SHIFT);
    size_t got = fill_with_runs(2048);
    CHECK(got >= (LIMIT_BYTES >> 20) / 2); /* most of the limit can be used */
    CHECK(run_alloc(MIB_GRANULES, 1) == RUN_NONE);
}

/* Sees to it that something is in the way a little above what is reserved at the start. */
static void obstruct(void)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    void *there = map_address(4 * SUPER_GRANULES + 5);
    void *p = mmap(there, 4096, PROT_READ | PROT_WRITE, flags, -1, 0);
    CHECK(p == there || p == MAP_FAILED); /* or something is there already */
}

/* Asks for more than the limit allows, which is known only after a look beyond the obstruction. */
static void mode_refused(void)
{
    obstruct();
    for (size_t len = map_granules - SUPER_GRANULES - 1; len > map_granules / 2; len -= 101) {
        uint32_t g = run_alloc(len, 1);
        if (g != RUN_NONE) {
            write_run(g, 1);
            run_free(g);
        }
        CHECK(fill_with_runs(4) == 4);
    }
}

/* Extending the last run, until there is no more. */
static void mode_extend(void)
{
    obstruct();
    size_t len = 1;
    uint32_t g = run_alloc(len, 1);
    CHECK(g != RUN_NONE);
    for (int i = 0; i < 200; i++) {
        if (run_extend(g, len + 5)) {
            len += 5;
        } else {
            fill_with_runs(1);
        }
        write_run(g, len);
        CHECK(memory_holds(map_address(g), len << GRANULE_SHIFT, g));
    }
    CHECK(run_check());
}

/* Mappings of others, put where the map would grow. */
static void mode_foreign(void)
{
    char *foreign[FOREIGN_MAX];
    size_t count = 0;
    for (size_t g = 3 * SUPER_GRANULES + 5; g < map_granules && count < FOREIGN_MAX; g += 177) {
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
        char *p = mmap(map_address(g), 4096, PROT_READ | PROT_WRITE, flags, -1, 0);
        if (p == map_address(g)) {
            memory_fill(p, 4096, count);
            foreign[count++] = p;
        } else if (p != MAP_FAILED) {
            munmap(p, 4096);
        }
    }
    CHECK(count > 0);
    CHECK(fill_with_runs(2048) > 0);
    for (size_t i = 0; i < count; i++) {
        CHECK(memory_holds(foreign[i], 4096, i));
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"fill", mode_fill},
    {"refused", mode_refused},
    {"extend", mode_extend},
    {"foreign", mode_foreign},
};

static void test_limited_fill(void **state)
{
    (void)state;
    under_limit("fill");
}

static void test_limited_after_a_refusal(void **state)
{
    (void)state;
    under_limit("refused");
}

static void test_limited_extension(void **state)
{
    (void)state;
    under_limit("extend");
}

static void test_limited_with_foreign_mappings(void **state)
{
    (void)state;
    under_limit("foreign");
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(argv[1], modes[i].name) == 0) {
            CHECK(unit_start(NULL) == 0);
            modes[i].run();
            return 0;
        }
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_foreign_addresses_have_no_word),
        cmocka_unit_test(test_base_is_aligned_to_a_superslab),
        cmocka_unit_test(test_words_are_kept),
        cmocka_unit_test(test_grown_memory_is_zero_and_usable),
        cmocka_unit_test(test_growth_ends_at_the_end),
        cmocka_unit_test(test_refused_growth_changes_nothing),
        cmocka_unit_test(test_tables_follow_the_granules),
        cmocka_unit_test(test_limited_fill),
        cmocka_unit_test(test_limited_after_a_refusal),
        cmocka_unit_test(test_limited_extension),
        cmocka_unit_test(test_limited_with_foreign_mappings),
    };
    return cmocka_run_group_tests(tests, unit_start, NULL);
}
