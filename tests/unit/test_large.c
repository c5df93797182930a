/* SPDX-License-Identifier: MIT */
/*
 * Goal: a large block keeps its bytes through growth, shrinking and moves; memory asked for as zero
 * is zero whatever lay there before; wrong pointers end the process.
 * Method: scripted cases, then a random driver that marks every page and checks run_check after
 * each operation.
 */
#include "large/large.h"

#include "base/sizeclass.h"
#include "os/os.h"
#include "unit.h"

enum { OPERATIONS = 2500, LIVE_MAX = 24, KIB = 1024, MIB = 1024 * 1024 };

static size_t page_up(size_t bytes)
{
    size_t page = os_page_bytes();
    return (bytes + page - 1) / page * page;
}

static size_t length_of(const void *p)
{
    return (size_t)runs[map_index(p)].len << GRANULE_SHIFT;
}

/* One word at the start and one at the end of every page. */
static void mark(char *p, size_t from, size_t to, size_t key)
{
    size_t page = os_page_bytes();
    for (size_t at = from / page * page; at < to; at += page) {
        size_t last = (at + page < to ? at + page : to) - sizeof(size_t);
        *(size_t *)(p + at) = key + at;
        *(size_t *)(p + last) = key + last;
    }
}

static bool is_marked(const char *p, size_t bytes, size_t key)
{
    size_t page = os_page_bytes();
    for (size_t at = 0; at + page <= bytes; at += page) {
        size_t last = at + page - sizeof(size_t);
        if (*(const size_t *)(p + at) != key + at || *(const size_t *)(p + last) != key + last) {
            return false;
        }
    }
    return true;
}

static void test_size_and_word(void **state)
{
    (void)state;
    size_t count = run_measure().large_count;
    size_t bytes = run_measure().large_bytes;
    char *p = large_alloc(100 * KIB + 1, 1, false);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % GRANULE_BYTES, 0);
    assert_int_equal(map_word_of(p), CODE_LARGE);
    assert_int_equal(large_usable(p), page_up(100 * KIB + 1));
    assert_int_equal(run_measure().large_count, count + 1);
    assert_int_equal(run_measure().large_bytes, bytes + large_usable(p));
    memset(p, 1, large_usable(p));
    large_free(p);
    assert_int_equal(map_word_of(p), CODE_FREED);
    assert_int_equal(run_measure().large_count, count);
    assert_int_equal(run_measure().large_bytes, bytes);
}

static void test_alignment(void **state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= (size_t)64 * MIB; alignment *= 2) {
        void *p = large_alloc(200 * KIB, alignment, false);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % alignment, 0);
        large_check_pointer(p, map_word_of(p), "free");
        large_free(p);
    }
}

static void test_zero_after_use(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        char *p = large_alloc(300 * KIB, 1, true);
        assert_true(memory_is_zero(p, 300 * KIB));
        memset(p, 0x5a, large_usable(p));
        large_free(p);
    }
}

static void test_resize_in_place(void **state)
{
    (void)state;
    char *p = large_alloc(2 * MIB, 1, false);
    mark(p, 0, 2 * MIB, 7);
    assert_true(large_resize(p, 2 * MIB - 5000)); /* not worth giving back */
    assert_int_equal(length_of(p), 2 * MIB);
    assert_true(large_resize(p, 2 * MIB));
    assert_true(is_marked(p, 2 * MIB, 7));
    assert_true(large_resize(p, 300 * KIB)); /* worth it */
    assert_int_equal(large_usable(p), 300 * KIB);
    assert_int_equal(length_of(p), 320 * KIB);
    assert_true(is_marked(p, 300 * KIB, 7));
    assert_true(run_check());
    assert_false(large_resize(p, CLASS_BYTES_MAX / 2)); /* a class holds it better */
    large_free(p);
}

