/* SPDX-License-Identifier: MIT */
/*
 * Goal: pages that only free blocks lie on go back when nothing was taken from their slab for DECAY_MS,
 * or at once when all is to be purged; no byte of a block in use is lost, and what is taken again is
 * whole.
 * Method: resident pages by mincore; a heap without a thread, scripted cases, then a random driver whose
 * blocks carry patterns, alone and while other threads purge.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "child.h"
#include "front/entry.h"
#include "os/os.h"
#include "slab/heap.h"
#include "slab/pages.h"
#include "unit.h"

enum {
    OPERATIONS = 20000,
    MODEL_BLOCKS = 600,
    LOOKS_MAX = 100,
    KEEP_ONE_IN = 8,
    ROUNDS = 50,
    FORKS = 100,
    FORK_BLOCKS = 300,
};

static struct heap *heap;
static char *blocks[SLAB_BLOCKS_MAX];

static size_t resident_pages(uint32_t g, unsigned c)
{
    size_t n = ((size_t)slab_span(c) << GRANULE_SHIFT) / os_page_bytes();
    unsigned char present[SLAB_MID_GRANULES * 16];
    assert_true(n <= sizeof present);
    assert_int_equal(mincore(map_address(g), n * os_page_bytes(), present), 0);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        count += present[i] & 1u;
    }
    return count;
}

static char *take_one(unsigned c, size_t key)
{
    void *p = NULL;
    assert_int_equal(heap_take(heap, c, 1, NULL, &p), 1);
    memory_fill(p, class_bytes[c], key);
    return p;
}

/* A slab of the class, all of whose blocks are in use; the next one is the current slab. */
static uint32_t fill_slab(unsigned c, unsigned *count, char **next)
{
    blocks[0] = take_one(c, 0);
    uint32_t g = slab_of(blocks[0], c);
    *count = slabs[g].capacity;
    for (unsigned i = 1; i < *count; i++) {
        blocks[i] = take_one(c, i);
    }
    *next = take_one(c, *count);
    assert_int_equal(slabs[g].place, PLACE_FULL);
    return g;
}

static bool is_kept(unsigned i)
{
    return i % KEEP_ONE_IN == KEEP_ONE_IN - 1; /* so the first page becomes free, too, in some classes */
}

static void free_most(unsigned c, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!is_kept(i)) {
            heap_put(heap, c, blocks[i]);
        }
    }
    assert_true(heap_check(heap) && pages_check());
}

static void check_and_free_rest(unsigned c, unsigned count, char *next)
{
    for (unsigned i = 0; i < count; i++) {
        if (is_kept(i)) {
            assert_true(memory_holds(blocks[i], class_bytes[c], i));
            heap_put(heap, c, blocks[i]);
        }
    }
    heap_put(heap, c, next);
    heap_release_current(heap, c);
    assert_int_equal(heap->classes[c].slab_count, 0);
    assert_true(heap_check(heap) && pages_check());
}

/* The least that the blocks in use need. */
static size_t pages_in_use(unsigned c, unsigned count)
{
    size_t page = os_page_bytes(), pages = 0, last = SIZE_MAX;
    for (unsigned i = 0; i < count; i++) {
        size_t from = (class_first[c] + i * (size_t)class_bytes[c]) / page;
        size_t to = (class_first[c] + (i + 1) * (size_t)class_bytes[c] - 1) / page;
        for (; is_kept(i) && from <= to; from++) {
            pages += from != last;
            last = from;
        }
    }
    return pages;
}

static void tick_until(uint32_t g, unsigned c, size_t pages)
{
    for (int i = 0; i < LOOKS_MAX && resident_pages(g, c) > pages; i++) {
        for (uint32_t start = os_now_ms(); os_now_ms() - start <= DECAY_MS;) {
            usleep(1000);
        }
        pages_tick();
    }
}

static void test_free_pages_decay(void **state)
{
    (void)state;
    static const size_t sizes[] = {600, 700, 850, 1000, 2000, 4000, 9000, 40000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned c = class_of_size(sizes[i]), count;
        char *next;
        uint32_t g = fill_slab(c, &count, &next);
        size_t before = resident_pages(g, c);
        free_most(c, count);
        size_t least = pages_in_use(c, count);
        assert_int_not_equal(slabs[g].watch.state, WATCH_NONE);
        if (!BUILD_TINY) {
            pages_tick(); /* too young */
            assert_int_equal(resident_pages(g, c), before);
        }
        tick_until(g, c, least);
        assert_int_equal(resident_pages(g, c), least);
        assert_true(least < before && slabs[g].watch.state == WATCH_NONE);
        check_and_free_rest(c, count, next);
    }
}

