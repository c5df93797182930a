#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Goal: bench/soak notices a broken allocator, counts and computes rightly, and an allocator can
be trusted for two minutes under it.

Method: runs the program over glibc, over the library, and over bad_malloc.c, which breaks one
promise or makes a known number of system calls. The figures of the summary are computed anew
from the epochs. No figure has to be good: how fast or lean the allocator is, is not the question.

Environment: TEST_SOAK, TEST_LIBRARY and TEST_BAD_MALLOC are the paths of the program and the two
libraries. Use: test_soak.py [Short | Long | CLASS.METHOD]
"""
import csv
import ctypes
import math
import os
import platform
import re
import signal
import statistics
import struct
import subprocess
import tempfile
import unittest

SOAK = os.environ["TEST_SOAK"]
LIBRARY = os.environ["TEST_LIBRARY"]
BAD_MALLOC = os.environ["TEST_BAD_MALLOC"]

HANG_S = 600
LARGE_PER_UNIT, PART_ROUNDS = 64, 2  # of the soak: mallocs of 64 KiB and more; see parts.c, crew.h

# The 97.5 % points of Student's t for 1 to 30 degrees of freedom, from a printed table.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
           2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
           2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)

WORDS = {"name", "kind", "count"}  # values that are no numbers
SUMMARY = ["throughput", "latency", "rss", "syscalls", "checks"]


def soak(*options, preload=None, bad=None, **more):
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("LD_PRELOAD", "BAD_MALLOC")}
    if bad is not None:
        preload = BAD_MALLOC
        environment["BAD_MALLOC"] = bad
    if preload is not None:
        environment["LD_PRELOAD"] = preload
    return subprocess.run([SOAK, *map(str, options)], env=environment, text=True,
                          capture_output=True, timeout=HANG_S, **more)


def parse(output):
    """The lines as dicts, numbers as numbers; anything else than name=value is an error."""
    lines = []
    for line in output.splitlines():
        pairs = [word.split("=") for word in line.split(" ")]
        values = dict(pairs)
        if len(values) != len(pairs):
            raise ValueError(f"a name stands twice: {line}")
        for name, value in values.items():
            if name not in WORDS and value != "unknown":
                values[name] = float(value) if re.search("[.e]", value) else int(value)
        lines.append(values)
    return lines


class Run:
    """The lines of a whole run, sorted by kind."""

    def __init__(self, test, result):
        test.assertEqual(result.returncode, 0, result.stderr)
        test.assertEqual(result.stderr, "")
        lines = parse(result.stdout)
        test.assertEqual({line["name"] for line in lines}, {"soak"})
        kinds = [line["kind"] for line in lines]
        count = kinds.count("epoch")
        test.assertEqual(kinds, ["start"] + ["epoch"] * count + SUMMARY)
        self.start = lines[0]
        self.epochs = lines[1:1 + count]
        self.summary = dict(zip(SUMMARY, lines[1 + count:]))
        # The first tenth is warm-up, rounded up; a lone epoch is all there is.
        self.steady = self.epochs[-(-count // 10) if count > 1 else 0:]

    def column(self, name):
        return [epoch[name] for epoch in self.epochs]


def cv_percent(values):
    return statistics.stdev(values) / statistics.mean(values) * 100 if len(values) > 1 else 0


def drift(values):
    """Percent from the first to the last point of the least-squares line, and the half interval."""
    n, xs = len(values), range(len(values))
    slope, first = statistics.linear_regression(xs, values)
    rest = sum((y - first - slope * x) ** 2 for x, y in zip(xs, values))
    error = math.sqrt(rest / (n - 2) / sum((x - (n - 1) / 2) ** 2 for x in xs))
    scale = (n - 1) / first * 100
    return slope * scale, error * STUDENT[n - 3] * scale if n - 2 <= len(STUDENT) else None


class Checked(unittest.TestCase):
    def check_epochs(self, run):
        epochs = run.epochs
        self.assertEqual(run.column("epoch"), list(range(1, len(epochs) + 1)))
        self.assertEqual(len(set(run.column("ops"))), 1, "the work per epoch changed")
        for epoch in epochs:
            self.assertAlmostEqual(epoch["mops"] * epoch["seconds"] * 1e6 / epoch["ops"], 1, 3)
            self.assertAlmostEqual(epoch["mops_control"], epoch["mops"] * epoch["control_ms"] / 50,
                                   delta=1e-3 * epoch["mops_control"])
            self.assertAlmostEqual(epoch["timed"] * run.start["ops_per_timed"] / epoch["ops"], 1,
                                   delta=0.05)
            percentiles = [epoch[name] for name in ("p50_ns", "p99_ns", "p999_ns", "p9999_ns",
                                                    "max_ns")]
            self.assertEqual(percentiles, sorted(percentiles))
            self.assertGreaterEqual(epoch["rss_peak_kib"], epoch["rss_kib"])
            self.assertGreater(epoch["rss_kib"], run.start["live_mib"] * 1024)

    def check_summary(self, run):
        throughput, latency, rss, calls, checks = (run.summary[kind] for kind in SUMMARY)
        self.assertEqual(throughput["epochs"], len(run.epochs))
        per_cpu = [epoch["ops"] / epoch["cpu_seconds"] for epoch in run.epochs]
        for name, wanted in (("mean_mops", statistics.mean(run.column("mops"))),
                             ("cv_percent", cv_percent(run.column("mops"))),
                             ("mean_mops_control", statistics.mean(run.column("mops_control"))),
                             ("cv_control_percent", cv_percent(run.column("mops_control"))),
                             ("cv_cpu_percent", cv_percent(per_cpu))):
            self.assertAlmostEqual(throughput[name], wanted, delta=0.002 + 1e-3 * wanted, msg=name)
        self.assertEqual(latency["timed"], sum(run.column("timed")))
        # ticks become nanoseconds by a factor that is measured anew each time
        self.assertAlmostEqual(latency["max_ns"] / max(run.column("max_ns")), 1, 2)
        self.assertEqual(rss["first_kib"], run.epochs[0]["rss_kib"])
        self.assertEqual(rss["middle_kib"], run.epochs[len(run.epochs) // 2]["rss_kib"])
        self.assertEqual(rss["last_kib"], run.epochs[-1]["rss_kib"])
        self.assertEqual(rss["peak_kib"], max(run.column("rss_peak_kib")))
        self.assertEqual(calls["ops"], sum(epoch["ops"] for epoch in run.steady))
        # Half of the ops, about, are frees and reallocs, and each of these checks a block.
        self.assertGreater(checks["blocks"], 0.45 * sum(run.column("ops")))
        self.assertEqual(checks["failed"], 0)

    def check_drift(self, run):
        rss = run.summary["rss"]
        self.assertEqual(rss["drift_epochs"], len(run.steady))
        figures = [rss[name] for name in ("drift_low_percent", "drift_percent",
                                          "drift_high_percent")]
        if len(run.steady) < 3:
            self.assertEqual(figures, ["unknown"] * 3)
            return
        percent, half = drift([epoch["rss_kib"] for epoch in run.steady])
        self.assertTrue(all(map(math.isfinite, figures)), figures)
        self.assertEqual(figures, sorted(figures))
        self.assertAlmostEqual(figures[1], percent, delta=1e-3)
        if half is not None:
            self.assertAlmostEqual(figures[2] - figures[1], half, delta=1e-3 + 1e-3 * half)
            self.assertAlmostEqual(figures[1] - figures[0], half, delta=1e-3 + 1e-3 * half)

    def check_calls(self, run):
        calls = run.summary["syscalls"]
        if run.start["count"] != "ptrace":
            unknown = {epoch[name] for epoch in run.epochs + [calls]
                       for name in ("syscalls", "syscalls_per_op", "lock_syscalls")}
            self.assertEqual(unknown, {"unknown"})
            return
        memory = sum(epoch["syscalls"] for epoch in run.steady)
        self.assertEqual(calls["syscalls"], memory)
        self.assertEqual(memory, sum(calls[name] for name in ("mmap", "munmap", "mremap",
                                                              "madvise", "mprotect", "brk")))
        self.assertEqual(calls["lock_syscalls"],
                         sum(epoch["lock_syscalls"] for epoch in run.steady))
        self.assertEqual(calls["lock_syscalls"], calls["futex"] + calls["sched_yield"])
        self.assertAlmostEqual(calls["syscalls_per_op"], memory / calls["ops"],
                               delta=1e-3 * calls["syscalls_per_op"])

    def checked(self, result):
        run = Run(self, result)
        self.check_epochs(run)
        self.check_summary(run)
        self.check_drift(run)
        self.check_calls(run)
        return run


class Long(Checked):
    def test_two_minutes(self):
        run = self.checked(soak("--seconds", 120, preload=LIBRARY))
        self.assertEqual(run.start["epoch_seconds"], 10)
        self.assertGreater(run.summary["checks"]["zero_bytes"], 0)


class Short(Checked):
    def test_csv(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "epochs.csv")
            run = self.checked(soak("--seconds", 5, "--seed", 7, "--live", 16, "--csv", path,
                                    preload=LIBRARY))
            with open(path, newline="", encoding="ascii") as file:
                rows = list(csv.DictReader(file))
        self.assertEqual(run.start["seed"], 7)
        self.assertEqual(len(rows), len(run.epochs))
        for row, epoch in zip(rows, run.epochs):
            wanted = {name: value for name, value in epoch.items() if name not in WORDS}
            self.assertEqual({name: value if value == "unknown" else float(value)
                              for name, value in row.items()}, wanted)

    def test_other_numbers_of_threads(self):
        for threads in (1, 3):
            with self.subTest(threads=threads):
                run = self.checked(soak("--seconds", 2, "--threads", threads, "--live", 8))
                self.assertEqual(run.start["threads"], threads)

    def test_known_number_of_calls_is_counted(self):
        run = self.checked(soak("--seconds", 4, "--threads", 1, "--live", 8, bad="calls"))
        calls = run.summary["syscalls"]
        if run.start["count"] != "ptrace":
            self.skipTest("system calls cannot be counted here")
        wanted = LARGE_PER_UNIT * PART_ROUNDS * run.start["units"] * len(run.steady)
        self.assertEqual(calls["brk"], wanted)
        # One thread never waits for a lock; the soak's own waits for its threads do not count.
        self.assertEqual(calls["lock_syscalls"], 0)

    def test_counting_can_be_left_out(self):
        run = self.checked(soak("--seconds", 2, "--live", 8, "--no-count"))
        self.assertEqual(run.start["count"], "off")

    def test_goes_on_where_tracing_is_forbidden(self):
        number = {"x86_64": 101, "aarch64": 117}.get(platform.machine())
        if number is None:
            self.skipTest("number of the ptrace call unknown here")
        run = self.checked(soak("--seconds", 2, "--live", 8, preexec_fn=lambda: forbid(number)))
        self.assertEqual(run.start["count"], "unknown")

    def test_part_left_out(self):
        # Only `large` asks for 64 KiB by malloc.
        run = self.checked(soak("--seconds", 3, "--live", 8, "--without", "large",
                                "--without", "churn", bad="calls"))
        self.assertEqual(run.start["without_parts"], 2)
        if run.start["count"] == "ptrace":
            self.assertEqual(run.summary["syscalls"]["brk"], 0)

    def test_interrupt_finishes_the_epoch(self):
        environment = {**os.environ, "LD_PRELOAD": LIBRARY}
        command = [SOAK, "--seconds", "3000", "--epoch", "1", "--live", "8"]
        with subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            seen = process.stdout.readline() + process.stdout.readline()
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=HANG_S)
        run = self.checked(subprocess.CompletedProcess(command, process.returncode, seen + rest,
                                                       errors))
        self.assertGreaterEqual(len(run.epochs), 1)
        self.assertLess(sum(run.column("seconds")), 1500)


def forbid(call):
    """Lets one system call fail with EPERM from here on: a seccomp filter of four steps."""
    steps = ((0x20, 0, 0, 0), (0x15, 0, 1, call), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps),
                                                      ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, set_seccomp, mode_filter = 38, 22, 2
    if (libc.prctl(no_new_privileges, 1, 0, 0, 0) != 0
            or libc.prctl(set_seccomp, mode_filter, program) != 0):
        raise OSError(ctypes.get_errno(), "seccomp")


class Broken(unittest.TestCase):
    """Every broken promise ends the run with one line that names it."""

    def broken(self, bad, sentence, part):
        result = soak("--seconds", 20, "--live", 8, bad=bad)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertRegex(result.stderr, rf"^soak: {sentence} "
                         rf"\(part {part}, epoch \d+, thread [01], seed 1\)\n$")

    def test_overlap(self):
        self.broken("overlap", r"before (free|realloc), the block of \d+ bytes at 0x\w+ holds "
                    r"0x\w\w at offset \d+, not 0x\w\w", r"[a-z-]+")

    def test_misaligned(self):
        self.broken("misaligned", r"(aligned_alloc|posix_memalign) of \d+ bytes gave 0x\w+, which "
                    r"is not a multiple of \d+", "aligned")

    def test_refused(self):
        self.broken("refused", r"malloc of \d+ bytes failed: Cannot allocate memory", r"[a-z-]+")

    def test_dirty(self):
        self.broken("dirty", r"calloc of \d+ bytes gave 0x\w+, which holds 0x5a at offset \d+, "
                    "not 0", "calloc")

    def test_forgotten(self):
        self.broken("forgotten", r"after realloc, the block of \d+ bytes at 0x\w+ holds 0x\w\w at "
                    r"offset 0, not 0x\w\w", "growth")

    def test_same_library_unbroken(self):
        result = soak("--seconds", 1, "--live", 8, bad="nothing")
        self.assertEqual((result.returncode, result.stderr), (0, ""))


class Arguments(unittest.TestCase):
    WRONG = (
        (("--seconds", "0"), "--seconds '0' is not a number from 1 to 10000000"),
        (("--seconds", "12s"), "--seconds '12s' is not a number from 1 to 10000000"),
        (("--seconds", ""), "--seconds '' is not a number from 1 to 10000000"),
        (("--threads", "65"), "--threads '65' is not a number from 1 to 64"),
        (("--threads", "-1"), "--threads '-1' is not a number from 1 to 64"),
        (("--seed", "4294967296"), "--seed '4294967296' is not a number from 0 to 4294967295"),
        (("--seed", "99999999999999999999"),
         "--seed '99999999999999999999' is not a number from 0 to 4294967295"),
        (("--live", "0"), "--live '0' is not a number from 1 to 65536"),
        (("--epoch", "0"), "--epoch '0' is not a number from 1 to 3600"),
        (("--seconds", "5", "--epoch", "6"),
         "--epoch 6 is longer than the whole run of --seconds 5; it may be 1 to 5"),
        (("--seconds", "1000000", "--epoch", "1"), "--seconds 1000000 with --epoch 1 makes more "
         "than 100000 epochs; --epoch must be 10 or more"),
        (("--csv", "/nowhere/at/all.csv"),
         "--csv '/nowhere/at/all.csv' cannot be written: No such file or directory"),
        (("--without", "tea"), "--without 'tea' is no part; parts are steady, ramp, growth, "
         "large, hand-over, churn, calloc, aligned"),
        (("--csv",), "--csv needs a value"),
        (("--nonsense",), "'--nonsense' is no option; valid are --seconds, --threads, --seed, "
         "--epoch, --live, --csv, --no-count, --without"),
        (("--seconds", "5", "-xy"), "'-xy' is no option; valid are --seconds, --threads, --seed, "
         "--epoch, --live, --csv, --no-count, --without"),
        (("60",), "'60' is no option; valid are --seconds, --threads, --seed, --epoch, --live, "
         "--csv, --no-count, --without"),
    )

    def test_wrong(self):
        for options, sentence in self.WRONG:
            with self.subTest(options=options):
                result = soak(*options)
                self.assertEqual((result.returncode, result.stdout, result.stderr),
                                 (2, "", f"soak: {sentence}\n"))

    def test_all_parts_left_out(self):
        parts = "steady ramp growth large hand-over churn calloc aligned".split()
        result = soak(*(word for part in parts for word in ("--without", part)))
        self.assertEqual((result.returncode, result.stderr),
                         (2, "soak: --without leaves out all 8 parts; one must remain\n"))

    def test_help(self):
        result = soak("--help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for option in ("--seconds", "--threads", "--seed", "--epoch", "--live", "--csv",
                       "--no-count", "--without"):
            self.assertIn(option, result.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
