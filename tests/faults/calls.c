/* SPDX-License-Identifier: MIT */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>

#include "check.h"
#include "memory.h"

/* What the linker leads here, and where it would have gone. */
void *__real_mmap(void *, size_t, int, int, int, off_t);
int __real_munmap(void *, size_t);
int __real_mprotect(void *, size_t, int);
int __real_madvise(void *, size_t, int);
void *__real_mremap(void *, size_t, size_t, int, ...);
int __real_getrlimit(__rlimit_resource_t, struct rlimit *);
int __real_clock_gettime(clockid_t, struct timespec *);
int __real_open(const char *, int, ...);
ssize_t __real_read(int, void *, size_t);
ssize_t __real_write(int, const void *, size_t);
long __real_syscall(long, ...);
int __real_pthread_key_create(pthread_key_t *, void (*)(void *));
int __real_pthread_setspecific(pthread_key_t, const void *);
int __real_pthread_atfork(void (*)(void), void (*)(void), void (*)(void));

void *__wrap_mmap(void *, size_t, int, int);
int __wrap_munmap(void *, size_t);
int __wrap_mprotect(void *, size_t, int);
int __wrap_madvise(void *, size_t, int);
void *__wrap_mremap(void *, size_t, size_t, int, ...);
int __wrap_getrlimit(__rlimit_resource_t, struct rlimit *);
int __wrap_clock_gettime(clockid_t, struct timespec *);
int __wrap_open(const char *, int, ...);
ssize_t __wrap_read(int, void *, size_t);
ssize_t __wrap_write(int, const void *, size_t);
long __wrap_syscall(long, ...);
int __wrap_pthread_key_create(pthread_key_t *, void (*)(void *));
int __wrap_pthread_setspecific(pthread_key_t, const void *);
int __wrap_pthread_atfork(void (*)(void), void (*)(void), void (*)(void));

enum { TAKEN_MARK_BYTES = 64 };

static const char *const names[CALL_COUNT] = {
    "mmap", "mprotect", "madvise", "mremap", "munmap", "getrlimit", "clock_gettime", "open",
    "read", "write", "futex", "pthread_key_create", "pthread_setspecific", "pthread_atfork",
    "memory",
};

static struct calls_plan none = {.rules = {{.call = CALL_NONE}, {.call = CALL_NONE}},
                                 .closed = true};

const char *calls_name(enum call call)
{
    return names[call];
}

enum call calls_find(const char *name)
{
    int call = 0;
    while (call < CALL_COUNT && strcmp(names[call], name) != 0) {
        call++;
    }
    return call < CALL_COUNT ? (enum call)call : CALL_NONE;
}

/* ---- the plan ---- */

