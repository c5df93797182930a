/* SPDX-License-Identifier: MIT */
/*
 * Part of the libraries that tests/coverage builds: counts are also written when a process ends by
 * _exit or abort, as forked children of tests and death tests do. Not after _Fork and vfork: their
 * children may not allocate, and the writing does. Limits that the process has used up are lifted
 * before, as far as it may.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void __gcov_dump(void);

static pid_t writer; /* the process, as far as the fork handlers know */

static void note_process(void)
{
    writer = getpid();
}

__attribute__((constructor)) static void start(void)
{
    note_process();
    pthread_atfork(NULL, NULL, note_process);
}

/* Runs before gcov's own destructor, which writes the counts of a process that ends by exit. */
__attribute__((destructor)) static void lift_limits(void)
{
    static const struct rlimit wanted[] = {{RLIM_INFINITY, RLIM_INFINITY}, {1024, 1024}};
    static const int resources[] = {RLIMIT_AS, RLIMIT_NOFILE};
    for (int i = 0; i < 2; i++) {
        struct rlimit limit;
        if (setrlimit(resources[i], &wanted[i]) != 0 && getrlimit(resources[i], &limit) == 0) {
            limit.rlim_cur = limit.rlim_max;
            setrlimit(resources[i], &limit);
        }
    }
}

static void write_counts(void)
{
    if (writer == getpid()) {
        writer = 0; /* once, also if the writing aborts */
        lift_limits();
        __gcov_dump();
    }
}

__attribute__((visibility("default"))) _Noreturn void _exit(int status)
{
    write_counts();
    for (;;) {
        syscall(SYS_exit_group, status);
    }
}

__attribute__((visibility("default"))) _Noreturn void _Exit(int status)
{
    _exit(status);
}

__attribute__((visibility("default"))) _Noreturn void abort(void)
{
    sigset_t set;
    write_counts();
    signal(SIGABRT, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, SIGABRT);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(SIGABRT);
    _exit(127);
}
