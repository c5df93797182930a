/* SPDX-License-Identifier: MIT */
/*
 * Goal: a pointer that no hakmem call returned never brings the process down in the default
 * mode, is never handed out afterwards, and the memory behind it stays as it was.
 * Method: pointers of every origin (blocks of ld.so's early malloc, pages from mmap, unmapped
 * pages, the stack, static data, code, non-canonical and kernel addresses) go through free,
 * realloc, malloc_usable_size and the sized frees, each in a child of its own, which then
 * goes on allocating. glibc aborts here by design, so the test is skipped on it.
 */
#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "allocator.h"
#include "check.h"
#include "child.h"
#include "memory.h"

enum { MAPPED_BYTES = 4 * MEMORY_MIB, NEW_BLOCKS = 4000 };

typedef void use_fn(void *);

static char static_bytes[4096];

/* Called through pointers, so that the compiler does not see what is freed. */
static void (*volatile free_unseen)(void *) = free;
static void *(*volatile realloc_unseen)(void *, size_t) = realloc;

static void use_free(void *pointer)
{
    free_unseen(pointer);
    free_unseen(pointer);
}

static void use_realloc(void *pointer)
{
    char *block = realloc_unseen(pointer, 1000);

    if (block)
        memset(block, 1, 1000);
}

static void use_realloc_to_zero(void *pointer)
{
    CHECK(realloc_unseen(pointer, 0) == NULL);
}

static void use_usable_size(void *pointer)
{
    volatile size_t bytes = malloc_usable_size(pointer);

    (void)bytes;
}

static void use_free_sized(void *pointer)
{
    void (*free_sized)(void *, size_t) =
        (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");

    CHECK(free_sized);
    free_sized(pointer, 100);
    free_sized(pointer, 5 * MEMORY_MIB);
}

static void use_free_aligned_sized(void *pointer)
{
    void (*free_aligned_sized)(void *, size_t, size_t) =
        (void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");

    CHECK(free_aligned_sized);
    free_aligned_sized(pointer, 64, 100);
}

static void *free_in_new_thread(void *pointer)
{
    free_unseen(pointer);
    return NULL;
}

/* The first thing the thread does with the allocator. */
static void use_in_new_thread(void *pointer)
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, free_in_new_thread, pointer) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static use_fn *const uses[] = {
    use_free,       use_realloc,            use_realloc_to_zero, use_usable_size,
    use_free_sized, use_free_aligned_sized, use_in_new_thread,
};

/* Later blocks must not overlap the foreign address, and must not overlap each other. */
static void go_on_allocating(const void *pointer)
{
    static char *blocks[NEW_BLOCKS];

    for (size_t i = 0; i < NEW_BLOCKS; i++) {
        size_t bytes = i % 100 == 0 ? 100000 : 1 + i % 500;

        blocks[i] = malloc(bytes);
        CHECK(blocks[i]);
        CHECK((uintptr_t)pointer < (uintptr_t)blocks[i] ||
              (uintptr_t)pointer >= (uintptr_t)blocks[i] + bytes);
        memory_fill(blocks[i], bytes, i);
    }
    for (size_t i = 0; i < NEW_BLOCKS; i++) {
        CHECK(memory_holds(blocks[i], i % 100 == 0 ? 100000 : 1 + i % 500, i));
        free(blocks[i]);
    }
}

static _Noreturn void use_in_child(use_fn *use, void *pointer, const void *kept, size_t kept_bytes)
{
    static char copy[4096];

    child_begin();
    if (kept)
        memcpy(copy, kept, kept_bytes);
    use(pointer);
    if (kept)
        CHECK(memcmp(copy, kept, kept_bytes) == 0);
    go_on_allocating(pointer);
    _exit(0);
}

/* `kept`: up to 4096 bytes that no call may change, or NULL. Tries all calls before failing. */
static void assert_harmless(const char *origin, void *pointer, const void *kept, size_t kept_bytes)
{
    int failures = 0;

    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0)
            use_in_child(uses[i], pointer, kept, kept_bytes);
        if (child_ended_well(pid))
            continue;
        print_error("%s: pointer %p, use number %zu\n", origin, pointer, i);
        failures++;
    }
    assert_int_equal(failures, 0);
}

/* ld.so allocates its list of loaded objects before any other malloc exists. */
static void blocks_of_the_dynamic_linker(void **state)
{
    struct link_map *map = NULL;
    int count = 0;

    (void)state;
    assert_int_equal(dlinfo(dlopen(NULL, RTLD_NOW), RTLD_DI_LINKMAP, &map), 0);
    for (; map; map = map->l_next, count++)
        assert_harmless("link map", map, map, sizeof *map);
    assert_true(count >= 3);
}

static void pages_from_mmap(void **state)
{
    static const size_t offsets[] = {0, 16, 64, 4096, 65536, 2 * MEMORY_MIB, MAPPED_BYTES - 16};
    char *pages = mmap(NULL, MAPPED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);

    (void)state;
    assert_ptr_not_equal(pages, MAP_FAILED);
    memset(pages, 0x55, MAPPED_BYTES);
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
        assert_harmless("mapped page", pages + offsets[i], pages + offsets[i], 16);
    assert_int_equal(mprotect(pages, MAPPED_BYTES, PROT_NONE), 0);
    assert_harmless("protected page", pages + 4096, NULL, 0);
    assert_int_equal(munmap(pages, MAPPED_BYTES), 0);
    assert_harmless("unmapped page", pages + 4096, NULL, 0);
}

static void stack_data_and_code(void **state)
{
    _Alignas(16) char on_stack[256];

    (void)state;
    memset(on_stack, 1, sizeof on_stack);
    assert_harmless("stack", on_stack, on_stack, sizeof on_stack);
    assert_harmless("stack, odd", on_stack + 3, on_stack, sizeof on_stack);
    assert_harmless("static data", static_bytes + 64, static_bytes, sizeof static_bytes);
    assert_harmless("string", (void *)(uintptr_t) "some text", NULL, 0);
    assert_harmless("code", (void *)(uintptr_t)go_on_allocating, NULL, 0);
    assert_harmless("allocator's code", (void *)(uintptr_t)free_unseen, NULL, 0);
}

static void addresses_that_are_none(void **state)
{
    static const uintptr_t addresses[] = {
        1, 8, 16, 4096, 65536, (uintptr_t)1 << 32,
        ((uintptr_t)1 << 47) - 16, (uintptr_t)1 << 47, (uintptr_t)1 << 56, (uintptr_t)1 << 63,
        (uintptr_t)0xffff800000001000, UINTPTR_MAX - 4095, UINTPTR_MAX - 15, UINTPTR_MAX,
    };

    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
        assert_harmless("address", (void *)addresses[i], NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_the_dynamic_linker),
        cmocka_unit_test(pages_from_mmap),
        cmocka_unit_test(stack_data_and_code),
        cmocka_unit_test(addresses_that_are_none),
    };

    allocator_expect();
    if (!allocator_is_hakmem())
        return ALLOCATOR_TEST_SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
