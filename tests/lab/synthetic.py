# SPDX-License-Identifier: MIT
"""A results.json as a benchmark run would write it, invented from a seed.

It has what makes a report hard: 40 workloads in all families, an allocator that crashes on one of
them and one that hangs on another, workloads without latencies or RSS curves, a peer that is 300
times slower than the others, rows in which our own is ahead, level and behind.
"""

import json
import math
import random
from statistics import geometric_mean, median

ROUNDS = 5
ALLOCATORS = (("hakmem", "own"), ("glibc", "peer"), ("mimalloc", "peer"), ("jemalloc", "peer"),
              ("tcmalloc", "peer"), ("scudo", "peer"), ("floor", "floor"))
SPEED = {"hakmem": 1.08, "glibc": 0.55, "mimalloc": 0.97, "jemalloc": 0.72, "tcmalloc": 0.98,
         "scudo": 0.31, "floor": 2.1}
MEMORY = {"hakmem": 1.0, "glibc": 1.02, "mimalloc": 1.12, "jemalloc": 1.06, "tcmalloc": 1.3,
          "scudo": 1.25, "floor": 1.0}
WORKLOADS = {
    "small": ("tiny-64", "tiny-1024", "mixed-400", "mixed-200k", "tree-build", "list-teardown",
              "power-law", "message-parse", "string-grow", "calloc-reused", "size-drift",
              "arena-phases", "aligned-64"),
    "memory": ("ramp-1m", "ramp-random-free", "survivors-then-larger", "realloc-grow",
               "realloc-grow-x4", "large-64k-1m", "large-touched", "calloc-fresh", "burst-idle",
               "long-and-short-lived"),
    "threads": ("mid-8-32k-2t", "prodcons", "pipeline-4", "larson-8-128-2t", "larson-8-1000-2t",
                "free-only-thread", "thread-churn", "cache-line-active", "cache-line-passive"),
    "program": ("redis", "python3-json", "sqlite3", "lua", "gcc", "node", "git-gc", "start-true"),
}
CRASH = ("survivors-then-larger", "jemalloc", "failed: killed by SIGSEGV")
HANG = ("git-gc", "scudo", "failed: hangs (more than 60 s)")
SLOW = ("realloc-grow", "tcmalloc")


def make(seed=1):
    rng = random.Random(seed)
    rows = [make_row(rng, family, name) for family, names in WORKLOADS.items() for name in names]
    return {"schema": "hakmem-bench/1", "date": "2026-11-21T13:00:00Z", "quick": False,
            "rounds": ROUNDS,
            "machine": {"cpu": "Invented CPU @ 3.00GHz", "cores": 2, "memory_kib": 8 * 1024 ** 2,
                        "kernel": "6.1.0-18-amd64", "system": "Debian GNU/Linux 12",
                        "libc": "glibc 2.36"},
            "allocators": [{"name": name, "role": role, "version": f"{len(name)}.1",
                            "path": None if name == "glibc" else f"/usr/lib/lib{name}.so"}
                           for name, role in ALLOCATORS],
            "workloads": rows, "means": make_means(rows)}


def make_row(rng, family, name):
    kind = "program" if family == "program" else "pattern"
    kind = "start" if name.startswith("start") else kind
    base, rss = rng.uniform(4, 220), 10 ** rng.uniform(3.2, 5.6)
    if kind != "pattern":
        base /= 20
    tilt = rng.gauss(0, 0.09)  # this workload suits our own more or less
    results = {}
    for allocator, role in ALLOCATORS:
        if role == "floor" and (family != "small" or name == "aligned-64"):
            continue
        failed = [status for row, who, status in (CRASH, HANG) if (row, who) == (name, allocator)]
        if failed:
            results[allocator] = {"status": failed[0], "samples": [], "median": None,
                                  "latency_ns": None, "rss_curve": None, "syscalls": None}
            continue
        speed = base * SPEED[allocator] ** (1 if kind == "pattern" else 0.2)
        speed *= math.exp(rng.gauss(tilt if allocator == "hakmem" else 0, 0.08))
        if (name, allocator) == SLOW:
            speed /= 330
        peak = rss * MEMORY[allocator] * math.exp(abs(rng.gauss(0, 0.16)))
        results[allocator] = make_cell(rng, kind, speed, peak)
    row = {"name": name, "family": family, "kind": kind, "command": f"bench_{name} 64 100 1",
           "unit": {"pattern": "Mops/s", "program": "runs/CPU-s", "start": "runs/s"}[kind],
           "results": results}
    row["speed"] = ratio_to_best(results, "speed", max)
    row["rss"] = ratio_to_best(results, "rss_peak_kib", min)
    return row


