/* SPDX-License-Identifier: MIT */
/*
 * Goal: each door to the system does what its contract says, also where the system refuses: nothing
 * is lost when pages are moved, occupied addresses are left alone, errno is kept.
 * Method: real mappings in the way, split sources, a full pipe with signals, no file descriptors;
 * in the tiny build, failures on demand until each way out of a move was seen.
 */
#include "os/os.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/atomic.h"
#include "base/limits.h"
#include "unit.h"

enum { PAGES = 16, TRIES = 300, ERRNO_MARK = 4321, LONG_BYTES = 1 << 20 };

static size_t range_bytes(void)
{
    return PAGES * os_page_bytes();
}

static char *usable_range(void)
{
    char *p = os_reserve(range_bytes());
    CHECK(p != NULL && os_commit(p, range_bytes()));
    return p;
}

/* ---- reserve, commit, purge, renew ---- */

static void test_reserve_at(void **state)
{
    (void)state;
    bool occupied = false;
    char *p = os_reserve(range_bytes());
    assert_non_null(p);
    errno = ERRNO_MARK;
    assert_false(os_reserve_at(p + os_page_bytes(), os_page_bytes(), &occupied));
    assert_true(occupied);
    os_unreserve(p, range_bytes());
    assert_true(os_reserve_at(p, range_bytes(), &occupied));
    assert_false(occupied);
    os_unreserve(p, range_bytes());
    assert_false(os_reserve_at(p, SIZE_MAX & ~(os_page_bytes() - 1), &occupied)); /* more than there is */
    assert_false(occupied);
    assert_int_equal(errno, ERRNO_MARK);
}

static void test_refusals_keep_errno(void **state)
{
    (void)state;
    char *p = usable_range();
    os_unreserve(p, range_bytes());
    errno = ERRNO_MARK;
    assert_null(os_reserve(SIZE_MAX / 2));
    assert_false(os_commit(p, range_bytes())); /* not mapped */
    assert_false(os_purge(p, range_bytes()));
    assert_int_not_equal(os_renew(p + 1, range_bytes()), OS_RENEW_DONE); /* not a page */
    os_no_huge_pages(p, range_bytes());
    os_unreserve(p + 1, range_bytes());
    assert_int_equal(errno, ERRNO_MARK);
}

static void test_purged_and_renewed_pages_are_zero(void **state)
{
    (void)state;
    char *p = usable_range();
    assert_true(memory_is_zero(p, range_bytes()));
    memset(p, 1, range_bytes());
    assert_true(os_purge(p, range_bytes() / 2));
    assert_true(memory_is_zero(p, range_bytes() / 2));
    assert_int_equal(p[range_bytes() / 2], 1);
    assert_int_equal(os_renew(p, range_bytes()), OS_RENEW_DONE);
    assert_true(memory_is_zero(p, range_bytes()));
    os_unreserve(p, range_bytes());
}

static void every_call_refused(void *unused)
{
    (void)unused;
    bool occupied = true;
    char *p = usable_range();
    memory_fill(p, range_bytes(), 1);
    os_fail_every(1);
    CHECK(os_reserve(range_bytes()) == NULL);
    CHECK(!os_reserve_at(p - range_bytes(), range_bytes(), &occupied) && !occupied);
    CHECK(!os_commit(p, range_bytes()) && !os_purge(p, range_bytes()));
    CHECK(os_renew(p, range_bytes()) == OS_RENEW_REFUSED);
    CHECK(os_move_pages(p, p, range_bytes()) == OS_MOVE_REFUSED);
    CHECK(memory_holds(p, range_bytes(), 1));
}

static void test_failures_on_demand(void **state)
{
    (void)state;
    if (!BUILD_TINY) {
        skip();
    }
    unit_child(every_call_refused, NULL);
}

/* ---- moves ---- */

