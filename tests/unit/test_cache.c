/* SPDX-License-Identifier: MIT */
/*
 * Goal: lists stay bounded: a program that only frees is noticed and its blocks go home at once, a
 * list that drifted is cut to half, and a program that replaces blocks is left alone.
 * Method: a heap without a thread and the real sampling; every workload is deterministic, and the
 * bounds are computed from the limits.
 */
#include "front/cache.h"

#include "crew.h"

enum { BLOCKS_MAX = 400000, PHASES = 3 };

static struct heap *heap;
static void *blocks[BLOCKS_MAX];

/* Blocks for twice as many slabs as stand behind one sentinel. */
static size_t many(unsigned c)
{
    size_t n = 4u * heap_sentinel_every(c) * slab_blocks(c);
    return n < BLOCKS_MAX ? n : BLOCKS_MAX;
}

static size_t take_many(unsigned c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        blocks[i] = crew_malloc(heap, c);
        assert_non_null(blocks[i]);
    }
    return n;
}

static void give_all_back(void)
{
    cache_flush_all(heap);
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        heap_release_current(heap, c);
        assert_int_equal(heap->classes[c].slab_count, 0);
        assert_int_equal(u64_load_relaxed(&heap->classes[c].away), 0);
    }
    assert_true(heap_check(heap));
}

static uint32_t block_slab(const void *p)
{
    return slab_of(p, map_word_of(p) & CODE_CLASS_MASK);
}

/* Sorts the blocks so that neighbours lie in different slabs: any stretch of them then has its
 * share of sentinels. Blocks of a slab are neighbours before. */
static void deal_by_slabs(size_t n)
{
    static void *dealt[BLOCKS_MAX];
    static size_t starts[BLOCKS_MAX + 1];
    size_t slab_count = 0;
    for (size_t i = 0; i < n; i++) {
        bool same = i != 0 && block_slab(blocks[i]) == block_slab(blocks[i - 1]);
        if (!same) {
            starts[slab_count++] = i;
        }
    }
    starts[slab_count] = n;
    size_t k = 0;
    for (size_t round = 0; k < n; round++) {
        for (size_t s = 0; s < slab_count; s++) {
            if (starts[s] + round < starts[s + 1]) {
                dealt[k++] = blocks[starts[s] + round];
            }
        }
    }
    memcpy(blocks, dealt, n * sizeof *blocks);
}

/* The list may pass its limit by what the slabs between two sentinels hold, twice: before the first
 * sentinel's free, and while the estimate runs up to the check. */
static size_t longest_list(unsigned c, size_t limit)
{
    return (limit << CHECK_BACKOFF_MAX) + 2u * heap_sentinel_every(c) * slab_blocks(c);
}

static void check_after_ramp_down(unsigned c, size_t n, size_t bound)
{
    const struct size_class_state *cs = &heap->classes[c];
    size_t length = crew_list_length(heap, c);
    assert_true(length <= bound);
    assert_true(length < n); /* the others went home */
    assert_int_equal(u64_load_relaxed(&cs->away), length);
    assert_true(heap_check(heap));
}

static const size_t ramp_sizes[] = {64, 500, 2000, 5000, 60000};
enum { RAMP_SIZES = sizeof ramp_sizes / sizeof *ramp_sizes };

/* A list whose limit is a few samples cannot tell; in the tiny build most are. */
static bool is_short(unsigned c)
{
    return heap->classes[c].list_limit < 6u * heap_sentinel_every(c);
}

/* Frees that are spread over all slabs are sampled truly: the program is known to do nothing but
 * free by the time the list is at its limit. */
static void test_a_ramp_down_ends_in_draining(void **state)
{
    (void)state;
    for (size_t i = 0; i < RAMP_SIZES; i++) {
        unsigned c = class_of_size(ramp_sizes[i]);
        const struct size_class_state *cs = &heap->classes[c];
        for (int phase = 0; phase < PHASES; phase++) {
            size_t n = take_many(c, many(c));
            size_t bound = longest_list(c, cs->list_limit);
            uint64_t flushes = u64_load_relaxed(&cs->flushes);
            cache_flush_all(heap);
            deal_by_slabs(n);
            for (size_t k = 0; k < n; k++) {
                crew_free(heap, blocks[k]);
            }
            assert_true(cs->mode == MODE_DRAINING || is_short(c));
            assert_true(u64_load_relaxed(&cs->flushes) > flushes);
            assert_int_equal(cs->backoff, 0);
            check_after_ramp_down(c, n, bound);
        }
        give_all_back();
    }
}

