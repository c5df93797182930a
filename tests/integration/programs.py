#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Goal: real programs behave under hakmem as they do on glibc.

Method: each case is one program with a fixed job. It runs twice in fresh directories, once as
it is and once with the library preloaded; exit code and standard output must be equal, and the
library and ld.so must have nothing to complain about. Use: programs.py CASE LIBRARY, or
programs.py --list. Exit code 77 if the program is not installed.
"""

import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile

SKIPPED = 77

PYTHON_JOB = r"""
import collections, hashlib, json, re, threading
data = {f"key{i}": {"list": list(range(i % 50)), "text": "x" * (i % 300)} for i in range(4000)}
text = json.dumps(data, sort_keys=True)
assert json.loads(text) == data
words = re.findall(r"key\d+", text)
counts = collections.Counter(re.sub(r"\d$", "", word) for word in words)
results = [None] * 4
def churn(n):
    table = {}
    for i in range(40000):
        table[i * 7919 % 5003] = ("value", i, str(i) * (i % 5))
        if i % 3 == 0:
            table.pop(i * 104729 % 5003, None)
    results[n] = hashlib.md5(repr(sorted(table.items())).encode()).hexdigest()
threads = [threading.Thread(target=churn, args=(n,)) for n in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
big = bytearray()
for i in range(3000):
    big += bytes([i % 256]) * (i % 1000)
print(len(text), sorted(counts.items())[:5], results, hashlib.md5(big).hexdigest())
"""

PERL_JOB = r"""
my (%count, @lines);
for my $i (1 .. 60000) {
    my $word = "w" . ($i * 7919 % 1009);
    $count{$word}++;
    push @lines, "$word:$i" if $i % 7 == 0;
    shift @lines if @lines > 2000;
}
my $text = join ",", map { "$_=$count{$_}" } sort keys %count;
$text =~ s/w(\d+)=/<$1>/g;
my $grown = "";
$grown .= chr(65 + $_ % 26) x ($_ % 40) for 1 .. 20000;
print length($text), " ", length($grown), " ", unpack("%32C*", $text . $grown), "\n";
print join(" ", @lines[0 .. 9]), "\n";
"""

LUA_JOB = r"""
local t, parts = {}, {}
for i = 1, 200000 do
  t[i * 7919 % 10007] = { i, tostring(i), name = "n" .. i }
  if i % 5 == 0 then t[i * 104729 % 10007] = nil end
end
local keys = {}
for k in pairs(t) do keys[#keys + 1] = k end
table.sort(keys)
for i = 1, 200 do parts[#parts + 1] = keys[i] .. "=" .. t[keys[i]][2] end
local wrapped = {}
for i = 1, 100 do
  wrapped[i] = coroutine.wrap(function() for n = 1, 20 do coroutine.yield(n * i) end end)
end
local sum = 0
for n = 1, 20 do for i = 1, 100 do sum = sum + wrapped[i]() end end
collectgarbage()
print(#keys, sum, table.concat(parts, ","))
"""

SQL_JOB = r"""
CREATE TABLE a(id INTEGER PRIMARY KEY, grp INTEGER, name TEXT, value REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
INSERT INTO a SELECT i, i * 7919 % 1000, 'name ' || (i * 31 % 5003), i * 0.25 FROM n;
CREATE TABLE b(grp INTEGER, label TEXT);
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
INSERT INTO b SELECT i, 'label ' || i FROM n;
CREATE INDEX a_grp ON a(grp);
CREATE INDEX a_name ON a(name);
SELECT b.label, count(*), sum(a.value), min(a.name) FROM a JOIN b USING (grp)
  GROUP BY b.label ORDER BY b.label LIMIT 20;
SELECT count(*) FROM a x JOIN a y ON x.name = y.name AND x.id < y.id WHERE x.grp < 50;
UPDATE a SET name = name || '!' WHERE id % 3 = 0;
DELETE FROM a WHERE id % 5 = 0;
SELECT count(*), sum(length(name)), group_concat(DISTINCT grp) FROM a WHERE grp % 10 = 3;
"""

RUBY_JOB = r"""
require "json"
require "digest"
table = {}
100_000.times do |i|
  table[(i * 7919) % 5003] = { id: i, text: "v" * (i % 60), list: [i, i + 1] }
  table.delete((i * 104_729) % 5003) if i % 4 == 0
end
text = JSON.generate(table.sort.to_h)
back = JSON.parse(text)
sums = 4.times.map { |n| Thread.new { (1..20_000).map { |i| (i * n).to_s }.join.sum } }.map(&:value)
GC.start
GC.compact if GC.respond_to?(:compact)
puts back.size, text.size, Digest::MD5.hexdigest(text), sums.inspect
"""

NODE_JOB = r"""
const crypto = require("crypto");
const table = {};
for (let i = 0; i < 60000; i++)
  table["k" + (i * 7919 % 5003)] = { id: i, text: "v".repeat(i % 60), list: [i, i + 1] };
const text = JSON.stringify(table);
const buffers = [];
for (let i = 0; i < 2000; i++) buffers.push(Buffer.alloc(1 + i * 13 % 20000, i));
console.log(Object.keys(JSON.parse(text)).length, text.length,
            crypto.createHash("md5").update(Buffer.concat(buffers)).digest("hex"));
let left = 200, sum = 0;
for (let i = 0; i < 200; i++)
  setTimeout(() => { sum += JSON.parse(text)["k1"].id + i; if (--left === 0) console.log(sum); }, i % 5);
"""

BASH_JOB = r"""
declare -A count
for ((i = 0; i < 20000; i++)); do
    key=$((i * 7919 % 211)); count[$key]=$(( ${count[$key]:-0} + i ))
    text+="${i:0:1}"; (( i % 500 == 0 )) && list+=("$text")
done
for key in $(printf '%s\n' "${!count[@]}" | sort -n | head -20); do echo "$key ${count[$key]}"; done
echo "${#text} ${#list[@]} $(echo {1..3000} | tr ' ' '\n' | tail -1)"
for i in {1..50}; do (echo $((i * i))) ; done | paste -sd+ | bc 2>/dev/null || true
"""

GIT_JOB = r"""
set -e
git init -q -b main repo; cd repo
git config user.name tester; git config user.email tester@example.org
git config gc.auto 0; git config pack.threads 2
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    for n in 1 2 3 4 5 6; do seq $((i * n)) 7 $((i * 900 + n)) > "file$n"; done
    mkdir -p "dir$i"; seq 1 $((i * 300)) > "dir$i/numbers"
    export GIT_AUTHOR_DATE="2001-02-03T04:05:$((i + 10)) +0000"
    export GIT_COMMITTER_DATE="$GIT_AUTHOR_DATE"
    git add .; git commit -q -m "change $i"
done
git gc -q --aggressive --prune=now
git fsck --strict
git log --stat --format='%H %T %ad %s'
git diff HEAD~5 HEAD -- file3 | tail -50
git blame -s file1 | tail -5
git ls-tree -r HEAD
"""


def write_text(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def run(command, env, **options):
    """Runs one command to its end and returns (exit code, stdout, stderr)."""
    done = subprocess.run(command, env=env, stdin=options.pop("stdin", subprocess.DEVNULL),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **options)
    return done.returncode, done.stdout, done.stderr


def script(*command):
    return lambda env: run(list(command), env)


def shell(text):
    return script("bash", "-c", text)


def sqlite(env):
    write_text("job.sql", SQL_JOB)
    with open("job.sql", "rb") as job:
        return run(["sqlite3", ":memory:"], env, stdin=job)


def gcc(env):
    """2,000 generated functions, compiled; the object file counts as output."""
    lines = ["struct node { struct node *next; long value; };", "long table[64];"]
    for i in range(2000):
        lines.append(
            f"long f{i}(struct node *n, long x) {{ "
            f"return (n ? n->next->value : table[{i % 64}]) {'+-*'[i % 3]} (x ^ {i}); }}")
    write_text("many.c", "\n".join(lines) + "\n")
    code, out, err = run(["gcc", "-O1", "-c", "-o", "many.o", "many.c"], env)
    if code == 0:
        with open("many.o", "rb") as file:
            out += file.read()
    return code, out, err


def sort(env):
    generator = random.Random(1)
    write_text("words", "".join(f"{generator.getrandbits(40):x} {i}\n" for i in range(150000)))
    return run(["bash", "-c", "sort --parallel=2 -S 4M words | md5sum; sort -k2,2nr words | "
                "head -5; sort -u -k1,1.2 words | tail -5; wc words"], env)


def archive(env):
    generator = random.Random(2)
    os.mkdir("tree")
    for i in range(200):
        write_text(f"tree/file{i:03}", f"{generator.getrandbits(4000):x}\n" * (1 + i % 40))
    return run(["bash", "-o", "pipefail", "-c",
                "tar --sort=name --mtime=@0 --owner=0 --group=0 --mode=644 -c tree "
                "| gzip -n -6 | tee tree.gz | md5sum; gzip -dc tree.gz | md5sum; "
                "gzip -dc tree.gz | tar -t | tail -3"], env)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


REDIS_COMMANDS = (
    [f"SET key{i} {'v' * (i % 400)}{i}" for i in range(1500)]
    + ["MSET " + " ".join(f"m{i} {i * i}" for i in range(200))]
    + [f"LPUSH list {i} {i + 1} {'x' * (i % 90)}" for i in range(500)]
    + [f"HSET hash f{i} {i}" for i in range(600)]
    + [f"ZADD zset {i * 7919 % 1009} member{i}" for i in range(600)]
    + [f"DEL key{i}" for i in range(0, 1500, 3)]
    + ["DBSIZE", "GET key1000", "MGET m1 m50 m199", "LLEN list", "LRANGE list 0 20", "HLEN hash",
       "ZRANGE zset 0 10 WITHSCORES", "DEBUG SLEEP 0", "FLUSHALL", "DBSIZE", "PING"])


def redis(env):
    """A server on a random loopback port, driven by redis-cli; both run on the allocator."""
    port = str(free_port())
    server_command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
                      "--appendonly", "no", "--daemonize", "no", "--enable-debug-command", "yes"]
    client = ["redis-cli", "-p", port]
    with open("server.log", "wb") as log, \
            subprocess.Popen(server_command, env=env, stdout=log, stderr=log) as server:
        try:
            while server.poll() is None and run(client + ["PING"], env)[1] != b"PONG\n":
                pass
            write_text("commands", "\n".join(REDIS_COMMANDS) + "\n")
            with open("commands", "rb") as commands:
                code, out, err = run(client, env, stdin=commands)
            code += run(client + ["SHUTDOWN", "NOSAVE"], env)[0]
            code += server.wait()
        finally:
            if server.poll() is None:
                server.kill()
    with open("server.log", "rb") as log:
        text = log.read()
    return code, out, err + b"".join(line for line in text.splitlines(True) if b"hakmem" in line)


def loaded(env):
    """The library is in the process at all: its file is among the mappings, or none is asked for."""
    code, out, err = run(["cat", "/proc/self/maps"], env)
    library = env.get("LD_PRELOAD")
    found = library is None or os.path.realpath(library).encode() in out
    return code, b"as asked for" if found else b"not loaded", err


# name -> (programs needed, job)
CASES = {
    "loaded": (["cat"], loaded),
    "python": (["/usr/bin/python3"], script("/usr/bin/python3", "-c", PYTHON_JOB)),
    "python-malloc": (["/usr/bin/python3"], lambda env: run(
        ["/usr/bin/python3", "-c", PYTHON_JOB], dict(env, PYTHONMALLOC="malloc"))),
    "perl": (["perl"], script("perl", "-we", PERL_JOB)),
    "lua": (["lua5.4"], script("lua5.4", "-e", LUA_JOB)),
    "sqlite": (["sqlite3"], sqlite),
    "gcc": (["gcc"], gcc),
    "git": (["git"], shell(GIT_JOB)),
    "ruby": (["ruby"], script("ruby", "-W0", "-e", RUBY_JOB)),
    "node": (["node"], script("node", "-e", NODE_JOB)),
    "redis": (["redis-server", "redis-cli"], redis),
    "sort": (["sort", "md5sum"], sort),
    "archive": (["tar", "gzip", "md5sum"], archive),
    "bash": (["bash"], shell(BASH_JOB)),
}


def environment(directory, library):
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": directory, "LC_ALL": "C", "TZ": "UTC",
           "PYTHONHASHSEED": "0", "PERL_HASH_SEED": "0", "GIT_CONFIG_NOSYSTEM": "1",
           "TMPDIR": directory}
    # Settings of the allocator, such as a forced slow path, reach the program.
    env.update((name, value) for name, value in os.environ.items() if name.startswith("HAKMEM_"))
    if library:
        env["LD_PRELOAD"] = library
    return env


def run_case(job, library):
    with tempfile.TemporaryDirectory(prefix="hakmem-programs-") as directory:
        os.chdir(directory)
        try:
            return job(environment(directory, library))
        finally:
            os.chdir("/")


def show_difference(reference, result):
    print("exit code", reference[0], "on glibc,", result[0], "on hakmem")
    print("standard output equal:", reference[1] == result[1])
    for name, text in (("glibc", reference), ("hakmem", result)):
        print(f"--- {name}: start of output\n{text[1][:2000].decode(errors='replace')}")
        print(f"--- {name}: end of errors\n{text[2][-2000:].decode(errors='replace')}")


def main(arguments):
    if arguments == ["--list"]:
        print("\n".join(CASES))
        return 0
    name, library = arguments
    needed, job = CASES[name]
    library = os.path.abspath(library)
    if not os.path.exists(library):
        sys.exit(f"no such library: {library}")
    for program in needed:
        if not shutil.which(program, path="/usr/local/bin:/usr/bin:/bin"):
            print(f"skipped: {program} is not installed")
            return SKIPPED
    reference = run_case(job, None)
    result = run_case(job, library)
    complaint = b"hakmem: " in result[2] or b"ld.so: " in result[2]
    if reference[0] == 0 and reference[:2] == result[:2] and not complaint:
        return 0
    show_difference(reference, result)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
