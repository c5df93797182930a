/* SPDX-License-Identifier: MIT */
/*
 * Goal: growing blocks get head-room, but only a few of them while they are small; shrinking works
 * where memory is out; each burst of refusals is told in one line, and not for ever.
 * Method: the public calls in one thread; in the tiny build memory runs out on demand.
 */
#include "front/entry.h"

#include "hakmem/hakmem.h"
#include "large/large.h"
#include "os/os.h"
#include "unit.h"

enum { GROWING = 10, KIB = 1024, MIB = 1024 * 1024, REPORTS = 10, BURSTS = 15 };

static bool is_in_run(const void *p)
{
    return map_word_of(p) == CODE_LARGE;
}

/* Doubles a block of 1000 bytes; from the second time on it is known to grow. */
static char *grow_to(size_t end, size_t key)
{
    size_t bytes = 1000;
    char *p = hak_malloc(bytes);
    assert_non_null(p);
    memory_fill(p, bytes, key);
    for (size_t next = 2 * bytes; next <= end; bytes = next, next *= 2) {
        p = hak_realloc(p, next);
        assert_non_null(p);
        assert_true(memory_holds(p, bytes, key));
        memory_fill(p, next, key);
    }
    return p;
}

static void test_few_small_blocks_grow_in_runs(void **state)
{
    (void)state;
    char *blocks[GROWING];
    size_t in_runs = 0;
    for (size_t i = 0; i < GROWING; i++) {
        blocks[i] = grow_to(4000, i);
        in_runs += is_in_run(blocks[i]);
    }
    assert_int_equal(in_runs, GROWTH_HISTORY);
    for (size_t i = 0; i < GROWING; i++) {
        hak_free(blocks[i]); /* makes room for others */
    }
    char *p = grow_to(4000, 1);
    assert_true(is_in_run(p));
    hak_free(p);
}

/* A block that has become large leaves its place to another small one. */
static void test_large_blocks_make_room(void **state)
{
    (void)state;
    char *blocks[GROWING];
    for (size_t i = 0; i < GROWING; i++) {
        blocks[i] = grow_to(64000, i);
        assert_true(is_in_run(blocks[i]));
    }
    for (size_t i = 0; i < GROWING; i++) {
        assert_true(memory_holds(blocks[i], 64000, i));
        hak_free(blocks[i]);
    }
}

/* By a few bytes at a time: stays in classes, which round less. */
static void test_creeping_blocks_stay_in_classes(void **state)
{
    (void)state;
    char *p = NULL;
    for (size_t bytes = 4000; bytes < 40000; bytes += bytes / 16) {
        p = hak_realloc(p, bytes);
        assert_non_null(p);
        assert_false(is_in_run(p));
    }
    hak_free(p);
}

static void test_good_size(void **state)
{
    (void)state;
    size_t page = os_page_bytes();
    assert_int_equal(hak_good_size(0), class_bytes[0]);
    assert_int_equal(hak_good_size(1), class_bytes[0]);
    assert_int_equal(hak_good_size(CLASS_BYTES_MAX), CLASS_BYTES_MAX);
    assert_int_equal(hak_good_size(100 * KIB + 1), 100 * KIB + page);
    assert_int_equal(hak_good_size(SIZE_MAX), SIZE_MAX);
    for (size_t bytes = 1; bytes < (size_t)MIB; bytes += bytes / 7 + 1) {
        void *p = hak_malloc(bytes);
        assert_int_equal(hak_usable_size(p), hak_good_size(bytes));
        hak_free(p);
    }
}

static void test_pages(void **state)
{
    (void)state;
    size_t page = os_page_bytes();
    for (size_t bytes = 0; bytes < 100 * KIB; bytes += 1 + bytes / 2) {
        char *p = hak_valloc(bytes);
        char *q = hak_pvalloc(bytes);
        assert_int_equal((uintptr_t)p % page, 0);
        assert_int_equal((uintptr_t)q % page, 0);
        assert_true(hak_usable_size(p) >= bytes);
        assert_true(hak_usable_size(q) >= (bytes != 0 ? bytes : 1));
        assert_true(hak_usable_size(q) >= page);
        hak_free(p);
        hak_free(q);
    }
    assert_string_equal(hak_version(), HAKMEM_VERSION);
}

