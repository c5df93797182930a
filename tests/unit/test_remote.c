/* SPDX-License-Identifier: MIT */
/*
 * Goal: a block freed on another heap reaches its home exactly once, whatever happens to its slab
 * meanwhile: parcels, single strays, publication, adoption, forwarding.
 * Method: scripted journeys between heaps driven by one thread; a random driver with a shadow
 * model over them; then real threads that exchange blocks.
 */
#include "slab/remote.h"

#include <pthread.h>

#include "crew.h"
#include "hakmem/hakmem.h"
#include "slab/adopt.h"

enum {
    CREW = 4,
    OPERATIONS = 60000,
    MODEL_BLOCKS = 1500,
    ROUNDS_TO_SETTLE = 20,
    THREADS = 4,
    SLOTS = 256,
    THREAD_OPERATIONS = 30000,
};

static struct heap *crew[CREW];

static bool somebody_has_mail(void)
{
    bool has = false;
    for (uint32_t id = HEAP_SHARED_ID; id <= heap_count(); id++) {
        has = has || remote_has_mail(&heaps[id]);
    }
    return has;
}

/* Everything goes home: blocks that were sent after their slab need a few rounds. */
static void settle_all(void)
{
    for (int i = 0; i < ROUNDS_TO_SETTLE; i++) {
        for (int m = 0; m < CREW; m++) {
            cache_give_up(crew[m]);
        }
        adopt_purge();
    }
    assert_false(somebody_has_mail());
}

static void expect_all_home(void)
{
    settle_all();
    assert_int_equal(crew_away(), 0);
    assert_int_equal(crew_slabs(), 0);
    for (uint32_t id = HEAP_SHARED_ID; id <= heap_count(); id++) {
        assert_true(heap_check(&heaps[id]));
    }
}

/* ---- parcels and strays; the first test finds no parcel yet ---- */

static void test_strays_without_parcels(void **state)
{
    (void)state;
    void *p[5];
    unsigned c = class_of_size(64);
    size_t count = parcel_area.count;
    parcel_area.count = 0;
    for (int i = 0; i < 5; i++) {
        p[i] = crew_malloc(crew[0], c);
    }
    for (int i = 0; i < 5; i++) {
        crew_free(crew[1], p[i]);
    }
    assert_true(remote_has_mail(crew[0]));
    assert_null(remote_take(crew[0]));
    void *stray = remote_take_strays(crew[0]);
    for (int i = 4; i >= 0; i--) {
        assert_ptr_equal(stray, p[i]);
        stray = *(void **)stray;
    }
    assert_null(stray);
    for (int i = 0; i < 5; i++) {
        remote_send_single(p[i], map_word_of(p[i])); /* the sixth exists on no heap: any thread */
    }
    cache_drain_mail(crew[0]);
    assert_false(remote_has_mail(crew[0]));
    parcel_area.count = count;
    expect_all_home();
}

static void test_a_full_parcel_is_published(void **state)
{
    (void)state;
    void *p[PARCEL_SLOTS];
    unsigned c = class_of_size(16);
    uint64_t sent = u64_load_relaxed(&crew[1]->remote_sent);
    for (unsigned i = 0; i < PARCEL_SLOTS; i++) {
        p[i] = crew_malloc(crew[0], c);
    }
    for (unsigned i = 0; i < PARCEL_SLOTS; i++) {
        assert_false(remote_has_mail(crew[0]));
        remote_send(crew[1], p[i], map_word_of(p[i]));
    }
    assert_true(remote_has_mail(crew[0]));
    struct parcel *parcel = remote_take(crew[0]);
    assert_null(parcel->next);
    assert_int_equal(parcel->count, PARCEL_SLOTS);
    assert_int_equal(parcel->destination, crew[0]->id);
    assert_memory_equal(parcel->slots, p, sizeof p);
    assert_int_equal(u64_load_relaxed(&crew[1]->remote_sent), sent + PARCEL_SLOTS);
    for (unsigned i = 0; i < PARCEL_SLOTS; i++) {
        crew_free(crew[0], p[i]);
    }
    remote_recycle(crew[0], parcel);
    expect_all_home();
}

