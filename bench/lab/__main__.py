# SPDX-License-Identifier: MIT
"""The bench lab: `python3 bench/lab bench|report|ab|sweep ...`; the command hakmem starts it."""
import importlib
import signal
import sys

COMMANDS = ("bench", "report", "ab", "sweep")


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        print(f"usage: lab {'|'.join(COMMANDS)} ...", file=sys.stderr)
        return 2
    # As an exception, so that what was started is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return importlib.import_module(sys.argv[1]).main(sys.argv[2:])
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
