# SPDX-License-Identifier: MIT
"""The inputs of the real programs. Everything follows from SEED and a scale.

SOURCES maps a file's name to its text, in which fill() puts numbers for the words SEED and SCALE.
Scale 1.0 is about one second of CPU; the number of operations and the data grow with it. Each
source ends by printing something that depends on all its results. c_source() and git_stream()
generate what is too long to be written down.
"""
import random

SEED = 20240229

# Records to JSON and back, then objects in a dictionary replaced one by one in random order.
PYTHON = """
import json, random
r = random.Random(SEED)
count = int(11000 * SCALE) + 1
class Node:
    def __init__(self, key, links): self.key, self.links = key, links
def record(i):
    tags = [str(r.random()) for _ in range(r.randint(0, 8))]
    return {"id": i, "name": "n" * r.randint(1, 60), "tags": tags,
            "pos": {"x": r.random(), "y": r.random()}}
total = 0
for turn in range(5):
    text = json.dumps([record(i) for i in range(count)])
    rows = json.loads(text)
    nodes = {row["id"]: Node(row["name"], row["tags"]) for row in rows}
    for i in range(5 * count):
        key = r.randrange(count)
        nodes[key] = Node(nodes[key].key[::-1] + str(i % 7), list(nodes[r.randrange(count)].links))
    total += len(text) + sum(len(n.key) + len(n.links) for n in nodes.values())
print(total)
"""

# Short-lived trees beside one long-lived tree, then strings of many lengths in a table.
LUA = """
local function tree(depth)
  if depth == 0 then return {} end
  return {tree(depth - 1), tree(depth - 1)}
end
local function count(t) if t[1] then return 1 + count(t[1]) + count(t[2]) end return 1 end
local state = SEED
local function rand(n) state = (state * 1103515245 + 12345) % 2147483648; return state % n end
local long = {}
for i = 1, math.ceil(128 * SCALE) do long[i] = tree(10) end
local sum = 0
for i = 1, math.ceil(75 * SCALE) do sum = sum + count(tree(12)) end
local words = {}
local slots = math.ceil(60000 * SCALE)
for i = 1, math.ceil(750000 * SCALE) do
  local slot = rand(slots)
  words[slot] = string.rep(string.char(97 + i % 26), 1 + rand(90)) .. i
  sum = sum + #words[slot]
end
for _, t in ipairs(long) do sum = sum + count(t) end
print(sum)
"""

# Hashes of strings and lists, made and deleted in random order.
PERL = """
my $state = SEED;
sub rnd { $state = ($state * 1103515245 + 12345) % 2147483648; return $state % $_[0] }
my (%h, $sum);
my $keys = int(100000 * SCALE) + 1;
for my $i (1 .. int(380000 * SCALE)) {
    my $key = 'k' . rnd($keys);
    if (rnd(3) == 0) { delete $h{$key} }
    else { $h{$key} = { text => 'v' x (1 + rnd(120)), list => [1 .. 1 + rnd(6)] } }
}
for my $key (sort keys %h) { $sum += length($h{$key}{text}) + @{$h{$key}{list}} }
print scalar(keys %h), " $sum\\n";
"""

# A log in text, taken apart with a regular expression, grouped, sorted and written again.
RUBY = """
random = Random.new(SEED)
hosts = Array.new(400) { |i| "host-#{i}." + 'abcdefgh'[0, 1 + random.rand(8)] }
count = (26000 * SCALE).ceil
total = 0
6.times do
  log = Array.new(count) do |i|
    path = Array.new(1 + random.rand(5)) { random.rand(36**5).to_s(36) }.join('/')
    "#{i} #{hosts[random.rand(hosts.size)]} GET /#{path} #{random.rand(100_000)}\\n"
  end.join
  groups = Hash.new { |hash, key| hash[key] = [] }
  log.each_line do |line|
    next unless line =~ %r{\\A(\\d+) (\\S+) GET /(\\S+) (\\d+)$}
    groups[$2] << { id: $1.to_i, parts: $3.split('/'), size: $4.to_i }
  end
  report = groups.sort.map do |host, rows|
    sorted = rows.sort_by { |row| [row[:size], row[:id]] }
    host + ' ' + sorted.map { |row| row[:parts].reverse.join('.') }.join(',')
  end
  total += report.sum(&:size) + report.join("\\n").sum
end
puts total
"""

