/* SPDX-License-Identifier: MIT */
/*
 * Output: lines of name=value pairs on stdout, one per epoch, and the same figures as CSV. Lines
 * begin with name=soak and then say what they are: kind=start, kind=epoch, or one of the kinds
 * of the summary. What was not counted is `unknown`.
 */
#ifndef SOAK_REPORT_H
#define SOAK_REPORT_H

#include "count.h"
#include "crew.h"

struct options {
    uint32_t seconds, threads, seed, epoch_seconds, live_mib;
    const char *csv; /* NULL: none */
    bool count;
    uint32_t without; /* bit k: without part_kinds[k] */
};

struct percentiles {
    double p50, p99, p999, p9999, greatest; /* ns */
};

struct epoch {
    uint32_t number; /* from 1 */
    struct crew_epoch crew;
    struct percentiles latency;
    uint64_t timed; /* ops behind the percentiles */
    long rss_kib, rss_peak_kib, minor_faults;
    uint64_t calls[CALLS];
};

struct run {
    struct options options;
    bool counted;
    uint32_t units; /* per part */
    struct epoch *epochs;
    uint32_t epoch_count;
    struct latencies *latencies; /* of all epochs */
    long rss_freed_kib;
    struct crew_checks checks;
};

struct percentiles latency_percentiles(const struct latencies *latencies);

/* Millions of ops per second on a machine as fast as it was when the control was calibrated. */
double epoch_mops(const struct epoch *epoch);
double epoch_mops_control(const struct epoch *epoch);

/* False: the file cannot be written; errno says why. */
bool report_open_csv(const char *path);
void report_start(const struct run *run);
void report_epoch(const struct run *run, const struct epoch *epoch);
/* Needs at least one epoch. */
void report_summary(const struct run *run);

#endif
