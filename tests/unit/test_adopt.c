/* SPDX-License-Identifier: MIT */
/*
 * Goal: who receives a block or a slab from another thread sees all that was written to it before:
 * the link and the bytes of a stray, the slots of a parcel, the bitmap of a published slab.
 * Method: sender and receiver take turns in an order that only the hand-over itself makes visible
 * (turns.h), so that ThreadSanitizer, in its preset, reports a missing edge; contents are checked
 * in every preset.
 */
#include "slab/adopt.h"

#include "crew.h"
#include "slab/remote.h"
#include "turns.h"

enum { BYTES = 200 };

/* What the acts of one test share; written before they start. */
static struct {
    struct heap *home, *other;
    void *live[3]; /* blocks of home, in one slab */
    uint32_t word;
    uint32_t g;
} travel;

static unsigned travel_class(void)
{
    return class_of_size(BYTES);
}

static void fill(size_t i)
{
    memory_fill((char *)travel.live[i] + sizeof(void *), BYTES - sizeof(void *), i);
}

static bool holds(size_t i)
{
    return memory_holds((char *)travel.live[i] + sizeof(void *), BYTES - sizeof(void *), i);
}

static void start_travel(void)
{
    for (int i = 0; i < 3; i++) {
        travel.live[i] = crew_malloc(travel.home, travel_class());
        assert_non_null(travel.live[i]);
    }
    travel.g = slab_of(travel.live[0], travel_class());
    travel.word = map_word(travel.g);
    assert_int_equal(slab_of(travel.live[2], travel_class()), travel.g);
}

static void end_travel(void)
{
    cache_give_up(travel.home);
    cache_give_up(travel.other);
    adopt_purge();
    cache_give_up(travel.home);
    cache_give_up(travel.other);
    adopt_purge();
    assert_int_equal(crew_away(), 0);
    assert_int_equal(crew_slabs(), 0);
}

/* ---- strays: two senders, so that the first one's edge leads past the second ---- */

static void send_first_stray(void *unused)
{
    (void)unused;
    fill(0);
    remote_send_single(travel.live[0], travel.word);
}

static void send_second_stray(void *unused)
{
    (void)unused;
    fill(1);
    remote_send_single(travel.live[1], travel.word);
}

static void receive_strays(void *unused)
{
    (void)unused;
    void *p = remote_take_strays(travel.home);
    CHECK(p == travel.live[1] && holds(1));
    p = *(void **)p;
    CHECK(p == travel.live[0] && holds(0));
    CHECK(*(void **)p == NULL && !remote_has_mail(travel.home));
}

static void test_strays_arrive_whole(void **state)
{
    (void)state;
    static unit_act *const acts[] = {send_first_stray, send_second_stray, receive_strays};
    start_travel();
    run_in_turn(acts, 3, NULL);
    for (int i = 0; i < 3; i++) {
        crew_free(travel.home, travel.live[i]);
    }
    end_travel();
}

/* ---- parcels ---- */

/* First: no parcel exists yet. */
static void test_without_memory_for_parcels_blocks_travel_alone(void **state)
{
    (void)state;
    if (!BUILD_TINY) {
        skip();
    }
    start_travel();
    os_fail_every(1);
    remote_send(travel.other, travel.live[0], travel.word);
    os_fail_every(0);
    assert_ptr_equal(remote_take_strays(travel.home), travel.live[0]);
    for (int i = 0; i < 3; i++) {
        crew_free(travel.home, travel.live[i]);
    }
    end_travel();
}

static void send_parcel(void *unused)
{
    (void)unused;
    fill(0);
    fill(1);
    remote_send(travel.other, travel.live[0], travel.word);
    remote_send(travel.other, travel.live[1], travel.word);
    remote_publish_all(travel.other);
}

