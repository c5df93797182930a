/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * workload: a fixed piece of work, always in the same order, that leads through every call the
 * allocator makes to the system: growth past the step of the tables, large blocks, realloc that
 * moves pages, memory that gets old and is given back, blocks freed by other threads, threads that
 * end, fork. Its threads take turns, so one run makes the same calls as the next.
 * It starts and ends without a block, and survives any refusal (held.h).
 */

#include <stddef.h>

enum { WORKLOAD_MIB = 1 << 20 };

/* large_bytes: the size of its large blocks, of which it holds two dozen. */
void workload_run(size_t large_bytes);

/* Threads that want the same locks all the time. */
void workload_contend(void);
