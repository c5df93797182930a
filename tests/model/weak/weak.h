/* SPDX-License-Identifier: MIT */
#pragma once
/* Between the driver (weak.c) and the program that runs on the machine (play.c). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block {
    unsigned char *start; /* NULL: none */
    size_t bytes;
};

/* Passes a block to whoever fetches it; both may be called by any thread. False: no room. */
bool weak_post(struct block b);
struct block weak_fetch(void);

/* One episode, on a machine that has been started and never allocated. */
void play(uint64_t seed);
