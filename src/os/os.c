/* SPDX-License-Identifier: MIT */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/limits.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

extern char **environ;

static atomic_u32 fail_every;
static atomic_u32 fail_counter;

void os_fail_every(uint32_t n)
{
    u32_store_relaxed(&fail_every, n); /* relaxed: a test switch, set before threads start */
}

static bool injected_failure(void)
{
    if (!BUILD_TINY) {
        return false;
    }
    uint32_t n = u32_load_relaxed(&fail_every);
    /* Knuth's multiplicative hash: one call in n in the mean, also several in a row */
    return n != 0 && (u32_add_relaxed(&fail_counter, 1) * 2654435761u >> 8) % n == 0;
}

enum { RESERVE_FLAGS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE };

void *os_reserve(size_t bytes)
{
    int saved = errno;
    void *p = injected_failure() ? MAP_FAILED : mmap(NULL, bytes, PROT_NONE, RESERVE_FLAGS, -1, 0);
    errno = saved;
    return p == MAP_FAILED ? NULL : p;
}

bool os_reserve_at(void *addr, size_t bytes, bool *occupied)
{
    int saved = errno;
    void *p = MAP_FAILED;
    errno = ENOMEM;
    if (!injected_failure()) {
        p = mmap(addr, bytes, PROT_NONE, RESERVE_FLAGS | MAP_FIXED_NOREPLACE, -1, 0);
    }
    *occupied = p == MAP_FAILED && errno == EEXIST;
    errno = saved;
    if (p != MAP_FAILED && p != addr) { /* a kernel before 4.17 takes the address for a hint */
        os_unreserve(p, bytes);
        *occupied = true;
    }
    return p == addr;
}

bool os_unreserve(void *addr, size_t bytes)
{
    int saved = errno;
    bool done = munmap(addr, bytes) == 0;
    errno = saved;
    return done;
}

bool os_commit(void *addr, size_t bytes)
{
    int saved = errno;
    bool done = !injected_failure() && mprotect(addr, bytes, PROT_READ | PROT_WRITE) == 0;
    errno = saved;
    return done;
}

bool os_purge(void *addr, size_t bytes)
{
    int saved = errno;
    bool done = !injected_failure() && madvise(addr, bytes, MADV_DONTNEED) == 0;
    errno = saved;
    return done;
}

/* A kernel before 6.12 unmaps the pages first and may refuse afterwards: then fill the hole. */
static enum os_renewal renew_pages(void *addr, size_t bytes)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    if (mmap(addr, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, -1, 0) == addr) {
        return OS_RENEW_DONE;
    }
    void *p = mmap(addr, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED_NOREPLACE, -1, 0);
    if (p == addr) {
        return OS_RENEW_DONE;
    }
    if (p != MAP_FAILED) {
        munmap(p, bytes); /* before 4.17 the address is a hint: the pages are still there */
        return OS_RENEW_REFUSED;
    }
    return errno == EEXIST ? OS_RENEW_REFUSED : OS_RENEW_LOST;
}

enum os_renewal os_renew(void *addr, size_t bytes)
{
    int saved = errno;
    enum os_renewal result = injected_failure() ? OS_RENEW_REFUSED : renew_pages(addr, bytes);
    errno = saved;
    return result;
}

/* The second step of a move failed, and the kernel may have unmapped the target before: fill it, if
 * nobody else has, and copy; else put the pages back. */
static enum os_move finish_by_copy(void *from, void *to, void *between, size_t bytes)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    void *p = mmap(to, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    bool filled = p == to;
    if (!filled && p != MAP_FAILED) {
        munmap(p, bytes);
    }
    memcpy(filled ? to : from, between, bytes);
    munmap(between, bytes);
    return filled ? OS_MOVE_DONE : OS_MOVE_LOST;
}

/* In two steps: mremap to a fixed address unmaps the target first, on most kernels also when it then
 * refuses the source (because something split its mapping in two). The first step has no target; the
 * address must be given all the same, or the kernel is handed what a register happened to hold. */
