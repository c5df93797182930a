/* SPDX-License-Identifier: MIT */
/*
 * Goal: every door to what a lock guards waits while another thread holds that lock, fork included;
 * the doors that may only try go away empty-handed.
 * Method: the test holds a lock; a thread comes to the door; either it goes to sleep on the lock, as
 * it must, or it gets through, which is the failure. Nothing depends on timing.
 */
#include <pthread.h>
#include <sys/wait.h>

#include "crew.h"
#include "map/run.h"
#include "os/os.h"
#include "run/fork.h"
#include "slab/adopt.h"
#include "slab/pages.h"
#include "slab/remote.h"

/* Made before a lock is taken; each door uses what it needs. */
static struct {
    struct heap *heap, *other;
    struct parcel *parcels[PARCELS_SPARE_MAX + 2];
    void *block; /* of heap */
    uint32_t run, slab;
} things;

/* ---- the doors ---- */

static void go_shared_malloc(void)
{
    CHECK(adopt_malloc(class_of_size(100)) != NULL);
}

static void go_shared_purge(void)
{
    adopt_purge();
}

static void go_pool(void)
{
    heap_pool(things.other);
    CHECK(heap_take_pooled(0) == things.other);
}

static void go_take_pooled(void)
{
    CHECK(heap_take_pooled(0) == NULL);
}

static void go_take_all_pooled(void)
{
    CHECK(heap_take_all_pooled() == NULL);
}

static void go_super_alloc(void)
{
    bool touched;
    CHECK(super_alloc(1, false, &touched) != RUN_NONE);
}

static void go_super_free(void)
{
    super_free(things.slab, 1);
}

static void go_super_purge(void)
{
    super_purge();
}

static void go_super_measure(void)
{
    struct super_totals t = super_measure();
    CHECK(t.free_granules > 0 && t.superslabs > 0 && super_check());
}

static void go_run_alloc(void)
{
    CHECK(run_alloc(3, 1) != RUN_NONE);
}

static void go_run_free(void)
{
    run_free(things.run);
}

static void go_run_extend(void)
{
    CHECK(run_extend(things.run, 9));
}

static void go_run_shrink(void)
{
    run_shrink(things.run, 2);
}

static void go_run_purge(void)
{
    run_purge_all();
}

static void go_run_measure(void)
{
    CHECK(run_measure().used_granules > 0 && run_check());
}

static void go_get_parcel(void)
{
    remote_send(things.other, things.block, map_word_of(things.block));
}

static void go_recycle_parcels(void)
{
    for (unsigned i = 0; i < PARCELS_SPARE_MAX + 2; i++) {
        remote_recycle(things.other, things.parcels[i]);
    }
}

static void go_fork(void)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        _exit(0);
    }
    CHECK(child_ended_well(pid));
}

static const struct {
    const char *name;
    struct lock *lock;
    void (*go)(void);
} doors[] = {
    {"adopt_malloc", &shared_heap_lock, go_shared_malloc},
    {"adopt_purge", &shared_heap_lock, go_shared_purge},
    {"heap_pool", &heap_pool_lock, go_pool},
    {"heap_take_pooled", &heap_pool_lock, go_take_pooled},
    {"heap_take_all_pooled", &heap_pool_lock, go_take_all_pooled},
    {"super_alloc", &super_lock, go_super_alloc},
    {"super_free", &super_lock, go_super_free},
    {"super_purge", &super_lock, go_super_purge},
    {"super_measure", &super_lock, go_super_measure},
    {"run_alloc", &run_lock, go_run_alloc},
    {"run_free", &run_lock, go_run_free},
    {"run_extend", &run_lock, go_run_extend},
    {"run_shrink", &run_lock, go_run_shrink},
    {"run_purge_all", &run_lock, go_run_purge},
    {"run_measure", &run_lock, go_run_measure},
    {"parcels out", &parcel_lock, go_get_parcel},
    {"parcels back", &parcel_lock, go_recycle_parcels},
    {"fork, shared heap", &shared_heap_lock, go_fork},
    {"fork, pool", &heap_pool_lock, go_fork},
    {"fork, pages", &pages_lock, go_fork},
    {"fork, watch", &watch_lock, go_fork},
    {"fork, super", &super_lock, go_fork},
    {"fork, runs", &run_lock, go_fork},
    {"fork, parcels", &parcel_lock, go_fork},
};