static void test_a_neighbour_is_in_the_way(void **state)
{
    (void)state;
    char *p = large_alloc(MIB, 1, false);
    uint32_t end = (uint32_t)map_index(p) + runs[map_index(p)].len;
    uint32_t next = run_alloc(1, 1);
    while (next != end && next != RUN_NONE && next < end + 1000) {
        next = run_alloc(1, 1); /* lost, until what is free before it is used up */
    }
    assert_int_equal(next, end);
    mark(p, 0, MIB, 1);
    assert_false(large_resize(p, MIB + 1));
    assert_int_equal(large_usable(p), MIB);
    assert_true(is_marked(p, MIB, 1));
    large_free(p);
}

static void test_headroom(void **state)
{
    (void)state;
    char *p = large_alloc_growing(200 * KIB);
    assert_int_equal(large_usable(p), page_up(200 * KIB));
    size_t length = length_of(p);
    assert_true(map_is_thrifty() || length >= 2 * 200 * KIB);
    for (size_t bytes = 200 * KIB; bytes <= length; bytes += 50 * KIB) {
        mark(p, bytes >= 250 * KIB ? bytes - 50 * KIB : 0, bytes, 3);
        assert_true(large_resize(p, bytes));
        assert_int_equal(large_usable(p), page_up(bytes));
        assert_int_equal(length_of(p), length);
    }
    large_free(p);
    assert_true(run_check());
}

/* Both ways of moving: pages from MOVE_BYTES_MIN on, bytes below. */
static void move_once(size_t bytes, size_t wanted)
{
    char *p = large_alloc(bytes, 1, false);
    mark(p, 0, bytes, 11);
    char *q = large_move(p, wanted);
    assert_non_null(q);
    assert_true(large_usable(q) >= wanted);
    assert_true(is_marked(q, bytes, 11));
    assert_int_equal(map_word_of(q), CODE_LARGE);
    assert_true(p == q || map_word_of(p) != CODE_LARGE);
    mark(q, bytes, large_usable(q), 11);
    char *zero = large_alloc(bytes, 1, true); /* most likely where p was */
    assert_true(memory_is_zero(zero, bytes));
    memset(zero, 0x5a, bytes);
    assert_true(is_marked(q, large_usable(q), 11));
    large_free(q);
    large_free(zero);
    zero = large_alloc(wanted, 1, true); /* and where q was */
    assert_true(memory_is_zero(zero, wanted));
    large_free(zero);
    assert_true(run_check());
}

static void test_moves(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        128 * KIB, 500 * KIB, MOVE_BYTES_MIN, MOVE_BYTES_MIN + 4 * KIB, 3 * MIB + 36 * KIB,
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        move_once(sizes[i], sizes[i] + sizes[i] / 3);
        move_once(sizes[i], 4 * sizes[i]);
    }
}

/* The pages of the shortened block stay behind when it moves, and nothing was freed here before
 * that would have made them known as written to. */
static void shrink_and_move(void *unused)
{
    (void)unused;
    char *p = large_alloc(4 * MIB, 1, false);
    memset(p, 0x5a, 4 * MIB);
    CHECK(large_resize(p, 3 * MIB - 60 * KIB) && large_usable(p) < 3 * MIB);
    char *guard = large_alloc(100 * KIB, 1, false); /* or the block could grow where it is */
    char *q = large_move(p, 5 * MIB);
    CHECK(guard != NULL && q != NULL && q != p);
    char *zero = large_alloc(4 * MIB, 1, true);
    CHECK(zero == p && memory_is_zero(zero, 4 * MIB));
    large_free(zero);
    large_free(q);
    run_purge_all();
    zero = large_alloc(8 * MIB, 1, true);
    CHECK(memory_is_zero(zero, 8 * MIB));
}

static void test_zero_after_shrink_and_move(void **state)
{
    (void)state;
    unit_child(shrink_and_move, NULL);
}

/* ---- misuse ---- */

static void check_free(void *p)
{
    large_check_pointer(p, map_word_of(p), "free");
}

static void check_realloc(void *p)
{
    large_check_pointer(p, map_word_of(p), "realloc");
}