static void expect_little_held_back(unsigned c)
{
    unsigned kib = class_bytes[c] >> 10;
    unsigned by_bytes = ((PARCEL_BYTES_MAX >> 10) + kib - 1) / kib;
    unsigned n = by_bytes < PARCEL_SLOTS ? by_bytes : PARCEL_SLOTS;
    for (unsigned i = 0; i < n; i++) {
        assert_false(remote_has_mail(crew[0]));
        crew_free(crew[1], crew_malloc(crew[0], c));
    }
    assert_true(remote_has_mail(crew[0]));
    expect_all_home();
}

static void test_a_parcel_holds_back_little_memory(void **state)
{
    (void)state;
    expect_little_held_back(class_of_size(60000)); /* few or one, the long way */
    expect_little_held_back(class_of_size(BUILD_TINY ? 3000 : 20000)); /* more, the short way */
}

static void test_unfinished_parcels_are_published(void **state)
{
    (void)state;
    crew_free(crew[2], crew_malloc(crew[0], 0));
    crew_free(crew[2], crew_malloc(crew[1], 0));
    remote_publish_all(crew[2]);
    assert_true(remote_has_mail(crew[0]));
    assert_true(remote_has_mail(crew[1]));
    cache_drain_mail(crew[0]);
    cache_drain_mail(crew[1]);
    assert_false(somebody_has_mail());
    expect_all_home();
}

/* crew[0] has taken two parcels and unpacked the one with q, which was sent last and so comes first. */
static void take_two_unpack_one(unsigned first, unsigned second, void **p, void **q)
{
    *p = crew_malloc(crew[0], first);
    *q = crew_malloc(crew[0], second);
    cache_flush_all(crew[0]);
    crew[0]->mail_countdown = 2; /* not yet all of it */
    crew_free(crew[1], *p);
    remote_publish_all(crew[1]);
    crew_free(crew[1], *q);
    remote_publish_all(crew[1]);
    assert_ptr_equal(crew_malloc(crew[0], second), *q);
    assert_null(crew[0]->front.list[first]);
    assert_true(remote_has_mail(crew[0]));
    assert_true(remote_check(crew[0]));
}

/* The child of a fork pools the heap with what it had taken; whoever gets it sees that as mail. */
static void test_taken_mail_survives_a_fork(void **state)
{
    (void)state;
    void *p, *q;
    take_two_unpack_one(class_of_size(100), class_of_size(300), &p, &q);
    for (int m = 0; m < CREW; m++) {
        heap_leave(crew[m]); /* as after every refill: nobody is inside a change */
    }
    heap_reset_after_fork(crew[1]);
    bool found = false;
    for (struct heap *h; (h = heap_take_pooled(0)) != NULL;) {
        found = found || h == crew[0];
    }
    assert_true(found && remote_has_mail(crew[0]));
    assert_ptr_equal(crew_malloc(crew[0], class_of_size(100)), p);
    crew_free(crew[0], p);
    crew_free(crew[0], q);
    expect_all_home();
}

/* A refill unpacks no more than it needs; the rest is still mail. */
static void test_mail_is_unpacked_as_needed(void **state)
{
    (void)state;
    unsigned first = class_of_size(100);
    unsigned second = class_of_size(300);
    void *p, *q;
    take_two_unpack_one(first, second, &p, &q);
    assert_ptr_equal(crew_malloc(crew[0], first), p);
    assert_false(remote_has_mail(crew[0]));
    crew_free(crew[0], p);
    crew_free(crew[0], q);
    expect_all_home();
}

