/* SPDX-License-Identifier: MIT */
/*
 * Goal: what glibc's manual and the Linux manual pages promise beyond the standards: sizes that do
 * not change, memalign, mallopt, mallinfo2, malloc_trim, malloc_info, and that hooks and debugging
 * aids which glibc has dropped stay dropped. docs/conformance.md names the section of each case.
 * Method: each call with all values that matter; statistics are compared before, during and after
 * large blocks are held; the XML of malloc_info is read by a small parser.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <mcheck.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "allocator.h"
#include "conform.h"
#include "memory.h"

/* ---- Changing the Size of a Block ---- */

/* True if it stayed where it was. */
static bool same_size_changes_nothing(const struct way *way, size_t size)
{
    char *block = way->allocate(size);
    uintptr_t before = (uintptr_t)block;
    bool stayed;

    assert_non_null(block);
    memory_fill(block, size, 1);
    block = realloc(block, size);
    stayed = (uintptr_t)block == before;
    block = reallocarray(block, size, 1);
    stayed = stayed && (uintptr_t)block == before;
    assert_true(memory_holds(block, size, 1));
    free(block);
    return stayed;
}

static void realloc_to_the_same_size_changes_nothing(void **state)
{
    bool all_stayed = true;

    (void)state;
    for (size_t w = 0; w < conform_way_count; w++) {
        for (size_t size = 1; size < 8 * MEMORY_MIB; size += 1 + size / 16) {
            bool stayed = same_size_changes_nothing(&conform_ways[w], size);

            if (conform_ways[w].alignment == _Alignof(max_align_t))
                assert_true(stayed);
            all_stayed = all_stayed && stayed;
        }
    }
    assert_conforms(all_stayed, "realloc-moves-aligned");
}

/* ---- Allocating Aligned Memory Blocks ---- */

static void memalign_refuses_what_is_no_power_of_two(void **state)
{
    bool refused = true;

    (void)state;
    for (size_t boundary = 3; boundary < 5000; boundary++) {
        void *block;

        if ((boundary & (boundary - 1)) == 0)
            continue;
        errno = 0;
        block = memalign(conform_hide(boundary), 64);
        refused = refused && block == NULL && errno == EINVAL;
        free(block);
    }
    assert_conforms(refused, "memalign-rounds-up");
}

/* Every power of two is a good argument, also where there is no room for it. */
static void memalign_knows_every_power_of_two(void **state)
{
    (void)state;
    for (int bit = 0; bit < 64; bit++) {
        size_t boundary = (size_t)1 << bit;
        char *block;

        errno = 0;
        block = memalign(boundary, 1);
        if (!block)
            assert_int_equal(errno, ENOMEM);
        else
            assert_true((uintptr_t)block % boundary == 0);
        free(block);
    }
}

/* ---- Malloc Tunable Parameters ---- */

static bool is_filled(const char *block, size_t bytes)
{
    return block[0] != 0 && memcmp(block, block + 1, bytes - 1) == 0;
}

/* Sizes that glibc keeps in its caches are left out: there it does not fill. */
static void perturb_fills_every_block_but_those_of_calloc(void **state)
{
    static const size_t sizes[] = {5000, 70000, 300000};
    bool filled = true;

    (void)state;
    assert_int_equal(mallopt(M_PERTURB, 0x5a), 1);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *block = malloc(sizes[i]);

        assert_non_null(block);
        filled = filled && is_filled(block, sizes[i]);
        memory_fill(block, sizes[i], i);
        free(block);
        block = calloc(1, sizes[i]);
        assert_non_null(block);
        assert_true(memory_is_zero(block, sizes[i]));
        free(block);
    }
    assert_int_equal(mallopt(M_PERTURB, 0), 1);
    assert_conforms(filled, "mallopt-perturb");
}

/* The fast bins of glibc end at 160 bytes. */
static void mallopt_refuses_impossible_values(void **state)
{
    (void)state;
    assert_int_equal(mallopt(M_MXFAST, 100), 1);
    assert_conforms(mallopt(M_MXFAST, 1 << 20) == 0, "mallopt-takes-anything");
}

/* ---- Statistics for Memory Allocation with malloc ---- */

static struct mallinfo2 read_statistics(void)
{
    struct mallinfo2 s = mallinfo2();

    assert_true(s.uordblks + s.fordblks == s.arena);
    assert_true(s.keepcost <= s.fordblks);
    assert_true(s.usmblks == 0);
    return s;
}

static void mallinfo2_adds_up(void **state)
{
    enum { BLOCKS = 8, BLOCK_BYTES = 64 * MEMORY_MIB };
    struct mallinfo2 before, during, after;
    void *blocks[BLOCKS];

    (void)state;
    free(malloc(100));
    before = read_statistics();
    for (int i = 0; i < BLOCKS; i++)
        assert_non_null(blocks[i] = malloc(BLOCK_BYTES));
    during = read_statistics();
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    after = read_statistics();
    assert_true(during.hblks == before.hblks + BLOCKS);
    assert_true(during.hblkhd >= before.hblkhd + (size_t)BLOCKS * BLOCK_BYTES);
    assert_true(after.hblks == before.hblks);
    assert_true(after.hblkhd == before.hblkhd);
}

/* ---- malloc_trim(3) ---- */

