# SPDX-License-Identifier: MIT
"""Instructions per op under callgrind: a second measure that has no noise.

Only what the workload's function `work` and its callees execute is counted; one op is one malloc
or free. The floor's figure is that of the loop plus a stack pop.
"""
import re
import shutil
import sys
import tempfile
from pathlib import Path

import table
from allocators import FLOOR, Unusable
from runner import RunFailed, check_run, execute, parse_line

SCALE = 0.002  # callgrind is some 50 times slower, and needs no repetition
SETTLE = 60    # its timeout, as a factor


class CountedRun:
    """The options of a run, made small for callgrind."""

    def __init__(self, options):
        self.programs, self.threads, self.scale = options.programs, options.threads, SCALE


def can_count(row):
    return row.kind == "pattern" and row.counted


def instructions_per_op(row, allocator, options):
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind"
        command = ["valgrind", "--tool=callgrind", "--toggle-collect=work", "-q",
                   f"--callgrind-out-file={out}", *row.argv(CountedRun(options))]
        status, stdout, err = execute(command, allocator.environment(), options.timeout * SETTLE)
        check_run(status, err)
        totals = re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.M)
        counted = int(totals.group(1)) if totals else 0
        if counted == 0:
            raise RunFailed("callgrind counted nothing")
        return counted / parse_line(stdout)["ops"]


def measure(rows, allocators, options):
    if shutil.which("valgrind") is None:
        raise Unusable("valgrind is not installed")
    rows = list(filter(can_count, rows))
    if not rows:
        raise Unusable("none of these rows can be counted: only patterns whose timed part is one "
                       "function")
    names = [a.name for a in allocators]
    lines, failed = [["instructions per op"] + names], False
    for row in rows:
        print(f"{row.name} ...", file=sys.stderr, flush=True)
        line = [row.name]
        for allocator in allocators:
            if allocator.role == FLOOR and not row.has_floor:
                line.append("-")
                continue
            try:
                line.append(f"{instructions_per_op(row, allocator, options):.1f}")
            except RunFailed as reason:
                failed = True
                line.append("failed")
                print(f"FAILED {row.name}: {allocator.name}: {reason}", file=sys.stderr)
        lines.append(line)
    print(table.layout(lines))
    return 1 if failed else 0
