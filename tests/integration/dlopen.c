/* SPDX-License-Identifier: MIT */
/*
 * Goal: libraries that allocate can be loaded and unloaded any number of times, also with
 * RTLD_DEEPBIND, where the plugin is bound to libc's own malloc and its blocks are foreign to
 * the rest of the program.
 * Method: load, run, exchange blocks, unload, from the main thread and from several threads;
 * the program then frees, measures and moves a foreign block. (A plugin bound to libc must not
 * be handed our blocks: libc's free is out of reach of any other allocator.)
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "allocator.h"
#include "check.h"
#include "memory.h"
#include "plugin.h"

struct plugin {
    void *handle;
    plugin_run_fn *run;
    plugin_take_fn *take;
    plugin_give_fn *give;
};

static const char *plugin_path;

static struct plugin load(int extra_flags)
{
    struct plugin plugin = {.handle = dlopen(plugin_path, RTLD_NOW | RTLD_LOCAL | extra_flags)};

    CHECK(plugin.handle);
    plugin.run = (plugin_run_fn *)dlsym(plugin.handle, "plugin_run");
    plugin.take = (plugin_take_fn *)dlsym(plugin.handle, "plugin_take");
    plugin.give = (plugin_give_fn *)dlsym(plugin.handle, "plugin_give");
    CHECK(plugin.run && plugin.take && plugin.give);
    return plugin;
}

static void use_blocks_of(const struct plugin *plugin)
{
    for (size_t size = 1; size < 3 * MEMORY_MIB; size = size * 3 + 5) {
        char *block = plugin->take(size);

        CHECK(block);
        memory_fill(block, size, size);
        CHECK(memory_holds(block, size, size));
        plugin->give(block);
    }
}

static void *load_and_unload(void *flags)
{
    for (int i = 0; i < 50; i++) {
        struct plugin plugin = load(*(int *)flags);

        plugin.run();
        use_blocks_of(&plugin);
        CHECK(dlclose(plugin.handle) == 0);
    }
    return NULL;
}

static void plugins_can_be_loaded_again_and_again(void **state)
{
    int plain = 0;
    int deep = RTLD_DEEPBIND;

    (void)state;
    load_and_unload(&plain);
    load_and_unload(&deep);
}

static void plugins_can_be_loaded_by_threads(void **state)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    int flags[THREADS] = {0, RTLD_DEEPBIND, 0, RTLD_DEEPBIND};

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, load_and_unload, &flags[i]), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* Bound normally, plugin and program share one heap: blocks pass in both directions. */
static void blocks_pass_between_plugin_and_program(void **state)
{
    struct plugin plugin = load(0);

    (void)state;
    for (size_t size = 1; size < 3 * MEMORY_MIB; size = size * 3 + 5) {
        char *theirs = plugin.take(size);
        char *ours = malloc(size);

        assert_non_null(theirs);
        memory_fill(theirs, size, 1);
        theirs = realloc(theirs, size * 2);
        assert_true(memory_holds(theirs, size, 1));
        free(theirs);
        plugin.give(ours);
    }
    assert_int_equal(dlclose(plugin.handle), 0);
}

static void blocks_stay_valid_after_unloading(void **state)
{
    struct plugin plugin = load(0);
    char *block = plugin.take(5000);

    (void)state;
    assert_non_null(block);
    memory_fill(block, 5000, 4);
    assert_int_equal(dlclose(plugin.handle), 0);
    assert_true(memory_holds(block, 5000, 4));
    free(block);
}

static void foreign_blocks_of_a_deeply_bound_plugin_are_harmless(void **state)
{
    struct plugin plugin = load(RTLD_DEEPBIND);

    (void)state;
    for (size_t size = 1; size < 3 * MEMORY_MIB; size = size * 3 + 5) {
        char *freed = plugin.take(size);
        char *moved = plugin.take(size);

        assert_non_null(freed);
        assert_non_null(moved);
        malloc_usable_size(freed);
        free(freed);
        moved = realloc(moved, size + 50);
        if (moved)
            memset(moved, 3, size + 50);
        free(moved);
    }
    plugin.run();
    assert_int_equal(dlclose(plugin.handle), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plugins_can_be_loaded_again_and_again),
        cmocka_unit_test(plugins_can_be_loaded_by_threads),
        cmocka_unit_test(blocks_pass_between_plugin_and_program),
        cmocka_unit_test(blocks_stay_valid_after_unloading),
        cmocka_unit_test(foreign_blocks_of_a_deeply_bound_plugin_are_harmless),
    };

    allocator_expect();
    CHECK(argc == 2); /* the path of the plugin */
    plugin_path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
