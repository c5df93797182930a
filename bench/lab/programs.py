# SPDX-License-Identifier: MIT
"""The real programs of the bench lab: how each is found, given its input, run and accounted for.

    for program in programs():
        if program.find():
            program.launcher = ...                          # the built bench/lib/launch.c
            program.prepare(directory, scale)               # once; the directory stays
            cost = program.run(environment, directory)      # many times; raises Failed

How a run is measured: bench/lib/launch.c starts the program and hands on the kernel's account of it
and of the children that it waited for (gcc: cc1; git: pack-objects and others). Times and faults are
sums over them; the peak resident set is that of the largest process, because the kernel keeps no
common one. It is a high-water mark, not a sample, but newer kernels count pages in batches per
processor and may be off by some 100 KiB.

LD_PRELOAD of the environment reaches the measured program and its children, nothing else: neither
the launcher nor redis-benchmark. Of the other variables only PATH and those of allocators and of the
loader are passed on (PASSED_ON), so that no configuration of the user changes a result.

A program's output must not depend on the allocator: Cost.digest is the same in every run.
"""
import hashlib
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass

import inputs
from runner import signal_name

SYSTEM_PATH = "/usr/bin:/bin"
PASSED_ON = ("PATH", "LD_", "HAKMEM", "MALLOC_", "MIMALLOC_", "TCMALLOC_", "SCUDO_", "GLIBC_TUNABLES")
MESSAGE_MAX = 300


class Failed(Exception):
    """A program did not do its work; the text says why."""


@dataclass
class Cost:
    """What one run used."""

    seconds: float         # processor time, user and system
    stime_ms: float        # the system's part, as the kernel's clock ticks sampled it
    rss_peak_kib: int
    rss_end_kib: int | None  # None: the program has ended
    minflt: int
    digest: str


def find_tool(name):
    """The system's own comes before one that a version manager put ahead in PATH."""
    return shutil.which(name, path=SYSTEM_PATH) or shutil.which(name)


def neutral(environment, directory):
    kept = {k: v for k, v in environment.items() if k.startswith(PASSED_ON)}
    return {**kept, "HOME": str(directory), "TMPDIR": str(directory), "LC_ALL": "C", "TZ": "UTC"}


def without_preload(environment):
    return {k: v for k, v in environment.items() if k != "LD_PRELOAD"}


def digest(data):
    return hashlib.sha256(data).hexdigest()


def contents(file):
    file.seek(0)
    return file.read()


def shortened(text):
    """One line, for a message."""
    return " ".join(text.decode(errors="replace").split())[:MESSAGE_MAX] or "no message"


