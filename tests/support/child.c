/* SPDX-License-Identifier: MIT */
#include "child.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "check.h"

static void read_all(int fd, char *text)
{
    ssize_t length = pread(fd, text, CHILD_TEXT_BYTES - 1, 0);

    CHECK(length >= 0);
    text[length] = '\0';
    close(fd);
}

static pid_t wait_for(pid_t pid, int *status)
{
    pid_t ended;

    do
        ended = waitpid(pid, status, 0);
    while (ended < 0 && errno == EINTR);
    return ended;
}

void child_begin(void)
{
    static const int caught_by_cmocka[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS};

    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    for (size_t i = 0; i < sizeof caught_by_cmocka / sizeof *caught_by_cmocka; i++)
        CHECK(signal(caught_by_cmocka[i], SIG_DFL) != SIG_ERR);
}

void child_run_self(const char *const argv[], void (*prepare)(void *), void *context,
                    struct child_result *result)
{
    int out = memfd_create("out", 0);
    int err = memfd_create("err", 0);
    pid_t pid;

    CHECK(out >= 0 && err >= 0);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        child_begin();
        CHECK(dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0);
        if (prepare)
            prepare(context);
        execv("/proc/self/exe", (char *const *)argv);
        _exit(127);
    }
    CHECK(wait_for(pid, &result->status) == pid);
    read_all(out, result->out);
    read_all(err, result->err);
}

bool child_status_is_good(int status, pid_t pid)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (WIFSIGNALED(status))
        dprintf(STDERR_FILENO, "child %d: %s\n", (int)pid, strsignal(WTERMSIG(status)));
    else
        dprintf(STDERR_FILENO, "child %d: exit code %d\n", (int)pid, WEXITSTATUS(status));
    return false;
}

bool child_ended_well(pid_t pid)
{
    int status;

    CHECK(wait_for(pid, &status) == pid);
    return child_status_is_good(status, pid);
}
