#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Goal: memcheck finds the defects of programs on hakmem, and none in programs without one.

Method: runs a program on memcheck and reads the report: one of its errors has to be of the kind asked
for, with the function that commits it in its stack; or there is none at all, in a program of which
memcheck saw the blocks.

usage: expect.py [--preload LIBRARY] [--valgrind OPTION]... (--error KIND --in FUNCTION [--also TEXT]
       | --clean BLOCKS) -- PROGRAM [ARGUMENT...]
Exit status: 0 as expected, 1 not (with the report), 77 if valgrind is not installed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys

SKIPPED = 77
HANG_S = 1200
ERRORS_FOUND = 99


def paragraphs(report):
    """Lists of lines without memcheck's prefix."""
    found = [[]]
    for line in report.splitlines():
        text = re.sub(r"^==\d+== ?", "", line)
        if text.strip():
            found[-1].append(text)
        else:
            found.append([])
    return found


def has_error(report, options):
    """One paragraph with the kind in a line, the function in a frame, and the rest."""
    frame = re.compile(rf"^\s+(?:at|by) 0x[0-9A-F]+: {re.escape(options.function)} ")
    for lines in paragraphs(report):
        texts = filter(None, (options.error, options.also))
        if any(map(frame.match, lines)) and all(any(t in line for line in lines) for t in texts):
            return True
    return False


def is_clean(report, options):
    """In every process: the last count is that of the first one."""
    blocks = re.findall(r"total heap usage: ([\d,]+) allocs", report)
    errors = re.findall(r"ERROR SUMMARY: (\d+) errors", report)
    return set(errors) == {"0"} and bool(blocks) and int(blocks[-1].replace(",", "")) >= options.clean


def run(options):
    env = {name: value for name, value in os.environ.items() if not name.startswith("HAKMEM_")}
    if options.preload:
        env["LD_PRELOAD"] = options.preload
    command = ["valgrind", "--tool=memcheck", "--leak-check=full", "--num-callers=20",
               f"--error-exitcode={ERRORS_FOUND}", *options.valgrind, *options.program]
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=HANG_S, check=False)
    return done.returncode, done.stderr


def parse(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--preload")
    parser.add_argument("--valgrind", action="append", default=[])
    parser.add_argument("--error")
    parser.add_argument("--in", dest="function")
    parser.add_argument("--also")
    parser.add_argument("--clean", type=int)
    parser.add_argument("program", nargs="+")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse(arguments)
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not installed")
        return SKIPPED
    status, report = run(options)
    if options.clean is not None:
        good = status == 0 and is_clean(report, options)
    else:
        good = status == ERRORS_FOUND and has_error(report, options)
    if not good:
        print(f"NOT AS EXPECTED: {' '.join(arguments)}\nstatus: {status}\n{report}")
    return not good


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
