/* SPDX-License-Identifier: MIT */
/*
 * check: a condition that ends the whole process when it does not hold.
 * For threads, children, constructors and destructors, where cmocka's assertions
 * (which jump back into the runner) must not be used. Allocates nothing.
 */
#ifndef TEST_SUPPORT_CHECK_H
#define TEST_SUPPORT_CHECK_H

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define CHECK(condition) \
    ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

static inline void check_failed(const char *file, int line, const char *text)
{
    dprintf(STDERR_FILENO, "%s:%d: does not hold: %s (errno %d, pid %d)\n", file, line, text,
            errno, (int)getpid());
    _exit(1);
}

#endif
