# SPDX-License-Identifier: MIT
"""The rows of the table. With the count given here a run takes some 0.15 to 0.3 s with glibc:
more rounds say more than longer runs.

A floor makes sense where the thread that allocated a block also frees it.
"""
import fnmatch
import tempfile

import programs
from allocators import PEER, Allocator
from runner import Curve, Pattern, RunFailed, Start

PATTERNS = (
    Pattern("tiny-64", "small", "bench_tiny_hot 64 100 {n}", 175000, floor=True),
    Pattern("tiny-1024", "small", "bench_tiny_hot 1024 100 {n}", 50000, floor=True),
    Pattern("mixed-400", "small", "bench_random_mixed {n} 400 1", 12500000, floor=True),
    Pattern("mixed-200k", "small", "bench_random_mixed {n} 200000 1", 3000000, floor=True),
    Pattern("fifo", "small", "bench_fifo {n}", 10000000, floor=True),
    Pattern("tree", "small", "bench_tree {n}", 1000, floor=True),
    Pattern("hash", "small", "bench_hash {n}", 8000000, floor=True),
    Pattern("hash-100k", "small", "bench_hash {n} 100000", 7000000, floor=True),
    Pattern("lifetimes", "small", "bench_lifetimes {n}", 10000000, floor=True),
    Pattern("powerlaw", "small", "bench_powerlaw {n}", 8500000, floor=True),
    Pattern("strings", "small", "bench_strings {n}", 700000, floor=True),
    Pattern("message", "small", "bench_message {n}", 19000, floor=True),
    Pattern("phases", "small", "bench_phases {n}", 2500, floor=True),
    Pattern("drift", "small", "bench_drift {n}", 4000000, floor=True),
    Pattern("vector", "memory", "bench_vector {n}", 75, floor=True),
    Pattern("calloc-large-reuse", "memory", "bench_calloc_large {n} 1", 2000),
    Pattern("calloc-large-fresh", "memory", "bench_calloc_large {n} 32", 8),
    Pattern("aligned-small", "memory", "bench_aligned {n}", 1100000, floor=True),
    # Beyond the sizes where mimalloc 2.0 returns misaligned blocks.
    Pattern("aligned", "memory", "bench_aligned {n} 1024 1040 16384", 900000, floor=True),
    Pattern("large-touch", "memory", "bench_large_touch {n}", 70),
    Pattern("fragment", "memory", "bench_fragment {n}", 4),
    Pattern("burst", "memory", "bench_burst {n}", 8, floor=True),
    Pattern("ramp", "memory", "bench_ramp {n} 1000000 16 256 1", 4, floor=True),
    Pattern("calloc", "memory", "bench_calloc {n} 1024 16 4096 1", 1500000, floor=True),
    Pattern("large", "memory", "bench_large {n} 64 65536 1048576 1", 200000, floor=True),
    # glibc extends a lone buffer at the end of its heap for nothing, while an allocator that
    # copies needs some hundred times longer; hence two rows.
    Pattern("realloc-grow", "memory", "bench_realloc_grow {n}", 3000),
    Pattern("realloc-grow-x4", "memory", "bench_realloc_grow {n} 16 1048576 4", 150),
    Start("start-true", "memory", "bench_spawn {n} true", 100),
    Pattern("mid-1t", "threads", "bench_mid_large_mt 1 {n} 256 8192 32768 1", 1500000, floor=True),
    Pattern("mid-mt", "threads", "bench_mid_large_mt {t} {n} 256 8192 32768 1", 1000000, floor=True),
    Pattern("prodcons", "threads", "bench_prodcons {n} 16 512 32", 75000),
    Pattern("pipeline-2t", "threads", "bench_pipeline {n} 2", 400000),
    Pattern("pipeline-4t", "threads", "bench_pipeline {n} 4", 450000),
    Pattern("free-only-3t", "threads", "bench_free_only {n} 3", 50000),
    Pattern("asymmetric", "threads", "bench_asymmetric {n} 17", 2250000, floor=True),
    Pattern("handover", "threads", "bench_handover {n} {t}", 1150000),
    Pattern("handover-4t", "threads", "bench_handover {n} 4", 700000),
    Pattern("false-active", "threads", "bench_false_active {n} {t}", 115000),
    Pattern("false-passive", "threads", "bench_false_passive {n} {t}", 30000),
    Pattern("crowd-32t", "threads", "bench_crowd {n} 32", 1200000, floor=True),
    Pattern("crowd-64t", "threads", "bench_crowd {n} 64", 500000, floor=True),
    Pattern("server", "threads", "bench_server {n} {t}", 250000),
    Pattern("server-4t", "threads", "bench_server {n} 4", 150000),
    Pattern("publish", "threads", "bench_publish {n} {t2}", 2250),
    Pattern("async", "threads", "bench_async {n} {t2}", 40000),
    Pattern("async-4t", "threads", "bench_async {n} 4", 20000),
    Pattern("larson-128", "threads", "larson {n} 8 128 1024 100 4141 {t}", 0.25, counted=False),
    Pattern("larson-1000", "threads", "larson {n} 8 1000 1024 100 4141 {t}", 0.25, counted=False),
    Pattern("thread-churn", "threads", "bench_churn {n} 5000", 2000, counted=False),
)


