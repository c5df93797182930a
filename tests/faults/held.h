/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * held: the blocks of a test by number, each with bytes that only it has. Every call may be told
 * that memory is out, as long as held_strict is off: then the block that was there, if any, is still
 * whole, and errno says ENOMEM. A call that breaks a promise ends the process (CHECK).
 * One thread at a time uses a number.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { HELD_MAX = 4096 };

extern bool held_strict;           /* nothing may be refused now */
extern atomic_uint held_calls;     /* requests */
extern atomic_uint held_refused;   /* requests that got NULL */
extern atomic_uint held_failed;    /* threads and processes that could not be had */
extern void (*held_before)(unsigned call); /* runs before each request, with its number */

/* These replace the block at a number. */
bool held_take(unsigned at, size_t bytes);
bool held_take_zeroed(unsigned at, size_t bytes);
bool held_take_aligned(unsigned at, size_t alignment, size_t bytes);

/* realloc; the block keeps its bytes either way. An empty number stays empty. */
bool held_resize(unsigned at, size_t bytes);

/* Checks the block and frees it; an empty number is left alone. */
void held_drop(unsigned at);

/* Checks the blocks of [from, to), or drops them. */
void held_check(unsigned from, unsigned to);
void held_drop_all(unsigned from, unsigned to);

/* A thread or a process could not be had. */
void held_count_failure(void);
