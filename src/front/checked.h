/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * malloc, free and realloc as valgrind's memcheck is to see them; where it does not watch, nothing
 * here runs. Each block has a red zone behind it, whose last word holds the size asked for; realloc
 * always moves; and a small block that was freed waits behind QUEUE_BLOCKS others before it is used
 * again, so that a use after free meets free memory.
 *
 * Memcheck takes a pointer anywhere in our memory for a reference: of a lost structure it names the
 * block that nothing points to, and takes those behind it for reachable.
 * Threads: any. Failure: NULL and ENOMEM; wrong pointers are memcheck's to report. Calls: entry.
 */

#include "base/compiler.h"

/* alignment: a power of two; zero: for sizes beyond CLASS_BYTES_MAX. */
void *checked_malloc(size_t size, size_t alignment, bool zero);
void checked_free(void *p);
/* p: in the map. */
void *checked_realloc(void *p, size_t size);
size_t checked_usable_size(const void *p);
