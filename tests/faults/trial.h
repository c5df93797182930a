/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * trial: the work in a fresh process, under a plan of refusals, and what has to be true of it: it
 * ends well, it wrote nothing but the diagnosis it owes, and it is not larger than one that never
 * saw a refusal. A trial that is bad prints the command that repeats it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "calls.h"

struct world {
    const char *name;
    size_t address_limit_bytes; /* 0: none */
    size_t large_bytes;         /* of the workload */
};

struct trial {
    const struct world *world;
    const char *work; /* "work", or "contend": threads that wait for each other's locks */
    struct calls_rule rule;
    bool out_of_memory;   /* besides, memory is refused from some call on, so that there is a diagnosis */
    bool must_be_unseen;  /* the program may not notice */
    size_t resident_most; /* bytes at the end */
};

/* The memory that the parent shares with the trials. */
struct calls_plan *trial_share_plan(void);

bool trial_is_good(const struct trial *trial);

/* The world of that name; NULL if there is none. */
const struct world *trial_world(const char *name);

/* In the process under test: does the work and all checks; the exit status. */
int trial_work(const char *work, const struct world *world);
