# SPDX-License-Identifier: MIT
"""What the report reads: results.json, checked and turned into objects.

Everything that is drawn or printed comes from here, so a file that passes load() cannot break the
page half-way. A missing part (no latency, no curve, a failed allocator, no peer) is None or absent;
a wrong one raises BadResults, whose text is one sentence that names the place.
"""

import json
import sys
from dataclasses import dataclass, field

SCHEMA = "hakmem-bench/1"
FAMILIES = ("small", "memory", "threads", "program")
ROLES = ("own", "peer", "floor")
PERCENTILES = (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"), ("max", "max"))


class BadResults(Exception):
    """results.json cannot be read or is not what the schema says."""


@dataclass(frozen=True)
class Allocator:
    name: str
    role: str
    version: str
    path: str


@dataclass(frozen=True)
class Ratio:
    """hakmem divided by a peer; low and high are the 95 % interval, None where unknown."""
    peer: str
    value: float
    low: float | None
    high: float | None

    @property
    def is_level(self):
        """True when the interval holds 1: the two cannot be told apart."""
        return self.low is not None and self.low <= 1 <= self.high


@dataclass
class Cell:
    """One allocator on one workload. speed is None unless the run gave a result."""
    status: str
    speed: float | None = None
    rss_peak_kib: float | None = None
    rss_end_kib: float | None = None
    latency_ns: dict | None = None
    rss_curve: list | None = None


@dataclass
class Row:
    name: str
    family: str
    command: str
    unit: str
    cells: dict  # allocator's name -> Cell
    speed: Ratio | None
    rss: Ratio | None

    def speed_of(self, name):
        cell = self.cells.get(name)
        return cell.speed if cell else None

    def rss_of(self, name):
        """Peak RSS in KiB or None. Below 1 counts as 1, as in the ratios of the run."""
        cell = self.cells.get(name)
        return max(cell.rss_peak_kib, 1) if cell and cell.rss_peak_kib is not None else None


@dataclass
class Results:
    date: str
    quick: bool
    rounds: int
    machine: dict
    allocators: list
    rows: list
    means: dict = field(default_factory=dict)  # "speed" and "rss" -> peer or "best" -> Ratio
    skipped: list = field(default_factory=list)  # sentences: what was not there to be measured

    @property
    def own(self):
        return next(a for a in self.allocators if a.role == "own")

    @property
    def peers(self):
        return [a for a in self.allocators if a.role == "peer"]

    @property
    def contenders(self):
        """Everything that is a real allocator: all but the floor."""
        return [a for a in self.allocators if a.role != "floor"]

    @property
    def floors(self):
        return [a for a in self.allocators if a.role == "floor"]

    def best_peer(self, row):
        """Name of the peer that the row's ratio is taken against; None without a peer."""
        if row.speed and row.speed_of(row.speed.peer):
            return row.speed.peer
        able = [a.name for a in self.peers if row.speed_of(a.name)]
        return max(able, key=row.speed_of, default=None)

    def relative_speed(self, row, name):
        """Speed divided by that of the row's best peer; hakmem's is the reported ratio."""
        best = self.best_peer(row)
        speed = row.speed_of(name)
        if best is None or speed is None:
            return None
        if name == self.own.name and row.speed:
            return row.speed.value
        return speed / row.speed_of(best)

    def failures(self):
        """(workload, allocator, what happened) of every run that gave no result."""
        return [(row.name, name, cell.status) for row in self.rows
                for name, cell in row.cells.items() if cell.status != "ok"]


# ---- reading and checking ----

def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        json.dumps(data, ensure_ascii=False).encode()  # half a surrogate pair could not be written
    except OSError as error:
        raise BadResults(f"cannot read '{path}': {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise BadResults(f"'{path}' is not JSON: {error}") from None
    try:
        return read_results(data)
    except BadResults as error:
        raise BadResults(f"'{path}' is malformed: {error}") from None


def read_results(data):
    check(isinstance(data, dict), "the top level is not an object")
    schema = data.get("schema")
    check(schema == SCHEMA, f"its schema is {schema!r}, and this report reads {SCHEMA!r}")
    allocators = [read_allocator(entry, f"allocators[{i}]")
                  for i, entry in enumerate(take(data, "allocators", list, "the file"))]
    names = [a.name for a in allocators]
    check(len(set(names)) == len(names), "two allocators have the same name")
    check(any(a.role == "own" for a in allocators), "no allocator has the role 'own'")
    rows = [read_row(entry, names, f"workloads[{i}]")
            for i, entry in enumerate(take(data, "workloads", list, "the file"))]
    check(rows, "it has no workloads")
    check(len({row.name for row in rows}) == len(rows), "two workloads have the same name")
    results = Results(date=take(data, "date", str, "the file"), quick=bool(data.get("quick")),
                      rounds=take(data, "rounds", int, "the file"),
                      machine=take(data, "machine", dict, "the file"),
                      allocators=[a for a in allocators if a.role != "floor" or
                                  any(a.name in row.cells for row in rows)],
                      rows=rows, means=read_means(data.get("means") or {}),
                      skipped=read_skipped(data.get("skipped") or []))
    if results.rounds < 2:
        drop_intervals(results)
    return results


def read_skipped(entry):
    check(isinstance(entry, list), "'skipped' is not a list")
    return [str(sentence) for sentence in entry]


def drop_intervals(results):
    """One round says nothing about the spread, whatever interval was computed from it."""
    def bare(ratio):
        return ratio and Ratio(ratio.peer, ratio.value, None, None)

    for row in results.rows:
        row.speed, row.rss = bare(row.speed), bare(row.rss)
    results.means = {metric: {peer: bare(ratio) for peer, ratio in ratios.items()}
                     for metric, ratios in results.means.items()}


def check(condition, sentence):
    if not condition:
        raise BadResults(sentence)


def take(data, key, kinds, where):
    check(isinstance(data, dict), f"{where} is not an object")
    check(key in data, f"{where} has no '{key}'")
    value = data[key]
    check(isinstance(value, kinds) and not isinstance(value, bool),
          f"'{key}' of {where} is {type(value).__name__}, which is the wrong type")
    return value


def is_finite(value):
    """False also for integers beyond every float, which JSON may hold."""
    return abs(value) <= sys.float_info.max


def number(data, key, where, least=0.0):
    """A finite number of at least `least`, or None where the key is missing or null."""
    if data.get(key) is None:
        return None
    value = take(data, key, (int, float), where)
    check(is_finite(value) and value >= least, f"'{key}' of {where} is {value}")
    return value


def read_allocator(entry, where):
    role = take(entry, "role", str, where)
    check(role in ROLES, f"'role' of {where} is {role!r}, not one of {', '.join(ROLES)}")
    return Allocator(name=take(entry, "name", str, where), role=role,
                     version=str(entry.get("version") or ""), path=str(entry.get("path") or ""))


def read_row(entry, names, where):
    family = take(entry, "family", str, where)
    check(family in FAMILIES,
          f"'family' of {where} is {family!r}, not one of {', '.join(FAMILIES)}")
    cells = {}
    for name, cell in take(entry, "results", dict, where).items():
        check(name in names, f"{where} has results of '{name}', which is not an allocator")
        cells[name] = read_cell(cell, f"{where}.results.{name}")
    row = Row(name=take(entry, "name", str, where), family=family, cells=cells,
              command=str(entry.get("command") or ""), unit=str(entry.get("unit") or ""),
              speed=read_ratio(entry.get("speed"), f"{where}.speed"),
              rss=read_ratio(entry.get("rss"), f"{where}.rss"))
    for ratio in filter(None, (row.speed, row.rss)):
        check(ratio.peer in names, f"{where} names the peer '{ratio.peer}', not an allocator")
    return row


def read_cell(entry, where):
    status = take(entry, "status", str, where)
    if status != "ok":
        return Cell(status=status)
    median = take(entry, "median", dict, where)
    speed = number(median, "speed", f"{where}.median")
    check(speed, f"'speed' of {where}.median is {speed}, though the status is ok")
    return Cell(status=status, speed=speed,
                rss_peak_kib=number(median, "rss_peak_kib", f"{where}.median"),
                rss_end_kib=number(median, "rss_end_kib", f"{where}.median"),
                latency_ns=read_latency(entry.get("latency_ns"), f"{where}.latency_ns"),
                rss_curve=read_curve(entry.get("rss_curve"), f"{where}.rss_curve"))


def read_latency(entry, where):
    if entry is None:
        return None
    check(isinstance(entry, dict), f"{where} is not an object")
    found = {key: number(entry, key, where) for key, _ in PERCENTILES}
    return found if any(value is not None for value in found.values()) else None


def read_curve(entry, where):
    if not entry:
        return None
    check(isinstance(entry, list), f"{where} is not a list")
    for point in entry:
        check(isinstance(point, list) and len(point) == 2 and
              all(isinstance(v, (int, float)) and is_finite(v) and v >= 0 for v in point),
              f"{where} holds {str(point)[:60]}, not a pair [seconds, KiB]")
    return sorted(entry)


def read_ratio(entry, where, peer=None):
    if entry is None:
        return None
    check(isinstance(entry, dict), f"{where} is not an object")
    value = number(entry, "ratio", where)
    check(value, f"'ratio' of {where} is {value}")
    low, high = number(entry, "low", where), number(entry, "high", where)
    check((low is None) == (high is None) and (low is None or low <= high),
          f"the interval of {where} is {low} to {high}")
    return Ratio(peer=peer or take(entry, "peer", str, where), value=value, low=low, high=high)


def read_means(entry):
    check(isinstance(entry, dict), "'means' is not an object")
    means = {}
    for metric in ("speed", "rss"):
        of_metric = entry.get(metric) or {}
        check(isinstance(of_metric, dict), f"means.{metric} is not an object")
        read = {peer: read_ratio(ratio, f"means.{metric}.{peer}", peer=peer)
                for peer, ratio in of_metric.items()}
        means[metric] = {peer: ratio for peer, ratio in read.items() if ratio}
    return means
