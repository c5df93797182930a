# SPDX-License-Identifier: MIT
"""Goal: a run of a real program is accounted for exactly, leaves nothing behind, is the same on
every allocator, and says why when it fails.

Method: small shell scripts stand for programs that fail, hang, take memory or leave children; then
every real program that is installed runs on a tiny input, on glibc and on hakmem.
"""
import os
import signal
import subprocess
import sys
import textwrap
import time
import unittest

from lab import BUILD, HANG_S, LAB, LabTest
import inputs
import programs
from programs import Failed, Program

LAUNCHER = BUILD.resolve() / "bench" / "launch"
HAKMEM = BUILD.resolve() / "libhakmem.so"
SMALL, LESS_SMALL = 0.02, 0.05

ABORT = """
#include <stdlib.h>
__attribute__((constructor)) static void broken(void) { abort(); }
"""


def script(text):
    """A program made for a test."""
    program = Program("fake", "/bin/sh", ["-c", text])
    program.launcher = LAUNCHER
    return program


def is_running(pid):
    """A zombie does not count; whoever adopted it may reap it late."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition):
    deadline = time.monotonic() + HANG_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class ProgramTest(LabTest):
    def run_program(self, program, environment=None, sample_rss=None):
        program.launcher = LAUNCHER
        return program.run(dict(os.environ) if environment is None else environment,
                           str(self.folder), sample_rss)

    def assert_fails(self, pattern, program, environment=None):
        with self.assertRaisesRegex(Failed, pattern):
            self.run_program(program, environment)

    def pid_in(self, name):
        """Of a child that a script left in a file."""
        path = self.folder / name
        self.assertTrue(wait_for(lambda: path.exists() and path.read_text().endswith("\n")), name)
        return int(path.read_text())


class Account(ProgramTest):
    def test_peak_is_that_of_the_program_not_of_its_caller(self):
        ballast = bytearray(256 << 20)
        cost = self.run_program(script("exit 0"))
        self.assertLess(cost.rss_peak_kib, 64 << 10)
        self.assertIsNone(cost.rss_end_kib)
        del ballast

    def test_peak_is_that_of_the_largest_child(self):
        child = f"{sys.executable} -S -c 'x = bytearray(b\"x\" * (96 << 20))'"
        cost = self.run_program(script(f"{child}; exit 0"))
        self.assertGreater(cost.rss_peak_kib, 95 << 10)
        self.assertGreater(cost.minflt, 96 << 20 >> 21)  # even with huge pages

    def test_time_includes_that_of_children(self):
        loop = "import time\nwhile time.process_time() < 0.5: pass"
        cost = self.run_program(script(f"{sys.executable} -S -c '{loop}'; exit 0"))
        self.assertGreaterEqual(cost.seconds, 0.5)
        self.assertLessEqual(cost.stime_ms, cost.seconds * 1e3)

    def test_sampler_gets_the_pid_of_the_program(self):
        pids = []
        cost = self.run_program(script("echo $$"), sample_rss=pids.append)
        self.assertEqual(len(pids), 1)
        self.assertEqual(cost.digest, programs.digest(f"{pids[0]}\n".encode()))

    def test_digest_is_that_of_the_output(self):
        one, same, other = (self.run_program(script(f"echo {word}; echo {os.urandom(4).hex()} >&2"))
                            for word in ("a", "a", "b"))
        self.assertEqual(one.digest, same.digest)
        self.assertNotEqual(one.digest, other.digest)


class Environment(ProgramTest):
    def test_only_what_concerns_allocators_is_passed_on(self):
        seen = self.folder / "seen"
        user = {"PYTHONPATH": "/nowhere", "GIT_DIR": "/nowhere", "LUA_INIT": "error()", "HOME": "/nowhere",
                "RUBYOPT": "-w", "NODE_OPTIONS": "--no-such", "LD_PRELOAD": str(HAKMEM),
                "MALLOC_ARENA_MAX": "1", "HAKMEM_VERBOSE": "0", "PATH": os.environ["PATH"]}
        self.run_program(script(f"env > {seen}"), user)
        lines = dict(line.split("=", 1) for line in seen.read_text().splitlines())
        for name in ("PYTHONPATH", "GIT_DIR", "LUA_INIT", "RUBYOPT", "NODE_OPTIONS"):
            self.assertNotIn(name, lines)
        for name in ("LD_PRELOAD", "MALLOC_ARENA_MAX", "HAKMEM_VERBOSE", "PATH"):
            self.assertEqual(lines[name], user[name])
        self.assertEqual(lines["HOME"], str(self.folder))

    def test_library_is_mapped_into_the_program_only(self):
        environment = {**os.environ, "LD_PRELOAD": str(HAKMEM)}
        self.run_program(script("grep -q libhakmem /proc/$$/maps"), environment)
        self.assert_fails("exit status 1", script("grep -q libhakmem /proc/$PPID/maps"), environment)


class Failures(ProgramTest):
    def test_exit_status(self):
        self.assert_fails("^exit status 3: no such thing$", script("echo no such thing >&2; exit 3"))

    def test_signal(self):
        self.assert_fails("^killed by SIGSEGV", script("kill -SEGV $$"))

    def test_missing_tool(self):
        absent = Program("absent", "no-such-tool", [])
        self.assertIsNone(absent.find())
        self.assert_fails("no-such-tool is not installed", absent)

    def test_missing_launcher(self):
        program = script("exit 0")
        program.launcher = self.folder / "launch"
        with self.assertRaisesRegex(Failed, "cannot start .*/launch: No such file"):
            program.run(dict(os.environ), str(self.folder))

    def test_library_that_crashes(self):
        library = self.library("broken", ABORT)
        environment = {**os.environ, "LD_PRELOAD": str(library)}
        self.assert_fails("^killed by SIGABRT", script("exit 0"), environment)

    def test_library_that_is_none(self):
        environment = {**os.environ, "LD_PRELOAD": str(self.folder / "absent.so")}
        self.assert_fails("cannot be preloaded", script("exit 0"), environment)

    def test_hang_ends_the_whole_tree(self):
        program = script("sleep 100000 & echo $! > child; wait")
        program.timeout = 2
        self.assert_fails(r"hangs \(more than 2 s\)", program)
        if (self.folder / "child").exists():
            pid = self.pid_in("child")
            self.assertTrue(wait_for(lambda: not is_running(pid)))

    def test_nothing_stays_behind_a_program(self):
        self.run_program(script("sleep 100000 > /dev/null 2>&1 & echo $! > child"))
        pid = self.pid_in("child")
        self.assertTrue(wait_for(lambda: not is_running(pid)))

    def test_nothing_stays_behind_a_killed_caller(self):
        caller = subprocess.Popen([sys.executable, "-c", textwrap.dedent(f"""
            import os, sys
            sys.path.insert(0, {str(LAB.resolve())!r})
            from programs import Program
            program = Program("fake", "/bin/sh", ["-c", "sleep 100000 & echo $! > child; wait"])
            program.launcher = {str(LAUNCHER)!r}
            program.run(dict(os.environ), {str(self.folder)!r})
            """)])
        try:
            pid = self.pid_in("child")
            self.assertTrue(is_running(pid))
        finally:
            caller.send_signal(signal.SIGKILL)
            caller.wait()
        self.assertTrue(wait_for(lambda: not is_running(pid)))


class Launcher(ProgramTest):
    def test_wrong_arguments(self):
        for arguments, sentence in (([], "missing FD"), (["3"], "missing PROG"),
                                    (["--preload", "x"], "missing FD"),
                                    (["x", "/bin/true"], "FD is a number from 3 to 65535, not x"),
                                    (["2", "/bin/true"], "FD is a number from 3 to 65535, not 2")):
            with self.subTest(arguments):
                done = subprocess.run([LAUNCHER, *arguments], capture_output=True, text=True,
                                      timeout=HANG_S, check=False)
                self.assertEqual(done.returncode, 2)
                self.assertIn(sentence, done.stderr)

    def test_program_that_does_not_exist(self):
        command = [LAUNCHER, "3", "/no/such/program"]
        done = subprocess.run(["/bin/sh", "-c", '"$@" 3>&1', "sh", *command], capture_output=True,
                              text=True, timeout=HANG_S, check=False)
        self.assertEqual(done.returncode, 0)
        self.assertIn("exit=127 ", done.stdout)
        self.assertIn("cannot run /no/such/program: No such file", done.stderr)


class RealPrograms(ProgramTest):
    """Each test takes those that are installed; at least the compiler is."""

    def installed(self):
        found = [program for program in programs.programs() if program.find()]
        self.assertIn("program-gcc", [program.name for program in found])
        return found

    def test_hakmem_changes_no_output(self):
        for program in self.installed():
            with self.subTest(program.name):
                program.prepare(str(self.folder), SMALL)
                base = {**os.environ, **({"LD_PRELOAD": program.base} if program.base else {})}
                first = self.run_program(program, base)
                again = self.run_program(program, base)
                own = self.run_program(program, {**os.environ, "LD_PRELOAD": str(HAKMEM)})
                self.assertEqual(first.digest, again.digest)
                self.assertEqual(first.digest, own.digest)
                for cost in (first, own):
                    self.assertGreater(cost.seconds, 0)
                    self.assertGreater(cost.rss_peak_kib, 1 << 10)
                    self.assertGreater(cost.minflt, 0)

    def test_another_input_gives_another_result(self):
        for program in self.installed():
            with self.subTest(program.name):
                digests = set()
                for scale in (SMALL, LESS_SMALL):
                    program.prepare(str(self.folder), scale)
                    digests.add(self.run_program(program).digest)
                self.assertEqual(len(digests), 2)

    def test_crashing_library_is_reported(self):
        environment = {**os.environ, "LD_PRELOAD": str(self.library("broken", ABORT))}
        for program in self.installed():
            with self.subTest(program.name):
                program.prepare(str(self.folder), SMALL)
                self.assert_fails("^killed by SIGABRT", program, environment)

    def test_server_that_dies_under_load_is_reported(self):
        redis = programs.Redis()
        if not redis.find():
            self.skipTest("redis is not installed")
        redis.prepare(str(self.folder), SMALL)
        redis.load = lambda *_: os.kill(redis.server_pid, signal.SIGSEGV)
        with self.assertRaisesRegex(Failed, "^killed by SIGSEGV"):
            self.run_program(redis, sample_rss=lambda pid: setattr(redis, "server_pid", pid))

    def test_server_reports_the_end(self):
        redis = programs.Redis()
        if not redis.find():
            self.skipTest("redis is not installed")
        redis.prepare(str(self.folder), SMALL)
        cost = self.run_program(redis)
        self.assertGreater(cost.rss_end_kib, 1 << 10)
        self.assertLessEqual(cost.rss_end_kib, cost.rss_peak_kib)


class Inputs(unittest.TestCase):
    def test_inputs_follow_from_the_seed(self):
        for generate in (inputs.c_source, inputs.git_stream):
            self.assertEqual(generate(SMALL), generate(SMALL))
            self.assertLess(len(generate(SMALL)), len(generate(LESS_SMALL)))

    def test_every_number_is_filled_in(self):
        for text in inputs.SOURCES.values():
            filled = inputs.fill(text, SMALL)
            self.assertIn(str(inputs.SEED), filled)
            self.assertNotRegex(filled, "SEED|SCALE")


if __name__ == "__main__":
    unittest.main()
