/* SPDX-License-Identifier: MIT */
/*
 * Goal: the introspection calls at their edges: numbers that do not fit an int, a stream that takes
 * nothing, a thread that has never allocated, an option that does not exist.
 * Method: a block of 3 GiB that is never touched; /dev/full; a thread that only asks.
 */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "allocator.h"
#include "check.h"
#include "memory.h"

#define HUGE_BYTES ((size_t)3 << 30)

static void mallinfo_does_not_wrap_round(void **state)
{
    void *block = malloc(HUGE_BYTES);
    struct mallinfo2 wide = mallinfo2();
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    struct mallinfo narrow = mallinfo();
#pragma GCC diagnostic pop

    (void)state;
    if (!block)
        skip(); /* a machine with less memory than that, strictly accounted */
    assert_true(wide.hblkhd >= HUGE_BYTES);
    if (allocator_is_hakmem())
        assert_int_equal(narrow.hblkhd, INT_MAX);
    free(block);
}

static void malloc_info_tells_of_a_full_stream(void **state)
{
    FILE *full = fopen("/dev/full", "w");

    (void)state;
    assert_non_null(full);
    setvbuf(full, NULL, _IONBF, 0);
    if (allocator_is_hakmem())
        assert_int_equal(malloc_info(0, full), -1);
    fclose(full);
}

static void malloc_info_refuses_every_option(void **state)
{
    (void)state;
    for (int option = -2; option < 5; option++)
        assert_int_equal(malloc_info(option, stderr), option == 0 ? 0 : EINVAL);
}

static void *only_ask(void *info)
{
    *(struct mallinfo2 *)info = mallinfo2();
    return NULL;
}

static void a_thread_that_never_allocated_may_ask(void **state)
{
    struct mallinfo2 info;
    pthread_t thread;
    char *block = malloc(1000000);

    (void)state;
    assert_non_null(block);
    assert_int_equal(pthread_create(&thread, NULL, only_ask, &info), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(info.uordblks + info.hblkhd >= 1000000);
    free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mallinfo_does_not_wrap_round),
        cmocka_unit_test(malloc_info_tells_of_a_full_stream),
        cmocka_unit_test(malloc_info_refuses_every_option),
        cmocka_unit_test(a_thread_that_never_allocated_may_ask),
    };

    allocator_expect();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