/* ---- at a door ---- */

static atomic_u32 is_through;

static void *go_through(void *go)
{
    (*(void (*const *)(void))go)();
    u32_store_relaxed(&is_through, 1);
    return NULL;
}

static bool waits_at(struct lock *l, void (*const *go)(void))
{
    pthread_t thread;
    u32_store_relaxed(&is_through, 0);
    lock_acquire(l);
    CHECK(pthread_create(&thread, NULL, go_through, (void *)(uintptr_t)go) == 0);
    while (u32_load_relaxed(&l->state) != 2 && u32_load_relaxed(&is_through) == 0) {
        os_yield();
    }
    bool waits = u32_load_relaxed(&is_through) == 0;
    lock_release(l);
    CHECK(pthread_join(thread, NULL) == 0);
    return waits;
}

static void prepare(void)
{
    bool touched;
    unsigned c = class_of_size(100);
    things.heap = heap_acquire();
    things.other = heap_acquire();
    CHECK(things.heap != NULL && things.other != NULL);
    things.block = crew_malloc(things.heap, c);
    things.run = run_alloc(5, 1);
    things.slab = super_alloc(1, false, &touched);
    CHECK(super_alloc(1, false, &touched) != RUN_NONE); /* or the superslab would go */
    for (unsigned i = 0; i < PARCELS_SPARE_MAX + 2; i++) { /* as they come in the mail */
        void *p = crew_malloc(things.heap, c);
        remote_send(things.other, p, map_word_of(p));
        remote_publish_all(things.other);
        things.parcels[i] = remote_take(things.heap);
        CHECK(things.parcels[i] != NULL);
    }
    while (things.other->spare != NULL) { /* the next one must come from the pool, or be cut */
        struct parcel *p = things.other->spare;
        things.other->spare = p->next;
        things.other->spare_count--;
    }
}

static void stand_at_door(void *door)
{
    size_t i = *(const size_t *)door;
    prepare();
    if (!waits_at(doors[i].lock, &doors[i].go)) {
        dprintf(STDERR_FILENO, "%s does not wait for its lock\n", doors[i].name);
        _exit(1);
    }
}

static void test_every_door_waits(void **state)
{
    (void)state;
    if (UNIT_HAS_TSAN) {
        skip(); /* it cannot follow threads of a forked child; here it has nothing to add */
    }
    for (size_t i = 0; i < sizeof doors / sizeof *doors; i++) {
        unit_child(stand_at_door, &i);
    }
}

/* ---- doors that only try ---- */

static void try_doors(void *unused)
{
    (void)unused;
    unsigned c = class_of_size(100);
    prepare();
    cache_flush_all(things.heap);
    heap_release_current(things.heap, c);
    adopt_publish(things.heap, slab_of(things.block, c));
    lock_acquire(&shared_heap_lock);
    CHECK(!adopt_take(things.other, c));
    adopt_tend();
    CHECK(WORD_OWNER(map_word_of(things.block)) == HEAP_SHARED_ID);
    CHECK(heaps[HEAP_SHARED_ID].classes[c].slab_count == 0); /* still in the inbox */
    lock_release(&shared_heap_lock);
    CHECK(adopt_take(things.other, c));
    lock_acquire(&run_lock);
    run_tick(); /* returns */
    lock_release(&run_lock);
}

static void test_doors_that_try_go_away(void **state)
{
    (void)state;
    unit_child(try_doors, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_door_waits),
        cmocka_unit_test(test_doors_that_try_go_away),
    };
    return cmocka_run_group_tests(tests, unit_start, NULL);
}
