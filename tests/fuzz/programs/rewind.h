/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * rewind: takes the allocator back to where it was before its first call, so that every input meets
 * the same one and a failure can be repeated from its input alone.
 *
 * It also stands in for the allocator's contacts with the outside that would differ from run to run
 * (by the linker's --wrap): the clock, where the reservation lies, messages, one setting.
 * Threads: all calls while no other thread is inside the allocator. Threads that outlive a rewind
 * call rewind_thread before their next call into the allocator.
 */

#include "fuzz.h"

/* Goes back; the first time, remembers. */
void rewind_allocator(void);
/* The calling thread has no heap yet. */
void rewind_thread(void);

/* From now on every n-th fast path is missed; 0: none. Rewinding sets it to 0. */
void rewind_set_force_slow(uint32_t n);
/* The classes that use lists, as the settings could have said; before the first call. */
void rewind_set_route(unsigned route);
void rewind_pass_ms(uint32_t ms);

/* Granules that somebody has: 0 after everything was freed and purged. */
size_t rewind_used_granules(void);
/* Whether the calling thread has a heap of its own. */
bool rewind_has_heap(void);
