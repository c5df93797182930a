#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Goal: whatever stands in results.json, the report reads it or refuses it by BadResults.

Method: the invented results of the lab's tests are damaged at random, in their structure (values of
other types and extreme ones, parts missing, moved or repeated) and in their text (bytes changed, cut
and repeated), and read. What is accepted must answer every question that the report asks.

usage: results.py [SECONDS]; the seed comes from TEST_SEED, else from the clock
"""
import copy
import dataclasses
import json
import os
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE.parent / "lab"), str(HERE.parents[1] / "bench" / "lab")]

import report_data  # noqa: E402
import synthetic  # noqa: E402

VALUES = [None, True, False, 0, 1, -1, 0.5, 1e308, -1e-308, 10 ** 400, float("nan"), float("inf"), "",
          "x", "hakmem", "glibc", "\0", "\ud800", [], [[]], [1], [[1, 2], [3]], {}, {"": {}},
          {"ratio": 1}, [None] * 3]
ROWS_KEPT = 3     # of the invented workloads: enough of everything, and fast to copy
CHANGES_MAX = 3


def original():
    """Few workloads, one of them with a crash and one of a program."""
    results = synthetic.make()
    names = {synthetic.CRASH[0], synthetic.HANG[0], "tiny-64"}
    results["workloads"] = [row for row in results["workloads"] if row["name"] in names][:ROWS_KEPT]
    for row in results["workloads"]:
        for cell in row["results"].values():
            if cell["rss_curve"]:
                del cell["rss_curve"][4:]
            del cell["samples"][1:]
    return results


def places(value, found):
    """Every (container, key) in a structure."""
    for key in value if isinstance(value, dict) else range(len(value)):
        found.append((value, key))
        if isinstance(value[key], (dict, list)):
            places(value[key], found)
    return found


def damage_structure(rng, data):
    data = copy.deepcopy(data)
    for _ in range(rng.randint(1, CHANGES_MAX)):
        all_places = places(data, [])
        if not all_places:
            break
        container, key = rng.choice(all_places)
        kind = rng.randrange(4)
        if kind == 0:
            del container[key]
        elif kind == 1:
            other, of_other = rng.choice(all_places)
            container[key] = copy.deepcopy(other[of_other]) if of_other in other or \
                isinstance(other, list) and of_other < len(other) else None
        elif kind == 2 and isinstance(container, dict):
            container[rng.choice(["", "own", "glibc", "median", "peer"])] = container.pop(key)
        else:
            container[key] = copy.deepcopy(rng.choice(VALUES))
    return json.dumps(data).encode()


def damage_text(rng, text):
    text = bytearray(text)
    for _ in range(rng.randint(1, CHANGES_MAX)):
        at, n = rng.randrange(len(text)), rng.randint(1, 40)
        kind = rng.randrange(4)
        if kind == 0:
            text[at] = rng.randrange(256)
        elif kind == 1:
            del text[at:at + n]
        elif kind == 2:
            text[at:at] = text[at:at + n] * rng.randint(1, 4)
        else:
            text[at:at + 1] = rng.choice([b"9" * 400, b"[" * 50, b"null", b"\\ud800", b'"', b"-1e999"])
    return bytes(text)


def ask(results):
    """What the page and the figures ask for; every text can be written."""
    json.dumps(dataclasses.asdict(results), ensure_ascii=False).encode()
    for row in results.rows:
        for allocator in results.allocators:
            results.relative_speed(row, allocator.name)
            row.rss_of(allocator.name)
        results.best_peer(row)
    rows = [ratio for row in results.rows for ratio in (row.speed, row.rss) if ratio]
    means = [ratio for ratios in results.means.values() for ratio in ratios.values()]
    assert all(ratio.value > 0 and ratio.is_level in (True, False) for ratio in rows + means)
    return results.own, results.peers, results.contenders, results.floors, results.failures()


def accepted(path):
    """True: read; False: refused. Anything else is the failure this test looks for."""
    try:
        ask(report_data.load(path))
        return True
    except report_data.BadResults:
        return False


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10
    seed = int(os.environ.get("TEST_SEED") or time.time())
    print(f"TEST_SEED={seed}", flush=True)
    rng = random.Random(seed)
    data = original()
    text = json.dumps(data).encode()
    end = time.monotonic() + seconds
    counts = {True: 0, False: 0}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.json"
        path.write_bytes(text)
        if not accepted(path):
            return "the results are refused as they are"
        while time.monotonic() < end:
            damaged = damage_structure(rng, data) if rng.random() < 0.7 else damage_text(rng, text)
            path.write_bytes(damaged)
            try:
                counts[accepted(path)] += 1
            except Exception:  # every kind but BadResults is a finding
                kept = Path.cwd() / f"results-{seed}-{sum(counts.values())}.json"
                kept.write_bytes(damaged)
                traceback.print_exc()
                return f"kept: {kept}"
    print(f"{counts[True]} accepted, {counts[False]} refused, {sum(counts.values()) / seconds:.0f} "
          "per second")
    # A method that damages nothing, or everything, would test nothing.
    return 0 if min(counts.values()) > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
