/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cgroup.h"
#include "command.h"

/* Below this a process has no room for the allocator beside the program and its libraries. */
#define ADDRESS_SPACE_MIN (64ULL << 20)
/* Below this the allocator's reservation is visibly smaller than it wants to be. */
#define ADDRESS_SPACE_ROOMY (64ULL << 30)
/* The kernel's default. */
#define MAP_COUNT_USUAL 65530
#define MAP_COUNT_MIN 256

static bool read_word(const char *path, char *out, int size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    bool read = fgets(out, size, file) != NULL;
    fclose(file);
    out[read ? strcspn(out, "\n") : 0] = '\0';
    return read;
}

static void check_kernel(struct report *report)
{
    struct utsname name;
    unsigned major = 0;
    unsigned minor = 0;
    if (uname(&name) != 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2) {
        report_add(report, LEVEL_NOTE, "kernel", "its version is unknown");
        return;
    }
    if (major < 4 || (major == 4 && minor < 5)) {
        report_add(report, LEVEL_NOTE, "kernel",
                   "Linux %s is older than 4.5 and has no MADV_FREE, so giving memory back "
                   "costs more; use a newer one",
                   name.release);
    } else if (major < 5 || (major == 5 && minor < 17)) {
        report_add(report, LEVEL_OK, "kernel",
                   "Linux %s (before 5.17: pmap cannot show which memory is hakmem's)",
                   name.release);
    } else {
        report_add(report, LEVEL_OK, "kernel", "Linux %s", name.release);
    }
}

static void check_page_size(struct report *report)
{
    char text[TEXT_BYTES_MAX];
    unsigned long page = (unsigned long)sysconf(_SC_PAGESIZE);
    text_bytes(text, page);
    if (page == 4096 || page == 16384 || page == 65536) {
        report_add(report, LEVEL_OK, "page size", "%s", text);
    } else {
        report_add(report, LEVEL_PROBLEM, "page size",
                   "%s is none of 4KiB, 16KiB and 64KiB; use a kernel with one of these", text);
    }
}

/* A value of /proc/meminfo in bytes; 0 when absent. */
static unsigned long long memory_info(const char *name)
{
    FILE *file = fopen("/proc/meminfo", "re");
    if (file == NULL) {
        return 0;
    }
    char line[256];
    unsigned long long kib = 0;
    size_t length = strlen(name);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, name, length) == 0 && line[length] == ':') {
            sscanf(line + length + 1, "%llu", &kib);
            break;
        }
    }
    fclose(file);
    return kib * 1024;
}

static void check_overcommit(struct report *report)
{
    char mode[32];
    if (!read_word("/proc/sys/vm/overcommit_memory", mode, sizeof(mode))) {
        report_add(report, LEVEL_NOTE, "overcommit", "the mode is unknown");
        return;
    }
    if (strcmp(mode, "2") != 0) {
        report_add(report, LEVEL_OK, "overcommit", "mode %s (%s)", mode,
                   strcmp(mode, "1") == 0 ? "always" : "heuristic");
        return;
    }
    char limit[TEXT_BYTES_MAX];
    char used[TEXT_BYTES_MAX];
    text_bytes(limit, memory_info("CommitLimit"));
    text_bytes(used, memory_info("Committed_AS"));
    report_add(report, LEVEL_NOTE, "overcommit",
               "mode 2 (strict), %s of %s promised: hakmem reserves less at once, and "
               "malloc returns NULL at the limit; set vm.overcommit_memory=0 to lift it",
               used, limit);
}

/* Both limits stop mmap; RLIMIT_DATA only of writable memory. */
static void check_limit(struct report *report, int resource, const char *subject)
{
    struct rlimit limit;
    char text[TEXT_BYTES_MAX];
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0) {
        return;
    }
    if (limit.rlim_cur == RLIM_INFINITY) {
        report_add(report, LEVEL_OK, subject, "unlimited");
        return;
    }
    text_bytes(text, limit.rlim_cur);
    const char *flag = resource == RLIMIT_AS ? "v" : "d";
    if (limit.rlim_cur < ADDRESS_SPACE_MIN) {
        report_add(report, LEVEL_PROBLEM, subject,
                   "%s leaves the allocator no room; raise it, e.g. `ulimit -%s unlimited`",
                   text, flag);
    } else if (limit.rlim_cur < ADDRESS_SPACE_ROOMY) {
        report_add(report, LEVEL_NOTE, subject,
                   "limited to %s: hakmem reserves less address space, and malloc returns "
                   "NULL at the limit; raise it with `ulimit -%s unlimited`",
                   text, flag);
    } else {
        report_add(report, LEVEL_OK, subject, "limited to %s, which is plenty", text);
    }
}

