/* SPDX-License-Identifier: MIT */
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

enum { FILE_TEXT_MAX = 8192 };

void *table_map(size_t count, size_t item_bytes) {
    return bench_table(count, item_bytes);
}

void *stack_map(size_t bytes) {
    void *stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED) {
        bench_die("no memory for a stack");
    }
    return stack;
}

/* The number after `field` in a file of /proc, without stdio; -1 when it is not there. */
static long proc_number(const char *path, const char *field) {
    char text[FILE_TEXT_MAX];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0) {
        close(file);
    }
    if (length <= 0) {
        return -1;
    }
    text[length] = '\0';
    const char *found = strstr(text, field);
    return found == NULL ? -1 : strtol(found + strlen(field), NULL, 10);
}

static long without_tables(long kib) {
    long rest = kib - (long)(bench_table_bytes / 1024);
    return rest > 0 ? rest : 0;
}

/* VmRSS is summed up from counters per core and may lag by some hundred KiB; smaps counts. */
long rss_kib(void) {
    long kib = proc_number("/proc/self/smaps_rollup", "\nRss:");
    return without_tables(kib >= 0 ? kib : proc_number("/proc/self/status", "\nVmRSS:"));
}

long rss_peak_kib(void) {
    return without_tables(proc_number("/proc/self/status", "\nVmHWM:"));
}

void rss_peak_reset(void) {
    int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (file >= 0) {
        write_all(file, "5", 1);
        close(file);
    }
}

long minor_faults(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void own_yield(void) {
    syscall(SYS_sched_yield, (unsigned long)OWN_CALL);
}

void own_wait_while(_Atomic uint32_t *word, uint32_t value) {
    while (atomic_load_explicit(word, memory_order_acquire) == value) {
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, (unsigned long)OWN_CALL);
    }
}

void own_wake(_Atomic uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, (unsigned long)OWN_CALL);
}

bool write_all(int file, const char *text, size_t length) {
    while (length > 0) {
        ssize_t written = write(file, text, length);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return false;
        }
        text += written;
        length -= (size_t)written;
    }
    return true;
}
