/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Large blocks: one run each, beyond CLASS_BYTES_MAX, and smaller ones that keep growing by
 * realloc. They have no owner; any thread may free any of them. A run may be longer than the block
 * (head-room), so that growth is a change of one number.
 *
 * Owns: the user fields of a used run. Threads: any; a block's fields belong to whoever may call
 * free on it. Failure: NULL or false, the block is unchanged. Calls: run.
 */

#include "map/run.h"

/* alignment: a power of two; zero: the memory must read as zero. */
void *large_alloc(size_t size, size_t alignment, bool zero);
/* With head-room, for a block that was seen to grow. */
void *large_alloc_growing(size_t size);
/* p's word is CODE_LARGE or CODE_FREED; a wrong pointer ends the process, named after `caller`. */
void large_check_pointer(const void *p, const char *caller);
void large_free(void *p);
size_t large_usable(const void *p);
/* Changes the size in place if that is possible and not wasteful. */
bool large_resize(void *p, size_t size);
/* Moves a block that must grow into a new one with head-room; NULL leaves it as it is. */
void *large_move(void *p, size_t size);
