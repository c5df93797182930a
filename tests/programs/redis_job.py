# SPDX-License-Identifier: MIT
"""Goal: redis under load loses nothing: not a value, not over a fork, not over a reload.

Method: a server is filled with values that are known here, of all sizes and types; while redis-benchmark
runs on another database, values are overwritten, and a child saves the lot (BGSAVE: copy on write);
then everything is read back and compared, saved and loaded in place (DEBUG RELOAD), and compared again;
half is deleted, the rest grows, and is compared a last time.
"""

import re
import socket
import subprocess
import time

import programs

HANG_S = 900
PIPELINE = 200


class Wrong(Exception):
    """Something came back that should not have."""


class Client:
    """The least of a redis client: requests as arrays, replies as Python values."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=HANG_S)
        self.reader = self.socket.makefile("rb")

    def reply(self):
        line = self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise Wrong("the server has closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise Wrong(f"the server says {rest.decode()}")
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        size = int(rest)
        if size < 0:
            return None
        if kind == b"*":
            return [self.reply() for _ in range(size)]
        return self.reader.read(size + 2)[:-2]

    def batch(self, requests):
        """The replies to many requests, sent some at a time."""
        replies = []
        for start in range(0, len(requests), PIPELINE):
            part = requests[start:start + PIPELINE]
            self.socket.sendall(b"".join(encode(request) for request in part))
            replies += [self.reply() for _ in part]
        return replies

    def __call__(self, *request):
        return self.batch([request])[0]

    def close(self):
        self.reader.close()
        self.socket.close()


def encode(request):
    words = [w if isinstance(w, bytes) else str(w).encode() for w in request]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def some_bytes(random, log2_max):
    """Sizes over many powers of two, small ones as likely as large ones."""
    size = random.randrange(1 << random.randint(1, log2_max))
    return (random.randbytes(64) * (size // 64 + 1))[:size]


class Contents:
    """What the server must hold."""

    def __init__(self, random, keys):
        self.random = random
        self.strings = {b"key%d" % i: some_bytes(random, 16 if i % 50 == 0 else 11)
                        for i in range(keys)}
        self.lists = {b"list%d" % i: [some_bytes(random, 9) for _ in range(random.randrange(1, 400))]
                      for i in range(keys // 200)}
        self.hashes = {b"hash%d" % i: {b"f%d" % n: some_bytes(random, 10)
                                       for n in range(random.randrange(1, 600))}
                       for i in range(keys // 200)}
        self.zsets = {b"zset%d" % i: [b"member%d" % n for n in range(random.randrange(1, 500))]
                      for i in range(keys // 200)}

    def write(self, client):
        requests = [("SET", key, value) for key, value in self.strings.items()]
        requests += [("RPUSH", key, *values) for key, values in self.lists.items()]
        requests += [("HSET", key, *(word for pair in fields.items() for word in pair))
                     for key, fields in self.hashes.items()]
        requests += [("ZADD", key, *(word for n, m in enumerate(members) for word in (n, m)))
                     for key, members in self.zsets.items()]
        self.random.shuffle(requests)
        client.batch(requests)

    def change(self, client, count):
        """Overwrites and grows some strings."""
        requests = []
        for key in self.random.choices(list(self.strings), k=count):
            more = some_bytes(self.random, 12)
            grows = self.random.random() < 0.3
            self.strings[key] = self.strings[key] + more if grows else more
            requests.append(("APPEND" if grows else "SET", key, more))
        client.batch(requests)

    def delete_half(self, client):
        for table in (self.strings, self.lists, self.hashes, self.zsets):
            gone = self.random.sample(list(table), len(table) // 2)
            client.batch([("DEL", key) for key in gone])
            for key in gone:
                del table[key]

    def compare(self, client, when):
        expected = len(self.strings) + len(self.lists) + len(self.hashes) + len(self.zsets)
        if client("DBSIZE") != expected:
            raise Wrong(f"{when}: {client('DBSIZE')} keys, not {expected}")
        for table, request, shown in (
                (self.strings, lambda key: ("GET", key), lambda v: v),
                (self.lists, lambda key: ("LRANGE", key, 0, -1), list),
                (self.hashes, lambda key: ("HGETALL", key),
                 lambda v: [word for pair in sorted(v.items()) for word in pair]),
                (self.zsets, lambda key: ("ZRANGE", key, 0, -1), list)):
            replies = client.batch([request(key) for key in table])
            for (key, value), reply in zip(table.items(), replies):
                if table is self.hashes:
                    reply = [w for pair in sorted(zip(reply[::2], reply[1::2])) for w in pair]
                if reply != shown(value):
                    raise Wrong(f"{when}: {key.decode()} has changed")


def wait_for_save(client):
    while b"rdb_bgsave_in_progress:1" in client("INFO", "persistence"):
        time.sleep(0.02)
    if b"rdb_last_bgsave_status:ok" not in client("INFO", "persistence"):
        raise Wrong("the saving child failed")


def work(client, benchmark, contents, changes):
    contents.write(client)
    with benchmark() as load:
        client("BGSAVE")
        contents.change(client, changes)
        wait_for_save(client)
        contents.compare(client, "under load")
        if load.wait(HANG_S) != 0:
            raise Wrong(f"redis-benchmark ended with {load.returncode}")
    client("DEBUG", "RELOAD")
    contents.compare(client, "after the reload")
    contents.delete_half(client)
    client("BGSAVE")
    contents.change(client, changes)
    client("MEMORY", "PURGE")
    wait_for_save(client)
    contents.compare(client, "after deleting half")


def connect(server, port):
    while server.poll() is None:
        try:
            client = Client(port)
            client("PING")
            return client
        except ConnectionRefusedError:
            time.sleep(0.02)
        except Wrong:  # still loading
            time.sleep(0.02)
    raise Wrong("the server did not start")


def job(env, random, scale):
    """(exit code, output, complaints) of one run of server and load."""
    port = programs.free_port()
    server_command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                      "--appendonly", "no", "--enable-debug-command", "yes",
                      "--io-threads", str(random.choice((1, 2))), "--io-threads-do-reads", "yes"]
    load_command = ["redis-benchmark", "-p", str(port), "--dbnum", "1", "-q", "-c", "20", "-r", "3000",
                    "-n", str(2500 * scale), "-d", str(random.choice((3, 200, 2000))),
                    "-t", "set,get,incr,lpush,rpop,sadd,hset,spop,zadd,zpopmin,mset"]
    contents = Contents(random, 1500 * scale)
    code, out = 1, b""
    with open("log", "wb") as log, \
            subprocess.Popen(server_command, env=env, stdout=log, stderr=log) as server:
        try:
            client = connect(server, port)
            work(client, lambda: subprocess.Popen(load_command, env=env, stdout=log, stderr=log),
                 contents, 1000 * scale)
            client.socket.sendall(encode(("SHUTDOWN", "NOSAVE")))
            code = server.wait(HANG_S)
            client.close()
        except (Wrong, OSError) as error:
            out = str(error).encode()
        finally:
            if server.poll() is None:
                server.kill()
    with open("log", "rb") as log:
        text = log.read()
    told = [line for line in text.splitlines(True) if re.search(rb"hakmem|ld\.so|crash|Error", line)]
    return code, out, b"".join(told)
