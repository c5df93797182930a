# SPDX-License-Identifier: MIT
"""All runs of a comparison and the results file that comes of them.

For every workload: one warm-up run of each allocator, then N rounds in which every allocator runs
once, in an order rotated by one each round. An allocator that crashes, hangs or fails is reported,
dropped from that workload, and the table goes on.
"""
import csv
import json
import os
import sys
import tempfile
import time
from statistics import median

import machine
from allocators import FLOOR, OWN, PEER, Unusable
from runner import RunFailed, execute
from stats import mean_of_ratios, ratio_of_medians

SCHEMA = "hakmem-bench/1"
SAMPLE_FIELDS = ("speed", "seconds", "rss_peak_kib", "rss_end_kib", "minflt", "stime_ms")
CSV_HEADER = ("workload", "allocator", "round") + SAMPLE_FIELDS
MEMORY_CALLS = ("mmap,munmap,mremap,madvise,mprotect,brk,process_madvise,futex,sched_yield")


class Progress:
    """One line on stderr, rewritten where that is a terminal."""

    def __init__(self, rows):
        self.rows, self.row, self.name = rows, 0, ""
        self.start = time.monotonic()
        self.live = sys.stderr.isatty()

    def next_row(self, name):
        self.row, self.name = self.row + 1, name
        if not self.live:
            print(f"[{self.row}/{self.rows}] {name}", file=sys.stderr, flush=True)

    def show(self, what):
        if not self.live:
            return
        done = self.row - 1
        left = (time.monotonic() - self.start) / done * (self.rows - done) / 60 if done else 0
        rest = f", about {left:.0f} min left" if left >= 1 else ""
        print(f"\r\033[K[{self.row}/{self.rows}] {self.name}: {what}{rest}", end="",
              file=sys.stderr, flush=True)

    def clear(self):
        if self.live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def count_system_calls(workload, allocator, options):
    """Memory and scheduling calls of one run, by strace; None where it cannot trace."""
    with tempfile.NamedTemporaryFile("r", suffix=".strace") as report:
        env = allocator.environment()
        preload = [f"-ELD_PRELOAD={env.pop('LD_PRELOAD')}"] if "LD_PRELOAD" in env else []
        command = ["strace", "-f", "--seccomp-bpf", "-c", "-U", "calls,name", "-o", report.name,
                   "-e", f"trace={MEMORY_CALLS}", *preload, *workload.argv(options)]
        try:
            status, _, _ = execute(command, env, options.timeout * 4)
        except (OSError, RunFailed):
            return None
        lines = report.read().splitlines()
        if status != 0:
            return None
        calls = [line.split()[0] for line in lines if line.endswith(" total")]
        return int(calls[0]) if calls else 0


