/* SPDX-License-Identifier: MIT */
/*
 * Goal: each block is handed out once, lowest address first, fresh memory a page at a time; a
 * block that is given back twice, or was never one, ends the process with its message.
 * Method: for every class, a slab of its own is emptied and filled in random order; misuse in
 * forked children.
 */
#include "slab/slab.h"

#include "slab/super.h"
#include "unit.h"

static uint64_t random_state;
static void *blocks[SLAB_BLOCKS_MAX];

static uint32_t make_slab(unsigned c, bool touched)
{
    bool was_touched;
    uint32_t g = super_alloc(slab_span(c), false, &was_touched);
    assert_int_not_equal(g, RUN_NONE);
    slab_init(g, c, touched);
    assert_int_equal(slabs[g].free_count, slabs[g].capacity);
    assert_true(slab_check(g));
    return g;
}

static void drop_slab(uint32_t g, unsigned c)
{
    super_free(g, slab_span(c));
}

/* slab_take, and the chain it made as an array. */
static unsigned take(uint32_t g, unsigned want, void **out)
{
    void *first = NULL;
    void **tail = &first;
    unsigned n = slab_take(g, want, &tail);
    *tail = NULL;
    unsigned chained = 0;
    for (void *p = first; p != NULL; p = *(void **)p) {
        out[chained++] = p;
    }
    assert_int_equal(chained, n);
    assert_true(slab_check(g));
    return n;
}

static void check_ascending(uint32_t g, unsigned c, unsigned n)
{
    char *base = slab_base(g, c);
    for (unsigned i = 0; i < n; i++) {
        assert_ptr_equal(blocks[i], base + (size_t)i * class_bytes[c]);
    }
}

static void shuffle(unsigned n)
{
    for (unsigned i = n; i > 1; i--) {
        size_t j = random_below(&random_state, i);
        void *p = blocks[i - 1];
        blocks[i - 1] = blocks[j];
        blocks[j] = p;
    }
}

static void test_all_blocks_in_address_order(void **state)
{
    (void)state;
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        uint32_t g = make_slab(c, true);
        unsigned n = 0;
        while (slabs[g].free_count != 0) {
            unsigned want = 1 + (unsigned)random_below(&random_state, 100);
            unsigned room = slabs[g].free_count;
            unsigned got = take(g, want, blocks + n);
            assert_int_equal(got, want < room ? want : room); /* touched: no carving */
            n += got;
        }
        assert_int_equal(n, slabs[g].capacity);
        check_ascending(g, c, n);
        size_t bytes = (size_t)slab_span(c) << GRANULE_SHIFT;
        assert_true(class_first[c] + (size_t)n * class_bytes[c] <= bytes);
        assert_true(class_first[c] + ((size_t)n + 1) * class_bytes[c] > bytes);
        drop_slab(g, c);
    }
}

static void test_fresh_memory_is_carved_by_the_page(void **state)
{
    (void)state;
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        uint32_t g = make_slab(c, false);
        unsigned n = 0;
        while (slabs[g].free_count != 0) {
            size_t page_end = class_first[c] + (n + 1) * (size_t)class_bytes[c] + CARVE_BYTES - 1;
            page_end -= page_end % CARVE_BYTES;
            n += take(g, SLAB_BLOCKS_MAX, blocks + n);
            assert_int_equal(slabs[g].fresh_block, n);
            size_t used = class_first[c] + n * (size_t)class_bytes[c];
            assert_true(used <= page_end);
            assert_true(used + class_bytes[c] > page_end || n == slabs[g].capacity);
        }
        check_ascending(g, c, n);
        drop_slab(g, c);
    }
}

static void put_and_take_again(uint32_t g, unsigned c, unsigned n)
{
    shuffle(n);
    for (unsigned i = 0; i < n; i++) {
        slab_put(&slabs[g], c, blocks[i]);
        assert_int_equal(slabs[g].free_count, i + 1);
        assert_true(n > 256 || slab_check(g));
    }
    assert_true(slab_check(g));
    assert_int_equal(take(g, SLAB_BLOCKS_MAX, blocks), n);
    check_ascending(g, c, n);
}

static void test_blocks_come_home_in_any_order(void **state)
{
    (void)state;
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        uint32_t g = make_slab(c, true);
        unsigned n = take(g, SLAB_BLOCKS_MAX, blocks);
        assert_int_equal(n, slabs[g].capacity);
        put_and_take_again(g, c, n);
        put_and_take_again(g, c, n);
        drop_slab(g, c);
    }
}

/* Used blocks come before fresh memory. */
static void test_used_blocks_come_first(void **state)
{
    (void)state;
    unsigned c = class_of_size(64);
    uint32_t g = make_slab(c, false);
    unsigned n = take(g, 10, blocks);
    assert_int_equal(n, 10);
    slab_put(&slabs[g], c, blocks[7]);
    slab_put(&slabs[g], c, blocks[3]);
    void *again[3];
    assert_int_equal(take(g, 3, again), 3);
    assert_ptr_equal(again[0], blocks[3]);
    assert_ptr_equal(again[1], blocks[7]);
    assert_ptr_equal(again[2], (char *)blocks[9] + class_bytes[c]);
    drop_slab(g, c);
}

/* ---- misuse ---- */

struct misuse {
    uint32_t g;
    unsigned size_class;
    void *p;
};

static void put(void *context)
{
    const struct misuse *m = context;
    slab_put(&slabs[m->g], m->size_class, m->p);
}

static void expect_invalid(struct misuse *m, void *p)
{
    m->p = p;
    unit_child_dies(put, m, "free: invalid pointer", p);
}

static void check_misuse(unsigned c)
{
    struct misuse m = {.g = make_slab(c, false), .size_class = c};
    unsigned n = take(m.g, 2, blocks);
    char *base = slab_base(m.g, c);
    slab_put(&slabs[m.g], c, blocks[0]);
    m.p = blocks[0];
    unit_child_dies(put, &m, "free: double free of", m.p);
    char *last_used = blocks[n - 1];
    expect_invalid(&m, base + 1);
    expect_invalid(&m, base + 8);
    expect_invalid(&m, base + class_bytes[c] - 1);
    expect_invalid(&m, last_used + class_bytes[c] / 2);
    expect_invalid(&m, last_used + class_bytes[c]); /* a block, but never handed out */
    expect_invalid(&m, base + (size_t)slabs[m.g].capacity * class_bytes[c] - 8);
    expect_invalid(&m, (char *)map_address(m.g) + ((size_t)slab_span(c) << GRANULE_SHIFT) - 1);
    if (class_first[c] != 0) {
        expect_invalid(&m, base - 1);
        expect_invalid(&m, map_address(m.g));
    }
    drop_slab(m.g, c);
}

static void test_misuse_ends_the_process(void **state)
{
    (void)state;
    static const size_t sizes[] = {16, 48, 1000, 2000, 5000, 40000, CLASS_BYTES_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_misuse(class_of_size(sizes[i]));
    }
    check_misuse(CLASS_FIRST_ALIGNED);
    check_misuse(CLASS_COUNT - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_blocks_in_address_order),
        cmocka_unit_test(test_fresh_memory_is_carved_by_the_page),
        cmocka_unit_test(test_blocks_come_home_in_any_order),
        cmocka_unit_test(test_used_blocks_come_first),
        cmocka_unit_test(test_misuse_ends_the_process),
    };
    random_state = random_seed();
    return cmocka_run_group_tests(tests, unit_start, NULL);
}