/* In the order of allocation the frees come slab by slab; the samples mislead, the bound holds. */
static void test_a_ramp_down_in_order_is_bounded(void **state)
{
    (void)state;
    for (size_t i = 0; i < RAMP_SIZES; i++) {
        unsigned c = class_of_size(ramp_sizes[i]);
        for (int phase = 0; phase < PHASES; phase++) {
            size_t n = take_many(c, many(c));
            size_t bound = longest_list(c, heap->classes[c].list_limit);
            for (size_t k = 0; k < n; k++) {
                crew_free(heap, blocks[phase == 1 ? n - 1 - k : k]);
            }
            check_after_ramp_down(c, n, bound);
            assert_true(heap->classes[c].slab_count < n / slab_blocks(c));
        }
        give_all_back();
    }
}

/* While draining, a freed block is home at once; the next refill ends it. */
static void test_draining_is_left_by_a_refill(void **state)
{
    (void)state;
    unsigned c = class_of_size(BUILD_TINY ? 16 : 1000);
    struct size_class_state *cs = &heap->classes[c];
    size_t n = take_many(c, many(c));
    deal_by_slabs(n);
    size_t i = 0;
    while (cs->mode == MODE_CACHED && i < n) {
        crew_free(heap, blocks[i++]);
    }
    assert_int_equal(cs->mode, MODE_DRAINING);
    assert_true(i < n);
    size_t length = crew_list_length(heap, c);
    uint64_t away = u64_load_relaxed(&cs->away);
    assert_true(map_word_of(blocks[i]) & CODE_CLOSED);
    crew_free(heap, blocks[i++]);
    assert_int_equal(crew_list_length(heap, c), length);
    assert_int_equal(u64_load_relaxed(&cs->away), away - 1);
    void *more = NULL;
    for (size_t k = 0; k <= length; k++) { /* the list first, then a refill */
        assert_int_equal(cs->mode, MODE_DRAINING);
        void *p = crew_malloc(heap, c);
        *(void **)p = more;
        more = p;
    }
    assert_int_equal(cs->mode, MODE_CACHED);
    length = crew_list_length(heap, c);
    crew_free(heap, blocks[i++]);
    assert_int_equal(crew_list_length(heap, c), length + 1);
    for (; i < n; i++) {
        crew_free(heap, blocks[i]);
    }
    while (more != NULL) {
        void *next = *(void **)more;
        crew_free(heap, more);
        more = next;
    }
    give_all_back();
}

/* Sentinels never open; the others do at their first free. */
static void test_only_sentinels_stay_closed(void **state)
{
    (void)state;
    unsigned c = class_of_size(2000);
    size_t n = take_many(c, 2u * heap_sentinel_every(c) * slab_blocks(c));
    heap_close_slabs(heap, c);
    size_t sentinels = 0;
    for (size_t i = 0; i < n && heap->classes[c].mode == MODE_CACHED; i += slab_blocks(c)) {
        bool is_sentinel = slabs[slab_of(blocks[i], c)].is_sentinel;
        sentinels += is_sentinel;
        crew_free(heap, blocks[i]);
        blocks[i] = NULL;
        blocks[i] = crew_malloc(heap, c); /* the same block: the list does not grow */
        assert_int_equal((map_word_of(blocks[i]) & CODE_CLOSED) != 0, is_sentinel);
    }
    assert_int_equal(sentinels, 2);
    for (size_t i = 0; i < n; i++) {
        crew_free(heap, blocks[i]);
    }
    give_all_back();
}