/* As many blocks come as are used, one at a time, behind a backlog of many: it must not stay for ever. */
static void test_a_backlog_is_unpacked(void **state)
{
    (void)state;
    enum { BACKLOG = 3000, TRAFFIC = 4 * MAIL_DRAIN_EVERY };
    static void *p[BACKLOG];
    unsigned c = class_of_size(1000);
    for (unsigned i = 0; i < BACKLOG; i++) {
        p[i] = crew_malloc(crew[0], c);
    }
    for (unsigned i = 0; i < BACKLOG; i++) {
        crew_free(crew[1], p[i]);
    }
    for (unsigned i = 0; i < TRAFFIC; i++) {
        for (unsigned n = 0; n < PARCEL_SLOTS; n++) {
            p[n] = crew_malloc(crew[0], c);
        }
        for (unsigned n = 0; n < PARCEL_SLOTS; n++) {
            crew_free(crew[1], p[n]);
        }
    }
    assert_true(crew_away() < BACKLOG / 2);
    expect_all_home();
}

/* A heap that collects in the same place of an outbox as crew[0]; the others met on the way to it
 * stay out of the pool, which costs nothing. */
static struct heap *heap_like_the_first(void)
{
    for (int m = 1; m < CREW; m++) {
        if (crew[m]->id % OUTBOX_COUNT == crew[0]->id % OUTBOX_COUNT) {
            return crew[m]; /* in the tiny build */
        }
    }
    struct heap *h = heap_acquire();
    while (h != NULL && h->id % OUTBOX_COUNT != crew[0]->id % OUTBOX_COUNT) {
        h = heap_acquire();
    }
    return h;
}

static void test_two_destinations_in_one_place(void **state)
{
    (void)state;
    struct heap *other = heap_like_the_first();
    assert_non_null(other);
    void *a = crew_malloc(crew[0], 0);
    void *b = crew_malloc(other, 0);
    crew_free(crew[1], a);
    assert_false(remote_has_mail(crew[0]));
    crew_free(crew[1], b);
    assert_true(remote_has_mail(crew[0])); /* the first had to go */
    assert_false(remote_has_mail(other));
    remote_publish_all(crew[1]);
    assert_true(remote_has_mail(other));
    cache_drain_mail(crew[0]);
    cache_give_up(other);
    expect_all_home();
}

/* ---- publication and adoption ---- */

/* A partial slab of crew[0] with two live blocks in it. */
static uint32_t partial_slab(unsigned c, void *live[2])
{
    live[0] = crew_malloc(crew[0], c);
    live[1] = crew_malloc(crew[0], c);
    cache_flush_all(crew[0]);
    heap_release_current(crew[0], c);
    uint32_t g = slab_of(live[0], c);
    assert_int_equal(slab_of(live[1], c), g);
    assert_int_equal(slabs[g].place, PLACE_PARTIAL);
    return g;
}

static void test_an_adopted_slab_brings_its_frees(void **state)
{
    (void)state;
    void *live[2];
    unsigned c = class_of_size(200);
    uint32_t g = partial_slab(c, live);
    adopt_publish(crew[0], g);
    assert_int_equal(WORD_OWNER(map_word(g)), HEAP_SHARED_ID);
    assert_int_equal(crew[0]->classes[c].slab_count, 0);
    assert_true(adopt_take(crew[1], c));
    assert_int_equal(WORD_OWNER(map_word(g)), crew[1]->id);
    assert_false(adopt_take(crew[2], c)); /* there was one */
    crew_free(crew[0], live[0]);
    remote_publish_all(crew[0]);
    assert_true(remote_has_mail(crew[1]));
    cache_drain_mail(crew[1]);
    crew_free(crew[1], live[1]);
    expect_all_home();
}