/* ---- memory is out ---- */

/* Takes all that can be had in blocks of `bytes`, linked through their first words. */
static void *exhaust(size_t bytes)
{
    void *all = NULL;
    for (void *p; (p = hak_malloc(bytes)) != NULL; all = p) {
        *(void **)p = all;
    }
    return all;
}

static void free_chain(void *p)
{
    while (p != NULL) {
        void *next = *(void **)p;
        hak_free(p);
        p = next;
    }
}

static void shrink_without_memory(void *unused)
{
    (void)unused;
    enum { SMALL = 1000, LARGE = 300 * KIB };
    char *small = hak_malloc(SMALL);
    char *large = hak_malloc(LARGE);
    CHECK(small != NULL && large != NULL);
    memory_fill(small, SMALL, 1);
    memory_fill(large, LARGE, 2);
    os_fail_every(1);
    void *all = NULL;
    for (size_t bytes = MIB; bytes >= 16; bytes /= 2) {
        void *chain = exhaust(bytes);
        if (chain != NULL) {
            void *last = chain;
            while (*(void **)last != NULL) {
                last = *(void **)last;
            }
            *(void **)last = all;
            all = chain;
        }
    }
    CHECK(hak_realloc(small, 40) == small && memory_holds(small, 40, 1));
    CHECK(hak_realloc(large, 40) == large && memory_holds(large, 40, 2));
    CHECK(hak_realloc(small, 60000) == NULL && hak_realloc(large, 9 * MIB) == NULL);
    CHECK(memory_holds(small, 40, 1) && memory_holds(large, 40, 2));
    os_fail_every(0);
    free_chain(all);
    hak_free(small);
    hak_free(large);
    CHECK(hak_check());
}

static void test_shrinking_needs_no_memory(void **state)
{
    (void)state;
    if (!BUILD_TINY) {
        skip();
    }
    unit_child(shrink_without_memory, NULL);
}

/* Counts what was refused and served; says nothing, since its stderr is read. */
static void refuse_and_serve(void *counts)
{
    size_t *refused = counts, *served = refused + 1;
    for (int i = 0; i < BURSTS; i++) {
        os_fail_every(1);
        *refused += hak_malloc(32 * MIB) == NULL;
        *refused += hak_malloc(32 * MIB) == NULL; /* the same burst */
        os_fail_every(0);
        *served += hak_malloc(32 * MIB) != NULL; /* the end of it; held, so that the next needs more */
    }
}

static void count_reports(void *unused)
{
    (void)unused;
    uint32_t start = os_now_ms();
    size_t counts[2] = {0, 0};
    const char *text = unit_stderr_of(refuse_and_serve, counts);
    bool quick = os_now_ms() - start < 10000;
    CHECK(counts[0] == 2 * BURSTS && counts[1] == BURSTS);
    int lines = 0;
    for (; *text != '\0'; text = strchr(text, '\n') + 1, lines++) {
        CHECK(strncmp(text, "hakmem: out of memory (ENOMEM): 33554432 bytes", 46) == 0);
    }
    CHECK(lines >= REPORTS && (lines == REPORTS || !quick));
}

/* One line per burst, and after the tenth one in ten seconds. */
static void test_reports_are_rationed(void **state)
{
    (void)state;
    if (!BUILD_TINY) {
        skip();
    }
    unit_child(count_reports, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_small_blocks_grow_in_runs), /* first: no other block has grown */
        cmocka_unit_test(test_large_blocks_make_room),
        cmocka_unit_test(test_creeping_blocks_stay_in_classes),
        cmocka_unit_test(test_good_size),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_shrinking_needs_no_memory),
        cmocka_unit_test(test_reports_are_rationed),
    };
    return cmocka_run_group_tests(tests, unit_start, NULL);
}