def run_helper(command, environment, directory, timeout, stdin=b""):
    """Runs what is not measured, without the preloaded allocator; returns its output."""
    name = os.path.basename(command[0])
    try:
        result = subprocess.run(command, env=without_preload(environment), cwd=directory, input=stdin,
                                capture_output=True, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{name} hangs (more than {timeout:g} s)") from error
    if result.returncode != 0:
        raise Failed(f"{name}: {shortened(result.stderr + result.stdout)}")
    return result.stdout


class Launch:
    """One program under the launcher; leaving the with block ends it."""

    def __init__(self, launcher, command, environment, directory):
        self.name = os.path.basename(command[0])
        self.output = tempfile.TemporaryFile()
        self.errors = tempfile.TemporaryFile()
        read, write = os.pipe()
        self.report = os.fdopen(read, "rb", buffering=0)
        preload = environment.get("LD_PRELOAD")
        line = [str(launcher)] + (["--preload", preload] if preload else []) + [str(write)] + command
        try:
            self.process = subprocess.Popen(
                line, env=without_preload(environment), cwd=directory, stdin=subprocess.DEVNULL,
                stdout=self.output, stderr=self.errors, pass_fds=(write,))
        except OSError as error:
            self.close()
            raise Failed(f"cannot start {launcher}: {error.strerror}") from error
        finally:
            os.close(write)

    def __enter__(self):
        try:
            self.pid = int(self.read_line()["pid"])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.close()

    def close(self):
        for file in (self.output, self.errors, self.report):
            file.close()

    def read_line(self):
        line = b""
        while not line.endswith(b"\n"):
            byte = self.report.read(1)
            if not byte:
                raise Failed(f"the launcher gave no account of {self.name}: {self.message()}")
            line += byte
        return dict(pair.split("=") for pair in line.decode().split())

    def message(self):
        return shortened(contents(self.errors) or contents(self.output))

    def has_ended(self, within):
        return bool(select.select([self.report], [], [], within)[0])

    def stop(self):
        """Kills the program; its account is that of a process killed."""
        self.process.terminate()
        return self.read_line()

    def finish(self, timeout):
        """Waits for the end; returns the account of a program that did well."""
        if not self.has_ended(timeout):
            self.stop()
            raise Failed(f"hangs (more than {timeout:g} s)")
        account = self.read_line()
        self.check(account)
        return account

    def check(self, account, expected="exit=0"):
        kind, value = next(iter(account.items()))
        if b"cannot be preloaded" in contents(self.errors):
            raise Failed(self.message())
        if f"{kind}={value}" != expected:
            how = signal_name(int(value)) if kind == "signal" else f"exit status {value}"
            raise Failed(f"{how}: {self.message()}")


def cost_of(account, output_digest, rss_end_kib=None):
    utime, stime = int(account["utime_us"]), int(account["stime_us"])
    peak = max(int(account["rss_peak_kib"]), rss_end_kib or 0)  # the end is counted to the page
    return Cost((utime + stime) / 1e6, stime / 1e3, peak, rss_end_kib, int(account["minflt"]), output_digest)


class Program:
    """A program that is started on one source file, does its work, prints its result and ends."""

    base = None        # preloaded to get glibc's malloc, where the program has another one built in
    timeout = 120      # seconds; a hundred times what an allocator needs
    launcher = None    # set before the first run
    works_itself = True  # not its children, whose memory a look at one process would miss

    def __init__(self, name, tool, arguments, source=None, environment=None):
        self.name = "program-" + name
        self.tool = tool
        self.arguments = arguments
        self.source = source
        self.environment = environment or {}

    def find(self):
        return find_tool(self.tool)

    def path(self):
        found = self.find()
        if found is None:
            raise Failed(f"{self.tool} is not installed")
        return found

    def input_text(self, scale):
        return inputs.fill(inputs.SOURCES[self.source], scale)

    def prepare(self, directory, scale):
        if self.source is not None:
            with open(os.path.join(directory, self.source), "w", encoding="ascii") as file:
                file.write(self.input_text(scale))

    def run(self, environment, directory, sample_rss=None):
        environment = {**neutral(environment, directory), **self.environment}
        with Launch(self.launcher, [self.path()] + self.arguments, environment, directory) as launch:
            if sample_rss:
                sample_rss(launch.pid)
            account = launch.finish(self.timeout)
            return cost_of(account, self.result(launch, environment, directory))

    def result(self, launch, environment, directory):
        return digest(contents(launch.output))


class Compiler(Program):
    """gcc makes assembler text of one file; nearly all the work is that of its child cc1."""

    works_itself = False

    def __init__(self):
        super().__init__("gcc", "gcc", ["-O2", "-S", "-o", "/dev/stdout", "work.c"], "work.c")

    def input_text(self, scale):
        return inputs.c_source(scale)


class GitGc(Program):
    """git gc on a repository of many packs; each run has a fresh copy of it.

    Its two threads share the search for deltas as time has it, so the pack is not the same twice.
    The result is every object's name, type and size, after git fsck has read them all.
    """

    works_itself = False
    fresh, used = "git-fresh", "git-used"
    settings = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}

    def __init__(self):
        arguments = ["-C", self.used, "-c", "pack.threads=2", "gc", "--quiet", "--prune=now"]
        super().__init__("git-gc", "git", arguments, environment=self.settings)

    def git(self, environment, directory, *arguments, stdin=b""):
        return run_helper([self.path(), *arguments], environment, directory, self.timeout, stdin)

    def prepare(self, directory, scale):
        environment = {**neutral(os.environ, directory), **self.settings}
        shutil.rmtree(os.path.join(directory, self.fresh), ignore_errors=True)
        self.git(environment, directory, "init", "--quiet", "--bare", "--initial-branch=main", self.fresh)
        self.git(environment, directory, "-C", self.fresh, "-c", "fastimport.unpackLimit=0",
                 "-c", "core.compression=1", "fast-import", "--quiet", "--depth=0",
                 stdin=inputs.git_stream(scale).encode())

    def run(self, environment, directory, sample_rss=None):
        used = os.path.join(directory, self.used)
        shutil.rmtree(used, ignore_errors=True)
        shutil.copytree(os.path.join(directory, self.fresh), used)
        return super().run(environment, directory, sample_rss)

    def result(self, launch, environment, directory):
        self.git(environment, directory, "-C", self.used, "fsck", "--full", "--strict")
        return digest(self.git(environment, directory, "-C", self.used, "cat-file", "--batch-all-objects",
                               "--batch-check"))


