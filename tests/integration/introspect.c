/* SPDX-License-Identifier: MIT */
/*
 * Goal: mallinfo, mallinfo2, malloc_info and malloc_stats show real values that follow what
 * the program holds; malloc_trim gives memory back; mallopt takes glibc's parameters.
 * Method: read before, hold 100 MB (as many small blocks, then as few large ones), read, free,
 * read again. For malloc_trim a 200 MB peak of small blocks is freed by the owning thread and,
 * in a second test, by another thread; the resident size must come back down.
 */
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
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "allocator.h"
#include "memory.h"
#include "random.h"

enum { HELD_BYTES = 100 * MEMORY_MIB, SEEN_BYTES = 90 * MEMORY_MIB };
enum { REPORT_BYTES = 256 * 1024 };

/* Blocks are linked through themselves, so that holding them needs no second allocation. */
struct link {
    struct link *next;
};

static struct link *hold(size_t total_bytes, size_t block_bytes)
{
    struct link *list = NULL;

    for (size_t held = 0; held < total_bytes; held += block_bytes) {
        struct link *block = malloc(block_bytes);

        assert_non_null(block);
        block->next = list;
        list = block;
    }
    return list;
}

static void *release(void *list)
{
    struct link *block = list;

    while (block) {
        struct link *next = block->next;

        free(block);
        block = next;
    }
    return NULL;
}

/* ---- mallinfo2 and mallinfo ---- */

static size_t in_use_bytes(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static void assert_mallinfo2_follows(size_t block_bytes)
{
    size_t before_bytes = in_use_bytes();
    struct link *list = hold(HELD_BYTES, block_bytes);
    size_t peak_bytes = in_use_bytes();
    size_t after_bytes;

    assert_true(peak_bytes >= before_bytes + SEEN_BYTES);
    assert_true(peak_bytes <= before_bytes + 3u * HELD_BYTES);
    release(list);
    after_bytes = in_use_bytes();
    assert_true(after_bytes + SEEN_BYTES <= peak_bytes);
}

static void mallinfo2_follows_the_program(void **state)
{
    (void)state;
    assert_mallinfo2_follows(64);
    assert_mallinfo2_follows(1000);
    assert_mallinfo2_follows(20000);
    assert_mallinfo2_follows(MEMORY_MIB);
    assert_mallinfo2_follows(25 * MEMORY_MIB);
}

static void mallinfo_agrees_with_mallinfo2(void **state)
{
    struct link *list = hold(HELD_BYTES, 1000);
    struct mallinfo2 wide = mallinfo2();
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    struct mallinfo narrow = mallinfo();
#pragma GCC diagnostic pop

    (void)state;
    assert_true((size_t)narrow.uordblks == wide.uordblks);
    assert_true((size_t)narrow.arena == wide.arena);
    assert_true((size_t)narrow.fordblks == wide.fordblks);
    assert_true((size_t)narrow.hblkhd == wide.hblkhd);
    assert_true(wide.arena + wide.hblkhd >= HELD_BYTES);
    release(list);
}

/* ---- malloc_info and malloc_stats: text with numbers in it ---- */

static size_t unit_bytes(const char *text)
{
    while (*text == ' ')
        text++;
    switch (*text) {
    case 'K': return MEMORY_KIB;
    case 'M': return MEMORY_MIB;
    case 'G': return (size_t)1024 * MEMORY_MIB;
    default: return 1;
    }
}

/* How many numbers in the report stand for at least `limit_bytes`; units are understood. */
static int count_numbers_from(const char *text, size_t limit_bytes)
{
    int count = 0;

    while (*(text += strcspn(text, "0123456789"))) {
        char *end;
        double value = strtod(text, &end);

        if (value * (double)unit_bytes(end) >= (double)limit_bytes)
            count++;
        text = end;
    }
    return count;
}

static void read_malloc_info(char *text)
{
    FILE *file = fmemopen(text, REPORT_BYTES, "w");

    assert_non_null(file);
    assert_int_equal(malloc_info(0, file), 0);
    assert_int_equal(fclose(file), 0);
}

static void read_malloc_stats(char *text)
{
    int file = memfd_create("stats", 0);
    int saved = dup(STDERR_FILENO);
    ssize_t length;

    assert_true(file >= 0 && saved >= 0);
    fflush(stderr);
    dup2(file, STDERR_FILENO);
    malloc_stats();
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    length = pread(file, text, REPORT_BYTES - 1, 0);
    close(saved);
    close(file);
    assert_true(length > 0);
    text[length] = '\0';
}

static char before_text[REPORT_BYTES], peak_text[REPORT_BYTES], after_text[REPORT_BYTES];

static void assert_report_follows(void (*read_report)(char *))
{
    struct link *small, *large;

    malloc_trim(0);
    read_report(before_text);
    small = hold(HELD_BYTES, 1000);
    large = hold(HELD_BYTES, 4 * MEMORY_MIB);
    read_report(peak_text);
    release(small);
    release(large);
    malloc_trim(0);
    read_report(after_text);
    assert_true(count_numbers_from(peak_text, SEEN_BYTES) >
                count_numbers_from(before_text, SEEN_BYTES));
    assert_string_not_equal(peak_text, before_text);
    assert_string_not_equal(peak_text, after_text);
}

static void malloc_info_follows_the_program(void **state)
{
    static const char end[] = "</malloc>\n";

    (void)state;
    assert_report_follows(read_malloc_info);
    assert_memory_equal(peak_text, "<malloc", strlen("<malloc"));
    assert_true(strlen(peak_text) > strlen(end));
    assert_string_equal(peak_text + strlen(peak_text) - strlen(end), end);
}

static void malloc_info_refuses_options(void **state)
{
    (void)state;
    assert_int_equal(malloc_info(1, stderr), EINVAL);
}

static void malloc_stats_follows_the_program(void **state)
{
    (void)state;
    assert_report_follows(read_malloc_stats);
}

/* ---- malloc_trim ---- */

enum { PEAK_BYTES = 200 * MEMORY_MIB, LEFT_BYTES = 32 * MEMORY_MIB };

static struct link *hold_small_mix(void)
{
    struct link *list = NULL;
    uint64_t random = random_seed();

    for (size_t held = 0; held < PEAK_BYTES;) {
        size_t bytes = 16 + random_below(&random, 1009);
        struct link *block = malloc(bytes);

        assert_non_null(block);
        memset(block, 1, bytes);
        block->next = list;
        list = block;
        held += bytes;
    }
    return list;
}

static size_t trimmed_rss_bytes(void)
{
    malloc_trim(0);
    return memory_rss_bytes();
}

static void trim_gives_a_freed_peak_back(void **state)
{
    size_t before_bytes = trimmed_rss_bytes();
    struct link *list = hold_small_mix();
    void *last = malloc(100);

    (void)state;
    assert_true(memory_rss_above_bytes(before_bytes) >= PEAK_BYTES);
    release(list);
    malloc_trim(0);
    assert_true(memory_rss_above_bytes(before_bytes) <= LEFT_BYTES);
    free(last);
}

static void trim_gives_back_what_another_thread_freed(void **state)
{
    size_t before_bytes = trimmed_rss_bytes();
    struct link *list = hold_small_mix();
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, release, list), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    malloc_trim(0);
    assert_true(memory_rss_above_bytes(before_bytes) <= LEFT_BYTES);
}

