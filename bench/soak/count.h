/* SPDX-License-Identifier: MIT */
/*
 * Counts the system calls of the allocator while the soak runs: those about memory, and those
 * of a lock that has to wait. A seccomp filter stops the process at these calls only, and a
 * forked process that traces it (ptrace) adds each one up and lets it go on. All other calls and
 * all code run untouched; a counted call costs some microseconds more.
 *
 * Not counted: the soak's own waits (system.h), and threads that the allocator had started
 * before main. pthread_create may add a futex call of libc under contention.
 */
#ifndef SOAK_COUNT_H
#define SOAK_COUNT_H

#include <stdbool.h>
#include <stdint.h>

enum { CALLS_MEMORY = 6, CALLS = 8 };

extern const char *const call_names[CALLS]; /* the first CALLS_MEMORY are about memory */

/* Before any thread is started. False: this system does not allow it, nothing is counted. */
bool count_start(void);
/* Since count_start. */
void count_read(uint64_t counts[CALLS]);

#endif