static void test_all_pages_at_once(void **state)
{
    (void)state;
    unsigned c = class_of_size(5000), count;
    char *next;
    uint32_t g = fill_slab(c, &count, &next);
    free_most(c, count);
    heap_purge_pages(heap);
    assert_int_equal(resident_pages(g, c), pages_in_use(c, count));
    check_and_free_rest(c, count, next);
}

/* The heap's thread does nothing meanwhile: another one purges. */
static void test_a_purge_reaches_other_heaps(void **state)
{
    (void)state;
    unsigned c = class_of_size(4000), count;
    char *next;
    uint32_t g = fill_slab(c, &count, &next);
    size_t before = resident_pages(g, c);
    free_most(c, count);
    size_t least = pages_in_use(c, count);
    assert_true(least < before);
    assert_true(entry_purge());
    assert_int_equal(resident_pages(g, c), least);
    check_and_free_rest(c, count, next);
}

/* What the program takes from is left alone. */
static void test_the_current_slab_is_not_watched(void **state)
{
    (void)state;
    unsigned c = class_of_size(5000), count;
    char *next;
    uint32_t g = fill_slab(c, &count, &next);
    free_most(c, count);
    assert_int_not_equal(slabs[g].watch.state, WATCH_NONE);
    while (slabs[g].place != PLACE_CURRENT) { /* the current one is used up first */
        take_one(c, 1);
    }
    assert_int_equal(slabs[g].watch.state, WATCH_NONE);
    assert_true(heap_check(heap) && pages_check());
}

/* ---- at random ---- */

static struct {
    char *p;
    unsigned c;
    size_t key;
} model[MODEL_BLOCKS];

static void test_random_operations(void **state)
{
    (void)state;
    uint64_t random = random_seed();
    static const size_t sizes[] = {300, 1500, 4000, 12000};
    for (size_t key = 0; key < OPERATIONS; key++) {
        size_t i = random_below(&random, MODEL_BLOCKS);
        if (model[i].p != NULL) {
            assert_true(memory_holds(model[i].p, class_bytes[model[i].c], model[i].key));
            heap_put(heap, model[i].c, model[i].p);
            model[i].p = NULL;
        } else if (random_below(&random, 8) < (key / 4000 % 2 == 0 ? 7u : 2u)) {
            model[i].c = class_of_size(sizes[random_below(&random, 4)]);
            model[i].key = key;
            model[i].p = take_one(model[i].c, key);
        }
        if (random_below(&random, 64) == 0) {
            heap_purge_pages(heap);
        }
        pages_tick();
        if (key % 64 == 0) {
            assert_true(heap_check(heap) && pages_check());
        }
    }
    for (size_t i = 0; i < MODEL_BLOCKS; i++) {
        if (model[i].p != NULL) {
            assert_true(memory_holds(model[i].p, class_bytes[model[i].c], model[i].key));
            heap_put(heap, model[i].c, model[i].p);
            model[i].p = NULL;
        }
    }
    assert_true(heap_check(heap) && pages_check());
}

static atomic_u32 is_over;

static void *purge_without_end(void *unused)
{
    (void)unused;
    while (u32_load_relaxed(&is_over) == 0) {
        pages_tick();
    }
    return NULL;
}

static pthread_t others[2];

static void start_others(void *(*first)(void *), void *(*second)(void *))
{
    u32_store_relaxed(&is_over, 0);
    assert_int_equal(pthread_create(&others[0], NULL, first, NULL), 0);
    assert_int_equal(pthread_create(&others[1], NULL, second, NULL), 0);
}

static void end_others(void)
{
    u32_store_relaxed(&is_over, 1);
    assert_int_equal(pthread_join(others[0], NULL), 0);
    assert_int_equal(pthread_join(others[1], NULL), 0);
}

static void test_random_operations_while_others_purge(void **state)
{
    start_others(purge_without_end, purge_without_end);
    for (uint32_t start = os_now_ms(); os_now_ms() - start <= 2 * DECAY_MS;) {
        test_random_operations(state);
    }
    end_others();
    assert_true(heap_check(heap) && pages_check());
}

/* ---- freed while it is purged ---- */

static atomic_u32 may_begin;

