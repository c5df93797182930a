/* SPDX-License-Identifier: MIT */
/*
 * Goal: what POSIX.1-2024 adds to ISO C for each allocation function: ENOMEM, errno kept by free,
 * posix_memalign, zero sizes of realloc, and blocks that other functions return. The clauses about
 * threads, signals and fork are in posix_threads.c; docs/conformance.md says which is which.
 * Method: every clause is asked of every function that allocates. Memory really runs out, in a
 * process of its own whose limit is set before it starts.
 */
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <cmocka.h>

#include "allocator.h"
#include "check.h"
#include "child.h"
#include "conform.h"
#include "memory.h"

/* Called through a pointer the compiler cannot see through: a failed call leaves the block. */
static void *(*volatile failing_realloc)(void *, size_t) = realloc;
static void *(*volatile failing_reallocarray)(void *, size_t, size_t) = reallocarray;

/* ---- memory runs out ---- */

enum { LIMIT_BYTES = 96 * MEMORY_MIB, TOO_MUCH_BYTES = LIMIT_BYTES };

struct link {
    struct link *next;
    char bytes[];
};

/* All that can be had, in blocks of one kind; the first failure says ENOMEM. */
static struct link *exhaust(const struct way *way, size_t block_bytes)
{
    struct link *list = NULL;
    size_t sum = 0;

    for (;; sum += block_bytes) {
        struct link *block;

        errno = 0;
        block = way->allocate(block_bytes);
        if (!block)
            break;
        if (way->zeroes)
            CHECK(memory_is_zero(block, block_bytes));
        memory_fill(block->bytes, block_bytes - sizeof *block, block_bytes);
        block->next = list;
        list = block;
    }
    CHECK(errno == ENOMEM);
    CHECK(sum >= MEMORY_MIB / 2);
    return list;
}

static void check_failed_growth_keeps(struct link *block, size_t block_bytes)
{
    struct link *next = block->next;

    errno = 0;
    CHECK(failing_realloc(block, TOO_MUCH_BYTES) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(failing_reallocarray(block, TOO_MUCH_BYTES / 16, 16) == NULL && errno == ENOMEM);
    CHECK(block->next == next);
    CHECK(memory_holds(block->bytes, block_bytes - sizeof *block, block_bytes));
}

static int run_exhausted(void)
{
    static const size_t sizes[] = {200, 20000};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t w = 0; w < conform_way_count; w++) {
            struct link *list = exhaust(&conform_ways[w], sizes[i]);

            check_failed_growth_keeps(list, sizes[i]);
            while (list) {
                struct link *next = list->next;

                CHECK(memory_holds(list->bytes, sizes[i] - sizeof *list, sizes[i]));
                free(list);
                list = next;
            }
        }
    }
    return 0;
}

static void every_function_says_ENOMEM_and_spoils_nothing(void **state)
{
    static struct child_result result;
    const char *const argv[] = {"posix", "exhausted", NULL};
    size_t limit_bytes = LIMIT_BYTES;

    (void)state;
    child_run_self(argv, conform_limit_memory, &limit_bytes, &result);
    if (!child_status_is_good(result.status, 0))
        fail_msg("%s", result.err);
}

/* ---- realloc to nothing ---- */

/* A null pointer is one of the two results allowed, but only together with EINVAL. */
static void realloc_to_nothing_says_EINVAL(void **state)
{
    bool said = true;

    (void)state;
    for (size_t w = 0; w < conform_way_count; w++) {
        void *block = conform_ways[w].allocate(100);

        errno = 0;
        block = realloc(block, conform_hide(0));
        said = said && (block != NULL || errno == EINVAL);
        free(block);
        block = conform_ways[w].allocate(100);
        errno = 0;
        block = reallocarray(block, 8, conform_hide(0));
        said = said && (block != NULL || errno == EINVAL);
        free(block);
    }
    assert_conforms(said, "realloc-zero-no-einval");
}

/* ---- free keeps errno ---- */

static void *free_with_mark(void *block)
{
    errno = CONFORM_ERRNO_MARK;
    free(block);
    CHECK(errno == CONFORM_ERRNO_MARK);
    return NULL;
}

