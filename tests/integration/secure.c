/* SPDX-License-Identifier: MIT */
/*
 * Goal: a program with more rights than its user ignores the settings in the environment.
 * Method: a copy of this program is made setuid and started by another user, with HAKMEM_VERBOSE=1:
 * without the rights it prints the banner, with them it must not. Needs root and a file system that
 * honours setuid; skipped otherwise. Linked statically with the allocator: the dynamic linker does
 * not preload libraries into such programs.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "allocator.h"
#include "check.h"

enum { OTHER_USER = 65534, INSECURE = 3, TEXT_BYTES = 4096 };

static char copy_path[] = "./secure-XXXXXX";

static void copy_self(mode_t mode)
{
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int to = mkostemp(copy_path, O_CLOEXEC);
    struct stat info;

    CHECK(from >= 0 && to >= 0 && fstat(from, &info) == 0);
    for (off_t left = info.st_size; left > 0;) {
        ssize_t n = sendfile(to, from, NULL, (size_t)left);

        CHECK(n > 0);
        left -= n;
    }
    CHECK(fchmod(to, mode) == 0);
    close(from);
    close(to);
}

/* Starts the copy as another user; fills `text` with what it writes to stderr. */
static int run_copy(char *text)
{
    int ends[2];
    int status;
    ssize_t length = 0;
    pid_t pid;

    CHECK(pipe(ends) == 0);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        static char verbose[] = "HAKMEM_VERBOSE=1";
        char *const arguments[] = {copy_path, (char *)"child", NULL};
        char *const environment[] = {verbose, NULL};
        int program = open(copy_path, O_PATH);

        CHECK(program >= 0 && dup2(ends[1], STDERR_FILENO) >= 0);
        CHECK(setgid(OTHER_USER) == 0 && setuid(OTHER_USER) == 0);
        fexecve(program, arguments, environment);
        _exit(127);
    }
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], text + length, (size_t)(TEXT_BYTES - 1 - length))) > 0;)
        length += n;
    close(ends[0]);
    text[length] = '\0';
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int run_as_child(void)
{
    free(malloc(100));
    return getauxval(AT_SECURE) != 0 ? 0 : INSECURE;
}

int main(int argc, char **argv)
{
    static char text[TEXT_BYTES];
    int status;

    (void)argv;
    allocator_expect();
    if (argc > 1)
        return run_as_child();
    if (geteuid() != 0)
        return ALLOCATOR_TEST_SKIPPED;
    copy_self(0755);
    status = run_copy(text);
    CHECK(status == INSECURE && strstr(text, "HAKMEM_VERBOSE=1") != NULL);
    CHECK(chmod(copy_path, 04755) == 0);
    status = run_copy(text);
    CHECK(unlink(copy_path) == 0);
    if (status == INSECURE)
        return ALLOCATOR_TEST_SKIPPED; /* mounted nosuid */
    CHECK(status == 0 && strcmp(text, "") == 0);
    return 0;
}
