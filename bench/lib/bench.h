/* SPDX-License-Identifier: MIT */
/*
 * Shared by all workloads: argument parsing, clock, random numbers, a team of threads, and the
 * one line of output
 *
 *   name=.. params=.. threads=N ops=N seconds=S mops=M rss_peak_kib=.. rss_end_kib=..
 *   minflt=.. stime_ms=..   and with BENCH_LATENCY=1:   p50_ns=.. p99_ns=.. p999_ns=.. max_ns=..
 *
 * One op is one malloc, calloc, realloc or free. seconds, minflt and stime_ms cover only the
 * timed part, after set-up and warm-up. rss_peak_kib is the peak of the whole process,
 * rss_end_kib what is resident when all blocks have been freed; both without the workload's own
 * tables.
 *
 * The workloads use nothing but the standard malloc API, so that LD_PRELOAD decides which
 * allocator is measured. Their own tables come from mmap and are faulted in at set-up: they
 * take no part in the measurement.
 *
 * Exit status: 0 measured, 1 the allocator failed, 2 wrong arguments.
 */
#ifndef BENCH_H
#define BENCH_H

#include <ctype.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "latency.h"

enum { BENCH_CACHE_LINE = 64 };

/* ---- failure ---- */

_Noreturn static inline void bench_die(const char *what) {
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

static inline void *bench_must(void *block) {
    if (__builtin_expect(block == NULL, 0)) {
        bench_die("out of memory");
    }
    return block;
}

/* ---- arguments: numbers from a lowest value up to 4294967295, in a fixed order ---- */

struct bench_args {
    char **next;
    const char *usage;
};

_Noreturn static inline void bench_usage(const struct bench_args *args) {
    fprintf(stderr, "usage: %s\n", args->usage);
    exit(2);
}

static inline uint32_t bench_arg(struct bench_args *args, uint32_t lowest) {
    const char *text = *args->next;
    if (text == NULL) {
        bench_usage(args);
    }
    char *end;
    unsigned long long value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || value < lowest ||
        value > UINT32_MAX) {
        fprintf(stderr, "bench: '%s' is not a number from %" PRIu32 " to %" PRIu32 "\n", text,
                lowest, UINT32_MAX);
        bench_usage(args);
    }
    args->next++;
    return (uint32_t)value;
}

static inline uint32_t bench_arg_or(struct bench_args *args, uint32_t lowest, uint32_t fallback) {
    return *args->next == NULL ? fallback : bench_arg(args, lowest);
}

static inline void bench_args_end(const struct bench_args *args) {
    if (*args->next != NULL) {
        fprintf(stderr, "bench: '%s' is one argument too many\n", *args->next);
        bench_usage(args);
    }
}

/* ---- random numbers ---- */

struct bench_rng {
    uint64_t state; /* never 0 */
};

/* stream keeps threads apart that share one seed. The mixing is that of splitmix64. */
static inline struct bench_rng bench_rng_seed(uint64_t seed, uint64_t stream) {
    uint64_t z = (seed << 32) + stream + UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (struct bench_rng){(z ^ (z >> 31)) | 1u};
}

/* xorshift64*: one number is enough for a slot (upper half) and a size (lower half). */
static inline uint64_t bench_rng_next(struct bench_rng *rng) {
    uint64_t x = rng->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    rng->state = x;
    return x * UINT64_C(0x2545f4914f6cdd1d);
}

/* Maps 32 random bits onto 0 .. count-1 by a multiplication; count <= 2^32. */
static inline size_t bench_pick(uint32_t bits, uint64_t count) {
    return (size_t)((bits * count) >> 32);
}

/* A range of sizes in bytes, both ends included. min is at least 1: last bytes are written. */
struct bench_span {
    uint32_t min;
    uint32_t max;
};

static inline struct bench_span bench_arg_span(struct bench_args *args, uint32_t min,
                                               uint32_t max) {
    struct bench_span span;
    span.min = bench_arg_or(args, 1, min);
    span.max = bench_arg_or(args, 1, max);
    if (span.min > span.max) {
        fprintf(stderr, "bench: the sizes %" PRIu32 "..%" PRIu32 " are no range\n", span.min, span.max);
        bench_usage(args);
    }
    return span;
}

static inline size_t bench_span_size(struct bench_span span, uint64_t random) {
    return span.min + bench_pick((uint32_t)random, (uint64_t)span.max - span.min + 1);
}

static inline size_t bench_slot(uint32_t slots, uint64_t random) {
    return bench_pick((uint32_t)(random >> 32), slots);
}

/* ---- memory of the workload itself ---- */

static size_t bench_table_bytes; /* of all tables, in whole pages; set-up has one thread */

/* Zeroed, faulted in, never freed, cache-line aligned. */
static inline void *bench_table(size_t count, size_t item_bytes) {
    size_t bytes;
    if (__builtin_mul_overflow(count, item_bytes, &bytes)) {
        bench_die("table too large");
    }
    void *table = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (table == MAP_FAILED) {
        bench_die("no memory for the workload's own table");
    }
    bench_table_bytes += (bytes + 4095) & ~(size_t)4095;
    return table;
}

/* Stores to the first and last byte, so that a block is used at all. */
static inline void bench_touch(unsigned char *block, size_t size) {
    block[0] = 1;
    block[size - 1] = 1;
}

/* ---- measuring ---- */

struct bench_mark {
    struct timespec time;
    struct rusage usage;
};

