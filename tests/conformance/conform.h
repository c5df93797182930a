/* SPDX-License-Identifier: MIT */
/*
 * conform: what the conformance tests share.
 *
 * The programs run twice: on glibc's own malloc, which shows that a test asks what the clause says,
 * and on hakmem. Where one of the two is known not to follow a clause, the test says so by the name
 * of the deviation, which has a row in docs/conformance.md: a deviation that is not listed fails,
 * and so does one that is listed but gone.
 */
#ifndef CONFORM_H
#define CONFORM_H

#include <stdbool.h>
#include <stddef.h>

enum { CONFORM_ERRNO_MARK = 12345 };

/* One function that allocates. It returns NULL and sets errno on failure. */
struct way {
    const char *name;
    size_t alignment; /* what the clause asks of the result, in bytes */
    bool zeroes;      /* the result must read as zero */
    void *(*allocate)(size_t bytes);
};

/* All of them, with one signature, so that a clause common to all is asked of each. */
extern const struct way conform_ways[];
extern const size_t conform_way_count;

/* Hides a value from the compiler, which warns about impossible sizes it can see. */
size_t conform_hide(size_t n);

/* Fails the test unless `conforms`, or the allocator that runs is known for `deviation`. Called once
 * per test with the verdict on all of it. */
#define assert_conforms(conforms, deviation) \
    conform_judge((conforms), (deviation), __FILE__, __LINE__)
void conform_judge(bool conforms, const char *deviation, const char *file, int line);

/* Set before exec, by child_run_self(): the memory a process may have, RLIMIT_DATA, in bytes. */
void conform_limit_memory(void *bytes);

#endif