static int trim_after_a_peak(void)
{
    enum { BLOCKS = 50000, BLOCK_BYTES = 1000 };
    static char *blocks[BLOCKS];
    int trimmed;
    void *last;

    for (int i = 0; i < BLOCKS; i++) {
        assert_non_null(blocks[i] = malloc(BLOCK_BYTES));
        memset(blocks[i], 1, BLOCK_BYTES);
    }
    last = malloc(BLOCK_BYTES); /* keeps glibc from giving the end of its heap back by itself */
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    trimmed = malloc_trim(0);
    free(last);
    return trimmed;
}

/* On a slow machine all may have gone by itself before. */
static void malloc_trim_says_whether_memory_went_back(void **state)
{
    enum { TRIES = 100 };
    int tries = 1;

    (void)state;
    while (trim_after_a_peak() != 1 && tries < TRIES)
        tries++;
    assert_in_range(tries, 1, TRIES - 1);
    malloc_trim(0);
    assert_conforms(malloc_trim(0) == 0, "malloc_trim-says-1-for-nothing");
}

/* ---- malloc_info(3) ---- */

static const char letters[] = "abcdefghijklmnopqrstuvwxyz";

/* Past the attributes of a tag, or NULL if they are none. */
static const char *skip_attributes(const char *at)
{
    while (*at == ' ') {
        at++;
        at += strspn(at, letters);
        if (at[0] != '=' || at[1] != '"')
            return NULL;
        at = strchr(at + 2, '"');
        if (!at)
            return NULL;
        at++;
    }
    return at;
}

/* Every tag is closed, in order, and there is no text between tags. */
static bool is_xml(const char *at)
{
    enum { DEPTH_MAX = 16 };
    struct {
        const char *name;
        size_t length;
    } open[DEPTH_MAX];
    size_t depth = 0;

    for (at += strspn(at, " \n"); *at == '<'; at += strspn(at, " \n")) {
        bool closes = at[1] == '/';
        const char *name = at + 1 + closes;
        size_t length = strspn(name, letters);

        at = closes ? name + length : skip_attributes(name + length);
        if (!at || length == 0)
            return false;
        if (closes) {
            if (depth-- == 0 || open[depth].length != length ||
                memcmp(open[depth].name, name, length) != 0)
                return false;
        } else if (*at != '/') {
            if (depth == DEPTH_MAX)
                return false;
            open[depth].name = name;
            open[depth++].length = length;
        }
        at += *at == '/';
        if (*at++ != '>')
            return false;
    }
    return *at == '\0' && depth == 0;
}

static void malloc_info_writes_xml(void **state)
{
    static char text[256 * MEMORY_KIB];
    FILE *file = fmemopen(text, sizeof text, "w");

    (void)state;
    assert_non_null(file);
    assert_int_equal(malloc_info(0, file), 0);
    assert_int_equal(fclose(file), 0);
    assert_true(is_xml(text));
    assert_non_null(strstr(text, "<heap nr=\"0\">"));
    assert_non_null(strstr(text, "<total type=\"mmap\" count=\""));
    assert_non_null(strstr(text, "<system type=\"current\" size=\""));
}

static void malloc_info_says_when_it_cannot_write(void **state)
{
    FILE *full = fopen("/dev/full", "w");
    int result;

    (void)state;
    assert_non_null(full);
    setbuf(full, NULL);
    result = malloc_info(0, full);
    fclose(full);
    assert_conforms(result == -1, "malloc_info-ignores-errors");
}

/* ---- what glibc has dropped ---- */

static int hook_calls;

static void *count_call(void)
{
    hook_calls++;
    return NULL;
}

/* The hook as old programs see it, or NULL: new ones cannot even name it. */
static void **old_hook(const char *name)
{
    void *hook = dlvsym(RTLD_DEFAULT, name, "GLIBC_2.2.5");

    assert_null(dlsym(RTLD_DEFAULT, name));
    return hook ? hook : dlvsym(RTLD_DEFAULT, name, "GLIBC_2.17");
}

static void hooks_that_are_gone_have_no_effect(void **state)
{
    static const char *const names[] = {"__malloc_hook", "__realloc_hook", "__memalign_hook",
                                        "__free_hook", "__after_morecore_hook", "__morecore"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void **hook = old_hook(names[i]);
        void *saved = hook ? *hook : NULL;
        void *(*ours)(void) = count_call;

        if (hook)
            memcpy(hook, &ours, sizeof ours);
        for (size_t w = 0; w < conform_way_count; w++)
            free(realloc(conform_ways[w].allocate(100), 300000));
        if (hook)
            *hook = saved;
    }
    assert_int_equal(hook_calls, 0);
}

/* mcheck and mprobe are there for old sources and find nothing to check. */
static void heap_checking_is_off(void **state)
{
    void *block = malloc(100);

    (void)state;
    assert_int_equal(mcheck(NULL), -1);
    assert_int_equal(mprobe(block), MCHECK_DISABLED);
    free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mallinfo2_adds_up),
        cmocka_unit_test(realloc_to_the_same_size_changes_nothing),
        cmocka_unit_test(memalign_refuses_what_is_no_power_of_two),
        cmocka_unit_test(perturb_fills_every_block_but_those_of_calloc),
        cmocka_unit_test(mallopt_refuses_impossible_values),
        cmocka_unit_test(malloc_trim_says_whether_memory_went_back),
        cmocka_unit_test(malloc_info_writes_xml),
        cmocka_unit_test(malloc_info_says_when_it_cannot_write),
        cmocka_unit_test(hooks_that_are_gone_have_no_effect),
        cmocka_unit_test(heap_checking_is_off),
        cmocka_unit_test(memalign_knows_every_power_of_two),
    };

    allocator_expect();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
