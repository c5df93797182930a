/* SPDX-License-Identifier: MIT */
#include "conform.h"

#include <errno.h>
#include <gnu/libc-version.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "allocator.h"
#include "check.h"

/* ---- deviations ---- */

/* The version of glibc that the column was checked with; another one may conform where this does not. */
static const char checked_glibc[] = "2.36";

static const struct deviation {
    const char *name;
    bool of_glibc, of_hakmem;
} deviations[] = {
    {"realloc-zero-no-einval", true, true},
    {"aligned_alloc-rounds-up", true, false},
    {"memalign-rounds-up", true, true},
    {"realloc-moves-aligned", false, true},
    {"mallopt-perturb", false, true},
    {"mallopt-takes-anything", false, true},
    {"malloc_trim-says-1-for-nothing", true, false},
    {"malloc_info-ignores-errors", true, false},
};

static bool is_expected(const char *name)
{
    for (size_t i = 0; i < sizeof deviations / sizeof *deviations; i++)
        if (strcmp(deviations[i].name, name) == 0)
            return allocator_is_hakmem() ? deviations[i].of_hakmem : deviations[i].of_glibc;
    return false;
}

void conform_judge(bool conforms, const char *deviation, const char *file, int line)
{
    bool expected = is_expected(deviation);
    bool checked = allocator_is_hakmem() || strcmp(gnu_get_libc_version(), checked_glibc) == 0;

    if (!conforms && expected) {
        print_message("expected deviation: %s\n", deviation);
    } else if (!conforms) {
        print_error("does not conform, and no deviation is known: %s\n", deviation);
        _fail(file, line);
    } else if (expected && checked) {
        print_error("conforms now, strike the deviation: %s\n", deviation);
        _fail(file, line);
    }
}

/* ---- the functions that allocate ---- */

static void *by_calloc_count(size_t bytes)
{
    return calloc(bytes, 1);
}

static void *by_calloc_size(size_t bytes)
{
    return calloc(1, bytes);
}

static void *by_realloc(size_t bytes)
{
    return realloc(NULL, bytes);
}

static void *by_reallocarray(size_t bytes)
{
    return reallocarray(NULL, bytes, 1);
}

/* A block that has moved. Size 0 would free it instead. */
static void *by_growing(size_t bytes)
{
    void *small = malloc(1);
    void *grown = realloc(small, bytes ? bytes : 1);

    if (!grown)
        free(small);
    return grown;
}

static void *by_aligned_alloc(size_t bytes)
{
    return aligned_alloc(64, bytes);
}

static void *by_wide_aligned_alloc(size_t bytes)
{
    return aligned_alloc(4096, bytes);
}

static void *by_posix_memalign(size_t bytes)
{
    char mark;
    void *block = &mark;
    int error = posix_memalign(&block, 256, bytes);

    if (error == 0)
        return block;
    CHECK(block == &mark);
    errno = error;
    return NULL;
}

static void *by_memalign(size_t bytes)
{
    return memalign(1024, bytes);
}

const struct way conform_ways[] = {
    {"malloc", _Alignof(max_align_t), false, malloc},
    {"calloc(n, 1)", _Alignof(max_align_t), true, by_calloc_count},
    {"calloc(1, n)", _Alignof(max_align_t), true, by_calloc_size},
    {"realloc(NULL, n)", _Alignof(max_align_t), false, by_realloc},
    {"reallocarray(NULL, n, 1)", _Alignof(max_align_t), false, by_reallocarray},
    {"realloc(malloc(1), n)", _Alignof(max_align_t), false, by_growing},
    {"aligned_alloc(64, n)", 64, false, by_aligned_alloc},
    {"aligned_alloc(4096, n)", 4096, false, by_wide_aligned_alloc},
    {"posix_memalign(256, n)", 256, false, by_posix_memalign},
    {"memalign(1024, n)", 1024, false, by_memalign},
    {"valloc", 4096, false, valloc},
    {"pvalloc", 4096, false, pvalloc},
};
const size_t conform_way_count = sizeof conform_ways / sizeof *conform_ways;

/* ---- the rest ---- */

size_t conform_hide(size_t n)
{
    volatile size_t hidden = n;

    return hidden;
}

void conform_limit_memory(void *bytes)
{
    struct rlimit limit = {*(size_t *)bytes, *(size_t *)bytes};

    CHECK(setrlimit(RLIMIT_DATA, &limit) == 0);
}
