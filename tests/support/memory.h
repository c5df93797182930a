/* SPDX-License-Identifier: MIT */
/*
 * memory: resident size of the process and byte patterns. Allocates nothing.
 */
#ifndef TEST_SUPPORT_MEMORY_H
#define TEST_SUPPORT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { MEMORY_KIB = 1024, MEMORY_MIB = 1024 * 1024 };

/* Resident bytes of this process, from the page tables (not the batched counters of statm). */
size_t memory_rss_bytes(void);

/* Resident bytes above `base_bytes`, 0 if below. */
size_t memory_rss_above_bytes(size_t base_bytes);

/* Fills with a pattern that depends on `key` and the offset; memory_holds() recognises it. */
void memory_fill(void *start, size_t bytes, size_t key);
bool memory_holds(const void *start, size_t bytes, size_t key);

/* True if all bytes are zero. */
bool memory_is_zero(const void *start, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
