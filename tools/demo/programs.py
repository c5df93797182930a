# SPDX-License-Identifier: MIT
"""The programs of the demo: how each is found, given its input, run and accounted for.

Inputs are made from SEED. A program has a name, find() (its path, or None), prepare(directory) and
run(environment, directory), which returns a Cost; `base` is what is preloaded to get glibc's
malloc, None where that is the program's own.
"""
import hashlib
import os
import random
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time

SEED = 20240229


class Failed(Exception):
    """The demo cannot go on, or a program did not do the same on both allocators."""


class Cost:
    """What one run used."""

    def __init__(self, usage, output):
        self.time = usage.ru_utime + usage.ru_stime
        self.peak = usage.ru_maxrss * 1024
        self.faults = usage.ru_minflt + usage.ru_majflt
        self.output = output


def reap(process):
    """Waits with wait4, so that the usage is that of this process (and what it waited for)."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


def digest(file):
    file.seek(0)
    return hashlib.sha256(file.read()).hexdigest()


def run_program(command, environment, directory):
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, env=environment, cwd=directory,
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
        usage = reap(process)
        errors.seek(0)
        text = errors.read().decode(errors="replace").strip()
        if process.returncode != 0:
            raise Failed(f"{command[0]} ended with {process.returncode}: {text or 'no message'}")
        if text:
            print(text, file=sys.stderr)
        cost = Cost(usage, digest(output))
        # A child's peak includes that of its parent at the fork; below it, nothing is known.
        if cost.peak <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024:
            raise Failed(f"{command[0]} stays below this script's own memory; its peak is unknown")
        return cost


PYTHON_SOURCE = """
import json, random
r = random.Random(SEED)
class Node:
    def __init__(self, key, links): self.key, self.links = key, links
def record(i):
    tags = [str(r.random()) for _ in range(r.randint(0, 8))]
    return {"id": i, "name": "n" * r.randint(1, 60), "tags": tags,
            "pos": {"x": r.random(), "y": r.random()}}
total = 0
for turn in range(3):
    text = json.dumps([record(i) for i in range(12000)])
    rows = json.loads(text)
    nodes = {row["id"]: Node(row["name"], row["tags"]) for row in rows}
    for i in range(60000):
        key = r.randrange(12000)
        nodes[key] = Node(nodes[key].key[::-1] + str(i % 7), list(nodes[r.randrange(12000)].links))
    total += len(text) + sum(len(n.key) + len(n.links) for n in nodes.values())
print(total)
"""

LUA_SOURCE = """
local function tree(depth)
  if depth == 0 then return {} end
  return {tree(depth - 1), tree(depth - 1)}
end
local function count(t) if t[1] then return 1 + count(t[1]) + count(t[2]) end return 1 end
local state = SEED
local function rand(n) state = (state * 1103515245 + 12345) % 2147483648; return state % n end
local long = tree(17)
local sum = 0
for i = 1, 50 do sum = sum + count(tree(12)) end
local words = {}
for i = 1, 500000 do
  local slot = rand(60000)
  words[slot] = string.rep(string.char(97 + i % 26), 1 + rand(90)) .. i
  sum = sum + #words[slot]
end
print(sum + count(long))
"""

PERL_SOURCE = """
my $state = SEED;
sub rnd { $state = ($state * 1103515245 + 12345) % 2147483648; return $state % $_[0] }
my (%h, $sum);
for my $i (1 .. 450000) {
    my $key = 'k' . rnd(120000);
    if (rnd(3) == 0) { delete $h{$key} }
    else { $h{$key} = { text => 'v' x (1 + rnd(120)), list => [1 .. 1 + rnd(6)] } }
}
for my $key (sort keys %h) { $sum += length($h{$key}{text}) + @{$h{$key}{list}} }
print scalar(keys %h), " $sum\\n";
"""

SQL_SOURCE = """
PRAGMA cache_size = -65536;
CREATE TABLE word(id INTEGER PRIMARY KEY, key INTEGER, text TEXT);
WITH RECURSIVE n(i, x) AS (SELECT 1, SEED UNION ALL
  SELECT i + 1, (x * 1103515245 + 12345) % 2147483648 FROM n WHERE i < 150000)
  INSERT INTO word SELECT i, x % 50000, hex(x) || substr(hex(zeroblob(60)), 1, x % 120) FROM n;
CREATE INDEX word_key ON word(key);
CREATE INDEX word_text ON word(text);
UPDATE word SET text = text || 'x' WHERE key % 5 = 0;
DELETE FROM word WHERE key % 7 = 0;
SELECT key % 100, count(*), group_concat(substr(text, 1, 12)) FROM word GROUP BY key % 100 ORDER BY 1 LIMIT 3;
SELECT count(DISTINCT text), sum(length(text)) FROM word;
SELECT sum(length(a.text || b.text)) FROM word a JOIN word b ON a.key = b.key;
"""


def c_source(functions):
    """A C file of many ordinary functions, the same one for a seed."""
    rng = random.Random(SEED)
    out = ["#include <stdio.h>", "#include <string.h>", "struct item { int a, b; double c; char d[24]; };"]
    for i in range(functions):
        k = [rng.randint(1, 99) for _ in range(6)]
        out.append(f"""
