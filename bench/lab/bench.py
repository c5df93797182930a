# SPDX-License-Identifier: MIT
"""hakmem bench: hakmem side by side with every installed allocator, or with those named."""
import sys
from pathlib import Path

import arguments
import instructions
import table
from allocators import Unusable, floor_allocator, own_allocator, peer_list
from compare import compare
from workloads import choose

MEASURED, FAILED, WRONG_USE = 0, 1, 2


def parse(argv):
    parser = arguments.parser("bench", "Compare hakmem with the other allocators: speed, latency "
                              "and memory. Table to the terminal, JSON and CSV to a folder.")
    parser.add_argument("--peers", type=arguments.peers, metavar="NAME[=PATH],..",
                        help="instead of all that are installed (glibc, mimalloc, jemalloc, "
                             "tcmalloc, scudo); PATH: any other library")
    parser.add_argument("--only", metavar="PATTERN", help="rows whose name contains or matches it")
    parser.add_argument("--rounds", type=arguments.whole_number(1, 1000), metavar="N", default=5,
                        help="measured rounds (5)")
    parser.add_argument("--quick", action="store_true",
                        help="shorter runs and no count of system calls")
    parser.add_argument("--instructions", action="store_true",
                        help="instead of time, count instructions per op under callgrind")
    parser.add_argument("--out", type=Path, metavar="FOLDER", default=Path("hakmem-bench"),
                        help="where results.json and samples.csv go (hakmem-bench)")
    parser.add_argument("--list", action="store_true", help="list the rows and end")
    options = parser.parse_args(argv)
    if options.quick:
        options.scale = arguments.QUICK_SCALE
    return options


def chosen_rows(options):
    chosen = choose(options.only)
    if not chosen:
        raise Unusable(f"no row matches '{options.only}'; see --list")
    return chosen


def usable_rows(options, skipped):
    chosen = chosen_rows(options)
    there = [row for row in chosen if row.is_there(options)]
    skipped += [f"{row.name}: {row.needs(options)} is not there" for row in chosen
                if row not in there]
    if not there:
        raise Unusable("; ".join(skipped))
    return there


def print_header(allocators, skipped):
    for allocator in allocators:
        path = allocator.path or "the C library"
        print(f"  {allocator.name:9} {allocator.version:24} {path}")
    for sentence in skipped:
        print(f"skipped: {sentence}")
    sys.stdout.flush()


def run(options):
    skipped = []
    if options.list:
        print(table.layout([[row.name, row.family, row.command(options)]
                            for row in chosen_rows(options)]))
        return MEASURED
    rows = usable_rows(options, skipped)
    allocators = [own_allocator(options.lib)] + peer_list(options.peers, skipped)
    if any(row.has_floor for row in rows):
        allocators += floor_allocator(options.programs)
    print_header(allocators, skipped)
    if options.instructions:
        return instructions.measure(rows, allocators, options)
    results, failed = compare(rows, allocators, options, skipped)
    table.print_results(results)
    print(f"\n{options.out}/results.json, samples.csv; `hakmem report {options.out}` makes a page")
    return FAILED if failed else MEASURED


def main(argv):
    options = parse(argv)
    try:
        return run(options)
    except Unusable as reason:
        print(f"hakmem bench: {reason}", file=sys.stderr)
        return WRONG_USE