# Messages as JSON in buffers outside of V8's heap: packed, hashed, unpacked, parsed.
NODE = """
const zlib = require('zlib'), crypto = require('crypto');
let state = SEED;
const rand = (n) => { state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff; return state % n; };
const kept = new Array(Math.ceil(600 * SCALE) + 1).fill(null);
const hash = crypto.createHash('sha256');
let total = 0;
for (let i = 0; i < 8000 * SCALE; i++) {
  const rows = [];
  for (let k = rand(60); k >= 0; k--) {
    const tags = Array.from({ length: rand(6) }, () => rand(1e6));
    rows.push({ id: i * 64 + k, name: 'n'.repeat(1 + rand(40)), tags });
  }
  const packed = zlib.deflateSync(Buffer.from(JSON.stringify(rows)), { level: 1 });
  kept[rand(kept.length)] = { packed, space: Buffer.alloc(256 + rand(30000), i & 255) };
  const old = kept[rand(kept.length)];
  if (old) {
    const text = zlib.inflateSync(old.packed).toString();
    hash.update(crypto.createHash('md5').update(text).digest());
    total += JSON.parse(text).length + old.space[old.space.length >> 1];
  }
}
console.log(total, hash.digest('hex'));
"""

# A table in memory with two indices: filled, changed, thinned out, grouped and joined.
SQL = """
PRAGMA cache_size = -65536;
CREATE TABLE word(id INTEGER PRIMARY KEY, key INTEGER, text TEXT);
WITH RECURSIVE n(i, x) AS (SELECT 1, SEED UNION ALL
  SELECT i + 1, (x * 1103515245 + 12345) % 2147483648 FROM n WHERE i < 140000 * SCALE)
  INSERT INTO word SELECT i, x % CAST(50000 * SCALE AS INTEGER),
    hex(x) || substr(hex(zeroblob(60)), 1, x % 120) FROM n;
CREATE INDEX word_key ON word(key);
CREATE INDEX word_text ON word(text);
UPDATE word SET text = text || 'x' WHERE key % 5 = 0;
DELETE FROM word WHERE key % 7 = 0;
SELECT key % 100, count(*), group_concat(substr(text, 1, 12)) FROM word GROUP BY key % 100 ORDER BY 1 LIMIT 3;
SELECT count(DISTINCT text), sum(length(text)) FROM word;
SELECT sum(length(a.text || b.text)) FROM word a JOIN word b ON a.key = b.key;
"""

SOURCES = {"work.py": PYTHON, "work.lua": LUA, "work.pl": PERL, "work.rb": RUBY, "work.js": NODE,
           "work.sql": SQL}


def fill(text, scale):
    return text.replace("SEED", str(SEED)).replace("SCALE", repr(float(scale)))


def c_source(scale):
    """A C file of many ordinary functions."""
    rng = random.Random(SEED)
    functions = max(1, round(112 * scale))
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
    return "\n".join(out) + "\n"


COMMITS_PER_PACK = 40


def git_stream(scale):
    """A history for git fast-import: text files, in each commit some of them with other lines.

    Every COMMITS_PER_PACK commits a new pack begins, as it does with every fetch. It leaves git gc
    the search for deltas between the packs, which within one pack it takes over as they are.
    """
    rng = random.Random(SEED)
    words = [f"w{rng.randrange(5000)}" for _ in range(3000)]

    def line():
        return " ".join(rng.choice(words) for _ in range(rng.randint(2, 9)))

    files = [[line() for _ in range(rng.randint(20, 250))] for _ in range(60)]
    out = []
    for number in range(max(2, round(2200 * scale))):
        message = f"change {number}: {line()}"
        out.append(f"commit refs/heads/main\n"
                   f"committer A <a@example.invalid> {1700000000 + 600 * number} +0000\n"
                   f"data {len(message)}\n{message}\n")
        for index in rng.sample(range(60), rng.randint(1, 5) if number else 60):
            lines = files[index]
            for _ in range(rng.randint(1, 6)):
                at = rng.randrange(len(lines))
                lines[at:at + rng.randint(0, 2)] = [line() for _ in range(rng.randint(1, 2))]
            text = "\n".join(lines) + "\n"
            out.append(f"M 100644 inline part{index % 7}/file{index}.txt\ndata {len(text)}\n{text}\n")
        if number % COMMITS_PER_PACK == COMMITS_PER_PACK - 1:
            out.append("checkpoint\n\n")
    return "".join(out)
