/* SPDX-License-Identifier: MIT */
/*
 * Goal: a small process never gets a huge page, a large one gets its memory by huge pages, and what it
 * gives back and uses again is not more than it asks for.
 * Method: page faults counted by the kernel while a heap grows to 150 MiB of small blocks, against one
 * fault per page; huge pages of this process in /proc/self/smaps_rollup. Skipped where the system
 * gives none.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "allocator.h"
#include "check.h"

enum { BLOCK_BYTES = 112, MIB = 1 << 20, SMALL_MIB = 8, LARGE_MIB = 150, PAGE_BYTES = 4096 };

static void *blocks[LARGE_MIB * (size_t)MIB / BLOCK_BYTES];

static int system_gives_huge_pages(void)
{
    char text[64] = "";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    if (file != NULL) {
        CHECK(fgets(text, sizeof text, file) != NULL);
        fclose(file);
    }
    return strstr(text, "[madvise]") != NULL && prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0;
}

static long huge_kib(void)
{
    char line[256];
    long kib = -1;
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL) {
        sscanf(line, "AnonHugePages: %ld", &kib);
    }
    fclose(file);
    return kib;
}

static long faults(void)
{
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    return usage.ru_minflt;
}

static size_t grow(size_t from, size_t mib)
{
    size_t end = mib * MIB / BLOCK_BYTES;
    for (size_t i = from; i < end; i++) {
        blocks[i] = malloc(BLOCK_BYTES);
        CHECK(blocks[i] != NULL);
        memset(blocks[i], 1, BLOCK_BYTES);
    }
    return end;
}

int main(void)
{
    allocator_expect();
    if (!system_gives_huge_pages()) {
        printf("skipped: the system gives no huge pages on request\n");
        return ALLOCATOR_TEST_SKIPPED;
    }
    memset(blocks, 0, sizeof blocks); /* its faults are not counted */
    long before = faults();
    size_t count = grow(0, SMALL_MIB);
    CHECK(huge_kib() == 0);
    count = grow(count, LARGE_MIB);
    long taken = faults() - before;
    long huge = huge_kib();
    printf("%ld faults for %d pages, %ld KiB in huge pages\n", taken, LARGE_MIB * (MIB / PAGE_BYTES), huge);
    CHECK(huge > 0); /* how many depends on how long the system takes for one */
    long pages = LARGE_MIB * (MIB / PAGE_BYTES);
    CHECK(taken < pages + pages / 32 - huge / 4 * 9 / 10); /* a few more are of the allocator's tables */
    for (size_t i = 0; i < count; i++) {
        free(blocks[i]);
    }
    malloc_trim(0);
    CHECK(huge_kib() < huge / 2);
    char *sparse = malloc(64 * (size_t)MIB); /* where the huge pages were */
    CHECK(sparse != NULL);
    long without = huge_kib();
    for (size_t at = 0; at < 64 * (size_t)MIB; at += MIB) {
        sparse[at] = 1;
    }
    CHECK(huge_kib() == without);
    free(sparse);
    return 0;
}
