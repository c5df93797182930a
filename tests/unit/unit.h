/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * unit: what the tests of single boxes share. cmocka needs its headers in this order; acts that
 * end the process or change it for good run in a forked child, where CHECK takes the place of
 * cmocka's assertions. Internal headers of the library are on the include path.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "child.h"
#include "memory.h"
#include "random.h"

/* Clang names its sanitizers by features. */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
enum { UNIT_HAS_TSAN = 1 };
#else
enum { UNIT_HAS_TSAN = 0 };
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
enum { UNIT_HAS_ASAN = 1 };
#else
enum { UNIT_HAS_ASAN = 0 };
#endif
/* Their shadow of the address space does not fit under RLIMIT_AS. */
enum { UNIT_HAS_SHADOW = UNIT_HAS_TSAN || UNIT_HAS_ASAN };

typedef void unit_act(void *context);

/* What act writes to stderr, in this process; valid until the next call. */
const char *unit_stderr_of(unit_act *act, void *context);

/* Runs act in a forked child: it must return, and nothing in it may fail. */
void unit_child(unit_act *act, void *context);

/* Runs act in a forked child: it must die of SIGABRT after the one line
 * "hakmem: <message> <p>" on stderr. */
void unit_child_dies(unit_act *act, void *context, const char *message, const void *p);

/* Group setup: the allocator has started, so that its boxes can be used without its front. */
int unit_start(void **state);
/* The same, and a heap that no thread has. */
struct heap;
int unit_start_heap(struct heap **heap);
