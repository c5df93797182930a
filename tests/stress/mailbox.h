/* SPDX-License-Identifier: MIT */
/*
 * How blocks travel between threads. Two ways, because they order memory differently:
 *
 * - the box of a thread: a ring under a mutex, any thread posts, its owner takes;
 * - the lane between two threads: a ring with one sender and one taker, release/acquire on
 *   its two counters only.
 *
 * "Thread" is the number of a slot; the thread that runs the slot may change. Both ways are
 * bounded in blocks and bytes and never wait: what does not fit stays with the sender.
 */
#ifndef STRESS_MAILBOX_H
#define STRESS_MAILBOX_H

#include "block.h"

/* `bytes_max` bounds what may be on its way to one thread, each way. */
void mail_start(unsigned threads, size_t bytes_max);

/* Sends the first blocks of the array; returns how many were taken on. */
size_t mail_post(unsigned to, const struct block *blocks, size_t count);
size_t mail_lane(unsigned from, unsigned to, const struct block *blocks, size_t count);

/* Fetches up to `max` blocks sent to a thread; called by the thread that runs the slot. */
size_t mail_take(unsigned thread, struct block *blocks, size_t max);

#endif