static void *purge_once(void *unused)
{
    (void)unused;
    while (u32_load_acquire(&may_begin) == 0) {
    }
    pages_purge_all();
    return NULL;
}

/* The upper blocks are freed before the purge and the lower ones during it, or soon after: it has passed
 * them. However that falls out, the next purge of another thread finds them. */
static void test_what_is_freed_during_a_purge_goes_with_the_next(void **state)
{
    (void)state;
    unsigned c = class_of_size(9000), count;
    for (unsigned round = 0; round < ROUNDS; round++) {
        char *next;
        pthread_t thread;
        uint32_t g = fill_slab(c, &count, &next);
        u32_store_relaxed(&may_begin, 0);
        assert_int_equal(pthread_create(&thread, NULL, purge_once, NULL), 0);
        for (unsigned i = count; i-- > count / 2;) {
            heap_put(heap, c, blocks[i]);
        }
        u32_store_release(&may_begin, 1);
        while (u32_load_relaxed(&slabs[g].watch.state) == WATCH_LISTED) {
        }
        for (unsigned i = 0; i < count / 2 - 1; i++) {
            heap_put(heap, c, blocks[i]);
        }
        assert_int_equal(pthread_join(thread, NULL), 0);
        pages_purge_all();
        size_t block_pages = class_bytes[c] / os_page_bytes() + 2;
        assert_in_range(resident_pages(g, c), 1, 2 * block_pages); /* up to half of the rest may stay */
        heap_put(heap, c, blocks[count / 2 - 1]);
        heap_put(heap, c, next);
        heap_release_current(heap, c);
        assert_int_equal(heap->classes[c].slab_count, 0);
    }
}

static void *watch_slab(void *g)
{
    pages_watch(*(uint32_t *)g);
    return NULL;
}

/* The purge ends, and the slab is listed again, while its holder waits for the lock to tell of more. */
static void test_a_slab_is_listed_again_meanwhile(void **state)
{
    (void)state;
    unsigned c = class_of_size(9000), count;
    char *next;
    pthread_t thread;
    uint32_t g = fill_slab(c, &count, &next);
    free_most(c, count);
    assert_int_equal(u32_load_relaxed(&slabs[g].watch.state), WATCH_LISTED);
    slabs[g].watch_at = 0; /* there is more */
    lock_acquire(&watch_lock);
    u32_store_relaxed(&slabs[g].watch.state, WATCH_PURGED_AGAIN);
    assert_int_equal(pthread_create(&thread, NULL, watch_slab, &g), 0);
    while (u32_load_relaxed(&watch_lock.state) != 2) { /* until it waits */
        usleep(100);
    }
    u32_store_relaxed(&slabs[g].watch.state, WATCH_LISTED);
    lock_release(&watch_lock);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(u32_load_relaxed(&slabs[g].watch.state), WATCH_LISTED);
    assert_true(pages_check());
    check_and_free_rest(c, count, next);
}

/* ---- forks ---- */

static void *use_slabs_without_end(void *unused)
{
    (void)unused;
    unsigned c = class_of_size(4000);
    void *mine[FORK_BLOCKS] = {NULL};
    while (u32_load_relaxed(&is_over) == 0) {
        for (unsigned i = 0; i < FORK_BLOCKS; i++) {
            heap_take(heap, c, 1, NULL, &mine[i]);
        }
        for (unsigned i = 0; i < FORK_BLOCKS; i++) {
            heap_put(heap, c, mine[i]);
        }
    }
    return NULL;
}

/* Others watch slabs and leave them alone again meanwhile: a child finds a list that is whole. */
static void test_a_child_finds_a_whole_list(void **state)
{
    (void)state;
    start_others(use_slabs_without_end, purge_without_end);
    for (int i = 0; i < FORKS; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            _exit(pages_check() ? 0 : 1);
        }
        assert_true(child_ended_well(pid));
    }
    end_others();
}

static int start(void **state)
{
    (void)state;
    return unit_start_heap(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_free_pages_decay),
        cmocka_unit_test(test_all_pages_at_once),
        cmocka_unit_test(test_a_purge_reaches_other_heaps),
        cmocka_unit_test(test_random_operations),
        cmocka_unit_test(test_random_operations_while_others_purge),
        cmocka_unit_test(test_what_is_freed_during_a_purge_goes_with_the_next),
        cmocka_unit_test(test_a_slab_is_listed_again_meanwhile),
        cmocka_unit_test(test_a_child_finds_a_whole_list),
        cmocka_unit_test(test_the_current_slab_is_not_watched),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