static void test_pages_move(void **state)
{
    (void)state;
    char *from = usable_range();
    char *to = usable_range();
    memory_fill(from, range_bytes(), 1);
    memory_fill(to, range_bytes(), 2);
    assert_int_equal(os_move_pages(from, to, range_bytes()), OS_MOVE_DONE);
    assert_true(memory_holds(to, range_bytes(), 1));
    assert_true(memory_is_zero(from, range_bytes()));
    os_unreserve(from, range_bytes());
    os_unreserve(to, range_bytes());
}

/* The kernel moves one mapping at a time: a source of two is refused, and nothing has changed. */
static void test_a_split_source_is_refused(void **state)
{
    (void)state;
    char *from = usable_range();
    char *to = usable_range();
    memory_fill(from, range_bytes(), 1);
    memory_fill(to, range_bytes(), 2);
    assert_int_equal(mprotect(from + range_bytes() / 2, range_bytes() / 2, PROT_READ), 0);
    errno = ERRNO_MARK;
    enum os_move result = os_move_pages(from, to, range_bytes());
    assert_int_equal(errno, ERRNO_MARK);
    if (result == OS_MOVE_REFUSED) { /* newer kernels may move both */
        assert_true(memory_holds(from, range_bytes(), 1));
        assert_true(memory_holds(to, range_bytes(), 2));
    } else {
        assert_true(memory_holds(to, range_bytes(), 1));
    }
    os_unreserve(from, range_bytes());
    os_unreserve(to, range_bytes());
}

/* The target as the kernel leaves it when it refuses the second step: gone, or still there. If gone,
 * there is another hole above it, which the kernel prefers for the first step. */
static enum os_move move_with_failures(bool target_is_gone)
{
    char *above = usable_range();
    char *from = usable_range();
    char *to = usable_range();
    if (above < to) {
        char *lower = above;
        above = to;
        to = lower;
    }
    memory_fill(from, range_bytes(), 1);
    memory_fill(to, range_bytes(), 2);
    os_unreserve(above, range_bytes());
    if (target_is_gone) {
        os_unreserve(to, range_bytes());
    }
    os_fail_every(2);
    enum os_move result = os_move_pages(from, to, range_bytes());
    os_fail_every(0);
    if (result == OS_MOVE_DONE) {
        CHECK(memory_holds(to, range_bytes(), 1) && memory_is_zero(from, range_bytes()));
    } else {
        CHECK(memory_holds(from, range_bytes(), 1));
        CHECK(target_is_gone || memory_holds(to, range_bytes(), 2));
    }
    os_unreserve(from, range_bytes());
    if (result == OS_MOVE_DONE || !target_is_gone) {
        os_unreserve(to, range_bytes());
    }
    return result;
}

static void moves_with_failures(void *unused)
{
    (void)unused;
    size_t seen_gone[3] = {0};
    size_t seen_there[3] = {0};
    for (int i = 0; i < TRIES; i++) {
        seen_gone[move_with_failures(true)]++;
        seen_there[move_with_failures(false)]++;
    }
    CHECK(seen_gone[OS_MOVE_DONE] > 0 && seen_gone[OS_MOVE_REFUSED] > 0);
    CHECK(seen_gone[OS_MOVE_LOST] == 0); /* the hole was filled again */
    CHECK(seen_there[OS_MOVE_DONE] > 0 && seen_there[OS_MOVE_REFUSED] > 0);
    CHECK(seen_there[OS_MOVE_LOST] > 0); /* somebody's mapping: the pages stay where they were */
}

static void test_moves_with_failures_lose_nothing(void **state)
{
    (void)state;
    if (!BUILD_TINY) {
        skip();
    }
    unit_child(moves_with_failures, NULL);
}

/* ---- what the system knows ---- */

static void test_limits_and_sizes(void **state)
{
    (void)state;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_AS, &limit), 0);
    size_t expected = limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)limit.rlim_cur;
    assert_int_equal(os_address_limit(), expected);
    assert_int_equal(os_page_bytes(), sysconf(_SC_PAGESIZE));
    assert_false(os_is_secure());
    size_t before = os_resident_bytes();
    assert_true(before > os_page_bytes());
    char *p = os_reserve((size_t)8 << 20);
    assert_true(os_commit(p, (size_t)8 << 20));
    memset(p, 1, (size_t)8 << 20);
    assert_true(os_resident_bytes() >= before + ((size_t)7 << 20));
    os_unreserve(p, (size_t)8 << 20);
}