static void free_keeps_errno_for_every_kind_of_block(void **state)
{
    (void)state;
    for (size_t w = 0; w < conform_way_count; w++) {
        for (size_t size = 0; size < 40 * MEMORY_MIB; size += 1 + 2 * size) {
            pthread_t thread;
            char *block = conform_ways[w].allocate(size);

            assert_non_null(block);
            block = realloc(block, size + 1); /* some have moved, and leave holes behind */
            assert_non_null(block);
            block[size] = 1;
            free_with_mark(block);
            block = conform_ways[w].allocate(size);
            assert_int_equal(pthread_create(&thread, NULL, free_with_mark, block), 0);
            assert_int_equal(pthread_join(thread, NULL), 0);
        }
    }
}

/* ---- posix_memalign ---- */

static void assert_posix_memalign_judges(size_t alignment)
{
    bool valid = (alignment & (alignment - 1)) == 0 && alignment >= sizeof(void *);
    char mark;
    void *block = &mark;
    int error = posix_memalign(&block, conform_hide(alignment), 100);

    if (error == 0) {
        assert_true(valid);
        assert_true((uintptr_t)block % alignment == 0);
        memset(block, 1, 100);
        free(block);
        return;
    }
    assert_int_equal(error, valid ? ENOMEM : EINVAL);
    assert_ptr_equal(block, &mark);
}

static void posix_memalign_takes_powers_of_two_times_a_pointer(void **state)
{
    (void)state;
    for (size_t alignment = 0; alignment < 5000; alignment++)
        assert_posix_memalign_judges(alignment);
    for (int bit = 13; bit < 64; bit++)
        for (size_t offset = 0; offset < 17; offset += 4)
            assert_posix_memalign_judges(((size_t)1 << bit) - 8 + offset);
}

/* ---- blocks that other functions return ---- */

/* Ours to use, to resize and to free: foreign ones would have no usable size on hakmem. */
static void take_over(void *block, size_t bytes)
{
    assert_non_null(block);
    assert_true(malloc_usable_size(block) >= bytes);
    block = realloc(block, bytes + 5000);
    assert_non_null(block);
    memset(block, 1, bytes + 5000);
    free(block);
}

static void take_over_lines(void)
{
    char text[] = "a line\nanother, longer line;and a field";
    char *line = NULL, *field = NULL, *written;
    size_t line_bytes = 0, field_bytes = 0, written_bytes;
    FILE *file = fmemopen(text, sizeof text, "r");

    assert_non_null(file);
    assert_int_equal(getline(&line, &line_bytes, file), strlen("a line\n"));
    assert_int_equal(getdelim(&field, &field_bytes, ';', file), strlen("another, longer line;"));
    assert_int_equal(fclose(file), 0);
    take_over(line, line_bytes);
    take_over(field, field_bytes);
    file = open_memstream(&written, &written_bytes);
    assert_non_null(file);
    assert_true(fprintf(file, "%5000d", 7) == 5000);
    assert_int_equal(fclose(file), 0);
    take_over(written, written_bytes);
}

static void take_over_directory(void)
{
    struct dirent **entries;
    int count = scandir("/", &entries, NULL, alphasort);

    assert_true(count > 0);
    for (int i = 0; i < count; i++)
        take_over(entries[i], entries[i]->d_reclen);
    take_over(entries, (size_t)count * sizeof *entries);
}

static void blocks_of_other_functions_can_be_freed(void **state)
{
    char *first;
    wchar_t *wide;

    (void)state;
    take_over(strdup("some text"), sizeof "some text");
    take_over(strndup("some text", 4), 5);
    take_over(wcsdup(L"some text"), sizeof L"some text");
    take_over(realpath("/", NULL), 2);
    assert_int_equal(sscanf("word 123", "%ms", &first), 1);
    take_over(first, sizeof "word");
    assert_int_equal(sscanf("word 123", "%mls", &wide), 1);
    take_over(wide, sizeof L"word");
    assert_int_equal(asprintf(&first, "%300d", 1), 300);
    take_over(first, 301);
    take_over_lines();
    take_over_directory();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_says_ENOMEM_and_spoils_nothing),
        cmocka_unit_test(realloc_to_nothing_says_EINVAL),
        cmocka_unit_test(free_keeps_errno_for_every_kind_of_block),
        cmocka_unit_test(posix_memalign_takes_powers_of_two_times_a_pointer),
        cmocka_unit_test(blocks_of_other_functions_can_be_freed),
    };

    (void)argv;
    allocator_expect();
    if (argc > 1)
        return run_exhausted();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