/* On its way to crew[0] while the slab goes to the shared heap and on to crew[2]. */
static void test_blocks_follow_their_slab(void **state)
{
    (void)state;
    void *live[2];
    unsigned c = class_of_size(200);
    uint32_t g = partial_slab(c, live);
    crew_free(crew[1], live[0]);
    remote_publish_all(crew[1]);
    adopt_publish(crew[0], g);
    cache_drain_mail(crew[0]); /* forwards to the shared heap */
    remote_publish_all(crew[0]);
    assert_true(remote_has_mail(&heaps[HEAP_SHARED_ID]));
    crew_free(crew[3], live[1]);
    assert_true(adopt_take(crew[2], c));
    assert_int_equal(slabs[g].free_count, slabs[g].capacity - 1);
    remote_publish_all(crew[3]); /* addressed to the shared heap, which has it no more */
    adopt_purge();
    assert_true(remote_has_mail(crew[2]));
    expect_all_home();
}

static void test_the_shared_heap_serves_those_without(void **state)
{
    (void)state;
    unsigned c = class_of_size(500);
    void *p[20];
    for (int i = 0; i < 20; i++) {
        p[i] = adopt_malloc(c);
        assert_non_null(p[i]);
        assert_int_equal(WORD_OWNER(map_word_of(p[i])), HEAP_SHARED_ID);
        assert_true(map_word_of(p[i]) & CODE_CLOSED);
        for (int j = 0; j < i; j++) {
            assert_ptr_not_equal(p[i], p[j]);
        }
    }
    for (int i = 0; i < 20; i++) {
        remote_send_single(p[i], map_word_of(p[i]));
    }
    adopt_purge();
    assert_int_equal(crew_away(), 0);
    heap_release_current(&heaps[HEAP_SHARED_ID], c);
    expect_all_home();
}

/* ---- random operations with a shadow model ---- */

static const size_t sizes[] = {16, 64, 250, 1000, 2100, 5000, 30000};

static struct {
    unsigned char *p;
    size_t bytes;
    size_t key;
} model[MODEL_BLOCKS];
static size_t model_count;
static size_t next_key;

static void random_malloc(uint64_t *random)
{
    unsigned c = class_of_size(sizes[random_below(random, sizeof sizes / sizeof *sizes)]);
    void *p = crew_malloc(crew[random_below(random, CREW)], c);
    assert_non_null(p);
    assert_int_equal(map_word_of(p) & CODE_CLASS_MASK, c);
    model[model_count].p = p;
    model[model_count].bytes = class_bytes[c] < 256 ? class_bytes[c] : 256;
    model[model_count].key = ++next_key;
    memory_fill(p, model[model_count].bytes, next_key); /* a block in two hands loses its bytes */
    model_count++;
}

static void random_free(uint64_t *random)
{
    size_t i = random_below(random, model_count);
    assert_true(memory_holds(model[i].p, model[i].bytes, model[i].key));
    crew_free(crew[random_below(random, CREW)], model[i].p);
    model[i] = model[--model_count];
}

/* What threads do now and then. */
static void random_rarity(uint64_t *random)
{
    struct heap *h = crew[random_below(random, CREW)];
    switch (random_below(random, 6)) {
    case 0:
        cache_give_up(h);
        break;
    case 1:
        cache_flush_all(h);
        break;
    case 2:
        adopt_purge();
        break;
    case 3:
        remote_publish_all(h);
        break;
    default:
        cache_drain_mail(h);
    }
}

static void check_all_heaps(void)
{
    for (uint32_t id = HEAP_SHARED_ID; id <= heap_count(); id++) {
        assert_true(heap_check(&heaps[id]));
    }
}

