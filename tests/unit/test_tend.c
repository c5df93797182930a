/* SPDX-License-Identifier: MIT */
/*
 * Goal: what a program leaves behind is looked after by its refills: mail is unpacked, lists that
 * are not used shrink, mail of heaps without threads goes home, nearly free slabs are offered.
 * Method: heaps without threads (crew.h); one class is prepared, refills of another one drive the
 * tending, whose bounds are computed from the limits.
 */
#include "crew.h"
#include "slab/adopt.h"
#include "slab/remote.h"

enum { BLOCKS_MAX = 13000, LOOKS_MAX = 30 };

static struct heap *heap, *other;
static void *blocks[BLOCKS_MAX];

/* Refills of a class that no test prepares, until it was looked after something once more. */
static void look_once(void)
{
    unsigned c = class_of_size(700);
    for (int i = 0; i <= TEND_EVERY; i++) {
        void *p = cache_refill(heap, c);
        assert_non_null(p);
        crew_free(heap, p);
    }
}

static void give_all_back(void)
{
    for (int i = 0; i < 3; i++) {
        cache_give_up(heap);
        cache_give_up(other);
        adopt_purge();
    }
    assert_int_equal(crew_away(), 0);
    assert_int_equal(crew_slabs(), 0);
    assert_true(heap_check(heap) && heap_check(other));
}

static size_t take_blocks(unsigned c, size_t n)
{
    assert_true(n <= BLOCKS_MAX);
    for (size_t i = 0; i < n; i++) {
        blocks[i] = crew_malloc(heap, c);
        assert_non_null(blocks[i]);
    }
    return n;
}

static void free_blocks(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        crew_free(heap, blocks[i]);
    }
}

/* ---- mail ---- */

static void test_a_refill_unpacks_the_mail(void **state)
{
    (void)state;
    unsigned c = class_of_size(100);
    size_t n = take_blocks(c, 1);
    while (heap->front.list[c] != NULL) {
        n++;
        blocks[n - 1] = crew_malloc(heap, c);
    }
    crew_free(other, blocks[0]);
    remote_publish_all(other);
    assert_true(remote_has_mail(heap));
    uint64_t refills = u64_load_relaxed(&heap->classes[c].refills);
    assert_ptr_equal(cache_refill(heap, c), blocks[0]); /* nothing was taken from the slabs */
    assert_int_equal(u64_load_relaxed(&heap->classes[c].refills), refills);
    assert_false(remote_has_mail(heap));
    free_blocks(n);
    give_all_back();
}

/* Mail that brings blocks of other classes only does not spare the refill. */
static void test_mail_of_another_class(void **state)
{
    (void)state;
    unsigned c = class_of_size(100);
    void *p = crew_malloc(heap, class_of_size(300));
    crew_free(other, p);
    remote_publish_all(other);
    uint64_t refills = u64_load_relaxed(&heap->classes[c].refills);
    void *q = cache_refill(heap, c);
    assert_int_equal(u64_load_relaxed(&heap->classes[c].refills), refills + 1);
    assert_false(remote_has_mail(heap));
    crew_free(heap, q);
    give_all_back();
}

static void test_mail_of_a_heap_without_thread(void **state)
{
    (void)state;
    unsigned c = class_of_size(100);
    void *p = crew_malloc(other, c);
    crew_free(heap, p);
    remote_publish_all(heap);
    heap_pool(other);
    assert_true(remote_has_mail(other));
    for (int i = 0; i < LOOKS_MAX && remote_has_mail(other); i++) {
        look_once();
    }
    assert_false(remote_has_mail(other));
    assert_int_equal(heap_pooled_count(), 1);
    assert_ptr_equal(heap_take_pooled(0), other);
    give_all_back();
}

static void test_mail_of_the_shared_heap(void **state)
{
    (void)state;
    struct heap *shared = &heaps[HEAP_SHARED_ID];
    void *p = adopt_malloc(class_of_size(100));
    remote_send_single(p, map_word_of(p));
    assert_true(remote_has_mail(shared));
    look_once();
    assert_false(remote_has_mail(shared));
    heap_release_current(shared, class_of_size(100));
    give_all_back();
}

/* ---- lists ---- */

/* Uses the list of c without emptying it: its first three blocks rotate. */
static void use_list(unsigned c)
{
    void *first = crew_malloc(heap, c);
    void *second = crew_malloc(heap, c);
    void *third = crew_malloc(heap, c);
    crew_free(heap, first);
    crew_free(heap, third);
    crew_free(heap, second);
}

/* The list of c is used and never empty: how long is it after the next look that changed it? */
static size_t shrink_once(unsigned c)
{
    size_t before = crew_list_length(heap, c);
    for (int i = 0; i < LOOKS_MAX && crew_list_length(heap, c) == before; i++) {
        use_list(c);
        look_once();
    }
    assert_true(heap_check(heap));
    return crew_list_length(heap, c);
}