class Comparison:
    def __init__(self, allocators, options, writer):
        self.allocators, self.options, self.writer = allocators, options, writer
        self.progress = Progress(0)
        self.failed = False

    def _attempt(self, workload, allocator, results, what):
        """Returns a sample, or None after noting in `results` why there is none."""
        self.progress.show(f"{allocator.name} {what}")
        try:
            return workload.run(allocator, self.options)
        except RunFailed as reason:
            self._note_failure(workload, allocator, results[allocator.name], reason)
            return None

    def _note_failure(self, workload, allocator, result, reason):
        result["status"] = f"failed: {reason}"
        self.failed = True
        self.progress.clear()
        print(f"FAILED {workload.name}: {allocator.name}: {reason}", file=sys.stderr, flush=True)

    def _rounds(self, workload, allocators, results):
        alive = [a for a in allocators if self._attempt(workload, a, results, "warm-up")]
        for number in range(self.options.rounds):
            shift = number % len(alive) if alive else 0
            order = alive[shift:] + alive[:shift]
            # Every second round backwards, so that nobody always runs after the same one.
            for allocator in order if number % 2 == 0 else reversed(order):
                result = results[allocator.name]
                if result["status"] != "ok":
                    continue
                sample = self._attempt(workload, allocator, results,
                                       f"round {number + 1}/{self.options.rounds}")
                if sample is None:
                    continue
                result["samples"].append({name: sample[name] for name in SAMPLE_FIELDS})
                self.writer.writerow([workload.name, allocator.name, number + 1]
                                     + [sample[name] for name in SAMPLE_FIELDS])

    def _details(self, workload, allocator, result):
        self.progress.show(f"{allocator.name} latency and RSS over time")
        try:
            result.update(workload.details(allocator, self.options))
        except RunFailed as reason:
            self._note_failure(workload, allocator, result, reason)
            return
        if workload.kind == "pattern" and not self.options.quick:
            self.progress.show(f"{allocator.name} system calls")
            result["syscalls"] = count_system_calls(workload, allocator, self.options)

    def measure(self, workload):
        allocators = [a for a in self.allocators if a.role != FLOOR or workload.has_floor]
        results = {a.name: {"status": "ok", "samples": [], "median": None, "latency_ns": None,
                            "rss_curve": None, "syscalls": None} for a in allocators}
        self._rounds(workload, allocators, results)
        for allocator in allocators:
            result = results[allocator.name]
            if result["status"] == "ok":
                result["median"] = {name: middle(result["samples"], name)
                                    for name in SAMPLE_FIELDS}
                if allocator.role != FLOOR:
                    self._details(workload, allocator, result)
        return {"name": workload.name, "family": workload.family, "kind": workload.kind,
                "command": workload.command(self.options), "unit": workload.unit,
                "results": results,
                "speed": self._against_best(results, "speed", max),
                "rss": self._against_best(results, "rss_peak_kib", min)}

    def peers_of(self, results):
        return [a.name for a in self.allocators
                if a.role == PEER and results.get(a.name, {}).get("status") == "ok"]

    def own_of(self, results):
        names = [a.name for a in self.allocators if a.role == OWN]
        return names[0] if results.get(names[0], {}).get("status") == "ok" else None

    def _against_best(self, results, metric, best):
        peers, own = self.peers_of(results), self.own_of(results)
        if not peers or own is None:
            return None
        peer = best(peers, key=lambda name: results[name]["median"][metric])
        found = ratio_of_medians(column(results[own], metric), column(results[peer], metric))
        return {"peer": peer, "ratio": found.ratio, "low": found.low, "high": found.high}

    def means(self, workloads):
        return {"speed": self._means(workloads, "speed", "speed"),
                "rss": self._means(workloads, "rss", "rss_peak_kib")}

    def _means(self, workloads, comparison, metric):
        """Per peer over the rows where both ran, and over all rows against the best of each."""
        pairs = {"best": []}
        for workload in workloads:
            results = workload["results"]
            own = self.own_of(results)
            for name in self.peers_of(results) if own else []:
                pair = (column(results[own], metric), column(results[name], metric))
                pairs.setdefault(name, []).append(pair)
                if workload[comparison]["peer"] == name:
                    pairs["best"].append(pair)
        pairs["best"] = pairs.pop("best")  # the last one
        found = {name: mean_of_ratios(rows) for name, rows in pairs.items() if rows}
        return {name: {"ratio": r.ratio, "low": r.low, "high": r.high}
                for name, r in found.items()}


def column(result, metric):
    """Positive, so that ratios exist: less than one KiB beyond the workload's tables counts as 1."""
    return [max(sample[metric], 1) if metric.endswith("_kib") else sample[metric]
            for sample in result["samples"]]


def middle(samples, name):
    values = [sample[name] for sample in samples if sample[name] is not None]
    return median(values) if values else None


def write_whole(path, text):
    """Never leaves half a file."""
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def open_samples(folder):
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.json").unlink(missing_ok=True)  # not of these samples
        return open(folder / "samples.csv", "w", newline="", buffering=1, encoding="utf-8")
    except OSError as error:
        raise Unusable(f"cannot write to '{folder}': {error.strerror}") from None


def compare(workloads, allocators, options, skipped):
    """Runs everything, writing results.json after each row; returns (results, one failed)."""
    results = {"schema": SCHEMA, "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
               "quick": options.quick, "rounds": options.rounds, "machine": machine.describe(),
               "allocators": [{"name": a.name, "path": a.path, "version": a.version,
                               "role": a.role} for a in allocators],
               "skipped": skipped, "workloads": [], "means": {"speed": {}, "rss": {}}}
    with open_samples(options.out) as file:
        writer = csv.writer(file)
        writer.writerow(CSV_HEADER)
        comparison = Comparison(allocators, options, writer)
        comparison.progress = Progress(len(workloads))
        for workload in workloads:
            comparison.progress.next_row(workload.name)
            results["workloads"].append(comparison.measure(workload))
            write_whole(options.out / "results.json", json.dumps(results, indent=1))
        results["means"] = comparison.means(results["workloads"])
        write_whole(options.out / "results.json", json.dumps(results, indent=1))
        comparison.progress.clear()
    return results, comparison.failed
