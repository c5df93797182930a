/* SPDX-License-Identifier: MIT */
/*
 * child: runs this program again with other arguments and collects what it wrote.
 * Used where the state of a fresh process matters: limits set before exec, constructor and
 * exit order. The environment (LD_PRELOAD) is inherited.
 */
#ifndef TEST_SUPPORT_CHILD_H
#define TEST_SUPPORT_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { CHILD_TEXT_BYTES = 16 * 1024 };

struct child_result {
    int status; /* as waitpid() reports it */
    char out[CHILD_TEXT_BYTES]; /* start of its standard output, zero-terminated */
    char err[CHILD_TEXT_BYTES]; /* start of its standard error, zero-terminated */
};

/*
 * Runs /proc/self/exe with `argv` (argv[0] included, NULL at the end) and waits for it.
 * `prepare(context)`, if given, runs in the child before exec.
 */
void child_run_self(const char *const argv[], void (*prepare)(void *), void *context,
                    struct child_result *result);

/* Waits for a forked child; true if it ended with exit code 0, else says how it ended. */
bool child_ended_well(pid_t pid);

/* The same for a status already collected. */
bool child_status_is_good(int status, pid_t pid);

/*
 * First call in a forked child: it dies when its parent does, so a hang leaves nothing behind,
 * and it dies of a crash, which cmocka would otherwise catch and go on in two processes.
 */
void child_begin(void);

#endif
