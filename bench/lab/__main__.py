# SPDX-License-Identifier: MIT
"""The bench lab: `python3 bench/lab bench|report|ab|sweep ...`; the command hakmem starts it."""
import importlib
import os
import signal
import sys

sys.dont_write_bytecode = True  # this folder may be an installed one
COMMANDS = ("bench", "report", "ab", "sweep")


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        print(f"usage: lab {'|'.join(COMMANDS)} ...", file=sys.stderr)
        return 2
    # As an exception, so that what was started is ended too. Under nohup SIGHUP stays ignored.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        status = importlib.import_module(sys.argv[1]).main(sys.argv[2:])
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return 130
    except OSError as error:  # the disk is full, or the reader of our output has gone
        print(f"hakmem {sys.argv[1]}: {error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python would complain at its end
        return 1


if __name__ == "__main__":
    sys.exit(main())