static void test_misuse_ends_the_process(void **state)
{
    (void)state;
    char *p = large_alloc(300 * KIB, 1, false);
    unit_child_dies(check_free, p + 1, "free: invalid pointer", p + 1);
    unit_child_dies(check_free, p + 4096, "free: invalid pointer", p + 4096);
    unit_child_dies(check_free, p + GRANULE_BYTES, "free: invalid pointer", p + GRANULE_BYTES);
    unit_child_dies(check_realloc, p + 16, "realloc: invalid pointer", p + 16);
    large_free(p);
    unit_child_dies(check_free, p, "free: double free of", p);
    unit_child_dies(check_realloc, p, "realloc: double free of", p);
    unit_child_dies(check_free, p + 16, "free: invalid pointer", p + 16);
}

/* ---- random operations ---- */

static struct {
    char *p;
    size_t bytes;
    size_t key;
} live[LIVE_MAX];

static size_t random_bytes(uint64_t *random)
{
    return CLASS_BYTES_MAX + 1 + random_below(random, random_below(random, 3) ? MIB : 4 * MIB);
}

static void random_alloc(uint64_t *random, size_t i)
{
    size_t bytes = random_bytes(random);
    switch (random_below(random, 3)) {
    case 0:
        live[i].p = large_alloc(bytes, 1, true);
        assert_true(memory_is_zero(live[i].p, bytes));
        break;
    case 1:
        live[i].p = large_alloc(bytes, (size_t)1 << random_below(random, 22), false);
        break;
    default:
        live[i].p = large_alloc_growing(bytes);
    }
    assert_non_null(live[i].p);
    live[i].bytes = large_usable(live[i].p);
    live[i].key = (size_t)random_next(random);
    mark(live[i].p, 0, live[i].bytes, live[i].key);
}

static void random_resize(uint64_t *random, size_t i)
{
    size_t bytes = random_bytes(random);
    size_t kept = bytes < live[i].bytes ? bytes : live[i].bytes;
    if (!large_resize(live[i].p, bytes)) {
        assert_int_equal(large_usable(live[i].p), live[i].bytes);
        assert_true(bytes > live[i].bytes);
        live[i].p = large_move(live[i].p, bytes);
        assert_non_null(live[i].p);
    }
    live[i].bytes = large_usable(live[i].p);
    assert_true(live[i].bytes >= bytes);
    assert_true(is_marked(live[i].p, kept, live[i].key));
    mark(live[i].p, 0, live[i].bytes, live[i].key);
}

static void random_free(size_t i)
{
    large_check_pointer(live[i].p, map_word_of(live[i].p), "free");
    assert_true(is_marked(live[i].p, live[i].bytes, live[i].key));
    large_free(live[i].p);
    live[i].p = NULL;
}

static void test_random_operations(void **state)
{
    (void)state;
    uint64_t random = random_seed();
    size_t count = run_measure().large_count;
    for (int n = 0; n < OPERATIONS; n++) {
        size_t i = random_below(&random, LIVE_MAX);
        if (random_below(&random, 100) == 0) {
            run_purge_all();
        } else if (live[i].p == NULL) {
            random_alloc(&random, i);
        } else if (random_below(&random, 2)) {
            random_resize(&random, i);
        } else {
            random_free(i);
        }
        assert_true(run_check());
    }
    for (size_t i = 0; i < LIVE_MAX; i++) {
        if (live[i].p != NULL) {
            random_free(i);
        }
    }
    assert_int_equal(run_measure().large_count, count);
    assert_true(run_check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zero_after_shrink_and_move), /* first: needs untouched memory */
        cmocka_unit_test(test_size_and_word),
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_zero_after_use),
        cmocka_unit_test(test_resize_in_place),
        cmocka_unit_test(test_headroom),
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_misuse_ends_the_process),
        cmocka_unit_test(test_random_operations),
        cmocka_unit_test(test_a_neighbour_is_in_the_way),
    };
    return cmocka_run_group_tests(tests, unit_start, NULL);
}