static void check_map_count(struct report *report)
{
    char text[32];
    unsigned long count;
    if (!read_word("/proc/sys/vm/max_map_count", text, sizeof(text)) ||
        sscanf(text, "%lu", &count) != 1) {
        report_add(report, LEVEL_NOTE, "max_map_count", "unknown");
    } else if (count < MAP_COUNT_MIN) {
        report_add(report, LEVEL_PROBLEM, "max_map_count",
                   "%lu mappings do not suffice for any program; set vm.max_map_count=%d",
                   count, MAP_COUNT_USUAL);
    } else if (count < MAP_COUNT_USUAL) {
        report_add(report, LEVEL_NOTE, "max_map_count",
                   "%lu is below the usual %d, so giving memory back may fail in large heaps; "
                   "set vm.max_map_count=%d",
                   count, MAP_COUNT_USUAL, MAP_COUNT_USUAL);
    } else {
        report_add(report, LEVEL_OK, "max_map_count", "%lu", count);
    }
}

static void check_huge_pages(struct report *report)
{
    char modes[128];
    if (!read_word("/sys/kernel/mm/transparent_hugepage/enabled", modes, sizeof(modes))) {
        report_add(report, LEVEL_NOTE, "huge pages",
                   "this kernel has no transparent ones, so large heaps run slower");
    } else if (strstr(modes, "[madvise]") != NULL) {
        report_add(report, LEVEL_OK, "huge pages", "on request (madvise)");
    } else if (strstr(modes, "[always]") != NULL) {
        report_add(report, LEVEL_NOTE, "huge pages",
                   "given without asking (always), which can raise the memory use of every "
                   "program; write madvise to /sys/kernel/mm/transparent_hugepage/enabled to "
                   "let hakmem choose");
    } else {
        report_add(report, LEVEL_NOTE, "huge pages",
                   "switched off (never), so large heaps run slower; write madvise to "
                   "/sys/kernel/mm/transparent_hugepage/enabled");
    }
}

static void check_memory_limit(struct report *report)
{
    char text[TEXT_BYTES_MAX];
    unsigned long long bytes = cgroup_memory_max();
    if (bytes == CGROUP_UNLIMITED) {
        report_add(report, LEVEL_OK, "cgroup memory", "unlimited");
    } else if (bytes < ADDRESS_SPACE_MIN) {
        report_add(report, LEVEL_NOTE, "cgroup memory",
                   "limited to %s, above which the kernel kills the program; raise it or use "
                   "as little as possible",
                   text_bytes(text, bytes));
    } else {
        report_add(report, LEVEL_OK, "cgroup memory",
                   "limited to %s, above which the kernel kills the program",
                   text_bytes(text, bytes));
    }
}

static void check_processors(struct report *report)
{
    cpu_set_t set;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    int usable = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : (int)online;
    double quota = cgroup_cpu_max();
    if (quota <= 0) {
        report_add(report, LEVEL_OK, "cgroup cpu", "unlimited, %d of %ld processors usable",
                   usable, online);
    } else if (quota < usable) {
        report_add(report, LEVEL_NOTE, "cgroup cpu",
                   "limited to %.2f processors of the %d usable ones; programs that start a "
                   "thread per processor start too many, tell them the number",
                   quota, usable);
    } else {
        report_add(report, LEVEL_OK, "cgroup cpu", "limited to %.2f processors, %d usable",
                   quota, usable);
    }
}

/* Settings of other allocators stay without effect: say so instead of letting them be tuned. */
static void check_environment(struct report *report)
{
    static const char *const foreign[] = {
        "MALLOC_ARENA_MAX", "MALLOC_ARENA_TEST", "MALLOC_CONF",
        "MALLOC_MMAP_MAX_", "MALLOC_CHECK_",     "MALLOC_MMAP_THRESHOLD_",
        "MALLOC_PERTURB_",  "MALLOC_TOP_PAD_",   "MALLOC_TRIM_THRESHOLD_",
    };
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        if (getenv(foreign[i]) != NULL) {
            report_add(report, LEVEL_NOTE, "environment",
                       "%s is set for another allocator and has no effect on hakmem; see "
                       "`hakmem settings`",
                       foreign[i]);
        }
    }
    const char *tunables = getenv("GLIBC_TUNABLES");
    if (tunables != NULL && strstr(tunables, "glibc.malloc.") != NULL) {
        report_add(report, LEVEL_NOTE, "environment",
                   "the glibc.malloc entries of GLIBC_TUNABLES have no effect on hakmem; see "
                   "`hakmem settings`");
    }
}

void machine_check(struct report *report)
{
    check_kernel(report);
    check_page_size(report);
    check_overcommit(report);
    check_limit(report, RLIMIT_AS, "RLIMIT_AS");
    check_limit(report, RLIMIT_DATA, "RLIMIT_DATA");
    check_map_count(report);
    check_huge_pages(report);
    check_memory_limit(report);
    check_processors(report);
    check_environment(report);
}
