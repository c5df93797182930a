/* SPDX-License-Identifier: MIT */
/*
 * Goal: the allocator stays correct while the kernel refuses to take memory back or move it:
 * no crash, no lost bytes, errno kept by free, and memory the kernel would not take is used
 * again instead of lost.
 * Method: in a forked child a seccomp filter lets munmap, madvise and mremap (one or all of
 * them) fail with ENOMEM or EINVAL; then blocks of all ranges are taken, moved and freed.
 * The last test refuses mmap and mprotect instead and asks that malloc works or says NULL.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "allocator.h"
#include "check.h"
#include "child.h"
#include "memory.h"
#include "random.h"

enum { ERRNO_MARK = 12345, GROWTH_LIMIT_BYTES = 160 * MEMORY_MIB };

static uint64_t seed;

/* From here on the system call `number` fails with `error`. */
static void refuse(long number, int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

/* ---- what the child does under the filter ---- */

struct slot {
    char *block;
    size_t bytes;
};

static void free_checked(struct slot *slot, size_t key)
{
    if (slot->block)
        CHECK(memory_holds(slot->block, slot->bytes, key));
    errno = ERRNO_MARK;
    free(slot->block);
    CHECK(errno == ERRNO_MARK);
    slot->block = NULL;
    slot->bytes = 0;
}

static void move(struct slot *slot, size_t key, size_t bytes)
{
    size_t kept_bytes = slot->bytes < bytes ? slot->bytes : bytes;
    char *block = realloc(slot->block, bytes);

    CHECK(block);
    CHECK(memory_holds(block, kept_bytes, key));
    memory_fill(block, bytes, key);
    *slot = (struct slot){block, bytes};
}

static void take_zeroed(struct slot *slot, size_t key, size_t bytes)
{
    free_checked(slot, key);
    *slot = (struct slot){calloc(1, bytes), bytes};
    CHECK(slot->block);
    CHECK(memory_is_zero(slot->block, bytes));
    memory_fill(slot->block, bytes, key);
}

static void churn_all_ranges(void)
{
    enum { SLOTS = 64, ROUNDS = 3000 };
    static struct slot slots[SLOTS];
    uint64_t random = seed;

    for (int i = 0; i < ROUNDS; i++) {
        size_t key = random_below(&random, SLOTS);
        size_t bytes = random_size(&random, i % 50 == 0 ? 23 : 18);

        if (random_below(&random, 2))
            move(&slots[key], key, bytes);
        else
            take_zeroed(&slots[key], key, bytes);
        if (i % 500 == 0)
            malloc_trim(0);
    }
    for (size_t key = 0; key < SLOTS; key++)
        free_checked(&slots[key], key);
}

/* Each size is taken and freed until its sum is many times the limit. */
static void check_nothing_is_lost(void)
{
    static const size_t sizes[] = {5000, 70000, MEMORY_MIB, 3 * MEMORY_MIB, 20 * MEMORY_MIB};
    size_t before_bytes = memory_rss_bytes();

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t sum = 0; sum < 4u * GROWTH_LIMIT_BYTES; sum += 2 * sizes[i]) {
            char *first = malloc(sizes[i]);
            char *second = malloc(sizes[i]);

            CHECK(first && second);
            memset(first, 1, sizes[i]);
            memset(second, 1, sizes[i]);
            free(first);
            free(second);
        }
        malloc_trim(0);
    }
    CHECK(memory_rss_above_bytes(before_bytes) <= GROWTH_LIMIT_BYTES);
}

static void assert_child_survives(const long *numbers, size_t count, int error)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        child_begin();
        for (size_t i = 0; i < count; i++)
            refuse(numbers[i], error);
        churn_all_ranges();
        if (allocator_is_hakmem())
            check_nothing_is_lost();
        _exit(0);
    }
    assert_true(child_ended_well(pid));
}

static const long take_back_calls[] = {SYS_munmap, SYS_madvise, SYS_mremap};

static void one_call_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_child_survives(&take_back_calls[i], 1, ENOMEM);
        assert_child_survives(&take_back_calls[i], 1, EINVAL);
    }
}

static void all_calls_refused(void **state)
{
    (void)state;
    assert_child_survives(take_back_calls, 3, ENOMEM);
    assert_child_survives(take_back_calls, 3, EINVAL);
}

/* ---- no new memory at all ---- */

/* Allocates until NULL or `limit_bytes`; what was given must hold. */
static void take_until_refused(size_t block_bytes, size_t limit_bytes)
{
    char *last = NULL;

    for (size_t sum = 0; sum < limit_bytes; sum += block_bytes) {
        char *block = malloc(block_bytes);

        if (!block) {
            CHECK(errno == ENOMEM);
            break;
        }
        memory_fill(block, block_bytes, sum);
        memcpy(block, &last, sizeof last);
        last = block;
    }
    while (last) {
        char *previous;

        memcpy(&previous, last, sizeof previous);
        free(last);
        last = previous;
    }
}

static void no_new_memory(void **state)
{
    pid_t pid = fork();

    (void)state;
    assert_true(pid >= 0);
    if (pid == 0) {
        child_begin();
        refuse(SYS_mmap, ENOMEM);
        refuse(SYS_mprotect, ENOMEM);
        for (size_t bytes = 16; bytes <= 4 * MEMORY_MIB; bytes *= 4)
            take_until_refused(bytes, 64 * MEMORY_MIB);
        _exit(0);
    }
    assert_true(child_ended_well(pid));
}

/* True if this machine lets a process filter its own system calls. */
static bool filters_work(void)
{
    pid_t pid = fork();
    int error;

    CHECK(pid >= 0);
    if (pid == 0) {
        refuse(SYS_madvise, EINVAL);
        error = madvise(NULL, 0, MADV_NORMAL) == 0 ? 0 : errno;
        _exit(error == EINVAL ? 0 : 1);
    }
    return child_ended_well(pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_call_refused),
        cmocka_unit_test(all_calls_refused),
        cmocka_unit_test(no_new_memory),
    };

    allocator_expect();
    if (!filters_work())
        return ALLOCATOR_TEST_SKIPPED;
    seed = random_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
