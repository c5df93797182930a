# SPDX-License-Identifier: MIT
"""Goal: what a workload's loop adds to the allocator is small: less than 3 ns per op.

Method: instructions are counted, since they do not depend on how busy the machine is. With the
pop-a-stack allocator the tightest loop takes at most 24 per op, of which malloc or free itself
are 11 on average. The other 13 take 2.2 ns at 3 GHz and two per cycle, fewer than such a loop
reaches on any machine of today. The floor column of `hakmem bench` shows the time itself.
The allocator itself gets one program that checks what it returns.
"""
import subprocess
import unittest

import lab
from allocators import floor_allocator
from instructions import instructions_per_op
from runner import Pattern

LOOP_MAX = 24
# free(NULL) comes before any malloc. Ends with the number of the check that failed.
CALLS = """
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
int main(void) {
    free(NULL);
    for (size_t size = 1; size < 300000; size += size < 3000 ? 1 : 997) {
        unsigned char *one = malloc(size), *other = malloc(size);
        if (!one || !other || one == other || ((uintptr_t)one | (uintptr_t)other) % 16) return 1;
        memset(one, 1, size);
        memset(other, 2, size);
        if (one[0] != 1 || one[size - 1] != 1) return 2;
        other = realloc(other, 2 * size);
        if (!other || other[0] != 2 || other[size - 1] != 2) return 3;
        free(one);
        free(other);
    }
    for (size_t alignment = 16; alignment <= 4096; alignment *= 2)
        for (size_t size = alignment; size <= 8 * alignment; size += alignment) {
            void *block = aligned_alloc(alignment, size);
            if (!block || (uintptr_t)block % alignment) return 4;
        }
    return 0;
}
"""


class Options:
    programs, threads, scale, timeout = lab.BUILD / "bench", 2, 1.0, 60


class Floor(lab.LabTest):
    def test_what_the_allocator_returns(self):
        floor, = floor_allocator(Options.programs)
        program = self.folder / "calls"
        subprocess.run(["cc", "-O1", "-fno-builtin", "-x", "c", "-", "-o", program], input=CALLS,
                       text=True, check=True)
        done = subprocess.run([program], env=floor.environment(), timeout=lab.HANG_S, check=False)
        self.assertEqual(done.returncode, 0)

    def test_instructions_of_the_loop(self):
        floor, = floor_allocator(Options.programs)
        row = Pattern("tiny", "small", "bench_tiny_hot 64 100 {n}", 350000, floor=True)
        counted = instructions_per_op(row, floor, Options)
        print(f"{counted:.1f} instructions per op with the floor")
        self.assertGreater(counted, 8)
        self.assertLessEqual(counted, LOOP_MAX)


if __name__ == "__main__":
    unittest.main()
