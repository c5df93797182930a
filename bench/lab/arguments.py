# SPDX-License-Identifier: MIT
"""Options that several commands of the lab share."""
import argparse
import os
import sys
from pathlib import Path

from allocators import parse_peers

QUICK_SCALE = 0.6
# argv[0] is .../lab; the programs lie beside it. Not resolved: in a build tree lab is a link.
PROGRAMS = Path(os.path.abspath(sys.argv[0])).parent


def whole_number(lowest, highest):
    def parse(text):
        if not text.isdigit() or not lowest <= int(text) <= highest:
            raise argparse.ArgumentTypeError(f"'{text}' is not a number from {lowest} to {highest}")
        return int(text)
    return parse


def peers(text):
    try:
        return parse_peers(text)
    except ValueError as reason:
        raise argparse.ArgumentTypeError(str(reason)) from None


def parser(name, description):
    made = argparse.ArgumentParser(prog=f"hakmem {name}", description=description)
    made.add_argument("--lib", metavar="PATH", default=str(PROGRAMS.parent / "libhakmem.so"),
                      help="the libhakmem.so to measure")
    made.add_argument("--threads", type=whole_number(1, 1024), metavar="N",
                      default=max(2, len(os.sched_getaffinity(0))),
                      help="threads of the workloads that take a number (default: one per core)")
    made.add_argument("--timeout", type=whole_number(1, 86400), metavar="SECONDS", default=60,
                      help="a run that takes longer hangs (60)")
    made.set_defaults(programs=PROGRAMS, quick=False, scale=1.0)
    return made
