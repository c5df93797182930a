#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Goal: no damaged ELF file crashes `hakmem doctor`. Method: damages copies of a program at
random, mostly in its headers and tables, and demands that doctor ends with 0 or 1.

usage: mutate.py COMMAND LIBRARY PROGRAM WORKDIR SEED COUNT
"""
import os
import random
import struct
import subprocess
import sys

NASTY = [0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, (1 << 64) - 1]


def interesting(data):
    """Offsets in the ELF header, program headers, section headers and dynamic section."""
    e_phoff, e_shoff = struct.unpack_from("<QQ", data, 32)
    e_phnum, _, e_shnum = struct.unpack_from("<HHH", data, 56)
    spans = [(0, 64), (e_phoff, 56 * e_phnum), (e_shoff, 64 * e_shnum)]
    for i in range(e_phnum):
        p_type, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", data, e_phoff + 56 * i)
        if p_type in (2, 3):
            spans.append((offset, size))
    return spans


def damage(rng, original, spans):
    data = bytearray(original)
    for _ in range(rng.randint(1, 4)):
        start, size = rng.choice(spans)
        at = start + rng.randrange(size)
        if rng.random() < 0.5:
            data[at] = rng.randrange(256)
        else:
            width = rng.choice([2, 4, 8])
            at -= (at - start) % width
            value = rng.choice(NASTY) & ((1 << (8 * width)) - 1)
            data[at:at + width] = value.to_bytes(width, "little")
    if rng.random() < 0.2:
        del data[rng.randrange(len(data)):]
    return data


def main():
    command, library, program, workdir, seed, count = sys.argv[1:]
    rng = random.Random(int(seed))
    with open(program, "rb") as file:
        original = file.read()
    spans = interesting(original)
    path = os.path.join(workdir, "damaged")
    codes = {0: 0, 1: 0}
    for number in range(int(count)):
        with open(path, "wb") as file:
            file.write(damage(rng, original, spans))
        os.chmod(path, 0o755)
        result = subprocess.run([command, "doctor", "--lib", library, "--", path],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode not in codes:
            print(f"seed {seed}, file {number} (kept as {path}): exit {result.returncode}")
            print(result.stdout.decode(errors="replace"))
            return 1
        codes[result.returncode] += 1
    print(f"seed {seed}: {codes[0]} accepted, {codes[1]} refused")
    # A method that damages nothing, or everything, would test nothing.
    return 0 if min(codes.values()) > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
