/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * calls: every call that the allocator makes to the system, counted, and refused where a plan says
 * so. The linker leads the calls here (--wrap), so that exactly the n-th one can fail, with any
 * errno, in any thread, before main and in forked children too; the test's own calls go the same
 * way, so the work that is counted makes none of those that are listed below.
 *
 * The plan lies in memory that a parent shares with the processes under test, in the file CALLS_FD.
 * Without that file nothing is refused. Time is the plan's, so that what is purged when does not
 * depend on the machine.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CALLS_FD = 199, CALLS_RULES = 2, CALLS_TAKEN = 64 };
enum { ERROR_SHORT_WRITE = -1 }; /* in place of an errno: half of the bytes were written */

enum call {
    CALL_MMAP,
    CALL_MPROTECT,
    CALL_MADVISE,
    CALL_MREMAP,
    CALL_MUNMAP, /* fails only where a hole would be one mapping too many */
    CALL_GETRLIMIT,
    CALL_CLOCK,
    CALL_OPEN,
    CALL_READ,
    CALL_WRITE,
    CALL_FUTEX,    /* waits only: a wake-up that did not happen is no failure but a broken kernel */
    CALL_KEY,      /* pthread_key_create */
    CALL_SPECIFIC, /* pthread_setspecific */
    CALL_ATFORK,   /* pthread_atfork */
    CALL_MEMORY,   /* the first four, counted together */
    CALL_COUNT,
    CALL_NONE
};

/* What has happened already when the call says no. */
enum effect {
    EFFECT_NOTHING,
    EFFECT_HALF,  /* mprotect, madvise: the first half was done */
    EFFECT_UNMAP, /* mmap, mremap to a fixed address: the target is gone, as on most kernels */
    EFFECT_TAKE,  /* the same, and another thread has mapped something there meanwhile */
};

/* Calls number first to last of a kind fail. */
struct calls_rule {
    enum call call;
    int error;
    enum effect effect;
    uint32_t first, last;
};

struct calls_plan {
    struct calls_rule rules[CALLS_RULES];
    atomic_bool closed; /* nothing is counted or refused any more */
    atomic_uint counts[CALL_COUNT];
    atomic_uint refused;
    atomic_uint time_ms;
    atomic_uint taken_count;
    struct {
        char *start;
        size_t bytes;
    } taken[CALLS_TAKEN]; /* by EFFECT_TAKE */
    unsigned requests_refused, others_failed; /* as the process under test saw it */
    size_t resident_bytes;                    /* at its end */
};

/* A plan in a file; NULL if it cannot be mapped. */
struct calls_plan *calls_map_plan(int fd);

/* The plan in force, or an empty one. */
struct calls_plan *calls_plan(void);

/* The plan's clock goes on. */
void calls_pass_time(unsigned ms);

/* Nobody has written to what EFFECT_TAKE mapped, or given its pages back. */
bool calls_taken_is_clean(void);

const char *calls_name(enum call call);
enum call calls_find(const char *name); /* CALL_NONE if there is none */