class Redis(Program):
    """redis-server under redis-benchmark; the cost is that of the server until it is killed.

    The benchmark draws its keys at random, unseeded, from a fixed number of them. What does not
    depend on them is the result: the calls of each command, the sum of all counters, the length of
    the list, and a data text of which every value must be a beginning.

    Debian links redis-server with libjemalloc.so.2 and calls plain malloc; whatever is preloaded
    comes first, and libc.so.6 preloaded gives glibc's malloc.
    """

    base = "libc.so.6"
    tools = ("redis-server", "redis-benchmark", "redis-cli")
    arguments_of_server = ["--port", "0", "--unixsocket", "redis.sock", "--save", "", "--appendonly", "no",
                           "--daemonize", "no", "--loglevel", "warning", "--logfile", ""]
    commands = "set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset"
    batch = 320          # 20 clients with 16 commands in flight each; requests come in whole batches
    sampled_keys = 100

    def __init__(self):
        super().__init__("redis", ", ".join(self.tools), self.arguments_of_server)

    def find(self):
        paths = [find_tool(tool) for tool in self.tools]
        return paths[0] if all(paths) else None

    def prepare(self, directory, scale):
        self.scale = scale

    def many(self, count):
        return str(max(1, round(count * self.scale / self.batch)) * self.batch)

    def work(self):
        """The key space shrinks with the requests, so that it fills up alike."""
        small, large = self.many(20000), self.many(100000)
        yield ["-n", self.many(16000), "-r", small, "-d", "200", "-t", self.commands]
        yield ["-n", self.many(176000), "-r", large, "-d", "100", "-t", "set"]
        yield ["-n", self.many(88000), "-r", large, "-d", "400", "-t", "set,get"]

    def client(self, environment, directory, tool, *arguments):
        command = [find_tool(tool), "-s", "redis.sock", *arguments]
        return run_helper(command, environment, directory, self.timeout).decode()

    def ask(self, environment, directory, *words):
        return self.client(environment, directory, "redis-cli", "--raw", *words)

    def load(self, environment, directory, *arguments):
        output = self.client(environment, directory, "redis-benchmark", "-q", "-c", "20", "-P", "16",
                             *arguments)
        if "Error" in output:
            raise Failed(f"redis-benchmark: {shortened(output.encode())}")

    def wait_ready(self, server, environment, directory):
        deadline = time.monotonic() + self.timeout
        while time.monotonic() < deadline and not server.has_ended(0.01):
            if os.path.exists(os.path.join(directory, "redis.sock")):
                try:
                    self.ask(environment, directory, "PING")
                    return
                except Failed:
                    pass  # the file is there a moment before the server listens
        raise Failed("redis-server does not answer")

    def state(self, environment, directory):
        counts = self.ask(environment, directory, "INFO", "commandstats")
        names = "|".join(self.commands.replace("_100", "").split(","))
        calls = re.findall(rf"cmdstat_({names}):calls=(\d+)", counts)
        counters = self.ask(environment, directory, "MGET",
                            *(f"counter:{i:012}" for i in range(int(self.many(20000)))))
        length = self.ask(environment, directory, "LLEN", "mylist")
        space = int(self.many(100000))
        values = self.ask(environment, directory, "MGET",
                          *(f"key:{i:012}" for i in range(0, space, space // self.sampled_keys))).split()
        longest = max(values, key=len, default="")
        if not all(longest.startswith(value) for value in values):
            raise Failed("redis-server gives back another value than was set")
        return f"{sorted(calls)} {sum(map(int, counters.split()))} {length} {longest}"

    def drive(self, server, environment, directory):
        """Returns the resident set after the load, and the result."""
        self.wait_ready(server, environment, directory)
        for arguments in self.work():
            self.load(environment, directory, *arguments)
        with open(f"/proc/{server.pid}/status", encoding="ascii") as file:
            resident = re.search(r"VmRSS:\s+(\d+) kB", file.read())
        if resident is None:
            raise Failed("redis-server has ended")
        return int(resident.group(1)), self.state(environment, directory)

    def run(self, environment, directory, sample_rss=None):
        environment = neutral(environment, directory)
        socket = os.path.join(directory, "redis.sock")
        if os.path.exists(socket):
            os.unlink(socket)
        with Launch(self.launcher, [self.path()] + self.arguments, environment, directory) as server:
            if sample_rss:
                sample_rss(server.pid)
            try:
                resident, state = self.drive(server, environment, directory)
            except (Failed, OSError):
                if server.has_ended(2):  # it says more than its clients
                    server.finish(0)
                raise
            account = server.stop()
            server.check(account, f"signal={int(signal.SIGKILL)}")
            return cost_of(account, digest(state.encode()), resident)


def programs():
    """All of them, installed or not."""
    fixed_hash = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    perl_hash = {"PERL_HASH_SEED": "0", "PERL_PERTURB_KEYS": "0"}
    return [
        Redis(),
        Program("python", "python3", ["-S", "work.py"], "work.py", fixed_hash),
        Program("python-malloc", "python3", ["-S", "work.py"], "work.py",
                {**fixed_hash, "PYTHONMALLOC": "malloc"}),
        Program("sqlite", "sqlite3", ["-batch", ":memory:", ".read work.sql"], "work.sql"),
        Program("lua", "lua5.4", ["work.lua"], "work.lua"),
        Program("perl", "perl", ["work.pl"], "work.pl", perl_hash),
        Compiler(),
        Program("ruby", "ruby", ["--disable=gems", "work.rb"], "work.rb"),
        Program("node", "node", ["--hash-seed=1", "--random-seed=1", "work.js"], "work.js"),
        GitGc(),
    ]
