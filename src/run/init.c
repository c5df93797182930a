/* SPDX-License-Identifier: MIT */
#include "run/init.h"

#include "base/sizeclass.h"
#include "os/os.h"
#include "run/config.h"
#include "run/fork.h"
#include "run/thread.h"
#include "slab/remote.h"

enum { AREA_COUNT = 6 };

static struct lock init_lock;
static atomic_u32 ready;          /* [MO-INIT] */
static bool configured;           /* under the lock */

static void set_route(uint64_t route)
{
    unsigned mid = class_of_size(SMALL_BYTES_MAX) + 1;
    heap_set_cached_classes(route == ROUTE_POOL_ONLY ? mid : 0,
                            route == ROUTE_TINY_ONLY ? mid : CLASS_COUNT);
}

static void configure(void)
{
    if (configured || !config_load()) {
        return;
    }
    configured = true;
    os_start(); /* not with the first allocation: by then, a sandbox may kill whoever opens a file */
    run_set_limit(os_memory_limit());
    set_route(setting_get(SETTING_route));
    os_fail_every((uint32_t)setting_get(SETTING_test_fail));
    if (setting_get(SETTING_help)) {
        config_print_help();
    }
    if (setting_get(SETTING_verbose)) {
        config_print_banner();
    }
}

/* Fixed tables shrink with a limited address space: a sixty-fourth for heaps, less for parcels. */
static void fit_tables(size_t limit)
{
    size_t heaps_fit = limit / 64 / sizeof(struct heap);
    size_t parcels_fit = limit / 256 / sizeof(struct parcel);
    if (heaps_fit < heap_area.count) {
        heap_area.count = heaps_fit > 8 ? heaps_fit : 8;
    }
    if (parcels_fit < parcel_area.count) {
        parcel_area.count = parcels_fit;
    }
}

static bool start(void)
{
    size_t limit = os_address_limit();
    static struct map_area *const all[AREA_COUNT] = {&run_areas[0], &run_areas[1], &slab_area,
                              &super_area,   &heap_area,    &parcel_area};
    if (map_granules == 0) {
        fit_tables(limit);
        if (!map_init(all, AREA_COUNT, limit)) {
            return false;
        }
        run_init();
    }
    configure();
    set_route(configured ? setting_get(SETTING_route) : ROUTE_TINY_FIRST);
    return heap_init();
}

bool init_once(void)
{
    if (likely(u32_load_acquire(&ready) != 0)) { /* [MO-INIT] */
        return true;
    }
    lock_acquire(&init_lock);
    bool first = u32_load_relaxed(&ready) == 0; /* relaxed: under the lock */
    bool done = !first || start();
    if (first && done) {
        thread_init();
        u32_store_release(&ready, 1); /* [MO-INIT] */
    }
    lock_release(&init_lock);
    if (first && done) {
        fork_init(); /* may allocate */
    }
    return done;
}

/* True where malloc is replaced (libc/override.c): then starting a thread allocates, so the map can
 * wait for the first allocation, and a program without one pays nothing. Otherwise the map must be
 * there before a second thread may look up an address. */
__attribute__((weak)) const bool init_can_wait = false;

/* Sees to it that the banner comes even if the program never allocates, and that settings are read
 * if the first allocation came before the environment was there. */
__attribute__((constructor(101))) static void init_constructor(void)
{
    const bool *can_wait = &init_can_wait;
    compiler_opaque(can_wait); /* another file decides */
    if (!*can_wait) {
        init_once();
    }
    lock_acquire(&init_lock);
    configure();
    lock_release(&init_lock);
    fork_init(); /* early: handlers registered before ours run while our locks are held */
}