static void receive_parcel(void *unused)
{
    (void)unused;
    struct parcel *p = remote_take(travel.home);
    CHECK(p != NULL && p->next == NULL && p->count == 2);
    CHECK(p->slots[0] == travel.live[0] && holds(0));
    CHECK(p->slots[1] == travel.live[1] && holds(1));
    remote_recycle(travel.home, p);
}

static void test_parcels_arrive_whole(void **state)
{
    (void)state;
    static unit_act *const acts[] = {send_parcel, receive_parcel};
    start_travel();
    run_in_turn(acts, 2, NULL);
    for (int i = 0; i < 3; i++) {
        crew_free(travel.home, travel.live[i]);
    }
    end_travel();
}

/* ---- slabs ---- */

/* Two of the three blocks go home in the publishing thread: the bitmap is its work. */
static void publish_slab(void *unused)
{
    (void)unused;
    unsigned c = travel_class();
    crew_free(travel.home, travel.live[0]);
    crew_free(travel.home, travel.live[1]);
    cache_flush_all(travel.home);
    heap_release_current(travel.home, c);
    adopt_publish(travel.home, travel.g);
}

static void adopt_slab(void *unused)
{
    (void)unused;
    unsigned c = travel_class();
    CHECK(adopt_take(travel.other, c));
    CHECK(WORD_OWNER(map_word(travel.g)) == travel.other->id);
    CHECK(slabs[travel.g].free_count == slabs[travel.g].capacity - 1);
    void *p = crew_malloc(travel.other, c);
    CHECK(p == travel.live[0]); /* the lowest one, and not the live one */
    crew_free(travel.other, p);
    crew_free(travel.other, travel.live[2]);
}

static void test_slabs_arrive_whole(void **state)
{
    (void)state;
    static unit_act *const acts[] = {publish_slab, adopt_slab};
    start_travel();
    run_in_turn(acts, 2, NULL);
    end_travel();
}

/* A slab whose last block comes home on the way is given back by who absorbs it. */
static void test_a_slab_that_became_free_goes_back(void **state)
{
    (void)state;
    start_travel();
    publish_slab(NULL);
    remote_send_single(travel.live[2], map_word(travel.g));
    adopt_tend();
    assert_int_equal(map_word(travel.g), 0);
    assert_false(adopt_take(travel.other, travel_class()));
    end_travel();
}

/* A slab without free blocks stays full where it goes. */
static void test_a_full_slab_moves(void **state)
{
    (void)state;
    static void *blocks[SLAB_BLOCKS_MAX];
    unsigned c = class_of_size(2000);
    blocks[0] = crew_malloc(travel.home, c);
    uint32_t g = slab_of(blocks[0], c);
    unsigned n = slabs[g].capacity;
    for (unsigned i = 1; i < n; i++) {
        blocks[i] = crew_malloc(travel.home, c);
    }
    heap_release_current(travel.home, c);
    assert_int_equal(slabs[g].place, PLACE_FULL);
    heap_unlink_slab(travel.home, g);
    heap_link_slab(travel.other, g);
    assert_int_equal(slabs[g].place, PLACE_FULL);
    assert_int_equal(travel.other->classes[c].full, g);
    assert_int_equal(u64_load_relaxed(&travel.other->classes[c].away), n);
    assert_true(heap_check(travel.home) && heap_check(travel.other));
    for (unsigned i = 0; i < n; i++) {
        crew_free(travel.other, blocks[i]);
    }
    end_travel();
}

static int start(void **state)
{
    int failed = unit_start(state);
    travel.home = failed ? NULL : heap_acquire();
    travel.other = failed ? NULL : heap_acquire();
    return travel.home == NULL || travel.other == NULL ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_memory_for_parcels_blocks_travel_alone),
        cmocka_unit_test(test_strays_arrive_whole),
        cmocka_unit_test(test_parcels_arrive_whole),
        cmocka_unit_test(test_slabs_arrive_whole),
        cmocka_unit_test(test_a_slab_that_became_free_goes_back),
        cmocka_unit_test(test_a_full_slab_moves),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