/* Blocks that stay keep their bytes; pages between them are free to go. */
static void trim_keeps_live_blocks(void **state)
{
    enum { BLOCKS = 20000 };
    static char *blocks[BLOCKS];

    (void)state;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(i % 3000);
        assert_non_null(blocks[i]);
        memory_fill(blocks[i], i % 3000, i);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (i % 16 != 0) {
            free(blocks[i]);
            blocks[i] = NULL;
        }
    }
    malloc_trim(0);
    malloc_trim(MEMORY_MIB);
    for (size_t i = 0; i < BLOCKS; i++)
        if (i % 16 != 0)
            assert_non_null(blocks[i] = calloc(1, 1 + i % 2000));
    for (size_t i = 0; i < BLOCKS; i++) {
        if (i % 16 == 0)
            assert_true(memory_holds(blocks[i], i % 3000, i));
        else
            assert_true(memory_is_zero(blocks[i], 1 + i % 2000));
        free(blocks[i]);
    }
}

static void trim_says_whether_it_released(void **state)
{
    (void)state;
    release(hold_small_mix());
    assert_in_range(malloc_trim(0), 0, 1);
    assert_in_range(malloc_trim(0), 0, 1);
    assert_in_range(malloc_trim(SIZE_MAX), 0, 1);
}

/* ---- mallopt ---- */

static void mallopt_takes_glibcs_parameters(void **state)
{
    (void)state;
    assert_int_equal(mallopt(M_TRIM_THRESHOLD, 256 * 1024), 1);
    assert_int_equal(mallopt(M_MMAP_THRESHOLD, 256 * 1024), 1);
    assert_int_equal(mallopt(M_TOP_PAD, 64 * 1024), 1);
    assert_int_equal(mallopt(M_ARENA_MAX, 2), 1);
    assert_in_range(mallopt(-12345, 0), 0, 1);
    release(hold(MEMORY_MIB, 100));
    release(hold(10 * MEMORY_MIB, MEMORY_MIB));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* The text reports first: glibc's also show past peaks. */
        cmocka_unit_test(malloc_info_follows_the_program),
        cmocka_unit_test(malloc_info_refuses_options),
        cmocka_unit_test(malloc_stats_follows_the_program),
        cmocka_unit_test(mallinfo2_follows_the_program),
        cmocka_unit_test(mallinfo_agrees_with_mallinfo2),
        cmocka_unit_test(trim_gives_a_freed_peak_back),
        cmocka_unit_test(trim_gives_back_what_another_thread_freed),
        cmocka_unit_test(trim_keeps_live_blocks),
        cmocka_unit_test(trim_says_whether_it_released),
        cmocka_unit_test(mallopt_takes_glibcs_parameters),
    };

    allocator_expect();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
