# SPDX-License-Identifier: MIT
"""hakmem ab: one binary, one setting, two values: is B faster than A?

Both values run next to each other in every round, in turn A first and B first. The verdict needs
an effect of 1 % and an interval (signed-rank, 99 %) that leaves no change out.
"""
import re
import sys

import arguments
from allocators import Unusable, check_settings, own_allocator
from runner import RunFailed
from stats import judge, ratio_of_medians
from workloads import choose


def setting(text):
    """'route=a,b' -> ('HAKMEM_ROUTE', 'a', 'b')"""
    found = re.fullmatch(r"(?:HAKMEM_)?([A-Za-z0-9_]+)=([^,]+),([^,]+)", text)
    if found is None:
        raise arguments.argparse.ArgumentTypeError(
            f"'{text}' is not SETTING=A,B (`hakmem settings` lists them)")
    name, a, b = found.groups()
    return f"HAKMEM_{name.upper()}", a, b


def parse(argv):
    parser = arguments.parser("ab", "Compare two values of one setting on one workload; the "
                              "verdict is GO (B is at least 1 % faster), NO-GO (slower) or "
                              "NEUTRAL.")
    parser.add_argument("setting", type=setting, metavar="SETTING=A,B")
    parser.add_argument("workload", metavar="WORKLOAD", help="a row of `hakmem bench --list`")
    parser.add_argument("--runs", type=arguments.whole_number(8, 1000), metavar="N", default=10,
                        help="runs of each, at least 8 (10)")
    parser.add_argument("--scale", type=float, metavar="F", default=1.0,
                        help="length of a run against that of `hakmem bench` (1.0)")
    options = parser.parse_args(argv)
    if not 0 < options.scale <= 100:
        parser.error(f"--scale {options.scale} is not in 0..100")
    return options


def find_row(name, options):
    rows = [row for row in choose(None) if row.name == name]
    if not rows:
        raise Unusable(f"unknown workload '{name}'; known: "
                       + ", ".join(row.name for row in choose(None)))
    if not rows[0].is_there(options):
        raise Unusable(f"{name}: {rows[0].needs(options)} is not there")
    return rows[0]


def pairs(row, sides, options):
    """Samples of A and of B; one warm-up run each, then `runs` rounds of one run each."""
    samples = ([], [])
    for side in sides:
        row.run(side, options)
    for number in range(options.runs):
        for index in (0, 1) if number % 2 == 0 else (1, 0):
            samples[index].append(row.run(sides[index], options))
    return samples


def compare_values(row, sides, options):
    """Returns (verdict on speed, ratio of peak RSS)."""
    a, b = pairs(row, sides, options)
    verdict = judge([s["speed"] for s in a], [s["speed"] for s in b])
    return verdict, ratio_of_medians([max(s["rss_peak_kib"], 1) for s in b],
                                     [max(s["rss_peak_kib"], 1) for s in a])


def run(options):
    name, *values = options.setting
    row = find_row(options.workload, options)
    sides = []
    for value in values:
        check_settings(options.lib, ((name, value),))
        sides.append(own_allocator(options.lib, f"hakmem {name}={value}", ((name, value),)))
    verdict, rss = compare_values(row, sides, options)
    print(f"{verdict.verdict}  {options.workload}: {name}={values[1]} against {values[0]}: "
          f"speed {verdict.change:+.2%} [{verdict.low:+.2%}..{verdict.high:+.2%}], "
          f"peak RSS x{rss}, {options.runs} runs each")
    return 0


def main(argv):
    try:
        return run(parse(argv))
    except Unusable as reason:
        print(f"hakmem ab: {reason}", file=sys.stderr)
        return 2
    except RunFailed as reason:
        print(f"hakmem ab: {reason}", file=sys.stderr)
        return 1