struct bench_result {
    double seconds;
    double stime_ms;
    long minflt;
    long rss_peak_kib;
    bool has_latency;
    struct latency_percentiles latency;
};

static inline struct bench_mark bench_mark_now(int who) {
    struct bench_mark mark;
    latency_begin();
    getrusage(who, &mark.usage);
    clock_gettime(CLOCK_MONOTONIC, &mark.time);
    return mark;
}

/* One line of /proc/self/status in KiB, less the workload's own tables; 0 when it is not there. */
static inline long bench_status_kib(const char *field) {
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    long kib = 0;
    size_t length = strlen(field);
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, field, length) == 0) {
            kib = strtol(line + length, NULL, 10) - (long)(bench_table_bytes / 1024);
            break;
        }
    }
    if (status != NULL) {
        fclose(status);
    }
    return kib > 0 ? kib : 0;
}

static inline double bench_stime_ms(const struct rusage *usage) {
    return (double)usage->ru_stime.tv_sec * 1e3 + (double)usage->ru_stime.tv_usec * 1e-3;
}

static inline struct bench_result bench_since(const struct bench_mark *start, int who) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    struct rusage usage;
    getrusage(who, &usage);
    struct bench_result result = {
        .seconds = (double)(time.tv_sec - start->time.tv_sec) +
                   (double)(time.tv_nsec - start->time.tv_nsec) * 1e-9,
        .stime_ms = bench_stime_ms(&usage) - bench_stime_ms(&start->usage),
        .minflt = usage.ru_minflt - start->usage.ru_minflt,
        /* not ru_maxrss: that survives execve, and a big parent's size would be reported */
        .rss_peak_kib = bench_status_kib("VmHWM:"),
    };
    result.has_latency = latency_end(&result.latency);
    return result;
}

/* Called when all blocks are freed. params: a format whose result has neither blanks nor '='. */
__attribute__((format(printf, 5, 6))) static inline void
bench_report(const char *name, uint32_t threads, uint64_t ops, const struct bench_result *result,
             const char *params, ...) {
    printf("name=%s params=", name);
    va_list list;
    va_start(list, params);
    vprintf(params, list);
    va_end(list);
    long rss_end_kib = bench_status_kib("VmRSS:");
    long rss_peak_kib = rss_end_kib > result->rss_peak_kib ? rss_end_kib : result->rss_peak_kib;
    printf(" threads=%" PRIu32 " ops=%" PRIu64 " seconds=%.6f mops=%.6f rss_peak_kib=%ld"
           " rss_end_kib=%ld minflt=%ld stime_ms=%.3f",
           threads, ops, result->seconds, (double)ops / result->seconds * 1e-6,
           rss_peak_kib, rss_end_kib, result->minflt, result->stime_ms);
    if (result->has_latency) {
        const struct latency_percentiles *latency = &result->latency;
        printf(" p50_ns=%.1f p99_ns=%.1f p999_ns=%.1f max_ns=%.1f", latency->p50_ns,
               latency->p99_ns, latency->p999_ns, latency->max_ns);
    }
    putchar('\n');
}

/* ---- a team of equal threads ---- */

struct bench_job {
    void (*warm_up)(void *state);
    void (*work)(void *state); /* the only timed part */
    void (*clean_up)(void *state);
};

struct bench_member {
    const struct bench_job *job;
    void *state;
    pthread_barrier_t *gate;
};

static inline void *bench_member_main(void *arg) {
    struct bench_member *member = arg;
    member->job->warm_up(member->state);
    pthread_barrier_wait(member->gate); /* all warm; the main thread reads the clock */
    pthread_barrier_wait(member->gate); /* go */
    member->job->work(member->state);
    pthread_barrier_wait(member->gate); /* all done; the main thread reads the clock */
    pthread_barrier_wait(member->gate); /* it has; cleaning up is no part of the measurement */
    member->job->clean_up(member->state);
    return NULL;
}

/* One thread is the main thread itself: allocators may know a process is single-threaded. */
static inline struct bench_result bench_run_alone(const struct bench_job *job, void *state) {
    job->warm_up(state);
    struct bench_mark start = bench_mark_now(RUSAGE_SELF);
    job->work(state);
    struct bench_result result = bench_since(&start, RUSAGE_SELF);
    job->clean_up(state);
    return result;
}

/* states: array of `threads` items of state_bytes each, one per thread. */
static inline struct bench_result bench_run(const struct bench_job *job, void *states,
                                            size_t state_bytes, uint32_t threads) {
    if (threads == 1) {
        return bench_run_alone(job, states);
    }
    pthread_barrier_t gate;
    pthread_barrier_init(&gate, NULL, threads + 1);
    pthread_t *ids = bench_table(threads, sizeof *ids);
    struct bench_member *members = bench_table(threads, sizeof *members);
    for (uint32_t i = 0; i < threads; i++) {
        members[i] = (struct bench_member){job, (char *)states + i * state_bytes, &gate};
        if (pthread_create(&ids[i], NULL, bench_member_main, &members[i]) != 0) {
            bench_die("cannot create a thread");
        }
    }
    pthread_barrier_wait(&gate);
    struct bench_mark start = bench_mark_now(RUSAGE_SELF);
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
    struct bench_result result = bench_since(&start, RUSAGE_SELF);
    pthread_barrier_wait(&gate);
    for (uint32_t i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
    }
    return result;
}

#endif
