/* SPDX-License-Identifier: MIT */
/*
 * Goal: the memory limit of the process's control group is found in both versions of them, on a host
 * and in a container; whatever else these files hold is no limit.
 * Method: where the system allows it, a child that sees other files in their places; everywhere, what
 * the shell finds in the real ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "os/os.h"
#include "unit.h"

enum { ERRNO_MARK = 4242 };

#define ROOT "/sys/fs/cgroup"
#define LONG_NAME "/0123456789012345678901234567890123456789012345678901234567890123456789"

/* Creates the directories above it too. */
static bool write_file(const char *path, const char *text)
{
    char folder[1024];
    for (size_t i = 1; path[i] != 0; i++) {
        if (path[i] == '/') {
            memcpy(folder, path, i);
            folder[i] = 0;
            mkdir(folder, 0755);
        }
    }
    FILE *file = fopen(path, "w");
    return file != NULL && fputs(text, file) >= 0 && fclose(file) == 0;
}

/* From here on the child has ROOT to itself; /proc/self/cgroup is a file in it. */
static bool have_own_files(void)
{
    const char *groups = ROOT "/groups";
    return (unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", ROOT, "tmpfs", 0, NULL) == 0 && write_file(groups, "") &&
           mount(groups, "/proc/self/cgroup", NULL, MS_BIND, NULL) == 0;
}

static void check_limit(const char *groups, const char *path, const char *text, size_t expected)
{
    CHECK(write_file(ROOT "/groups", groups));
    CHECK(write_file(path, text));
    errno = ERRNO_MARK;
    size_t limit = os_memory_limit();
    CHECK(limit == expected && errno == ERRNO_MARK);
    CHECK(unlink(path) == 0);
}

static void other_files(void *may)
{
    if (!have_own_files()) {
        return;
    }
    *(volatile bool *)may = true;
    const char *top = ROOT "/memory.max";
    const char *first = ROOT "/memory/box/memory.limit_in_bytes";
    check_limit("0::/a/b\n", ROOT "/a/b/memory.max", "104857600\n", 104857600);
    check_limit("0::/a/b\n", ROOT "/a/b/memory.max", "max\n", SIZE_MAX);
    check_limit("0::/a/b\n", ROOT "/a/memory.max", "104857600\n", SIZE_MAX); /* another group's */
    check_limit("0::/\n", top, "52428800\n", 52428800);
    check_limit("0::/docker/of/the/host\n", top, "52428800\n", 52428800);
    check_limit("4:memory:/box\n1:name=systemd:/\n0::/\n", first, "1048576\n", 1048576);
    check_limit("4:memory:/box\n", first, "9223372036854771712\n", SIZE_MAX); /* means none */
    check_limit("4:memory:/box\n", first, "18446744073709551615\n", SIZE_MAX);
    check_limit("4:memory:/elsewhere\n", ROOT "/memory/memory.limit_in_bytes", "7000000\n", 7000000);
    check_limit("3:cpuset:/box\n", first, "1048576\n", SIZE_MAX);
    check_limit("0::" LONG_NAME LONG_NAME LONG_NAME LONG_NAME LONG_NAME LONG_NAME LONG_NAME "\n", top,
                "52428800\n", 52428800);
    check_limit("0::/a", top, "52428800", 52428800); /* without ends of lines */
    check_limit("", top, "52428800\n", SIZE_MAX);
    check_limit("0::/\n", top, "", SIZE_MAX);
    check_limit("0::/\n", top, "-1\n", SIZE_MAX);
}

static void test_other_files(void **state)
{
    (void)state;
    bool *may = mmap(NULL, sizeof *may, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(may != MAP_FAILED);
    unit_child(other_files, may);
    if (!*may) {
        skip();
    }
}

static void test_this_process(void **state)
{
    (void)state;
    static const char command[] =
        "m=$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup); d=" ROOT "/memory f=memory.limit_in_bytes\n"
        "[ -n \"$m\" ] || { m=$(sed -n 's/^0:://p' /proc/self/cgroup); d=" ROOT " f=memory.max; }\n"
        "cat \"$d$m/$f\" 2>/dev/null || cat \"$d/$f\" 2>/dev/null || echo max";
    char text[64] = "";
    FILE *shell = popen(command, "r");
    assert_non_null(shell);
    assert_non_null(fgets(text, sizeof text, shell));
    assert_int_equal(pclose(shell), 0);
    uint64_t expected = strtoull(text, NULL, 10); /* 0: max */
    bool is_none = expected == 0 || expected > (uint64_t)PTRDIFF_MAX / 2;
    assert_int_equal(os_memory_limit(), is_none ? SIZE_MAX : expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_this_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