PROGRAM_SCALE = 0.6  # of inputs that take about a second of processor time with glibc


class RealProgram:
    """A row for a program of Debian; the speed is its runs per second of processor time."""

    kind, family, unit = "program", "program", "runs/CPU-s"
    has_floor = counted = False

    def __init__(self, program):
        self.program, self.name = program, program.name
        self._folder = None  # of its inputs, made before the first run
        self._digest = None  # of the output with the C library; all others must be the same

    def command(self, _options):
        return self.program.tool

    def needs(self, _options):
        return self.program.tool

    def is_there(self, _options):
        return self.program.find() is not None

    def _run(self, allocator, folder, curve=None):
        return self.program.run(allocator.environment(self.program.base), folder,
                                curve.start if curve else None)

    def _prepare(self, options):
        if self._folder is None:
            folder = tempfile.TemporaryDirectory(prefix="hakmem-bench-")
            self.program.launcher = options.programs / "launch"
            self.program.timeout = options.timeout
            self.program.prepare(folder.name, options.scale * PROGRAM_SCALE)
            self._digest = self._run(Allocator("C library", PEER, None), folder.name).digest
            self._folder = folder  # only now: a preparation that failed is tried again
        return self._folder.name

    def run(self, allocator, options, curve=None):
        try:
            cost = self._run(allocator, self._prepare(options), curve)
        except programs.Failed as reason:
            raise RunFailed(str(reason)) from None
        except (OSError, ValueError) as reason:  # an answer that makes no sense, files gone
            raise RunFailed(f"{type(reason).__name__}: {reason}") from None
        if cost.digest != self._digest:
            raise RunFailed("its output differs from that with the C library")
        return {"speed": 1 / cost.seconds, "seconds": cost.seconds, "stime_ms": cost.stime_ms,
                "rss_peak_kib": cost.rss_peak_kib, "rss_end_kib": cost.rss_end_kib,
                "minflt": cost.minflt}

    def details(self, allocator, options):
        curve = Curve()
        if self.program.works_itself:
            self.run(allocator, options, curve)
        return {"latency_ns": None, "rss_curve": curve.result()}


def rows():
    return list(PATTERNS) + [RealProgram(program) for program in programs.programs()]


def choose(pattern, family=None):
    """Rows whose name contains the pattern or matches it as a shell pattern."""
    return [row for row in rows()
            if (pattern is None or pattern in row.name or fnmatch.fnmatchcase(row.name, pattern))
            and (family is None or row.family == family)]
