/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * fork: the parent takes every lock in rank order, so that the child finds whole structures; the
 * child resets the locks and pools the heaps of threads it does not have. A heap whose thread was
 * inside a slow path (heap.busy) may be half changed: the child leaves it alone for ever.
 * vfork and _Fork skip this: their children may not allocate.
 */

void fork_init(void);
