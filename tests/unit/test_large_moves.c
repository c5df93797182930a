/* SPDX-License-Identifier: MIT */
/*
 * Goal: a large block that moves keeps its bytes whatever the system refuses on the way, also when
 * the place it was to move to is lost; places that are lost are never handed out.
 * Method: in the tiny build one system call in n fails while blocks are moved, until each way was
 * seen; shadowed by the contents of the block and by the count of granules in use.
 */
#include "hakmem/hakmem.h"
#include "large/large.h"
#include "unit.h"

enum { MIB = 1024 * 1024, TRIES = 60, FAIL_MAX = 4 };

struct outcomes {
    size_t moved, copied, lost; /* or refused for want of a place */
};

static void note(struct outcomes *seen, const char *q, size_t used_before)
{
    seen->moved += q != NULL && runs[map_index(q)].moved;
    seen->copied += q != NULL && !runs[map_index(q)].moved;
    seen->lost += q == NULL && run_measure().used_granules > used_before;
}

static void move_once(struct outcomes *seen, uint32_t every, size_t key)
{
    size_t bytes = 2 * MIB + 4096 * (key % 7);
    char *p = large_alloc(bytes, 1, false);
    CHECK(p != NULL);
    memory_fill(p, bytes, key);
    size_t used = run_measure().used_granules;
    os_fail_every(every);
    char *q = large_move(p, 2 * bytes);
    os_fail_every(0);
    note(seen, q, used);
    CHECK(memory_holds(q != NULL ? q : p, bytes, key));
    CHECK(q == NULL || large_usable(q) >= 2 * bytes);
    CHECK(hak_check());
    os_fail_every(every); /* the renewal of moved pages may be refused too */
    large_free(q != NULL ? q : p);
    os_fail_every(0);
    CHECK(hak_check());
    char *zero = large_alloc(2 * bytes, 1, true);
    CHECK(zero != NULL && memory_is_zero(zero, 2 * bytes));
    large_free(zero);
}

static void moves_with_failures(void *unused)
{
    (void)unused;
    struct outcomes seen = {0, 0, 0};
    for (uint32_t every = 2; every <= FAIL_MAX; every++) {
        for (size_t i = 0; i < TRIES; i++) {
            move_once(&seen, every, i);
        }
    }
    CHECK(seen.moved > 0 && seen.copied > 0 && seen.lost > 0);
}

static void test_moves_with_failures(void **state)
{
    (void)state;
    if (!BUILD_TINY) {
        skip();
    }
    unit_child(moves_with_failures, NULL);
}

/* From MOVE_BYTES_MIN on the pages themselves move: the block is not copied. */
static void test_pages_are_moved_not_copied(void **state)
{
    (void)state;
    char *p = large_alloc(8 * MIB, 1, false);
    char *guard = large_alloc(MIB, 1, false);
    memory_fill(p, 8 * MIB, 1);
    char *q = large_move(p, 16 * MIB);
    assert_non_null(q);
    assert_true(memory_holds(q, 8 * MIB, 1));
    assert_true(runs[map_index(q)].moved);
    large_free(q);
    large_free(guard);
    assert_true(hak_check());
}

/* Growing by realloc through the public call, a page or a factor at a time. */
static void test_realloc_keeps_bytes_on_every_way(void **state)
{
    (void)state;
    size_t bytes = MIB;
    char *p = hak_malloc(bytes);
    memory_fill(p, bytes, 5);
    for (size_t next; bytes < 40 * (size_t)MIB; bytes = next) {
        char *guard = hak_malloc(100000); /* or the block could grow where it is */
        next = bytes + (bytes % 3 == 0 ? 4096 : bytes);
        p = hak_realloc(p, next);
        assert_non_null(p);
        assert_true(memory_holds(p, bytes, 5));
        memory_fill(p, next, 5);
        hak_free(guard);
    }
    hak_free(p);
    assert_true(hak_check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves_with_failures),
        cmocka_unit_test(test_pages_are_moved_not_copied),
        cmocka_unit_test(test_realloc_keeps_bytes_on_every_way),
    };
    return cmocka_run_group_tests(tests, unit_start, NULL);
}
