/* SPDX-License-Identifier: MIT */
/*
 * Goal: a page heap hands out each block once, its slabs move between current, partial and full as
 * they fill and empty, wholly free ones leave, and the map words say whose and how.
 * Method: scripted cases on a heap without a thread, then a random driver with a shadow model and
 * heap_check after every operation.
 */
#include "slab/heap.h"

#include "unit.h"

enum { OPERATIONS = 10000, MODEL_BLOCKS = 3000, SLABS = 6 };

static struct heap *heap;
static void *blocks[SLABS * SLAB_BLOCKS_MAX];

static struct size_class_state *class_state(unsigned c)
{
    return &heap->classes[c];
}

static void *take_one(unsigned c)
{
    void *p = NULL;
    assert_int_equal(heap_take(heap, c, 1, NULL, &p), 1);
    assert_null(*(void **)p);
    return p;
}

static void expect_empty(unsigned c)
{
    const struct size_class_state *cs = class_state(c);
    assert_int_equal(cs->slab_count, 0);
    assert_int_equal(cs->partial_count, 0);
    assert_int_equal(cs->current | cs->partial | cs->full, 0);
    assert_int_equal(u64_load_relaxed(&cs->away), 0);
    assert_true(heap_check(heap));
}

static void test_current_full_partial_retired(void **state)
{
    (void)state;
    unsigned c = class_of_size(1000);
    struct size_class_state *cs = class_state(c);
    unsigned n = slab_blocks(c);
    for (unsigned i = 0; i < n + 1; i++) {
        blocks[i] = take_one(c);
        assert_int_equal(u64_load_relaxed(&cs->away), i + 1);
    }
    uint32_t first = slab_of(blocks[0], c);
    uint32_t second = slab_of(blocks[n], c);
    assert_int_equal(cs->slab_count, 2);
    assert_int_equal(cs->full, first);
    assert_int_equal(cs->current, second);
    assert_int_equal(cs->partial, 0);
    heap_put(heap, c, blocks[0]);
    assert_int_equal(cs->full, 0);
    assert_int_equal(cs->partial, first);
    assert_int_equal(cs->partial_count, 1);
    assert_true(heap_check(heap));
    for (unsigned i = 1; i < n; i++) {
        heap_put(heap, c, blocks[i]);
    }
    assert_int_equal(cs->slab_count, 1); /* wholly free: gone, and nobody's */
    assert_int_equal(map_word(first), 0);
    heap_put(heap, c, blocks[n]);
    assert_int_equal(cs->current, second); /* the current slab stays */
    heap_release_current(heap, c);
    expect_empty(c);
}

static void test_release_of_a_current_slab_in_use(void **state)
{
    (void)state;
    unsigned c = class_of_size(5000);
    struct size_class_state *cs = class_state(c);
    void *p = take_one(c);
    heap_release_current(heap, c);
    assert_int_equal(cs->current, 0);
    assert_int_equal(cs->partial, slab_of(p, c));
    heap_release_current(heap, c); /* nothing to release */
    unsigned n = slab_blocks(c);
    for (unsigned i = 1; i < n; i++) {
        blocks[i] = take_one(c);
    }
    heap_release_current(heap, c);
    assert_int_equal(cs->full, slab_of(p, c));
    assert_true(heap_check(heap));
    for (unsigned i = 1; i < n; i++) {
        heap_put(heap, c, blocks[i]);
    }
    heap_put(heap, c, p);
    expect_empty(c);
}

static void test_the_chain_ends_in_rest(void **state)
{
    (void)state;
    unsigned c = class_of_size(48);
    void *rest = take_one(c);
    void *head;
    unsigned n = heap_take(heap, c, 5, rest, &head);
    assert_in_range(n, 1, 5);
    unsigned chained = 0;
    void *p = head;
    while (p != rest) {
        void *next = *(void **)p;
        heap_put(heap, c, p);
        p = next;
        chained++;
    }
    assert_int_equal(chained, n);
    heap_put(heap, c, rest);
    heap_release_current(heap, c);
    expect_empty(c);
}

static void check_words(unsigned c, const void *p, uint32_t word)
{
    uint32_t g = slab_of(p, c);
    for (unsigned i = 0; i < slab_span(c); i++) {
        assert_int_equal(map_word(g + i), word);
    }
}

static void test_words_are_opened_and_closed(void **state)
{
    (void)state;
    unsigned c = class_of_size(60000); /* eight granules: eight words */
    unsigned n = slab_blocks(c) * heap_sentinel_every(c) + 1;
    uint32_t open = ID_WORD(heap->id) | c;
    unsigned sentinels = 0;
    for (unsigned i = 0; i < n; i++) {
        blocks[i] = take_one(c);
        bool sentinel = slabs[slab_of(blocks[i], c)].is_sentinel;
        check_words(c, blocks[i], sentinel ? open | CODE_CLOSED : open);
        sentinels += sentinel;
    }
    assert_int_equal(sentinels, slab_blocks(c)); /* one slab in so many */
    heap_close_slabs(heap, c);
    for (unsigned i = 0; i < n; i++) {
        check_words(c, blocks[i], open | CODE_CLOSED);
    }
    heap_open_slab(heap, c, blocks[0]);
    check_words(c, blocks[0], open);
    check_words(c, blocks[n - 1], open | CODE_CLOSED);
    for (unsigned i = 0; i < n; i++) {
        heap_put(heap, c, blocks[i]);
    }
    heap_release_current(heap, c);
    expect_empty(c);
}

