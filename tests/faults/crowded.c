/* SPDX-License-Identifier: MIT */
/*
 * Goal: a process with thousands of mappings, or with as many as the system allows, goes on: what
 * would need one mapping more is done in another way or refused, and nothing else happens.
 * Method: the work of the fault trials in a fresh process that first maps pages with alternating
 * rights, 10,000 of them or as many as it gets, and gives back a few; so the limit is met in the
 * middle of a change. Then all are unmapped, and in the second run of the work nothing may be refused.
 *
 *   crowded             all steps
 *   crowded work LEFT   one of them, as a failure names it; LEFT mappings are left, "many" are 10,000
 */
#include <hakmem/hakmem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "allocator.h"
#include "check.h"
#include "child.h"
#include "held.h"
#include "memory.h"
#include "workload.h"

enum { MANY = 10000, LIMIT_TOO_HIGH = 300000, HANG_SECONDS = 600, LARGE_BYTES = 8 * MEMORY_MIB };

static char *crowd;
static size_t crowd_bytes;

/* Every other page may be written to, so that each page is a mapping; returns how many there are. */
static long make_mappings(long most)
{
    long page = sysconf(_SC_PAGESIZE);
    crowd_bytes = (size_t)(most + 2) * (size_t)page;
    crowd = mmap(NULL, crowd_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(crowd != MAP_FAILED);
    long i = 1;
    while (i < most && mprotect(crowd + i * page, (size_t)page, PROT_READ | PROT_WRITE) == 0) {
        i += 2;
    }
    CHECK(i >= most || errno == ENOMEM);
    return i;
}

/* The last pages of the crowd go, one mapping each. */
static void leave_room(long count, long made)
{
    long page = sysconf(_SC_PAGESIZE);
    for (long i = 0; i < count; i++) {
        CHECK(munmap(crowd + (made - 1 - i) * page, (size_t)page) == 0);
    }
}

static long limit_of_mappings(void)
{
    long limit = 0;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
    if (file != NULL) {
        if (fscanf(file, "%ld", &limit) != 1) {
            limit = 0;
        }
        fclose(file);
    }
    return limit;
}

static int run_work(const char *left)
{
    bool many = strcmp(left, "many") == 0;
    hak_free(hak_malloc(1));
    long made = make_mappings(many ? MANY : limit_of_mappings());
    leave_room(many ? 0 : atol(left), made);
    held_strict = many;
    workload_run(LARGE_BYTES);
    CHECK(munmap(crowd, crowd_bytes) == 0);
    CHECK(hak_check());
    held_strict = true;
    workload_run(LARGE_BYTES);
    CHECK(hak_check());
    printf("%u %u\n", held_refused, held_failed);
    return 0;
}

static void prepare(void *unused)
{
    (void)unused;
    alarm(HANG_SECONDS);
}

static bool run(const char *left)
{
    static struct child_result result;
    const char *const argv[] = {"crowded", "work", left, NULL};
    unsigned refused = 0;
    unsigned failed = 0;
    child_run_self(argv, prepare, NULL, &result);
    bool good = child_status_is_good(result.status, 0) &&
                sscanf(result.out, "%u %u", &refused, &failed) == 2 &&
                (strstr(result.err, "hakmem: out of memory") != NULL) == (refused != 0);
    printf("crowded: %s mappings left: %u requests, %u threads or processes refused%s\n%s", left,
           refused, failed, good ? "" : ": BAD", good ? "" : result.err);
    return good;
}

int main(int argc, char **argv)
{
    static const char *const left[] = {"0", "1", "2", "3", "4", "6", "10", "20", "50", "200"};
    allocator_expect();
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3 && strcmp(argv[1], "work") == 0) {
        return run_work(argv[2]);
    }
    bool good = run("many");
    if (limit_of_mappings() == 0 || limit_of_mappings() > LIMIT_TOO_HIGH) {
        printf("crowded: the limit of mappings is unknown or too high to be reached\n");
        return good ? 0 : 1;
    }
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        good = run(left[i]) && good;
    }
    return good ? 0 : 1;
}
