/* SPDX-License-Identifier: MIT */
/*
 * What the soak asks of the system for itself: its tables, memory figures, clocks and waiting.
 * Nothing here calls malloc, so the allocator under test sees the load alone.
 *
 * The waiting functions mark their system calls (OWN_CALL in an argument the kernel ignores);
 * the filter in count.c leaves marked calls out, so that the count is that of the allocator.
 */
#ifndef SOAK_SYSTEM_H
#define SOAK_SYSTEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define OWN_CALL 0x736f616bu

/* Zeroed, faulted in, never freed. Before any thread is started. */
void *table_map(size_t count, size_t item_bytes);
/* Not faulted in: a thread touches only a few of its pages. */
void *stack_map(size_t bytes);

/* Resident memory without the tables. */
long rss_kib(void);
long rss_peak_kib(void);
/* The peak starts anew; where the system refuses that, it stays the peak of the whole run. */
void rss_peak_reset(void);
long minor_faults(void);

uint64_t clock_ns(clockid_t clock);

void own_yield(void);
/* Returns once *word differs from value; what was stored before it is then visible. */
void own_wait_while(_Atomic uint32_t *word, uint32_t value);
void own_wake(_Atomic uint32_t *word);

/* False: not all of it was written; errno says why. */
bool write_all(int file, const char *text, size_t length);

#endif
