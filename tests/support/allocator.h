/* SPDX-License-Identifier: MIT */
/*
 * allocator: which allocator runs under the test.
 * Checks that hold for hakmem only (and not for glibc, which serves as the reference) ask
 * allocator_is_hakmem(). A test program starts with allocator_expect(), so that a run that
 * was meant for hakmem cannot pass on glibc because the library was not loaded.
 */
#ifndef TEST_SUPPORT_ALLOCATOR_H
#define TEST_SUPPORT_ALLOCATOR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Exit code by which ctest knows a skipped test. */
enum { ALLOCATOR_TEST_SKIPPED = 77 };

/* True if hak_version is visible in the process. */
bool allocator_is_hakmem(void);

/* True if the dynamic symbol `name` resolves into the object that holds hakmem. */
bool allocator_is_from_hakmem(const char *name);

/* Ends the process with code 1 if EXPECT_ALLOCATOR=hakmem is set and malloc is not hakmem's. */
void allocator_expect(void);

#ifdef __cplusplus
}
#endif

#endif