static void test_a_list_that_is_never_empty_shrinks_by_halves(void **state)
{
    (void)state;
    unsigned c = class_of_size(16);
    size_t keep = TEND_BYTES / class_bytes[c] + 1;
    size_t slabs_open = BUILD_TINY ? 1 : 3; /* before the first sentinel: nothing is sampled */
    size_t n = take_blocks(c, slabs_open * slab_blocks(c));
    free_blocks(n);
    size_t length = crew_list_length(heap, c);
    assert_true(length >= n && length > 2 * keep);
    uint64_t flushes = u64_load_relaxed(&heap->classes[c].flushes);
    while (length > 2 * keep + 1) {
        size_t now = shrink_once(c);
        assert_in_range(now, length / 2, length / 2 + 2);
        assert_int_equal(u64_load_relaxed(&heap->classes[c].flushes), ++flushes);
        assert_int_equal(u64_load_relaxed(&heap->classes[c].away), now);
        length = now;
    }
    length = length > keep ? shrink_once(c) : length;
    assert_int_equal(length, keep);
    assert_int_equal(shrink_once(c), keep); /* and no further */
    give_all_back();
}

static void test_a_list_of_pages_shrinks_at_once(void **state)
{
    (void)state;
    unsigned c = class_of_size(5000);
    size_t keep = TEND_BYTES / class_bytes[c] + 1;
    size_t n = take_blocks(c, slab_blocks(c));
    free_blocks(n);
    assert_true(crew_list_length(heap, c) > keep);
    assert_int_equal(shrink_once(c), keep);
    if (keep >= 3) { /* or to use it would be to empty it */
        assert_int_equal(shrink_once(c), keep);
    }
    give_all_back();
}

/* However short it is, so that its slabs become free, the current one among them. */
static void test_a_list_that_nobody_uses_goes_home(void **state)
{
    (void)state;
    unsigned c = class_of_size(100);
    size_t n = take_blocks(c, 2);
    free_blocks(n);
    assert_in_range(crew_list_length(heap, c), 1, TEND_BYTES / class_bytes[c]);
    for (int i = 0; i < LOOKS_MAX && heap->front.list[c] != NULL; i++) {
        look_once();
    }
    assert_null(heap->front.list[c]);
    assert_int_equal(heap->classes[c].slab_count, 0);
    assert_true(heap_check(heap));
    give_all_back();
}

/* The hot end of the list stays. */
static void test_the_last_freed_blocks_stay(void **state)
{
    (void)state;
    unsigned c = class_of_size(5000);
    size_t n = take_blocks(c, slab_blocks(c));
    free_blocks(n);
    size_t kept = shrink_once(c);
    void *p = heap->front.list[c];
    for (size_t i = 0; i < kept; i++, p = *(void **)p) {
        bool rotated = i < 3 && (p == blocks[n - 1] || p == blocks[n - 2] || p == blocks[n - 3]);
        assert_true(rotated || p == blocks[n - 1 - i]);
    }
    assert_null(p);
    give_all_back();
}

/* ---- slabs ---- */

/* One live block in each of more slabs than a class keeps for itself. */
static void test_nearly_free_slabs_are_offered(void **state)
{
    (void)state;
    unsigned c = class_of_size(2000);
    unsigned in_slab = slab_blocks(c);
    size_t n = take_blocks(c, (PUBLISH_PARTIALS_MIN + 2u) * in_slab);
    for (size_t i = 0; i < n; i++) {
        if (i % in_slab != 0) {
            crew_free(heap, blocks[i]);
        }
    }
    cache_flush_all(heap);
    heap_release_current(heap, c);
    assert_true(heap->classes[c].partial_count > PUBLISH_PARTIALS_MIN);
    assert_false(adopt_take(other, c));
    void *p = cache_refill(heap, c);
    assert_true(adopt_take(other, c));
    assert_int_equal(other->classes[c].slab_count, 1);
    assert_int_equal(u64_load_relaxed(&other->classes[c].away), 1);
    crew_free(heap, p);
    for (size_t i = 0; i < n; i += in_slab) {
        crew_free(heap, blocks[i]);
    }
    give_all_back();
}

/* Slabs that are in good use stay. */
static void test_half_full_slabs_are_kept(void **state)
{
    (void)state;
    unsigned c = class_of_size(2000);
    unsigned in_slab = slab_blocks(c);
    size_t n = take_blocks(c, (PUBLISH_PARTIALS_MIN + PARTIAL_SEARCH_MAX + 2u) * in_slab);
    for (size_t i = 0; i < n; i += 2) {
        crew_free(heap, blocks[i]);
    }
    cache_flush_all(heap);
    heap_release_current(heap, c);
    void *p = cache_refill(heap, c);
    assert_false(adopt_take(other, c));
    crew_free(heap, p);
    for (size_t i = 1; i < n; i += 2) {
        crew_free(heap, blocks[i]);
    }
    give_all_back();
}

static int start(void **state)
{
    (void)state;
    return unit_start_heap(&heap) != 0 ? -1 : unit_start_heap(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_refill_unpacks_the_mail),
        cmocka_unit_test(test_mail_of_another_class),
        cmocka_unit_test(test_mail_of_a_heap_without_thread),
        cmocka_unit_test(test_mail_of_the_shared_heap),
        cmocka_unit_test(test_a_list_that_is_never_empty_shrinks_by_halves),
        cmocka_unit_test(test_a_list_that_nobody_uses_goes_home),
        cmocka_unit_test(test_a_list_of_pages_shrinks_at_once),
        cmocka_unit_test(test_the_last_freed_blocks_stay),
        cmocka_unit_test(test_nearly_free_slabs_are_offered),
        cmocka_unit_test(test_half_full_slabs_are_kept),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