static int step{i}(struct item *v, int n) {{
    int sum = {k[0]};
    for (int i = 0; i < n; i++) {{
        if (v[i].a % {k[1]} == {i % 5}) v[i].b += sum * {k[2]};
        else v[i].c = v[i].c * {k[3]}.5 + v[(i + {k[4]}) % n].a;
        switch ((v[i].b >> {i % 7}) & 3) {{
        case 0: sum ^= v[i].a; break;
        case 1: sum += (int)strlen(v[i].d); break;
        case 2: snprintf(v[i].d, sizeof v[i].d, "%d", sum); break;
        default: sum -= {f"step{i - 1}(v, n / 2)" if i else "n"};
        }}
    }}
    return sum + {k[5]};
}}""")
    calls = " + ".join(f"step{i}(v, n)" for i in range(functions))
    out.append(f"int all(struct item *v, int n) {{ return {calls}; }}")
    return "\n".join(out)


class Program:
    """A program that is started, does its work and ends."""

    def __init__(self, name, tool, arguments, source=None, environment=None):
        self.name = name
        self.tool = tool
        self.arguments = arguments
        self.source = source
        self.environment = environment or {}
        self.base = None

    def find(self):
        return shutil.which(self.tool)

    def prepare(self, directory):
        if self.source is not None:
            name, text = self.source
            if callable(text):
                text = text()
            with open(os.path.join(directory, name), "w") as file:
                file.write(text.replace("SEED", str(SEED)))

    def run(self, environment, directory):
        command = [self.find()] + self.arguments
        return run_program(command, {**environment, **self.environment}, directory)


class Redis:
    """redis-server under redis-benchmark; the cost is that of the server.

    The benchmark draws its keys at random without a seed; their number and sizes are fixed.
    Debian links redis-server with libjemalloc.so.2 and calls plain malloc; whatever is
    preloaded comes first, and libc.so.6 preloaded gives glibc's malloc.
    """

    name = "redis"
    tool = "redis-server"
    base = "libc.so.6"
    tests = "set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset"
    requests = 12000

    def find(self):
        return shutil.which("redis-benchmark") and shutil.which("redis-server")

    def prepare(self, directory):
        pass

    @staticmethod
    def free_port():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    @staticmethod
    def ask(port, *words):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as link:
            text = f"*{len(words)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in words)
            link.sendall(text.encode())
            return link.recv(4096)

    def wait_ready(self, server, port):
        for _ in range(500):
            if server.poll() is not None:
                raise Failed("redis-server ended at once")
            try:
                if self.ask(port, "PING").startswith(b"+PONG"):
                    return
            except OSError:
                pass
            time.sleep(0.01)
        raise Failed("redis-server does not answer")

    def load(self, port, clean, directory):
        bench = [shutil.which("redis-benchmark"), "-h", "127.0.0.1", "-p", str(port), "-q", "-c", "20",
                 "-P", "16"]
        work = [["-n", str(self.requests), "-r", "20000", "-d", "200", "-t", self.tests],
                ["-n", str(12 * self.requests), "-r", "100000", "-d", "100", "-t", "set"],
                ["-n", str(6 * self.requests), "-r", "100000", "-d", "400", "-t", "set,get"]]
        for arguments in work:
            result = subprocess.run(bench + arguments, env=clean, cwd=directory,
                                    capture_output=True, text=True)
            if result.returncode != 0 or "Error" in result.stdout + result.stderr:
                raise Failed(f"redis-benchmark: {result.stdout}{result.stderr}")

    def run(self, environment, directory):
        clean = {k: v for k, v in environment.items() if k != "LD_PRELOAD"}
        port = self.free_port()
        command = [self.find(), "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                   "--appendonly", "no", "--dir", directory, "--daemonize", "no",
                   "--loglevel", "warning", "--logfile", ""]
        server = subprocess.Popen(command, env=environment, cwd=directory, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.wait_ready(server, port)
            self.load(port, clean, directory)
            if not self.ask(port, "PING").startswith(b"+PONG"):
                raise Failed("redis-server stopped answering")
        finally:
            usage = None
            if server.returncode is None:
                server.kill()
                usage = reap(server)
        return Cost(usage, "")


def programs():
    hash_seed = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    python = ("work.py", PYTHON_SOURCE)
    return [
        Redis(),
        Program("python", "/usr/bin/python3", ["-S", "work.py"], python, hash_seed),
        Program("python-malloc", "/usr/bin/python3", ["-S", "work.py"], python,
                {**hash_seed, "PYTHONMALLOC": "malloc"}),
        Program("sqlite", "sqlite3", ["-batch", ":memory:", ".read work.sql"],
                ("work.sql", SQL_SOURCE)),
        Program("gcc", "gcc", ["-O2", "-S", "-o", "/dev/stdout", "work.c"],
                ("work.c", lambda: c_source(60))),
        Program("lua", "lua5.4", ["work.lua"], ("work.lua", LUA_SOURCE)),
        Program("perl", "perl", ["work.pl"], ("work.pl", PERL_SOURCE),
                {"PERL_HASH_SEED": "0", "PERL_PERTURB_KEYS": "0"}),
    ]
