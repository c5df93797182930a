#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Goal: real programs stay right under stress, whatever way their requests take through hakmem.

Method: a case is one program with a heavy job made from a seed. Each round runs it with the library
preloaded and one setting: the routes of HAKMEM_ROUTE, and with the tiny library, whose limits are so
small that every rare path is common, also fast paths missed on purpose (HAKMEM_TEST_FORCE_SLOW=n).
A job either compares its output with that on glibc, or checks itself. A round fails on a wrong exit
code, a different output, and any line of hakmem or ld.so on stderr; so does the whole.

usage: programs_stress.py CASE --library PATH [--tiny-library PATH] [--rounds N] [--scale N] [--seed N]
       programs_stress.py --list
Exit status: 0 good, 1 a round failed (it prints how to repeat it), 77 a program is not installed, or fails
on glibc in every round.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, "integration"))
import programs
import redis_job

HANG_S = 900
PYTHON = "/usr/bin/python3"
PATH = "/usr/local/bin:/usr/bin:/bin"


def run(command, env, stdin=subprocess.DEVNULL):
    """(exit code, output, errors) of a command; one that hangs dies with all its children."""
    with subprocess.Popen(command, env=env, stdin=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, start_new_session=True) as process:
        try:
            out, err = process.communicate(timeout=HANG_S)
            return process.returncode, out, err
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            return 1, out, err + f"{command[0]}: no end after {HANG_S} s\n".encode()


# ---- jobs: (environment, generator, scale) -> (exit code, output, errors) ----

def stress_ng(env, generator, scale):
    """The malloc stressor, with threads and without, then containers of many small blocks."""
    total = (0, b"", b"")
    seed = str(generator.getrandbits(31))
    # Of the tiny library's 16 GiB of address space these blocks take a third.
    for stressors in (["--malloc", "2", "--malloc-ops", str(40000 * scale), "--malloc-bytes", "24M",
                       "--malloc-max", "400"],
                      ["--malloc", "1", "--malloc-ops", str(3000 * scale), "--malloc-bytes", "2M",
                       "--malloc-max", "4096", "--malloc-touch", "--malloc-pthreads", "3"],
                      ["--tree", "1", "--tree-ops", str(scale), "--tree-size", "20000",
                       "--list", "1", "--list-ops", str(20 * scale), "--list-size", "2000",
                       "--skiplist", "1", "--skiplist-ops", str(20 * scale)]):
        code, out, err = run(["stress-ng", *stressors, "--verify", "--seed", seed,
                              "--temp-path", os.getcwd()], env)
        good = code == 0 and b"successful run" in out + err and b"fail" not in out + err
        total = (total[0] + code, total[1] + (b"" if good else out + err), total[2] + err)
    return total


# Modules that are about memory. None that waits for clocks or processes, or fails on glibc here and there.
PYTHON_TESTS = ("test_dict test_list test_bytes test_set test_array test_json test_re test_deque "
                "test_memoryview test_mmap test_thread test_pickle test_sort test_unicode test_long "
                "test_struct test_zlib test_bz2 test_lzma test_collections test_gc test_weakref "
                "test_buffer test_queue").split()
PYTHON_TESTS_QUICK = "test_dict test_list test_set test_json test_array test_mmap".split()


def python(env, generator, scale):
    """Python's own tests; PYTHONMALLOC=malloc sends every object to malloc."""
    count = min(len(PYTHON_TESTS), 6 * scale)
    tests = PYTHON_TESTS_QUICK if scale == 1 else generator.sample(PYTHON_TESTS, count)
    env = dict(env, PYTHONMALLOC=generator.choice(("malloc", "pymalloc")), PYTHONDONTWRITEBYTECODE="1")
    code, out, err = run([PYTHON, "-m", "test", "-r", "--randseed",
                          str(generator.getrandbits(30)), *tests], env)
    good = code == 0 and b"Tests result: SUCCESS" in out
    return code, b"" if good else " ".join(tests).encode() + b"\n" + out, err


FUNCTION = """
struct n{i} {{ struct n{i} *next; long value, more[{size}]; }};
long f{i}(struct n{i} *n, long x)
{{
    static const long table[] = {{{table}}};
    long sum = x;
    for (long i = 0; i < {loops}; i++) {{
        switch ((sum ^ i) % 7) {{
        case 0: sum += table[i % {length}]; break;
        case 1: sum -= n ? n->more[i % {size}] : {a}; break;
        case 3: sum = sum * {b} + f{before}((void *)n, sum >> 3); break;
        default: sum ^= n && n->next ? n->next->value : i;
        }}
    }}
    return sum;
}}
"""


