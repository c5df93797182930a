/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * calls: each function of the interface, with everything that must be true of its result. Calls on
 * a slot without a block, or calls that need one, are the caller's choice (model_find).
 */

#include "model.h"

enum call_aligned { CALL_ALIGNED_ALLOC, CALL_POSIX_MEMALIGN, CALL_MEMALIGN, CALL_ALIGNED_KINDS };
enum call_free { CALL_FREE, CALL_FREE_SIZED, CALL_FREE_REALLOC, CALL_FREE_KINDS };

/* The slot has no block; afterwards it has one, unless the call failed. */
void call_malloc(unsigned slot, size_t size);
void call_calloc(unsigned slot, size_t count, size_t size);
void call_aligned(enum call_aligned kind, unsigned slot, size_t align, size_t size);
void call_page_aligned(unsigned slot, size_t size, bool whole_pages);

/* The slot has a block, or none (then these are malloc). */
void call_realloc(unsigned slot, size_t size);
void call_reallocarray(unsigned slot, size_t count, size_t size);

/* The slot has a block. */
void call_free(enum call_free kind, unsigned slot);

void call_good_size(size_t size);
/* Pointers that are not the allocator's. */
void call_foreign(unsigned which, size_t size);
