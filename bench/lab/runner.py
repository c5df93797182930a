# SPDX-License-Identifier: MIT
"""One run of one workload under one allocator, whatever kind of workload it is."""
import contextlib
import math
import os
import signal
import subprocess
import threading
import time

PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
CURVE_STEP_S = 0.01
CURVE_POINTS = 200
LATENCY = ("p50", "p99", "p999", "max")
LATENCY_MODE = (("BENCH_LATENCY", "1"),)
# What every line has; the rest of a sample is worked out of these.
FIELDS = ("ops", "seconds", "mops", "rss_peak_kib", "rss_end_kib", "minflt", "stime_ms")


class RunFailed(Exception):
    """One run that gave no result; the text says why."""


def resident_kib(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * PAGE_KIB


class Curve:
    """RSS of a process over time, read by a thread of ours every 10 ms until it ends."""

    def __init__(self):
        self.points = []
        self._thread = None

    def start(self, pid):
        begin = time.monotonic()

        def sample():
            try:
                while kib := resident_kib(pid):
                    self.points.append([round(time.monotonic() - begin, 4), kib])
                    time.sleep(CURVE_STEP_S)
            except (OSError, ValueError, IndexError):
                pass  # it has ended
        self._thread = threading.Thread(target=sample, daemon=True)
        self._thread.start()

    def result(self):
        if self._thread is not None:
            self._thread.join(timeout=10)
        step = max(1, len(self.points) // CURVE_POINTS)
        return self.points[::step] or None


def execute(command, env, timeout, curve=None):
    """Returns exit status, stdout and stderr; ends the whole process group on a hang."""
    process = subprocess.Popen(command, env=env, text=True, errors="replace",
                               start_new_session=True, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if curve is not None:
        curve.start(process.pid)
    try:
        out, err = process.communicate(timeout=timeout)
    except BaseException as reason:  # KeyboardInterrupt too: leave nothing running
        with contextlib.suppress(ProcessLookupError):  # it ended at this very moment
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(reason, subprocess.TimeoutExpired):
            raise RunFailed(f"hangs (more than {timeout:g} s)") from None
        raise
    return process.returncode, out, err


def signal_name(number):
    try:
        return f"killed by {signal.Signals(number).name}"
    except ValueError:
        return f"killed by signal {number}"


def describe_failure(status, err):
    what = signal_name(-status) if status < 0 else f"exit status {status}"
    lines = err.strip().splitlines()
    return f"{what}: {lines[-1]}" if lines else what


def check_run(status, err):
    # ld.so only warns and goes on with glibc; such a sample would bear the wrong name.
    if "cannot be preloaded" in err:
        raise RunFailed("library cannot be preloaded: " + err.strip().splitlines()[0])
    if status != 0:
        raise RunFailed(describe_failure(status, err))


def parse_line(out):
    lines = out.splitlines()
    if len(lines) != 1:
        raise RunFailed(f"{len(lines)} lines of output instead of one")
    text = dict(item.split("=", 1) for item in lines[0].split() if "=" in item)
    missing = [name for name in FIELDS if name not in text]
    if missing:
        raise RunFailed(f"no {', '.join(missing)} in the output")
    try:
        sample = {name: float(text[name]) for name in FIELDS}
        sample["latency_ns"] = {p: float(text[f"{p}_ns"]) for p in LATENCY if f"{p}_ns" in text}
    except ValueError as reason:
        raise RunFailed(f"not a number in the output: {reason}") from None
    wrong = [name for name in FIELDS if not math.isfinite(sample[name])]
    if wrong or sample["mops"] <= 0:
        raise RunFailed(f"{', '.join(wrong) or 'mops'} in the output is no possible value")
    return sample


class Pattern:
    """A workload of ours: one program that prints one line. `{n}` in the command stands for the
    count that scales its run time, `{t}` for the number of threads, `{t2}` for at least two."""

    kind, unit = "pattern", "Mops/s"

    def __init__(self, name, family, command, count=1, floor=False, counted=True):
        self.name, self.family = name, family
        self.template, self.count = command, count
        self.has_floor = floor    # the pop-a-stack allocator can run it and means something
        self.counted = counted    # its timed part is one function `work`

    def command(self, options):
        count = max(self.count * options.scale, 1 if isinstance(self.count, int) else 0.05)
        number = int(count) if isinstance(self.count, int) else round(count, 3)
        return self.template.format(n=number, t=options.threads, t2=max(2, options.threads))

    def needs(self, options):
        return self.argv(options)[0]

    def is_there(self, options):
        return os.access(self.needs(options), os.X_OK)

    def argv(self, options):
        program, *arguments = self.command(options).split()
        return [str(options.programs / program)] + arguments

    def run(self, allocator, options, curve=None, extra=()):
        env = {**allocator.environment(), **dict(extra)}
        status, out, err = execute(self.argv(options), env, options.timeout, curve)
        check_run(status, err)
        sample = parse_line(out)
        sample["speed"] = sample["mops"]
        return sample

    def details(self, allocator, options):
        """A run of its own for latency and RSS over time."""
        curve = Curve()
        sample = self.run(allocator, options, curve, LATENCY_MODE)
        return {"latency_ns": sample["latency_ns"] or None, "rss_curve": curve.result()}


class Start(Pattern):
    """bench_spawn: start-up of a small program. The library goes to the children only."""

    kind, unit = "start", "runs/s"

    def __init__(self, name, family, command, count):
        super().__init__(name, family, command, count, counted=False)

    def run(self, allocator, options, curve=None, extra=()):
        argv = self.argv(options)
        if allocator.path is not None:
            argv[1:1] = ["--preload", allocator.path]
        env = {k: v for k, v in allocator.environment().items() if k != "LD_PRELOAD"}
        status, out, err = execute(argv, env, options.timeout)
        check_run(status, err)
        sample = parse_line(out)
        sample["speed"] = sample["mops"] * 1e6
        return sample

    def details(self, allocator, options):
        return {"latency_ns": None, "rss_curve": None}