static void test_random_operations(void **state)
{
    (void)state;
    uint64_t random = random_seed();
    uint64_t sent = 0;
    uint64_t adopted = 0;
    for (int i = 0; i < OPERATIONS; i++) {
        size_t likely_out = i / 5000 % 2 == 0 ? 60 : 40;
        if (random_below(&random, 100) == 0) {
            random_rarity(&random);
        }
        bool out = random_below(&random, 100) < likely_out;
        if (model_count == 0 || (out && model_count < MODEL_BLOCKS)) {
            random_malloc(&random);
        } else {
            random_free(&random);
        }
        if (i % 100 == 0) {
            check_all_heaps();
        }
    }
    for (int m = 0; m < CREW; m++) {
        sent += u64_load_relaxed(&crew[m]->remote_sent);
        for (unsigned c = 0; c < CLASS_COUNT; c++) {
            adopted += u64_load_relaxed(&crew[m]->classes[c].adopted);
        }
    }
    assert_true(sent > 0 && adopted > 0); /* the journeys happened */
    settle_all();
    assert_int_equal(crew_away(), model_count); /* live blocks, no more and no fewer */
    while (model_count != 0) {
        random_free(&random);
    }
    expect_all_home();
}

/* ---- threads ---- */

static atomic_ptr slots[SLOTS];

static void *take_slot(atomic_ptr *slot)
{
    return ptr_swap_acquire(slot, NULL);
}

static void check_and_free(size_t *block)
{
    if (block != NULL) {
        CHECK(memory_holds(block + 1, *block - sizeof *block, *block));
        hak_free(block);
    }
}

static size_t *make_block(uint64_t *random)
{
    size_t bytes = sizeof(size_t) + sizes[random_below(random, sizeof sizes / sizeof *sizes)];
    size_t *block = hak_malloc(bytes);
    CHECK(block != NULL);
    *block = bytes;
    memory_fill(block + 1, bytes - sizeof *block, bytes);
    return block;
}

static void *exchange_blocks(void *seed)
{
    uint64_t random = (uint64_t)(uintptr_t)seed;
    for (int i = 0; i < THREAD_OPERATIONS; i++) {
        atomic_ptr *slot = &slots[random_below(&random, SLOTS)];
        check_and_free(take_slot(slot));
        void *block = make_block(&random);
        void *empty = NULL;
        if (!ptr_cas_release(slot, &empty, block)) {
            check_and_free(block);
        }
        if (i % 8192 == 0) {
            hak_purge();
        }
    }
    return NULL;
}

static void run_threads(uint64_t *random)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        void *seed = (void *)(uintptr_t)random_next(random);
        assert_int_equal(pthread_create(&threads[i], NULL, exchange_blocks, seed), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

static void test_threads_exchange_blocks(void **state)
{
    (void)state;
    uint64_t random = random_seed();
    for (int m = 0; m < CREW; m++) {
        heap_pool(crew[m]); /* for the threads */
    }
    run_threads(&random);
    run_threads(&random); /* other threads, the same heaps */
    for (int i = 0; i < SLOTS; i++) {
        check_and_free(take_slot(&slots[i]));
    }
    for (int i = 0; i < ROUNDS_TO_SETTLE; i++) {
        hak_purge();
    }
    assert_true(hak_check());
    assert_int_equal(crew_away(), 0);
}

static int start(void **state)
{
    int failed = unit_start(state);
    for (int m = 0; m < CREW && !failed; m++) {
        crew[m] = heap_acquire();
        failed = crew[m] == NULL ? -1 : 0;
    }
    return failed;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strays_without_parcels),
        cmocka_unit_test(test_a_full_parcel_is_published),
        cmocka_unit_test(test_a_parcel_holds_back_little_memory),
        cmocka_unit_test(test_unfinished_parcels_are_published),
        cmocka_unit_test(test_mail_is_unpacked_as_needed),
        cmocka_unit_test(test_taken_mail_survives_a_fork),
        cmocka_unit_test(test_a_backlog_is_unpacked),
        cmocka_unit_test(test_two_destinations_in_one_place),
        cmocka_unit_test(test_an_adopted_slab_brings_its_frees),
        cmocka_unit_test(test_blocks_follow_their_slab),
        cmocka_unit_test(test_the_shared_heap_serves_those_without),
        cmocka_unit_test(test_random_operations),
        cmocka_unit_test(test_threads_exchange_blocks),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
