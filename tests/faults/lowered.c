/* SPDX-License-Identifier: MIT */
/*
 * Goal: a process whose limits are lowered while it runs, below what it has or just above, gets NULL
 * and ENOMEM (or no thread, no child) and nothing worse, keeps its blocks, and works again when
 * the limits are raised.
 * Method: the work of the fault trials in a fresh process; before its n-th request the soft limit of
 * address space, of data or of processes goes down to what is in use and a little more. After the
 * work it goes up again; then the work is done once more, and nothing may be refused.
 *
 *   lowered [--thorough]   all limits at MOMENTS places of the work, or at many
 *   lowered at LIMIT SLACK_KIB REQUEST   one of them, as a failure names it
 */
#include <hakmem/hakmem.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "allocator.h"
#include "check.h"
#include "child.h"
#include "held.h"
#include "memory.h"
#include "workload.h"

enum { MOMENTS = 6, MOMENTS_THOROUGH = 120, HANG_SECONDS = 600, NOBODY = 65534, NEVER = 1 << 30 };
enum { LARGE_BYTES = 8 * MEMORY_MIB };

struct limit {
    const char *name;
    __rlimit_resource_t resource;
    const char *field; /* of /proc/self/status, in KiB: what is in use; NULL: nothing is left */
    rlim_t start;      /* its value before and after */
};

static const struct limit limits[] = {
    {"address-space", RLIMIT_AS, "\nVmSize:", RLIM_INFINITY},
    {"less-address-space", RLIMIT_AS, "\nVmSize:", (rlim_t)768 * MEMORY_MIB},
    {"data", RLIMIT_DATA, "\nVmData:", RLIM_INFINITY},
    {"processes", RLIMIT_NPROC, NULL, RLIM_INFINITY},
};
static const size_t slacks_kib[] = {0, 1024, 24 * 1024};
enum { LIMIT_COUNT = sizeof limits / sizeof *limits, SLACKS = sizeof slacks_kib / sizeof *slacks_kib };

/* ---- the process under test ---- */

static const struct limit *limit;
static size_t slack_bytes;
static unsigned moment;

static size_t status_bytes(const char *field)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t length = read(fd, text, sizeof text - 1);
    CHECK(length > 0 && close(fd) == 0);
    text[length] = '\0';
    const char *at = strstr(text, field);
    CHECK(at != NULL);
    return (size_t)strtoull(at + strlen(field), NULL, 10) * MEMORY_KIB;
}

static void set_soft_limit(rlim_t value)
{
    struct rlimit both;
    CHECK(getrlimit(limit->resource, &both) == 0);
    both.rlim_cur = value < both.rlim_max ? value : both.rlim_max;
    CHECK(setrlimit(limit->resource, &both) == 0);
}

static void lower(unsigned call)
{
    if (call == moment) {
        set_soft_limit(limit->field != NULL ? status_bytes(limit->field) + slack_bytes : 0);
    }
}

/* The superuser may have as many processes as he likes. */
static void become_somebody(void)
{
    if (limit->resource == RLIMIT_NPROC && geteuid() == 0) {
        CHECK(setresuid(NOBODY, NOBODY, NOBODY) == 0);
    }
}

static int run_work(void)
{
    become_somebody();
    hak_free(hak_malloc(1)); /* the address space that there is at the first request is what counts */
    held_before = lower;
    workload_run(LARGE_BYTES);
    held_before = NULL;
    set_soft_limit(limit->start);
    unsigned requests = held_calls;
    CHECK(hak_check());
    held_strict = true;
    workload_run(LARGE_BYTES);
    CHECK(hak_check());
    printf("%u %u %u\n", requests, held_refused, held_failed);
    return 0;
}

/* ---- the parent ---- */

struct outcome {
    unsigned requests, refused, failed;
};

static void prepare(void *context)
{
    limit = context;
    set_soft_limit(limit->start);
    alarm(HANG_SECONDS);
}

static bool run(const struct limit *l, size_t slack_kib, unsigned at, struct outcome *outcome)
{
    static struct child_result result;
    char slack_text[32];
    char at_text[32];
    const char *const argv[] = {"lowered", "work", l->name, slack_text, at_text, NULL};
    snprintf(slack_text, sizeof slack_text, "%zu", slack_kib);
    snprintf(at_text, sizeof at_text, "%u", at);
    child_run_self(argv, prepare, (void *)(uintptr_t)l, &result);
    bool good = child_status_is_good(result.status, 0) &&
                sscanf(result.out, "%u %u %u", &outcome->requests, &outcome->refused,
                       &outcome->failed) == 3 &&
                (strstr(result.err, "hakmem: out of memory") != NULL) == (outcome->refused != 0);
    if (!good) {
        printf("BAD: lowered at %s %zu %u\n%s", l->name, slack_kib, at, result.err);
    }
    return good;
}

static unsigned all_runs, all_refused;

/* Every moment of a limit, with every slack that means something. */
static unsigned run_limit(const struct limit *l, unsigned moments)
{
    struct outcome outcome = {0, 0, 0};
    struct outcome sum = {0, 0, 0};
    unsigned bad = 0;
    unsigned runs = 0;
    CHECK(run(l, 0, NEVER, &outcome) && outcome.refused + outcome.failed == 0);
    unsigned requests = outcome.requests;
    for (unsigned i = 0; i < moments; i++) {
        for (unsigned k = 0; k < (l->field != NULL ? SLACKS : 1u); k++, runs++) {
            bad += !run(l, slacks_kib[k], requests / moments * i, &outcome);
            sum.refused += outcome.refused;
            sum.failed += outcome.failed;
        }
    }
    printf("lowered: %s: %u runs, %u requests and %u threads or processes refused, %u bad\n",
           l->name, runs, sum.refused, sum.failed, bad);
    all_runs += runs;
    all_refused += sum.refused + sum.failed;
    return bad + (sum.refused + sum.failed == 0); /* a limit that was never felt tests nothing */
}

static const struct limit *find_limit(const char *name)
{
    for (int i = 0; i < LIMIT_COUNT; i++) {
        if (strcmp(limits[i].name, name) == 0) {
            return &limits[i];
        }
    }
    fprintf(stderr, "lowered: no limit is called %s\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    struct outcome outcome;
    unsigned bad = 0;
    allocator_expect();
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 5) {
        limit = find_limit(argv[2]);
        slack_bytes = strtoull(argv[3], NULL, 10) * MEMORY_KIB;
        moment = (unsigned)strtoul(argv[4], NULL, 10);
        return strcmp(argv[1], "work") == 0 ? run_work()
                                            : !run(limit, slack_bytes / MEMORY_KIB, moment, &outcome);
    }
    for (int i = 0; i < LIMIT_COUNT; i++) {
        bad += run_limit(&limits[i], argc > 1 ? MOMENTS_THOROUGH : MOMENTS);
    }
    printf("lowered: %u runs under %d limits, %u refusals, %u bad\n", all_runs, LIMIT_COUNT,
           all_refused, bad);
    return bad == 0 ? 0 : 1;
}
