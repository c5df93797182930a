/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "stats.h"
#include "system.h"

enum { TEXT_MAX = 1024, WARM_UP_PART = 10 };

static int csv_file = -1;

/* ---- a line, collected in both forms; stdio would ask the allocator for buffers ---- */

struct text {
    char bytes[TEXT_MAX];
    size_t length;
};

struct line {
    struct text pairs, names, values;
};

__attribute__((format(printf, 2, 0))) static void text_add(struct text *text, const char *format,
                                                           va_list list) {
    size_t room = sizeof text->bytes - text->length;
    size_t used = (size_t)vsnprintf(text->bytes + text->length, room, format, list);
    text->length += used < room ? used : room - 1;
}

__attribute__((format(printf, 2, 3))) static void text_print(struct text *text,
                                                             const char *format, ...) {
    va_list list;
    va_start(list, format);
    text_add(text, format, list);
    va_end(list);
}

static void line_begin(struct line *line, const char *kind) {
    line->pairs.length = line->names.length = line->values.length = 0;
    text_print(&line->pairs, "name=soak kind=%s", kind);
}

__attribute__((format(printf, 3, 4))) static void line_add(struct line *line, const char *name,
                                                           const char *format, ...) {
    const char *comma = line->names.length == 0 ? "" : ",";
    size_t start;
    va_list list;
    text_print(&line->pairs, " %s=", name);
    start = line->pairs.length;
    va_start(list, format);
    text_add(&line->pairs, format, list);
    va_end(list);
    text_print(&line->names, "%s%s", comma, name);
    text_print(&line->values, "%s%.*s", comma, (int)(line->pairs.length - start),
               line->pairs.bytes + start);
}

static void text_end(struct text *text, int file) {
    text_print(text, "\n");
    if (!write_all(file, text->bytes, text->length)) {
        fprintf(stderr, "soak: %s cannot be written: %s\n",
                file == STDOUT_FILENO ? "standard output" : "the CSV file", strerror(errno));
        exit(1);
    }
}

static void line_end(struct line *line) {
    text_end(&line->pairs, STDOUT_FILENO);
}

bool report_open_csv(const char *path) {
    csv_file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return csv_file >= 0;
}

/* ---- figures ---- */

double epoch_mops(const struct epoch *epoch) {
    return (double)epoch->crew.ops / epoch->crew.seconds * 1e-6;
}

double epoch_mops_control(const struct epoch *epoch) {
    return epoch_mops(epoch) * epoch->crew.control_ms / CONTROL_NOMINAL_MS;
}

static double latency_at_share(const struct latencies *latencies, double share) {
    uint64_t below = (uint64_t)(share * (double)latencies->timed), seen = 0;
    for (unsigned bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
        seen += latencies->count[bucket];
        if (seen > below) {
            double ticks = latency_bucket_ticks(bucket), top = (double)latencies->greatest;
            return ticks < top ? ticks : top; /* the middle of the last bucket may lie above */
        }
    }
    return 0;
}

struct percentiles latency_percentiles(const struct latencies *latencies) {
    double ns = latency_ns_of_tick();
    return (struct percentiles){
        .p50 = latency_at_share(latencies, 0.5) * ns,
        .p99 = latency_at_share(latencies, 0.99) * ns,
        .p999 = latency_at_share(latencies, 0.999) * ns,
        .p9999 = latency_at_share(latencies, 0.9999) * ns,
        .greatest = (double)latencies->greatest * ns,
    };
}

static void add_latency(struct line *line, const struct percentiles *latency, uint64_t timed) {
    line_add(line, "p50_ns", "%.1f", latency->p50);
    line_add(line, "p99_ns", "%.1f", latency->p99);
    line_add(line, "p999_ns", "%.1f", latency->p999);
    line_add(line, "p9999_ns", "%.1f", latency->p9999);
    line_add(line, "max_ns", "%.1f", latency->greatest);
    line_add(line, "timed", "%" PRIu64, timed);
}

static uint64_t sum(const uint64_t *counts, int from, int to) {
    uint64_t all = 0;
    for (int i = from; i < to; i++) {
        all += counts[i];
    }
    return all;
}

static void add_calls(struct line *line, bool counted, const uint64_t calls[CALLS], uint64_t ops) {
    uint64_t memory = sum(calls, 0, CALLS_MEMORY), waits = sum(calls, CALLS_MEMORY, CALLS);
    if (!counted) {
        line_add(line, "syscalls", "unknown");
        line_add(line, "syscalls_per_op", "unknown");
        line_add(line, "lock_syscalls", "unknown");
        return;
    }
    line_add(line, "syscalls", "%" PRIu64, memory);
    line_add(line, "syscalls_per_op", "%.3e", (double)memory / (double)ops);
    line_add(line, "lock_syscalls", "%" PRIu64, waits);
}

/* ---- start and epochs ---- */

void report_start(const struct run *run) {
    struct line line;
    line_begin(&line, "start");
    line_add(&line, "seconds", "%u", run->options.seconds);
    line_add(&line, "threads", "%u", run->options.threads);
    line_add(&line, "seed", "%u", run->options.seed);
    line_add(&line, "epoch_seconds", "%u", run->options.epoch_seconds);
    line_add(&line, "live_mib", "%u", run->options.live_mib);
    line_add(&line, "without_parts", "%d", __builtin_popcount(run->options.without));
    line_add(&line, "units", "%u", run->units);
    line_add(&line, "ops_per_timed", "%d", OPS_PER_TIMED);
    line_add(&line, "count", "%s",
             run->counted ? "ptrace" : run->options.count ? "unknown" : "off");
    line_end(&line);
}