static enum os_move move_pages(void *from, void *to, size_t bytes)
{
    void *between = mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
    if (between == MAP_FAILED) {
        return OS_MOVE_REFUSED;
    }
    if (!injected_failure() &&
        mremap(between, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to) {
        return OS_MOVE_DONE;
    }
    return finish_by_copy(from, to, between, bytes);
}

enum os_move os_move_pages(void *from, void *to, size_t bytes)
{
    int saved = errno;
    enum os_move result = injected_failure() ? OS_MOVE_REFUSED : move_pages(from, to, bytes);
    errno = saved;
    return result;
}

void os_no_huge_pages(void *addr, size_t bytes)
{
    int saved = errno;
    madvise(addr, bytes, MADV_NOHUGEPAGE); /* advice: a refusal costs nothing but memory */
    errno = saved;
}

size_t os_page_bytes(void)
{
    static atomic_u32 page;
    uint32_t bytes = u32_load_relaxed(&page); /* relaxed: every writer writes the same */
    if (unlikely(bytes == 0)) {
        bytes = (uint32_t)getauxval(AT_PAGESZ);
        u32_store_relaxed(&page, bytes);
    }
    return bytes;
}

size_t os_address_limit(void)
{
    int saved = errno;
    struct rlimit limit;
    size_t bytes = SIZE_MAX;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        bytes = limit.rlim_cur;
    }
    errno = saved;
    return bytes;
}

uint32_t os_now_ms(void)
{
    int saved = errno;
    struct timespec t;
    if (clock_gettime(CLOCK_MONOTONIC_COARSE, &t) != 0) {
        errno = saved;
        return 0;
    }
    return (uint32_t)((uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000);
}

/* open, read, close and write are cancellation points, malloc must be none: a pending cancellation has
 * to wait while they run. */
static int cancellation_off(void)
{
    int before;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return before;
}

static void cancellation_back(int before)
{
    pthread_setcancelstate(before, &before);
}

/* Reads the beginning of a file of the kernel's into text, which it terminates. */
static void read_file(const char *path, char *text, size_t bytes)
{
    int saved = errno;
    int cancellation = cancellation_off();
    ssize_t n = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, text, bytes - 1);
        close(fd);
    }
    text[n > 0 ? n : 0] = 0;
    cancellation_back(cancellation);
    errno = saved;
}

/* The decimal number that a text begins with, 0 if it begins with none. */
static size_t number_at(const char *at)
{
    size_t n = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        n = n * 10 + (size_t)(*at - '0');
    }
    return n;
}

/* The second number of /proc/self/statm, in pages. */
size_t os_resident_bytes(void)
{
    char text[128];
    read_file("/proc/self/statm", text, sizeof text);
    const char *at = strchr(text, ' ');
    return at != NULL ? number_at(at + 1) * os_page_bytes() : 0;
}

/* 0 if nothing can be read, SIZE_MAX if it is no number, or one so large that it means none. */
static size_t limit_in(const char *mount, const char *group, size_t length, const char *file)
{
    char path[512], text[32];
    size_t at = strlen(mount);
    size_t end = strlen(file) + 1;
    if (at + length + end > sizeof path) {
        return 0;
    }
    memcpy(path, mount, at);
    memcpy(path + at, group, length);
    memcpy(path + at + length, file, end);
    read_file(path, text, sizeof text);
    size_t n = number_at(text);
    return text[0] == 0 || (n != 0 && n <= (size_t)PTRDIFF_MAX / 2) ? n : SIZE_MAX;
}

/* In a container the path may be one of the host's; then the group is the top of what is mounted. */
static size_t limit_of_group(const char *mount, const char *group, const char *file)
{
    size_t limit = limit_in(mount, group, strcspn(group, "\n"), file);
    limit = limit != 0 ? limit : limit_in(mount, group, 0, file);
    return limit != 0 ? limit : SIZE_MAX;
}