def gcc(env, generator, scale):
    """Generated functions, optimised and linked; the object file counts as output."""
    text = ["long f0(void *n, long x) { return n ? x : 1; }"]
    for i in range(1, 250 * scale):
        length = generator.randrange(1, 60)
        text.append(FUNCTION.format(
            i=i, before=0, size=generator.randrange(1, 40), length=length,
            table=", ".join(str(generator.getrandbits(31)) for _ in range(length)),
            loops=generator.randrange(2, 50), a=generator.getrandbits(20), b=generator.getrandbits(20)))
    text.append("int main(void) { return (int)f1(0, 1) & 0; }")
    programs.write_text("many.c", "\n".join(text) + "\n")
    env = dict(env, PWD="/proc/self/cwd")  # debugging information names the directory
    code, out, err = run(["gcc", "-O2", "-g", "-save-temps", "-o", "many", "many.c"], env)
    for name in ("many.s", "many.o") if code == 0 else ():
        with open(name, "rb") as file:
            out += hashlib.sha256(file.read()).digest()
    return code, out, err


def sqlite(env, generator, scale):
    """A database on disk under mixed changes, with rollbacks and a vacuum, then checked and dumped."""
    lines = ["PRAGMA journal_mode=WAL; PRAGMA cache_size=-4000; PRAGMA threads=2;",
             "CREATE TABLE a(id INTEGER PRIMARY KEY, k INTEGER, name TEXT, data BLOB);",
             "CREATE INDEX a_k ON a(k); CREATE INDEX a_name ON a(name, k);",
             "CREATE VIRTUAL TABLE words USING fts5(text);"]
    for i in range(1500 * scale):
        k, size = generator.randrange(500), 1 << generator.randint(2, 11)
        lines.append(generator.choice((
            f"INSERT INTO a(k, name, data) VALUES({k}, 'n{i * 31 % 997}', zeroblob({size}));",
            f"INSERT INTO a(k, name, data) SELECT {k}, name || '{i}', hex(name) FROM a WHERE k = {k};",
            f"UPDATE a SET name = name || 'x{i}', data = zeroblob({size}) WHERE k = {k};",
            f"DELETE FROM a WHERE k = {k} AND id % 3 = 0;",
            f"BEGIN; UPDATE a SET k = k + 1 WHERE k > {k}; ROLLBACK;",
            f"INSERT INTO words VALUES('w{k} w{i} common {'x' * (k % 40)}');",
            f"SELECT count(*), total(length(data)), max(name) FROM a WHERE k BETWEEN {k} AND {k + 50};",
            f"SELECT count(*) FROM words WHERE words MATCH 'w{k} AND common';")))
    lines += ["PRAGMA integrity_check;", "VACUUM;", "PRAGMA integrity_check;",
              "INSERT INTO words(words) VALUES('integrity-check');",
              "SELECT group_concat(k || name, ',') FROM (SELECT * FROM a ORDER BY data, name, id);",
              ".dump"]
    programs.write_text("job.sql", "\n".join(lines) + "\n")
    with open("job.sql", "rb") as job:
        code, out, err = run(["sqlite3", "job.db"], env, stdin=job)
    return code + out.count(b"ok\n") - 2, hashlib.sha256(out).hexdigest().encode(), err


INTERPRETERS = ("python-malloc", "perl", "lua", "ruby", "node", "bash", "git", "sort", "archive")


def interpreters(env, _generator, scale):
    """The jobs of the integration tests, so many times each, under the settings of this round."""
    total = (0, b"", b"")
    for name in INTERPRETERS:
        needed, job = programs.CASES[name]
        for i in range(scale if all(shutil.which(p, path=PATH) for p in needed) else 0):
            os.makedirs(f"{name}{i}")
            os.chdir(f"{name}{i}")
            result = job(env)
            os.chdir(os.pardir)
            total = (total[0] + result[0], total[1] + name.encode() + result[1], total[2] + result[2])
    return total


# name -> (programs needed, job, whether its output is compared with that on glibc,
#          how much of what a job of scale 1 does)
CASES = {
    "redis": (["redis-server", "redis-benchmark"], redis_job.job, False, (30000, "requests")),
    "stress-ng": (["stress-ng"], stress_ng, False, (83000, "operations")),
    "python": ([PYTHON], python, False, (6, "test modules")),
    "gcc": (["gcc"], gcc, True, (250, "functions compiled")),
    "sqlite": (["sqlite3"], sqlite, True, (1500, "statements")),
    "interpreters": (["bash"], interpreters, True, (len(INTERPRETERS), "programs run")),
}