void report_epoch(const struct run *run, const struct epoch *epoch) {
    struct line line;
    line_begin(&line, "epoch");
    line_add(&line, "epoch", "%u", epoch->number);
    line_add(&line, "seconds", "%.6f", epoch->crew.seconds);
    line_add(&line, "ops", "%" PRIu64, epoch->crew.ops);
    line_add(&line, "mops", "%.6f", epoch_mops(epoch));
    line_add(&line, "control_ms", "%.4f", epoch->crew.control_ms);
    line_add(&line, "mops_control", "%.6f", epoch_mops_control(epoch));
    line_add(&line, "cpu_seconds", "%.6f", epoch->crew.cpu_seconds);
    add_latency(&line, &epoch->latency, epoch->timed);
    line_add(&line, "rss_kib", "%ld", epoch->rss_kib);
    line_add(&line, "rss_peak_kib", "%ld", epoch->rss_peak_kib);
    line_add(&line, "minflt", "%ld", epoch->minor_faults);
    add_calls(&line, run->counted, epoch->calls, epoch->crew.ops);
    if (csv_file >= 0) {
        if (epoch->number == 1) {
            text_end(&line.names, csv_file);
        }
        text_end(&line.values, csv_file);
    }
    line_end(&line);
}

/* ---- summary ---- */

/* What the heap did while it grew to its working size is no steady state. */
static uint32_t warm_up_epochs(const struct run *run) {
    uint32_t count = run->epoch_count;
    return count == 1 ? 0 : (count + WARM_UP_PART - 1) / WARM_UP_PART;
}

static void throughput_line(const struct run *run, double *values) {
    struct line line;
    uint32_t count = run->epoch_count;
    line_begin(&line, "throughput");
    line_add(&line, "epochs", "%u", count);
    for (uint32_t i = 0; i < count; i++) {
        values[i] = epoch_mops(&run->epochs[i]);
    }
    line_add(&line, "mean_mops", "%.6f", stats_mean(values, count));
    line_add(&line, "cv_percent", "%.4f", stats_cv_percent(values, count));
    for (uint32_t i = 0; i < count; i++) {
        values[i] = epoch_mops_control(&run->epochs[i]);
    }
    line_add(&line, "mean_mops_control", "%.6f", stats_mean(values, count));
    line_add(&line, "cv_control_percent", "%.4f", stats_cv_percent(values, count));
    for (uint32_t i = 0; i < count; i++) {
        values[i] = (double)run->epochs[i].crew.ops / run->epochs[i].crew.cpu_seconds * 1e-6;
    }
    line_add(&line, "cv_cpu_percent", "%.4f", stats_cv_percent(values, count));
    line_end(&line);
}

static void latency_line(const struct run *run) {
    struct line line;
    struct percentiles latency = latency_percentiles(run->latencies);
    line_begin(&line, "latency");
    add_latency(&line, &latency, run->latencies->timed);
    line_end(&line);
}

static void rss_line(const struct run *run, double *values) {
    struct line line;
    const struct epoch *epochs = run->epochs;
    uint32_t count = run->epoch_count, warm = warm_up_epochs(run);
    long peak = 0;
    for (uint32_t i = 0; i < count; i++) {
        peak = epochs[i].rss_peak_kib > peak ? epochs[i].rss_peak_kib : peak;
        values[i] = (double)epochs[i].rss_kib;
    }
    struct stats_drift drift = stats_drift(values + warm, count - warm);
    line_begin(&line, "rss");
    line_add(&line, "first_kib", "%ld", epochs[0].rss_kib);
    line_add(&line, "middle_kib", "%ld", epochs[count / 2].rss_kib);
    line_add(&line, "last_kib", "%ld", epochs[count - 1].rss_kib);
    line_add(&line, "peak_kib", "%ld", peak);
    line_add(&line, "freed_kib", "%ld", run->rss_freed_kib);
    line_add(&line, "drift_epochs", "%u", count - warm);
    if (drift.known) {
        line_add(&line, "drift_percent", "%.4f", drift.percent);
        line_add(&line, "drift_low_percent", "%.4f", drift.low);
        line_add(&line, "drift_high_percent", "%.4f", drift.high);
    } else {
        line_add(&line, "drift_percent", "unknown");
        line_add(&line, "drift_low_percent", "unknown");
        line_add(&line, "drift_high_percent", "unknown");
    }
    line_end(&line);
}

static void calls_line(const struct run *run) {
    struct line line;
    uint64_t calls[CALLS] = {0}, ops = 0;
    uint32_t warm = warm_up_epochs(run);
    for (uint32_t i = warm; i < run->epoch_count; i++) {
        ops += run->epochs[i].crew.ops;
        for (int call = 0; call < CALLS; call++) {
            calls[call] += run->epochs[i].calls[call];
        }
    }
    line_begin(&line, "syscalls");
    line_add(&line, "epochs", "%u", run->epoch_count - warm);
    line_add(&line, "ops", "%" PRIu64, ops);
    add_calls(&line, run->counted, calls, ops);
    for (int call = 0; call < CALLS && run->counted; call++) {
        line_add(&line, call_names[call], "%" PRIu64, calls[call]);
    }
    line_end(&line);
}

static void checks_line(const struct run *run) {
    struct line line;
    line_begin(&line, "checks");
    line_add(&line, "blocks", "%" PRIu64, run->checks.blocks);
    line_add(&line, "zero_bytes", "%" PRIu64, run->checks.bytes_zero);
    line_add(&line, "failed", "0"); /* the first one would have ended the process */
    line_end(&line);
}

void report_summary(const struct run *run) {
    double *values = table_map(run->epoch_count, sizeof *values);
    throughput_line(run, values);
    latency_line(run);
    rss_line(run, values);
    calls_line(run);
    checks_line(run);
}
