/* SPDX-License-Identifier: MIT */
/*
 * Goal: libraries that allocate may be loaded and unloaded by several threads at once, while others
 * allocate; what they allocated outlives them, and nothing grows.
 * Method: threads open one of several copies of a plugin, which allocates in its constructor, in a
 * thread of its own with thread-local data and in its destructor, leave blocks that it made on a
 * shelf, and close it; others free those blocks, when the plugin may long be gone. The resident
 * size is compared between the first part of the storm and the last.
 *
 *   plugin_storm PLUGIN [ROUNDS]
 */
#include <malloc.h>
#include <pthread.h>

#include "../integration/plugin.h"
#include "allocator.h"
#include "copies.h"
#include "shelf.h"

enum { LOADERS = 3, ALLOCATORS = 2, TAKEN = 20, PARTS = 4, GROWTH_BYTES = 2 * MEMORY_MIB };

static shelf_place shelf[SHELF_PLACES];
static struct copy copies[COPIES];
static atomic_bool must_stop;
static long rounds;

static void leave_block(plugin_take_fn *take, uint64_t *random)
{
    size_t bytes = sizeof(size_t) + random_size(random, 16);
    size_t *block = take(bytes);
    CHECK(block != NULL);
    *block = bytes;
    memory_fill(block + 1, bytes - sizeof *block, bytes);
    shelf_free(atomic_exchange(&shelf[random_below(random, SHELF_PLACES)], block));
}

static void use_plugin(uint64_t *random)
{
    void *handle = copies_open(&copies[random_below(random, COPIES)]);
    plugin_run_fn *run = (plugin_run_fn *)dlsym(handle, "plugin_run");
    plugin_take_fn *take = (plugin_take_fn *)dlsym(handle, "plugin_take");
    CHECK(run != NULL && take != NULL);
    run();
    for (int i = 0; i < TAKEN; i++) {
        leave_block(take, random);
    }
    CHECK(dlclose(handle) == 0);
}

static void *load_and_unload(void *random)
{
    for (long i = 0; i < rounds; i++) {
        use_plugin(random);
    }
    return NULL;
}

static void *allocate_until_stop(void *random)
{
    while (!atomic_load(&must_stop)) {
        shelf_step(shelf, random);
    }
    return NULL;
}

static size_t run_part(uint64_t *random)
{
    pthread_t threads[LOADERS + ALLOCATORS];
    uint64_t seeds[LOADERS + ALLOCATORS];
    atomic_store(&must_stop, false);
    for (int i = 0; i < LOADERS + ALLOCATORS; i++) {
        seeds[i] = random_next(random);
        CHECK(pthread_create(&threads[i], NULL,
                             i < LOADERS ? load_and_unload : allocate_until_stop, &seeds[i]) == 0);
    }
    for (int i = 0; i < LOADERS + ALLOCATORS; i++) {
        atomic_store(&must_stop, i >= LOADERS);
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    shelf_clear(shelf);
    malloc_trim(0);
    return memory_rss_bytes();
}

int main(int argc, char **argv)
{
    allocator_expect();
    CHECK(argc >= 2);
    rounds = argc > 2 ? atol(argv[2]) : 100;
    copies_make(copies, argv[1]);
    uint64_t random = random_seed();
    size_t base = run_part(&random);
    size_t last = base;
    for (int i = 1; i < PARTS; i++) {
        last = run_part(&random);
    }
    printf("plugin_storm: %ld loads; resident %zu KiB after the first part, %zu KiB at the end\n",
           PARTS * LOADERS * rounds, base / MEMORY_KIB, last / MEMORY_KIB);
    fflush(stdout);
    CHECK(last <= base + GROWTH_BYTES);
    return 0;
}
