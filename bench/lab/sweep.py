# SPDX-License-Identifier: MIT
"""bench/sweep: every combination of some settings' values on some workloads, to CSV."""
import csv
import itertools
import re
import sys

import arguments
from allocators import Unusable, check_settings, own_allocator
from compare import SAMPLE_FIELDS
from runner import RunFailed
from workloads import choose


def axis(text):
    """'route=a,b,c' -> ('HAKMEM_ROUTE', ['a', 'b', 'c'])"""
    found = re.fullmatch(r"(?:HAKMEM_)?([A-Za-z0-9_]+)=([^,]+(?:,[^,]+)*)", text)
    if found is None:
        raise arguments.argparse.ArgumentTypeError(f"'{text}' is not SETTING=VALUE,VALUE,..")
    return f"HAKMEM_{found.group(1).upper()}", found.group(2).split(",")


def parse(argv):
    parser = arguments.parser("sweep", "Run every combination of the given values on every chosen "
                              "workload and write one line of CSV per run.")
    parser.prog = "sweep"
    parser.add_argument("axes", type=axis, nargs="+", metavar="SETTING=VALUE,..")
    parser.add_argument("--only", metavar="PATTERN", help="rows whose name contains or matches it")
    parser.add_argument("--rounds", type=arguments.whole_number(1, 1000), metavar="N", default=5)
    parser.add_argument("--quick", action="store_true", help="shorter runs")
    parser.add_argument("--csv", metavar="FILE", help="instead of standard output")
    options = parser.parse_args(argv)
    if options.quick:
        options.scale = arguments.QUICK_SCALE
    return options


def grid(options):
    """One allocator per combination; all values are checked before anything runs."""
    names = [name for name, _ in options.axes]
    points = []
    for values in itertools.product(*(values for _, values in options.axes)):
        settings = tuple(zip(names, values))
        check_settings(options.lib, settings)
        points.append(own_allocator(options.lib, "hakmem", settings))
    return points


def sweep(options, file):
    rows = [row for row in choose(options.only) if row.is_there(options)]
    if not rows:
        raise Unusable(f"no row that is installed matches '{options.only}'; see "
                       "`hakmem bench --list`")
    points = grid(options)
    writer = csv.writer(file)
    writer.writerow([name for name, _ in options.axes] + ["workload", "round", "status"]
                    + list(SAMPLE_FIELDS))
    failed = 0
    for row in rows:
        for number in range(options.rounds + 1):  # the first is the warm-up and not written
            for point in points:
                line = [value for _, value in point.settings] + [row.name, number]
                try:
                    sample = row.run(point, options)
                    line += ["ok"] + [sample[name] for name in SAMPLE_FIELDS]
                except RunFailed as reason:
                    failed = 1
                    line += [f"failed: {reason}"] + [""] * len(SAMPLE_FIELDS)
                if number > 0:
                    writer.writerow(line)
                    file.flush()
        print(f"{row.name}: {len(points)} combinations", file=sys.stderr, flush=True)
    return failed


def main(argv):
    options = parse(argv)
    try:
        if options.csv is None:
            return sweep(options, sys.stdout)
        with open(options.csv, "w", newline="", encoding="utf-8") as file:
            return sweep(options, file)
    except (Unusable, OSError) as reason:
        print(f"sweep: {reason}", file=sys.stderr)
        return 2
