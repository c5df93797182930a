#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the seeds of the corpus that were thought up, corpus/*/seed-*; the others were found.

To be run again when the meaning of an input changes (fuzz_api.c, fuzz_machine.c). What mutation would
hardly come upon is here: calls that build a state, whole ELF files, what kernels write.
"""
import random
import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"

# ---- the interface: the first place of each operation in the table of fuzz_api.c, and its sizes ----

(MALLOC, CALLOC, REALLOC, ARRAY, ALIGNED, PAGES, FREE, MANY, FREE_MANY, GROW, CHECK, GOOD, FOREIGN,
 PURGE, FAILS, TIME, TURN, END) = (0, 2, 4, 7, 8, 10, 11, 14, 17, 20, 22, 23, 24, 25, 26, 27, 28, 31)
SHIFTS = [0, 0, 0, 0, 4, 5, 6, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15, 16, 16,
          17, 18, 20, 21]


def op(kind, slot=0, a=0, b=0, c=0):
    return bytes([kind << 3 | slot >> 8 & 1, slot & 255, a & 255, b & 255, c & 255])


def sized(kind, slot, size, c=0):
    """An operation with the nearest size that can be said; a calloc of one element."""
    c = c or (4 if kind == CALLOC else 0)
    if size < 256:
        return op(kind, slot, 0, size, c)
    said = [(abs((8 + eighths << shift >> 3) + fine - 16 - size), scale << 3 | eighths, fine)
            for scale, shift in enumerate(SHIFTS) if scale > 3
            for eighths in range(8) for fine in range(32)]
    _, a, b = min(said)
    return op(kind, slot, a, b, c)


def many(slot, count, size):
    return b"".join(sized(MANY, slot + i, size, min(32, count - i) - 1) for i in range(0, count, 32))


def free_many(slot, count, step=1):
    return b"".join(op(FREE_MANY, slot + i * step & 511, 0, 0, (step - 1) * 32 + min(32, count - i) - 1)
                    for i in range(0, count, 32))


def turn(thread):
    return op(TURN, a=thread if thread < 3 else 224 + (thread - 224) % 7)


def end(then, rounds=0):
    c = next(c for c in range(256) if c % 5 == rounds and (c % 3 if c < 224 else c % 7) == then)
    return op(END, 0, 40, 0, c)


def api_seeds():
    rng = random.Random(1)
    for size in (16, 100, 1000, 2000, 9000, 30000, 65536):
        yield f"hand-over-{size}", (many(0, 96, size) + turn(1) + free_many(0, 96) +
                                    many(0, 64, size) + turn(0) + free_many(0, 64) + many(0, 40, size))
    for size in (1000, 2000, 20000):
        yield f"adopt-{size}", (many(0, 160, size) + free_many(1, 53, 3) + free_many(2, 53, 3) +
                                op(CHECK) + many(300, 8, size) + turn(1) + many(200, 64, size) +
                                turn(2) + free_many(0, 200) + many(0, 100, size) + op(PURGE) + turn(0) +
                                free_many(0, 300) + op(PURGE))
    yield "ends", b"".join(turn(t) + many(t * 30, 30, 700) + free_many(t * 20, 10) + end((t + 1) % 3, t)
                           for t in (0, 1, 2, 0, 1, 2)) + op(PURGE) + many(200, 30, 700)
    yield "crowd", b"".join(turn(t) + many(t * 20, 20, 1500 + t) for t in range(7)) + b"".join(
        turn(t) + free_many((t * 20 + 37) % 140, 15) + many(200 + t, 9, 1500) for t in range(7)) + \
        b"".join(turn(t) + end((t + 1) % 3, 4) for t in range(3))
    yield "grow", b"".join(sized(MALLOC, i, size) + op(GROW, i, 9, 3, 3) + sized(MALLOC, 100 + i, 70000) +
                           op(GROW, i, 8, 0, 3) + sized(REALLOC, i, size // 2, 1)
                           for i, size in enumerate((40, 1100, 9000, 70000, 300000, 1500000)))
    yield "moves", b"".join(sized(MALLOC, i, 1200000) + sized(MALLOC, 50 + i, 300000) +
                            op(GROW, i, 8, 1, 1) + op(FREE, i) for i in range(8)) + op(CHECK)
    yield "moves-clear", b"".join(sized(MALLOC, 0, (n << 17) + n % 2) + sized(MALLOC, 1, 300000) +
                                  sized(REALLOC, 0, (n - 1 << 17) + 9, 1) + op(CHECK) +
                                  sized(REALLOC, 0, 3000000, 1) + sized(CALLOC, 2, n << 17) +
                                  free_many(0, 3) for n in (10, 11, 13, 15))
    # The run right after the one that moved away holds old data; it is far too short to grow into.
    yield "moves-beside", b"".join(sized(MALLOC, 0, 2 << 20) + sized(MALLOC, 1, 128 << 10) +
                                   sized(MALLOC, 2, 300000) + op(FREE, 1) + sized(REALLOC, 0, size, 1) +
                                   sized(CALLOC, 1, (2 << 20) + 15) + free_many(0, 3)
                                   for size in (3000000, 3500000))
    yield "clear", b"".join(many(0, 4, size) + free_many(0, 4) + sized(CALLOC, 9, size) + op(TIME, 0, 9) +
                            sized(CALLOC, 8, size + 5000) + op(PURGE) + sized(CALLOC, 7, size) +
                            free_many(0, 10) for size in (100, 3000, 66000, 200000, 700000))
    yield "aligned", b"".join(sized(ALIGNED, i * 3 + k, size, c) for k in range(3)
                              for i, (size, c) in enumerate((rng.choice((10, 100, 3000, 70000)), c)
                                                            for c in range(17))) + op(CHECK)
    yield "pages", b"".join(sized(PAGES, i, size, i) for i, size in enumerate((0, 1, 4096, 9000, 80000)))
    yield "huge", b"".join(op(kind, i, 248 + which, 7 * i, 1) for which in range(8)
                           for i, kind in enumerate((MALLOC, CALLOC, REALLOC, ARRAY, ALIGNED, PAGES, GOOD)))
    for every in (0, 1, 3):
        yield f"fails-{every}", (many(0, 20, 900) + sized(MALLOC, 30, 1500000) + op(FAILS, 0, 1, every) +
                                 many(50, 20, 3000) + turn(1) + many(80, 20, 900) + op(GROW, 30, 9, 0, 1) +
                                 free_many(0, 20) + sized(CALLOC, 9, 200000) + op(PURGE) +
                                 op(FAILS) + many(100, 20, 900) + turn(0) + sized(REALLOC, 30, 3000000, 1))
    # A thread takes over a heap in use and then finds nothing for its first block.
    yield "full", (many(0, 90, 700) + b"".join(sized(MALLOC, 100 + i, size)
                                               for i, size in enumerate((3000, 5000, 9000))) + end(1) +
                   b"".join(op(MALLOC, 110 + n, 251, n) for n in range(33, 16, -1)) +
                   sized(MALLOC, 200, 20000))
    yield "foreign", b"".join(op(FOREIGN, 0, 0, 9 * i, i) for i in range(5))
    for i in range(6):
        yield f"mixture-{i}", b"".join(
            sized(rng.choice((MALLOC, CALLOC, REALLOC, REALLOC, MANY, FREE_MANY, FREE, GROW, ALIGNED)),
                  rng.randrange(120), rng.choice((8, 60, 500, 2050, 5000, 40000)), rng.randrange(64)) +
            (turn(rng.randrange(3)) if rng.random() < 0.2 else b"") for _ in range(90))


def api():
    for number, (name, ops) in enumerate(api_seeds()):
        yield name, b"\0\0" + ops
        if number % 3 == 0:  # also with other lists, and with every n-th fast path missed
            yield f"{name}-slow", bytes([192 + number % 3, 193 + number % 7]) + ops


# ---- settings ----

def settings():
    for number, entries in enumerate((
            ["HAKMEM_FLAG=1", "HAKMEM_NUMBER=12", "HAKMEM_WIDE=99", "PATH=/bin"],
            ["HAKMEM_BYTES=64KiB", "HAKMEM_COLOUR=bluegreen", "HAKMEM_VERBOSE=1", "HAKMEM_HELP=1"],
            ["HAKMEM_BYTES=1G", "HAKMEM_BYTES=5M", "HAKMEM_BYTES=?7", "HAKMEM_BYTES=2GiB"],
            ["HAKMEM_WIDE=18446744073709551609", "HAKMEM_WIDE=18446744073709551610"],
            ["HAKMEM_COLOUR=blue", "HAKMEM_NUMBER=", "HAKMEM_FLAG", "HAKMEM_=1", "HAKMEM_flag=1"],
            ["HAKMEM_BYTES=17179869185G", "HAKMEM_BYTES=17179869184G"],
            ["HAKMEM_" + "Y" * 1200, "HAKMEM_COLOUR=" + "z" * 1100],
            ["HAKMEM_COLUR=red", "HAKMEM_NUMBR=?5", "HAKMEM_" + "X" * 60 + "=1"],
            ["HAKMEM_FLAG=1", "HAKMEM_FLAG=2"])):
        yield str(number), "\0".join(entries).encode()


# ---- programs: scripts, and ELF files put together from their parts ----

def string_table(names):
    """The table, and where each name lies in it."""
    table, at = b"\0", {}
    for name in names:
        at.setdefault(name, len(table))
        table += name + b"\0"
    return table, at


def elf(machine=62, kind=3, interpreter=b"/lib64/ld-linux-x86-64.so.2", needed=(b"libc.so.6",), soname=None,
        symbols=(b"main",), flags=0):
    """Header, four segments, the parts that they name, three sections."""
    strings, at = string_table((*needed, *symbols, *([soname] if soname else [])))
    table = bytes(24) + b"".join(struct.pack("<IBBHQQ", at[s], 18, 0, 1, 0x200, 8) for s in symbols)
    at_interpreter = 64 + 4 * 56
    at_strings = at_interpreter + len(interpreter) + 1
    at_table = at_strings + len(strings)
    at_dynamic = at_table + len(table)
    entries = [(1, at[name]) for name in needed] + ([(14, at[soname])] if soname else [])
    entries += [(5, at_strings), (10, len(strings)), (0x6ffffffb, flags), (0, 0)]
    dynamic = b"".join(struct.pack("<QQ", *entry) for entry in entries)
    end = at_dynamic + len(dynamic)
    head = b"\x7fELF\2\1\1" + bytes(9)
    head += struct.pack("<HHIQQQ", kind, machine, 1, 0x100, 64, end)
    head += struct.pack("<IHHHHHH", 0, 64, 56, 4, 64, 3, 0)
    for segment, where, size in ((1, 0, end), (3 if interpreter else 4, at_interpreter, len(interpreter) + 1),
                                 (2, at_dynamic, len(dynamic)), (0x6474e551, 0, 0)):
        head += struct.pack("<IIQQQQQQ", segment, 5, where, where, where, size, size, 8)
    sections = bytes(64)
    for section, where, size, link in ((11, at_table, len(table), 2), (3, at_strings, len(strings), 0)):
        sections += struct.pack("<IIQQQQIIQQ", 0, section, 0, 0, where, size, link, 0, 8, 24)
    return head + interpreter + b"\0" + strings + table + dynamic + sections


def program():
    yield "dynamic", elf()
    yield "symtab", elf().replace(struct.pack("<II", 0, 11), struct.pack("<II", 0, 2))
    yield "library", elf(interpreter=b"", soname=b"libx.so.1", symbols=(b"malloc", b"free"))
    yield "jemalloc", elf(needed=(b"libjemalloc.so.2", b"libc.so.6"), symbols=(b"mallocx", b"malloc"))
    yield "asan", elf(needed=(b"libasan.so.8",), symbols=(b"__asan_init",))
    yield "musl", elf(interpreter=b"/lib/ld-musl-x86_64.so.1", needed=(b"libc.musl-x86_64.so.1",))
    yield "static", elf(kind=2, interpreter=b"", needed=())
    yield "static-pie", elf(interpreter=b"", needed=(), flags=0x08000000)
    yield "loader", elf(interpreter=b"", needed=(), soname=b"ld-linux.so.2")
    yield "object", elf(kind=1, interpreter=b"")
    yield "arm", elf(machine=183)
    longest = elf(interpreter=b"/" + b"i" * 4094)
    yield "longest-interpreter", longest
    yield "endless-interpreter", longest.replace(b"ii\0", b"iii")
    yield "many-libraries", elf(needed=(b"libc.so.6",) * 260)
    yield "foreign", b"\x7fELF\1\2\1" + bytes(9) + struct.pack(">HH", 2, 8) + bytes(40)
    yield "cut", elf()[:300]
    yield "script", b"#!/bin/sh\necho\n"
    yield "env", b"#!/usr/bin/env -S A=1 python3 -x\0\n"
    yield "blanks", b"#! \t /nonexistent/x  y \n\0"
    yield "nameless", b"#!\n\0"
    yield "text", b"echo hello\n"


# ---- the machine: the files in the order of fuzz_machine.c ----

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"
V1 = ("31 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
      "32 23 0:28 /docker/1 /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n")
INFO = "MemTotal: 8 kB\nCommitLimit:  4194304 kB\nCommitted_AS:  123 kB\n"
THP = "always [madvise] never\n"


def machine():
    for number, (flag, *files) in enumerate((
            (1, "0::/user.slice/a.scope\n", V2, "1073741824\n", "", "150000 100000\n", "", "", INFO, "2\n",
             "65530\n", THP, "6.1.0-18-amd64"),
            (0, "0::/\n", V2, "max\n", "", "max 100000\n", "", "", INFO, "0\n", "200\n",
             "[always] madvise never\n", "4.4.0"),
            (1, "5:memory:/x\n4:cpu,cpuacct:/docker/1/y\n0::/\n", V1 + V2, "max", "9223372036854771712\n", "",
             "50000\n", "100000\n", INFO, "1\n", "1000\n", "always madvise [never]\n", "5.10.0"),
            (1, "0::/" + "g" * 4200 + "\n", f"30 23 0:26 / /{'m' * 4200} - cgroup2 {'s' * 600} rw\n" + V2,
             "1" * 200, "", "1 " * 100),
            (1, "4:cpu:/docker\n5:memory:" + "/a" * 70, V1, "", "4096\n", "", "-1\n", "100000\n"),
            (0, ":::\n::\n\n", " - \n - cgroup2 x y\n", "x", "-1", "nan inf", "1e308", "1e-308", "\n", "\n",
             "-1", "", ""))):
        yield str(number), bytes([flag]) + "\0".join(files).encode()


def main():
    for target in (api, settings, program, machine):
        folder = CORPUS / target.__name__
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("seed-*"):
            old.unlink()
        for name, data in target():
            (folder / f"seed-{name}").write_bytes(data)


if __name__ == "__main__":
    main()
