/* SPDX-License-Identifier: MIT */
/*
 * Does the allocator stay what it is over minutes and hours? A mixed, phase-changing load (parts.h)
 * with checks of every block (block.h) in epochs of the same work, each with another seed:
 *
 *   soak [--seconds N] [--threads N] [--seed N] [--epoch SECONDS] [--live MIB] [--csv FILE]
 *        [--no-count] [--without PART]...
 *
 * How many units of work make an epoch of about the wanted time is found out once, at the start;
 * that is the warm-up too. From then on the work per epoch is constant. Per epoch: throughput,
 * plain and relative to a control loop; percentiles of op latency; resident memory with the live
 * blocks back at the base set, and its peak; minor faults; system calls of the allocator. At the
 * end: spread, percentiles, drift of resident memory and calls per op over all of it.
 *
 * Only the standard malloc API is used: LD_PRELOAD chooses the allocator. ^C finishes the epoch
 * and prints the summary. Exit status: 0 all checks passed, 1 one failed, 2 wrong arguments.
 */
#include <signal.h>

#include "options.h"
#include "system.h"

enum {
    CALIBRATION_PART = 4, /* of an epoch, at least, before its length is extrapolated */
    CALIBRATION_STEP_MAX = 8,
    EPOCHS_SPARE = 16
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal) {
    (void)signal;
    interrupted = 1;
}

static uint32_t scaled(uint32_t units, double factor) {
    double wanted = units * factor + 0.5;
    return wanted < 1 ? 1 : wanted > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)wanted;
}

/*
 * Runs ever more units until they take long enough to tell how many an epoch needs, and then
 * half an epoch: by now the heap has its memory, and the system is slower only while giving it.
 */
static uint32_t calibrate(uint32_t epoch_seconds) {
    uint32_t units = 1, number = EPOCH_WARM_UP;
    double goal = (double)epoch_seconds / CALIBRATION_PART;
    for (;;) {
        double seconds = crew_run(number++, units).seconds;
        if (seconds >= goal || interrupted) {
            units = scaled(units, epoch_seconds / 2.0 / seconds);
            return scaled(units, epoch_seconds / crew_run(number, units).seconds);
        }
        double factor = goal / seconds * 1.2;
        units = scaled(units, factor < 2 ? 2 : factor < CALIBRATION_STEP_MAX
                                                   ? factor : CALIBRATION_STEP_MAX);
    }
}

static void count_from(const struct run *run, uint64_t calls[CALLS]) {
    if (run->counted) {
        count_read(calls);
    }
}

static void run_epoch(const struct run *run, struct epoch *epoch, struct latencies *latencies) {
    uint64_t before[CALLS] = {0};
    rss_peak_reset();
    count_from(run, before);
    long faults = minor_faults();
    epoch->crew = crew_run(epoch->number, run->units);
    epoch->minor_faults = minor_faults() - faults;
    count_from(run, epoch->calls);
    for (int call = 0; call < CALLS; call++) {
        epoch->calls[call] -= before[call];
    }
    long peak = rss_peak_kib();
    epoch->rss_kib = rss_kib();
    epoch->rss_peak_kib = peak > epoch->rss_kib ? peak : epoch->rss_kib;
    memset(latencies, 0, sizeof *latencies);
    crew_latencies_take(latencies);
    epoch->timed = latencies->timed;
    epoch->latency = latency_percentiles(latencies);
}

static void add_latencies(struct latencies *sum, const struct latencies *more) {
    for (unsigned bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
        sum->count[bucket] += more->count[bucket];
    }
    sum->timed += more->timed;
    sum->greatest = more->greatest > sum->greatest ? more->greatest : sum->greatest;
}

/* Ends where the time is nearest to what was asked for, since epochs are not cut short. */
static bool time_is_up(const struct run *run, uint64_t start) {
    double passed = (double)(clock_ns(CLOCK_MONOTONIC) - start) * 1e-9;
    return passed + run->options.epoch_seconds / 2.0 > run->options.seconds;
}

static void run_epochs(struct run *run, uint32_t epochs_max) {
    struct latencies *latencies = table_map(1, sizeof *latencies);
    uint64_t start = clock_ns(CLOCK_MONOTONIC);
    do {
        struct epoch *epoch = &run->epochs[run->epoch_count++];
        epoch->number = run->epoch_count;
        run_epoch(run, epoch, latencies);
        add_latencies(run->latencies, latencies);
        report_epoch(run, epoch);
    } while (!interrupted && run->epoch_count < epochs_max && !time_is_up(run, start));
}

int main(int argc, char **argv) {
    struct run run = {.options = options_read(argc, argv)};
    const struct options *options = &run.options;
    /* A machine that is quieter than during the calibration runs more epochs, up to twice. */
    uint32_t epochs_max = 2 * (options->seconds / options->epoch_seconds) + EPOCHS_SPARE;
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &action, NULL);

    block_start(options->seed);
    run.epochs = table_map(epochs_max, sizeof *run.epochs);
    run.latencies = table_map(1, sizeof *run.latencies);
    run.counted = options->count && count_start();
    crew_start(options->threads, options->seed, (size_t)options->live_mib << 20,
               options->without);
    run.units = calibrate(options->epoch_seconds);
    struct latencies *warm_up = table_map(1, sizeof *warm_up);
    crew_latencies_take(warm_up); /* the epochs start without it */
    report_start(&run);

    run_epochs(&run, epochs_max);
    run.checks = crew_finish();
    run.rss_freed_kib = rss_kib();
    report_summary(&run);
    return 0;
}
