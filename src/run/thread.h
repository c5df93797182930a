/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Threads and their heaps. One initial-exec TLS pointer (with the one for memcheck 16 bytes of
 * static TLS, so that dlopen works) leads to the thread's heap; it starts at a static heap whose
 * lists are empty and which owns nothing, so a new thread needs no branch of its own.
 *
 * A thread's heap is released in the second round of pthread-key destructors, after those of the
 * program have run once; from then on the thread has no heap (front_dead): it allocates from the
 * shared heap and sends its frees singly. Threads: each its own. Calls: cache, heap, init.
 */

#include "slab/heap.h"

extern _Thread_local struct front *thread_front
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* The heap behind a front, made on first use; NULL if this thread can have none. */
struct heap *thread_heap(struct front *f);
/* The same for the calling thread, but never makes one. */
struct heap *thread_heap_if_any(void);
/* Registers the exit hook; once per process. */
void thread_init(void);