/* Emptier slabs are left alone, so that they can become free. */
static void test_the_fullest_partial_slab_is_next(void **state)
{
    (void)state;
    unsigned c = class_of_size(2000);
    unsigned n = slab_blocks(c);
    for (unsigned i = 0; i < 4 * n; i++) {
        blocks[i] = take_one(c);
    }
    for (unsigned s = 0; s < 4; s++) { /* 3, 1, 4, 2 blocks of each slab go home */
        static const unsigned home[4] = {3, 1, 4, 2};
        for (unsigned i = 0; i < home[s]; i++) {
            heap_put(heap, c, blocks[s * n + i]);
            blocks[s * n + i] = NULL;
        }
    }
    heap_release_current(heap, c);
    blocks[n] = take_one(c);
    assert_int_equal(slab_of(blocks[n], c), slab_of(blocks[n + 1], c));
    for (unsigned i = 0; i < 4 * n; i++) {
        if (blocks[i] != NULL) {
            heap_put(heap, c, blocks[i]);
        }
    }
    heap_release_current(heap, c);
    expect_empty(c);
}

static void test_slabs_move_between_heaps(void **state)
{
    (void)state;
    unsigned c = class_of_size(300);
    struct heap *other = heap_acquire();
    assert_non_null(other);
    blocks[0] = take_one(c);
    heap_release_current(heap, c);
    uint32_t g = slab_of(blocks[0], c);
    heap_unlink_slab(heap, g);
    assert_int_equal(class_state(c)->slab_count, 0);
    assert_int_equal(u64_load_relaxed(&class_state(c)->away), 0);
    heap_link_slab(other, g);
    assert_int_equal(WORD_OWNER(map_word(g)), other->id);
    assert_int_equal(u64_load_relaxed(&other->classes[c].away), 1);
    assert_true(heap_check(heap) && heap_check(other));
    heap_put(other, c, blocks[0]);
    assert_int_equal(other->classes[c].slab_count, 0);
    heap_pool(other);
    expect_empty(c);
}

/* ---- random operations ---- */

static const size_t sizes[] = {16, 100, 1000, 2100, 9000, CLASS_BYTES_MAX};
enum { SIZES = sizeof sizes / sizeof *sizes };

static struct {
    unsigned char *p;
    unsigned c;
    unsigned char mark; /* in the last byte of the block; the first word is a link */
} model[MODEL_BLOCKS];
static size_t model_count;

static void model_add(unsigned c, void *p, uint64_t *random)
{
    unsigned char mark = (unsigned char)random_next(random);
    model[model_count].p = p;
    model[model_count].c = c;
    model[model_count++].mark = mark;
    ((unsigned char *)p)[class_bytes[c] - 1] = mark;
    *(size_t *)p = model_count;
}

static void random_take(uint64_t *random)
{
    unsigned c = class_of_size(sizes[random_below(random, SIZES)]);
    unsigned want = 1 + (unsigned)random_below(random, 40);
    void *p;
    unsigned n = heap_take(heap, c, want, NULL, &p);
    assert_in_range(n, 1, want);
    for (unsigned i = 0; i < n; i++) {
        void *next = *(void **)p;
        assert_int_equal(map_word_of(p) & CODE_CLASS_MASK, c);
        assert_int_equal(WORD_OWNER(map_word_of(p)), heap->id);
        model_add(c, p, random);
        p = next;
    }
    assert_null(p);
}

static void random_put(uint64_t *random)
{
    size_t i = random_below(random, model_count);
    assert_int_equal(model[i].p[class_bytes[model[i].c] - 1], model[i].mark);
    heap_put(heap, model[i].c, model[i].p);
    model[i] = model[--model_count];
}

static void check_away(void)
{
    size_t away[CLASS_COUNT] = {0};
    for (size_t i = 0; i < model_count; i++) {
        away[model[i].c]++;
    }
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        assert_int_equal(u64_load_relaxed(&heap->classes[c].away), away[c]);
    }
}

static void test_random_operations(void **state)
{
    (void)state;
    uint64_t random = random_seed();
    for (int i = 0; i < OPERATIONS; i++) {
        size_t dice = random_below(&random, 1000);
        size_t limit = i / 1000 % 2 == 0 ? 80 : 20;
        if (model_count == 0 || (dice < limit && model_count + 40 < MODEL_BLOCKS)) {
            random_take(&random);
        } else if (dice < 990) {
            random_put(&random);
        } else {
            heap_release_current(heap, class_of_size(sizes[random_below(&random, SIZES)]));
        }
        assert_true(heap_check(heap));
    }
    check_away();
    while (model_count != 0) {
        random_put(&random);
    }
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        heap_release_current(heap, c);
        expect_empty(c);
    }
}

static int start(void **state)
{
    (void)state;
    return unit_start_heap(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_current_full_partial_retired),
        cmocka_unit_test(test_release_of_a_current_slab_in_use),
        cmocka_unit_test(test_the_chain_ends_in_rest),
        cmocka_unit_test(test_words_are_opened_and_closed),
        cmocka_unit_test(test_the_fullest_partial_slab_is_next),
        cmocka_unit_test(test_slabs_move_between_heaps),
        cmocka_unit_test(test_random_operations),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