def make_cell(rng, kind, speed, peak):
    samples = [{"speed": speed * rng.uniform(0.97, 1.03), "seconds": rng.uniform(0.3, 0.8),
                "rss_peak_kib": round(peak * rng.uniform(0.99, 1.01)),
                "rss_end_kib": round(peak * 0.2), "minflt": round(peak / 4),
                "stime_ms": round(peak / 900, 1)} for _ in range(ROUNDS)]
    medians = {key: median(sample[key] for sample in samples)
               for key in samples[0] if key != "seconds"}
    p50 = 1000 / speed * 0.8
    latency = {"p50": round(p50), "p99": round(p50 * rng.uniform(3, 8)),
               "p999": round(p50 * rng.uniform(20, 90)), "max": round(10 ** rng.uniform(4.5, 7.2))}
    curve = None
    if kind != "start" and peak > 4000:
        count, seconds = rng.randrange(20, 400), samples[0]["seconds"]
        keep = rng.uniform(0.05, 0.8)
        curve = [[round(i * seconds / count, 4), round(peak * shape(i / count, keep))]
                 for i in range(count + 1)]
    return {"status": "ok", "samples": samples, "median": medians, "rss_curve": curve,
            "latency_ns": latency if kind == "pattern" and rng.random() < 0.97 else None,
            "syscalls": rng.randrange(20, 900) if kind == "pattern" else None}


def shape(share, keep):
    """Of an RSS curve: up, level with waves, down to what the allocator keeps."""
    if share < 0.4:
        return 0.02 + 0.98 * share / 0.4
    if share < 0.8:
        return 0.95 + 0.05 * math.cos(share * 60)
    return 1 - (1 - keep) * (share - 0.8) / 0.2


def ratio_to(results, metric, peer):
    ours, theirs = results["hakmem"], results[peer]
    ratio = ours["median"][metric] / theirs["median"][metric]
    pairs = [a[metric] / b[metric] for a, b in zip(ours["samples"], theirs["samples"])]
    return {"peer": peer, "ratio": ratio, "low": min(pairs + [ratio]), "high": max(pairs + [ratio])}


def ratio_to_best(results, metric, choose):
    peers = [name for name, role in ALLOCATORS
             if role == "peer" and results[name]["status"] == "ok"]
    return ratio_to(results, metric, choose(peers, key=lambda p: results[p]["median"][metric]))


def make_means(rows):
    means = {}
    for metric, key in (("speed", "speed"), ("rss", "rss_peak_kib")):
        ratios = {name: [ratio_to(row["results"], key, name) for row in rows
                         if row["results"][name]["status"] == "ok"]
                  for name, role in ALLOCATORS if role == "peer"}
        ratios["best"] = [row[metric] for row in rows]
        means[metric] = {peer: {part: geometric_mean(ratio[part] for ratio in of_peer)
                                for part in ("ratio", "low", "high")}
                         for peer, of_peer in ratios.items()}
    return means


def write(folder, results=None):
    """Stores results.json in the folder and returns what it holds."""
    results = make() if results is None else results
    with open(f"{folder}/results.json", "w", encoding="utf-8") as file:
        json.dump(results, file)
    return results