/* Version 2 names one group, "0::/group", version 1 one for each controller, "4:memory:/group". */
size_t os_memory_limit(void)
{
    char text[2048];
    read_file("/proc/self/cgroup", text, sizeof text);
    const char *group = strstr(text, ":memory:");
    if (group != NULL) {
        return limit_of_group("/sys/fs/cgroup/memory", group + strlen(":memory:"), "/memory.limit_in_bytes");
    }
    group = strstr(text, "0::");
    return group != NULL ? limit_of_group("/sys/fs/cgroup", group + strlen("0::"), "/memory.max") : SIZE_MAX;
}

/* Also where the system gives them unasked, so that what is resident is known. */
static bool system_gives_huge_pages(void)
{
    enum { UNKNOWN, NO, YES };
    static atomic_u32 answer;
    uint32_t known = u32_load_relaxed(&answer); /* relaxed: every writer writes the same */
    if (known == UNKNOWN) {
        char text[64];
        read_file("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof text);
        known = strstr(text, "[madvise]") != NULL || strstr(text, "[always]") != NULL ? YES : NO;
        u32_store_relaxed(&answer, known);
    }
    return known == YES;
}

void os_start(void)
{
    system_gives_huge_pages();
}

static uint64_t now_us(void)
{
    struct timespec t = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* A huge page takes long where memory has to be compacted first, or to be had from the host of a virtual
 * machine: each time it does, twice as many requests are left out before the next try. Without a lock:
 * at worst a request too many. */
static struct {
    atomic_u32 left_out, wait;
} back_off;

static bool is_time_to_try(void)
{
    uint32_t left_out = u32_add_relaxed(&back_off.left_out, 1); /* relaxed: a hint, as below */
    return left_out >= u32_load_relaxed(&back_off.wait);
}

static void note_duration(uint64_t us)
{
    uint32_t wait = u32_load_relaxed(&back_off.wait); /* relaxed: a hint */
    wait = us < HUGE_STALL_US ? 0 : wait == 0 ? HUGE_WAIT_FIRST : wait < HUGE_WAIT_MAX ? wait * 2 : wait;
    u32_store_relaxed(&back_off.wait, wait); /* relaxed: as above */
    u32_store_relaxed(&back_off.left_out, 0);
}

/* The page is had at once and the mark taken off again: where it stays, khugepaged makes the page whole
 * again when part of it was given back. */
bool os_huge_page(void *addr)
{
    enum { HUGE_PAGE_BYTES = 2 << 20 };
    int saved = errno;
    bool done = !injected_failure() && system_gives_huge_pages() && is_time_to_try() &&
                madvise(addr, HUGE_PAGE_BYTES, MADV_HUGEPAGE) == 0;
    if (done) {
        uint64_t start = now_us();
        memset(addr, 0, 1);
        compiler_opaque(addr); /* or the store could come later */
        note_duration(now_us() - start);
        madvise(addr, HUGE_PAGE_BYTES, MADV_NOHUGEPAGE);
    }
    errno = saved;
    return done;
}

bool os_is_secure(void)
{
    return getauxval(AT_SECURE) != 0;
}

const char *const *os_environment(void)
{
    return (const char *const *)environ;
}

void os_futex_wait(void *word, uint32_t expected)
{
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
    errno = saved;
}

void os_futex_wake(void *word)
{
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = saved;
}

void os_yield(void)
{
    int saved = errno;
    sched_yield();
    errno = saved;
}

void os_write_stderr(const char *text, size_t length)
{
    int saved = errno;
    int cancellation = cancellation_off();
    while (length > 0) {
        ssize_t n = write(STDERR_FILENO, text, length);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break; /* nowhere to complain */
        }
        text += n;
        length -= (size_t)n;
    }
    cancellation_back(cancellation);
    errno = saved;
}

_Noreturn void os_abort(void)
{
    abort();
}
