/* SPDX-License-Identifier: MIT */
/*
 * Goal: whatever the files under /proc and /sys hold, the command's report on the machine and on its
 * control groups is made.
 * Method: an input is a flag byte and the contents of these files, with a zero byte between them; the
 * readers are compiled with functions from here in place of fopen, access and uname. A file that the
 * input does not have does not exist.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "cgroup.h"
#include "fuzz.h"
#include "machine.h"

FILE *fuzz_fopen(const char *path, const char *mode);
int fuzz_access(const char *path, int mode);
int fuzz_uname(struct utsname *name);

enum { TEXT_BYTES = 8192 };

/* In the order of the input; by the end of their paths. */
static const char *const paths[] = {
    "/proc/self/cgroup",
    "/proc/self/mountinfo",
    "/memory.max",
    "/memory.limit_in_bytes",
    "/cpu.max",
    "/cpu.cfs_quota_us",
    "/cpu.cfs_period_us",
    "/proc/meminfo",
    "/vm/overcommit_memory",
    "/vm/max_map_count",
    "/transparent_hugepage/enabled",
    "release of the kernel",
};
enum { FILES = sizeof paths / sizeof *paths };

static char texts[FILES][TEXT_BYTES];
static size_t present; /* the first so many are there */
static bool visible;   /* the directories of control groups are */

/* ---- in place of the system ---- */

static bool ends_in(const char *text, const char *end)
{
    size_t a = strlen(text);
    size_t b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

FILE *fuzz_fopen(const char *path, const char *mode)
{
    (void)mode;
    for (size_t i = 0; i < present; i++) {
        if (ends_in(path, paths[i])) {
            return fmemopen(texts[i], strlen(texts[i]), "r");
        }
    }
    errno = ENOENT;
    return NULL;
}

int fuzz_access(const char *path, int mode)
{
    (void)path;
    (void)mode;
    return visible ? 0 : -1;
}

int fuzz_uname(struct utsname *name)
{
    memset(name, 0, sizeof *name);
    if (present < FILES) {
        return -1;
    }
    memcpy(name->release, texts[FILES - 1], sizeof name->release - 1);
    return 0;
}

/* ---- the input ---- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct report report = {.prefix = ""};
    if (size == 0) {
        return 0;
    }
    visible = (data[0] & 1) != 0;
    data++;
    size--;
    present = 0;
    while (present < FILES && fuzz_next_text(&data, &size, texts[present], TEXT_BYTES)) {
        present++;
    }
    machine_check(&report);
    double processors = cgroup_cpu_max();
    fuzz_trace("memory %llu, processors %g", cgroup_memory_max(), processors);
    FUZZ_CHECK(processors >= 0, "%g processors", processors);
    FUZZ_CHECK((report.problem_count > 0) == (report.first_problem[0] != '\0'),
               "%u problems without a sentence", report.problem_count);
    return 0;
}
