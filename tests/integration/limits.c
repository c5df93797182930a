/* SPDX-License-Identifier: MIT */
/*
 * Goal: under RLIMIT_AS and RLIMIT_DATA, malloc ends with NULL and ENOMEM and not in a crash;
 * blocks held stay intact; freed memory can be had again, also for other sizes; each burst of
 * failures is reported by exactly one line.
 * Method: the program runs itself under a limit set before exec. The child takes blocks of one
 * size until NULL, asks ten times more, frees all, checks, and does it a second time, marking
 * the bursts on standard error. The parent counts lines that start with "hakmem: ".
 * The mode "overcommit" runs only where the kernel is in strict mode already.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "allocator.h"
#include "check.h"
#include "child.h"
#include "memory.h"

enum { EXTRA_TRIES = 10 };
static const char burst_mark[] = "== burst\n";
static const char end_mark[] = "== end\n";

struct limit {
    int resource;
    const char *name;
    size_t bytes;
};

/* ---- the child ---- */

struct block {
    struct block *next;
    char bytes[];
};

static void mark(const char *text)
{
    CHECK(write(STDERR_FILENO, text, strlen(text)) == (ssize_t)strlen(text));
}

static struct block *take(struct block *list, size_t block_bytes, size_t key)
{
    struct block *block = malloc(block_bytes);

    if (!block) {
        CHECK(errno == ENOMEM);
        return NULL;
    }
    block->next = list;
    memory_fill(block->bytes, block_bytes - sizeof *block, key);
    return block;
}

/* Takes until NULL, then a few times more; returns how many blocks it got. */
static size_t exhaust(struct block **list, size_t block_bytes, size_t limit_bytes)
{
    size_t count = 0;
    struct block *block;

    errno = 0;
    mark(burst_mark);
    while ((block = take(*list, block_bytes, count))) {
        *list = block;
        count++;
        CHECK(count * block_bytes <= limit_bytes); /* else the limit is not honoured */
    }
    for (int i = 0; i < EXTRA_TRIES; i++) {
        errno = 0;
        block = take(*list, block_bytes, count);
        if (block) {
            *list = block;
            count++;
        }
    }
    mark(end_mark);
    return count;
}

static void check_and_free_all(struct block *list, size_t count, size_t block_bytes)
{
    while (list) {
        struct block *next = list->next;

        count--;
        CHECK(memory_holds(list->bytes, block_bytes - sizeof *list, count));
        free(list);
        list = next;
    }
    CHECK(count == 0);
}

/* After everything was freed, an eighth of the limit can be had in any size. */
static void check_other_sizes(size_t limit_bytes)
{
    for (size_t bytes = 16; bytes <= limit_bytes / 8; bytes *= 4) {
        void *block = malloc(bytes);

        CHECK(block);
        memory_fill(block, bytes, 1);
        CHECK(memory_holds(block, bytes, 1));
        free(block);
    }
}

static int run_as_child(size_t block_bytes, size_t limit_bytes)
{
    struct block *list = NULL;
    size_t first_count = exhaust(&list, block_bytes, limit_bytes);
    size_t second_count;

    check_and_free_all(list, first_count, block_bytes);
    check_other_sizes(limit_bytes);
    list = NULL;
    second_count = exhaust(&list, block_bytes, limit_bytes);
    check_and_free_all(list, second_count, block_bytes);
    /* The program itself needs several MiB: little is left of the smallest limits. */
    CHECK(first_count * block_bytes >= limit_bytes / (limit_bytes > 16 * MEMORY_MIB ? 4 : 16));
    CHECK(second_count >= first_count - first_count / 4);
    return 0;
}

/* ---- the parent ---- */

static void apply_limit(void *context)
{
    const struct limit *limit = context;
    struct rlimit value = {limit->bytes, limit->bytes};

    CHECK(setrlimit((__rlimit_resource_t)limit->resource, &value) == 0);
}

/* Lines of the library between the marks that start at `text`. */
static int count_diagnostics(const char *text)
{
    const char *end = strstr(text, end_mark);
    int count = 0;

    CHECK(end);
    for (const char *line = text; line < end; line = strchr(line, '\n') + 1)
        count += strncmp(line, "hakmem: ", strlen("hakmem: ")) == 0;
    return count;
}

static bool diagnostics_are_right(const char *text)
{
    int expected = allocator_is_hakmem() ? 1 : 0;
    int bursts = 0;

    while ((text = strstr(text, burst_mark))) {
        int found = count_diagnostics(text);

        bursts++;
        if (found != expected) {
            printf("burst %d: %d diagnostic lines\n", bursts, found);
            return false;
        }
        text += strlen(burst_mark);
    }
    return bursts == 2;
}

static bool survives(struct limit limit, size_t block_bytes)
{
    static struct child_result result;
    char block_text[32];
    char limit_text[32];
    const char *const argv[] = {"limits", "child", block_text, limit_text, NULL};
    bool good;

    snprintf(block_text, sizeof block_text, "%zu", block_bytes);
    snprintf(limit_text, sizeof limit_text, "%zu", limit.bytes);
    child_run_self(argv, apply_limit, &limit, &result);
    good = child_status_is_good(result.status, 0) && diagnostics_are_right(result.err);
    printf("%s %zu MiB, blocks of %zu bytes: %s\n", limit.name, limit.bytes / MEMORY_MIB,
           block_bytes, good ? "good" : "BAD");
    if (!good)
        printf("%s", result.err);
    return good;
}

static int run_all_limits(void)
{
    static const struct limit limits[] = {
        {RLIMIT_AS, "RLIMIT_AS", 256 * MEMORY_MIB},
        {RLIMIT_DATA, "RLIMIT_DATA", 64 * MEMORY_MIB},
        {RLIMIT_AS, "RLIMIT_AS", 16 * MEMORY_MIB},
        {RLIMIT_DATA, "RLIMIT_DATA", 16 * MEMORY_MIB},
    };
    static const size_t blocks[] = {48, 1000, 5000, 40000, 300000, MEMORY_MIB};
    int failures = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        for (size_t k = 0; k < sizeof blocks / sizeof *blocks; k++)
            failures += !survives(limits[i], blocks[k]);
    return failures ? 1 : 0;
}

/* ---- strict overcommit ---- */

static int overcommit_mode(void)
{
    FILE *file = fopen("/proc/sys/vm/overcommit_memory", "r");
    int mode = -1;

    if (file) {
        if (fscanf(file, "%d", &mode) != 1)
            mode = -1;
        fclose(file);
    }
    return mode;
}

static int run_strict_overcommit(void)
{
    struct block *list = NULL;

    if (overcommit_mode() != 2)
        return ALLOCATOR_TEST_SKIPPED;
    for (size_t i = 0; i < 64; i++)
        CHECK((list = take(list, MEMORY_MIB, i)));
    CHECK(take(NULL, (size_t)1 << 46, 0) == NULL);
    check_and_free_all(list, 64, MEMORY_MIB);
    check_other_sizes(64 * MEMORY_MIB);
    return 0;
}

int main(int argc, char **argv)
{
    allocator_expect();
    if (argc == 4)
        return run_as_child(strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
    if (argc == 2 && strcmp(argv[1], "overcommit") == 0)
        return run_strict_overcommit();
    return run_all_limits();
}