struct calls_plan *calls_map_plan(int fd)
{
    void *shared = __real_mmap(NULL, sizeof none, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return shared != MAP_FAILED ? shared : NULL;
}

/* The first call comes before main and from one thread. */
struct calls_plan *calls_plan(void)
{
    static struct calls_plan *plan;
    if (plan == NULL) {
        plan = calls_map_plan(CALLS_FD);
        plan = plan != NULL ? plan : &none;
    }
    return plan;
}

void calls_pass_time(unsigned ms)
{
    atomic_fetch_add(&calls_plan()->time_ms, ms);
}

static bool rule_hits(const struct calls_rule *rule, enum call call, const unsigned number[])
{
    bool matches = rule->call == call || (rule->call == CALL_MEMORY && call < CALL_MUNMAP);
    return matches && number[rule->call] >= rule->first && number[rule->call] <= rule->last;
}

/* Counts a call; the rule that refuses it, with errno set, or NULL. */
static const struct calls_rule *refuse(enum call call)
{
    struct calls_plan *plan = calls_plan();
    unsigned number[CALL_COUNT] = {0};
    if (atomic_load(&plan->closed)) {
        return NULL;
    }
    number[call] = atomic_fetch_add(&plan->counts[call], 1) + 1;
    if (call < CALL_MUNMAP) {
        number[CALL_MEMORY] = atomic_fetch_add(&plan->counts[CALL_MEMORY], 1) + 1;
    }
    for (int i = 0; i < CALLS_RULES; i++) {
        const struct calls_rule *rule = &plan->rules[i];
        if (rule_hits(rule, call, number)) {
            atomic_fetch_add(&plan->refused, 1);
            if (call < CALL_KEY) { /* the others return their error */
                errno = rule->error;
            }
            return rule;
        }
    }
    return NULL;
}

/* ---- effects ---- */

static size_t first_half(size_t bytes)
{
    enum { PAGE = 4096 };
    return bytes / 2 / PAGE * PAGE;
}

static void lose_target(const struct calls_rule *rule, void *target, size_t bytes)
{
    struct calls_plan *plan = calls_plan();
    if (rule->effect < EFFECT_UNMAP) {
        return;
    }
    CHECK(__real_munmap(target, bytes) == 0);
    unsigned at = rule->effect == EFFECT_TAKE ? atomic_fetch_add(&plan->taken_count, 1) : CALLS_TAKEN;
    if (at < CALLS_TAKEN) {
        plan->taken[at].start = __real_mmap(target, bytes, PROT_READ | PROT_WRITE,
                                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        plan->taken[at].bytes = bytes;
        CHECK(plan->taken[at].start == target);
        memory_fill(target, TAKEN_MARK_BYTES, at); /* neither written to nor purged may it be */
    }
}

bool calls_taken_is_clean(void)
{
    const struct calls_plan *plan = calls_plan();
    bool clean = true;
    for (unsigned i = 0; i < plan->taken_count && i < CALLS_TAKEN; i++) {
        const char *start = plan->taken[i].start;
        clean = clean && memory_holds(start, TAKEN_MARK_BYTES, i) &&
                memory_is_zero(start + TAKEN_MARK_BYTES, plan->taken[i].bytes - TAKEN_MARK_BYTES);
    }
    return clean;
}

/* ---- memory ---- */

/* File and offset are not looked at: all that is mapped here is anonymous. */
void *__wrap_mmap(void *start, size_t bytes, int protection, int flags)
{
    const struct calls_rule *rule = refuse(CALL_MMAP);
    if (rule != NULL) {
        if (flags & MAP_FIXED) {
            lose_target(rule, start, bytes);
            errno = rule->error;
        }
        return MAP_FAILED;
    }
    return __real_mmap(start, bytes, protection, flags, -1, 0);
}

int __wrap_munmap(void *start, size_t bytes)
{
    return refuse(CALL_MUNMAP) != NULL ? -1 : __real_munmap(start, bytes);
}

int __wrap_mprotect(void *start, size_t bytes, int protection)
{
    const struct calls_rule *rule = refuse(CALL_MPROTECT);
    if (rule == NULL) {
        return __real_mprotect(start, bytes, protection);
    }
    if (rule->effect == EFFECT_HALF) {
        CHECK(__real_mprotect(start, first_half(bytes), protection) == 0);
        errno = rule->error;
    }
    return -1;
}

int __wrap_madvise(void *start, size_t bytes, int advice)
{
    const struct calls_rule *rule = refuse(CALL_MADVISE);
    if (rule == NULL) {
        return __real_madvise(start, bytes, advice);
    }
    if (rule->effect == EFFECT_HALF) {
        __real_madvise(start, first_half(bytes), advice);
        errno = rule->error;
    }
    return -1;
}

void *__wrap_mremap(void *start, size_t old_bytes, size_t bytes, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    void *target = flags & MREMAP_FIXED ? va_arg(arguments, void *) : NULL;
    va_end(arguments);
    const struct calls_rule *rule = refuse(CALL_MREMAP);
    if (rule == NULL) {
        return __real_mremap(start, old_bytes, bytes, flags, target);
    }
    if (target != NULL) {
        lose_target(rule, target, bytes);
        errno = rule->error;
    }
    return MAP_FAILED;
}

/* ---- limits, time, files ---- */

int __wrap_getrlimit(__rlimit_resource_t resource, struct rlimit *limit)
{
    return refuse(CALL_GETRLIMIT) != NULL ? -1 : __real_getrlimit(resource, limit);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (calls_plan() == &none) {
        return __real_clock_gettime(clock, now);
    }
    if (refuse(CALL_CLOCK) != NULL) {
        return -1;
    }
    unsigned ms = atomic_load(&calls_plan()->time_ms);
    now->tv_sec = ms / 1000;
    now->tv_nsec = (long)(ms % 1000) * 1000000;
    return 0;
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return refuse(CALL_OPEN) != NULL ? -1 : __real_open(path, flags, mode);
}

ssize_t __wrap_read(int fd, void *to, size_t bytes)
{
    return refuse(CALL_READ) != NULL ? -1 : __real_read(fd, to, bytes);
}

ssize_t __wrap_write(int fd, const void *from, size_t bytes)
{
    const struct calls_rule *rule = refuse(CALL_WRITE);
    if (rule != NULL && rule->error != ERROR_SHORT_WRITE) {
        return -1;
    }
    return __real_write(fd, from, rule != NULL && bytes > 1 ? bytes / 2 : bytes);
}

static enum call call_of(long number, long second)
{
    switch (number) {
    case SYS_futex:
        return (second & FUTEX_CMD_MASK) == FUTEX_WAIT ? CALL_FUTEX : CALL_NONE;
    case SYS_openat:
        return CALL_OPEN;
    case SYS_read:
        return CALL_READ;
    case SYS_write:
        return CALL_WRITE;
    default:
        return CALL_NONE;
    }
}

long __wrap_syscall(long number, ...)
{
    long a[6];
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++) {
        a[i] = va_arg(arguments, long);
    }
    va_end(arguments);
    enum call call = call_of(number, a[1]);
    if (call == CALL_WRITE) {
        return __wrap_write((int)a[0], (const void *)a[1], (size_t)a[2]);
    }
    if (call != CALL_NONE && refuse(call) != NULL) {
        return -1;
    }
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- threads: these return their error ---- */

int __wrap_pthread_key_create(pthread_key_t *key, void (*destroy)(void *))
{
    const struct calls_rule *rule = refuse(CALL_KEY);
    return rule != NULL ? rule->error : __real_pthread_key_create(key, destroy);
}

int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
    const struct calls_rule *rule = refuse(CALL_SPECIFIC);
    return rule != NULL ? rule->error : __real_pthread_setspecific(key, value);
}

int __wrap_pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    const struct calls_rule *rule = refuse(CALL_ATFORK);
    return rule != NULL ? rule->error : __real_pthread_atfork(prepare, parent, child);
}
