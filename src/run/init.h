/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The start of the process: at the first allocation, before any constructor if need be. Any
 * thread; the first one does the work under a lock, which fork need not know, since it is never
 * held once the process has run. Failure (no address space): false, and tried again next time.
 */

#include "base/compiler.h"

bool init_once(void);

extern const bool init_can_wait __attribute__((visibility("hidden")));
