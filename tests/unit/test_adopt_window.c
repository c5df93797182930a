/* SPDX-License-Identifier: MIT */
/*
 * Goal: a slab is published in two steps, its words and then the inbox. A block of it that arrives
 * between the two goes home at once, into a bitmap that must be whole by then.
 * Method: slab/adopt.c is compiled into this program with the second step held back while another
 * thread settles the block. The two threads are ordered by nothing but the map word (turns.h), so
 * that ThreadSanitizer, in its preset, reports if that orders nothing.
 */
#include "crew.h"
#include "turns.h"

static bool held_back_cas(atomic_ptr *a, void **expected, void *desired);
#define ptr_cas_release held_back_cas
#include "slab/adopt.c"
#undef ptr_cas_release

enum { TURN_PUBLISH, TURN_SETTLE, TURN_GO_ON };

static struct {
    struct heap *home, *other;
    void *live[3];
    size_t freed_between; /* of the last two */
    uint32_t g;
    bool hold_back; /* the publisher's */
} under_way;

static bool held_back_cas(atomic_ptr *a, void **expected, void *desired)
{
    if (under_way.hold_back) {
        under_way.hold_back = false;
        turn_pass(TURN_SETTLE);
        turn_wait(TURN_GO_ON);
    }
    return ptr_cas_release(a, expected, desired);
}

static unsigned window_class(void)
{
    return class_of_size(200);
}

static void publish(void *unused)
{
    (void)unused;
    crew_free(under_way.home, under_way.live[0]);
    cache_flush_all(under_way.home);
    heap_release_current(under_way.home, window_class());
    under_way.hold_back = true;
    adopt_publish(under_way.home, under_way.g);
}

/* Frees as a thread without a heap does. */
static void settle_between(void *unused)
{
    (void)unused;
    for (size_t i = 1; i <= under_way.freed_between; i++) {
        void *p = under_way.live[i];
        uint32_t word = map_word_of(p);
        CHECK(WORD_OWNER(word) == HEAP_SHARED_ID && (word & CODE_CLOSED) != 0);
        remote_send_single(p, word);
    }
    adopt_tend();
    const struct slab *s = &slabs[under_way.g];
    CHECK(s->place == PLACE_NONE && slab_check(under_way.g));
    CHECK(s->free_count == s->capacity - 2 + under_way.freed_between);
}

static void publish_and_settle(size_t freed_between)
{
    static unit_act *const acts[] = {publish, settle_between};
    under_way.freed_between = freed_between;
    for (int i = 0; i < 3; i++) {
        under_way.live[i] = crew_malloc(under_way.home, window_class());
        assert_non_null(under_way.live[i]);
    }
    under_way.g = slab_of(under_way.live[0], window_class());
    run_in_turn(acts, 2, NULL);
}

static void test_a_block_arrives_before_its_slab(void **state)
{
    (void)state;
    publish_and_settle(1);
    assert_true(adopt_take(under_way.other, window_class()));
    assert_int_equal(u64_load_relaxed(&under_way.other->classes[window_class()].away), 1);
    crew_free(under_way.other, under_way.live[2]);
    cache_flush_all(under_way.other);
    assert_int_equal(crew_away(), 0);
    assert_int_equal(crew_slabs(), 0);
}

static void test_the_last_block_arrives_before_its_slab(void **state)
{
    (void)state;
    publish_and_settle(2);
    assert_false(adopt_take(under_way.other, window_class())); /* it went back at once */
    assert_int_equal(map_word(under_way.g), 0);
    assert_int_equal(crew_away(), 0);
    assert_int_equal(crew_slabs(), 0);
}

static int start(void **state)
{
    int failed = unit_start(state);
    under_way.home = failed ? NULL : heap_acquire();
    under_way.other = failed ? NULL : heap_acquire();
    return under_way.home == NULL || under_way.other == NULL ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_block_arrives_before_its_slab),
        cmocka_unit_test(test_the_last_block_arrives_before_its_slab),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