/* Replacing one block of a sentinel slab for ever: the walks come later and later. */
static void test_checks_back_off(void **state)
{
    (void)state;
    unsigned c = class_of_size(64);
    struct size_class_state *cs = &heap->classes[c];
    size_t n = take_many(c, (size_t)heap_sentinel_every(c) * slab_blocks(c));
    size_t at = 0;
    while (at < n && !slabs[slab_of(blocks[at], c)].is_sentinel) {
        at++;
    }
    assert_true(at < n);
    uint64_t flushes = u64_load_relaxed(&cs->flushes);
    size_t rounds = ((size_t)cs->list_limit + 1) << (CHECK_BACKOFF_MAX + 2);
    uint8_t most = 0;
    for (size_t i = 0; i < rounds; i++) {
        crew_free(heap, blocks[at]);
        blocks[at] = crew_malloc(heap, c);
        assert_true(cs->backoff >= most); /* never back while the list stays short */
        most = cs->backoff;
    }
    assert_int_equal(most, CHECK_BACKOFF_MAX);
    assert_int_equal(cs->mode, MODE_CACHED);
    assert_int_equal(u64_load_relaxed(&cs->flushes), flushes);
    for (size_t i = 0; i < n; i++) {
        crew_free(heap, blocks[i]);
    }
    give_all_back();
}

/* Of eight freed blocks, seven are replaced: the list grows by an eighth of what is freed. */
static void test_a_drifted_list_is_cut_to_half(void **state)
{
    (void)state;
    unsigned c = class_of_size(BUILD_TINY ? 16 : 1000); /* a limit of some dozens at least */
    struct size_class_state *cs = &heap->classes[c];
    size_t n = take_many(c, many(c) / 4);
    deal_by_slabs(n);
    uint64_t flushes = u64_load_relaxed(&cs->flushes);
    size_t head = 0;
    size_t used = n;
    for (size_t i = 0; u64_load_relaxed(&cs->flushes) == flushes && used > n / 2; i++) {
        crew_free(heap, blocks[head]);
        if (i % 8 != 0) {
            blocks[(head + used) % n] = crew_malloc(heap, c);
        } else {
            used--;
        }
        head = (head + 1) % n;
    }
    assert_int_equal(u64_load_relaxed(&cs->flushes), flushes + 1);
    assert_int_equal(cs->mode, MODE_CACHED);
    assert_true(crew_list_length(heap, c) <= cs->list_limit / 2 + 1);
    for (size_t i = 0; i < used; i++) {
        crew_free(heap, blocks[(head + i) % n]);
    }
    give_all_back();
}

static void test_batches_grow_and_stop(void **state)
{
    (void)state;
    unsigned c = class_of_size(32);
    const struct size_class_state *cs = &heap->classes[c];
    size_t n = many(c) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned before = cs->batch;
        blocks[i] = crew_malloc(heap, c);
        assert_in_range(cs->batch, before, cs->batch_max);
        assert_true(crew_list_length(heap, c) < cs->batch_max);
    }
    assert_int_equal(cs->batch, cs->batch_max);
    for (size_t i = 0; i < n; i++) {
        crew_free(heap, blocks[i]);
    }
    give_all_back();
}

/* Lists of an uncached class stay empty (HAKMEM_ROUTE, and the shared heap). */
static void test_an_uncached_class_has_no_list(void **state)
{
    (void)state;
    unsigned from = class_of_size(1000);
    heap_set_cached_classes(0, from);
    struct heap *cached = heap;
    heap = heap_acquire();
    heap_set_cached_classes(0, CLASS_COUNT);
    assert_non_null(heap);
    for (unsigned c = from - 1; c <= from; c++) {
        size_t n = take_many(c, 50);
        for (size_t i = 0; i < n; i++) {
            crew_free(heap, blocks[i]);
            assert_int_equal(heap->front.list[c] != NULL, c < from);
        }
    }
    give_all_back();
    heap = cached;
}

static int start(void **state)
{
    (void)state;
    return unit_start_heap(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches_grow_and_stop),
        cmocka_unit_test(test_a_ramp_down_ends_in_draining),
        cmocka_unit_test(test_a_ramp_down_in_order_is_bounded),
        cmocka_unit_test(test_draining_is_left_by_a_refill),
        cmocka_unit_test(test_only_sentinels_stay_closed),
        cmocka_unit_test(test_checks_back_off),
        cmocka_unit_test(test_a_drifted_list_is_cut_to_half),
        cmocka_unit_test(test_an_uncached_class_has_no_list),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
