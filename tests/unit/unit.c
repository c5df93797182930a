/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

static char captured[64 * 1024];

static int capture_file(void)
{
    int fd = memfd_create("stderr", MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void capture_read(int fd)
{
    ssize_t n = pread(fd, captured, sizeof captured - 1, 0);
    assert_true(n >= 0);
    captured[n] = '\0';
    close(fd);
}

const char *unit_stderr_of(unit_act *act, void *context)
{
    int fd = capture_file();
    int saved = dup(STDERR_FILENO);
    fflush(stderr);
    assert_true(saved >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    act(context);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    capture_read(fd);
    return captured;
}

/* err: where the child's stderr goes, or -1. */
static int run_child(unit_act *act, void *context, int err)
{
    fflush(stdout);
    fflush(stderr);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        child_begin();
        const struct rlimit no_core = {0, 0};
        CHECK(setrlimit(RLIMIT_CORE, &no_core) == 0);
        CHECK(err < 0 || dup2(err, STDERR_FILENO) >= 0);
        act(context);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

void unit_child(unit_act *act, void *context)
{
    int status = run_child(act, context, -1);
    if (WIFSIGNALED(status)) {
        fail_msg("the child ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

void unit_child_dies(unit_act *act, void *context, const char *message, const void *p)
{
    char line[256];
    snprintf(line, sizeof line, "hakmem: %s 0x%jx\n", message, (uintmax_t)(uintptr_t)p);
    int fd = capture_file();
    int status = run_child(act, context, fd);
    capture_read(fd);
    assert_string_equal(captured, line);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}