# ---- rounds ----

def settings(options, generator):
    """(library, variables) of one round after the other, without end."""
    routes = ("tiny-first", "tiny-only", "pool-only")
    ways = [(options.library, {"HAKMEM_ROUTE": route}) for route in routes]
    if options.tiny_library:
        ways.append((options.tiny_library, {}))
        for route in routes:
            ways.append((options.tiny_library, {"HAKMEM_ROUTE": route, "HAKMEM_TEST_FORCE_SLOW": "?"}))
    while True:
        generator.shuffle(ways)
        for library, variables in ways:
            misses = str(generator.choice((2, 3, 7, 31, 127)))  # 1 takes ten times as long
            yield library, {name: misses if value == "?" else value
                            for name, value in variables.items()}


def run_job(options, seed, library, variables):
    """One run in a fresh directory; library None is glibc."""
    job = CASES[options.case][1]
    return programs.run_case(
        lambda env: job(dict(env, **variables), random.Random(seed), options.scale), library)


def complaints(err):
    return b"".join(line for line in err.splitlines(True) if b"hakmem: " in line or b"ld.so: " in line)


GOOD, FAILED, UNKNOWN = "good", "FAILED", "fails on glibc too"


def one_round(options, seed, library, variables):
    """The verdict: what fails on glibc too says nothing about hakmem."""
    started = time.monotonic()
    result = run_job(options, seed, library, variables)
    compared = CASES[options.case][2]
    reference = run_job(options, seed, None, {}) if compared else (0, b"", b"")
    words = " ".join(f"{name}={value}" for name, value in variables.items())
    good = result[:2] == reference[:2] and result[0] == 0 and not complaints(result[2])
    if not good and not compared:
        reference = run_job(options, seed, None, {})
    verdict = GOOD if good else FAILED if reference[0] == 0 or complaints(result[2]) else UNKNOWN
    print(f"seed {seed} {os.path.basename(library)} {words}: {verdict} "
          f"({time.monotonic() - started:.1f} s)", flush=True)
    if not good:
        programs.show_difference(reference, result)
        print(f"again: {words} {sys.argv[0]} {options.case} --library {library} --scale "
              f"{options.scale} --only-seed {seed}")
    return verdict


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("case", choices=CASES, nargs="?")
    parser.add_argument("--list", action="store_true", help="print the cases")
    parser.add_argument("--library", help="the library to preload")
    parser.add_argument("--tiny-library", help="the same, built with HAKMEM_TINY")
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--scale", type=int, default=1, help="size of a job; default: %(default)s")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("TEST_SEED") or time.time()),
                        help="default: TEST_SEED, else the clock")
    parser.add_argument("--only-seed", type=int,
                        help="one round with the seed of a round, and HAKMEM_* as they are")
    options = parser.parse_args(arguments)
    if not options.list:
        if not options.case or not options.library:
            parser.error("a case and --library are needed")
        for name in filter(None, (options.library, options.tiny_library)):
            if not os.path.exists(name):
                parser.error(f"no such library: {name}")
        options.library = os.path.abspath(options.library)
        options.tiny_library = options.tiny_library and os.path.abspath(options.tiny_library)
    return options


def missing_programs(case):
    gone = [name for name in CASES[case][0] if not shutil.which(name, path=PATH)]
    if case == "python" and not gone:
        probe = subprocess.run([PYTHON, "-c", "import test.test_dict"], check=False,
                               stderr=subprocess.DEVNULL)
        gone = ["python's test suite"] if probe.returncode != 0 else []
    return gone


def main(arguments):
    options = parse(arguments)
    if options.list:
        print("\n".join(CASES))
        return 0
    for name in missing_programs(options.case):
        print(f"skipped: {name} is not installed")
        return programs.SKIPPED
    if options.only_seed is not None:
        return one_round(options, options.only_seed, options.library, {}) != GOOD
    print(f"--seed {options.seed}", flush=True)
    generator = random.Random(options.seed)
    ways = settings(options, generator)
    verdicts = [one_round(options, generator.getrandbits(31), *next(ways))
                for _ in range(options.rounds)]
    amount, unit = CASES[options.case][3]
    print(f"{options.case}: {options.rounds} rounds, {amount * options.scale * options.rounds} {unit}, "
          f"{verdicts.count(FAILED)} failed, {verdicts.count(UNKNOWN)} fail on glibc too")
    if UNKNOWN in verdicts and GOOD not in verdicts and FAILED not in verdicts:
        return programs.SKIPPED
    return FAILED in verdicts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