static void no_files(void *unused)
{
    (void)unused;
    const struct rlimit none = {0, 0};
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    errno = ERRNO_MARK;
    CHECK(os_resident_bytes() == 0 && errno == ERRNO_MARK);
    CHECK(os_memory_limit() == SIZE_MAX && errno == ERRNO_MARK);
}

static void test_numbers_without_files(void **state)
{
    (void)state;
    unit_child(no_files, NULL);
}

/* ---- writing ---- */

static atomic_u32 signals_taken;

static void take_signal(int number)
{
    (void)number;
    u32_add_relaxed(&signals_taken, 1);
}

static atomic_u32 writer_id; /* of the thread, as /proc knows it */

static void *write_much(void *text)
{
    u32_store_relaxed(&writer_id, (uint32_t)syscall(SYS_gettid));
    errno = ERRNO_MARK;
    os_write_stderr(text, LONG_BYTES);
    CHECK(errno == ERRNO_MARK);
    close(STDERR_FILENO);
    return NULL;
}

static void wait_until_asleep(uint32_t id)
{
    char path[64];
    char text[256] = "";
    snprintf(path, sizeof path, "/proc/self/task/%u/stat", id);
    for (;;) {
        int fd = open(path, O_RDONLY);
        ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
        close(fd);
        text[n > 0 ? n : 0] = '\0';
        const char *end = strrchr(text, ')');
        if (end != NULL && end[1] == ' ' && end[2] == 'S') {
            return;
        }
        os_yield();
    }
}

/* A thread writes more than a pipe holds, and is interrupted while it waits. */
static void interrupted_write(void *text)
{
    int ends[2];
    pthread_t thread;
    struct sigaction action = {.sa_handler = take_signal}; /* no SA_RESTART */
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    CHECK(pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) >= 0 && close(ends[1]) == 0);
    CHECK(pthread_create(&thread, NULL, write_much, text) == 0);
    while (u32_load_relaxed(&writer_id) == 0) {
        os_yield();
    }
    for (uint32_t i = 1; i <= 3; i++) {
        wait_until_asleep(u32_load_relaxed(&writer_id));
        CHECK(pthread_kill(thread, SIGUSR1) == 0);
        while (u32_load_relaxed(&signals_taken) < i) {
            os_yield();
        }
    }
    size_t bytes = 0;
    static char part[4096];
    for (ssize_t n; (n = read(ends[0], part, sizeof part)) != 0;) {
        if (n < 0 || memcmp(part, (char *)text + bytes, (size_t)n) != 0) {
            _exit(2);
        }
        bytes += (size_t)n;
    }
    CHECK(pthread_join(thread, NULL) == 0);
    if (bytes != LONG_BYTES) {
        _exit(3);
    }
}

static void test_an_interrupted_write_goes_on(void **state)
{
    (void)state;
    static char text[LONG_BYTES];
    memory_fill(text, sizeof text, 1);
    if (UNIT_HAS_TSAN) {
        skip(); /* it holds signals back until the call has ended */
    }
    unit_child(interrupted_write, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reserve_at),
        cmocka_unit_test(test_refusals_keep_errno),
        cmocka_unit_test(test_purged_and_renewed_pages_are_zero),
        cmocka_unit_test(test_failures_on_demand),
        cmocka_unit_test(test_pages_move),
        cmocka_unit_test(test_a_split_source_is_refused),
        cmocka_unit_test(test_moves_with_failures_lose_nothing),
        cmocka_unit_test(test_limits_and_sizes),
        cmocka_unit_test(test_numbers_without_files),
        cmocka_unit_test(test_an_interrupted_write_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
