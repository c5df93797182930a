/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * turns: threads of which exactly one runs at any time; it says who is next. So what several threads
 * do to each other's blocks happens in the order of the input, every time.
 * Threads are started when it is their turn for the first time, and stay for the inputs to come; a
 * thread that ends has run all its destructors before the next one goes on.
 */

#include "fuzz.h"

enum { TURNS_THREADS = 7, TURNS_OVER = TURNS_THREADS };

struct turn {
    unsigned next; /* a thread, or TURNS_OVER */
    bool ends;     /* the thread that had this turn ends */
};

/* What a thread does when it is its turn; `is_first`: in this game. */
typedef struct turn turns_act(unsigned self, bool is_first);

/* Runs a game: `first` has the first turn; returns when one was the last. */
void turns_play(turns_act *act, unsigned first);
