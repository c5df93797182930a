# SPDX-License-Identifier: MIT
"""Goal: what a workload's loop adds to the allocator is small: less than 3 ns per op.

Method: instructions are counted, since they do not depend on how busy the machine is. With the
pop-a-stack allocator the tightest loop takes at most 24 per op, of which malloc or free itself
are 11 on average. The other 13 take 2.2 ns at 3 GHz and two per cycle, fewer than such a loop
reaches on any machine of today. The floor column of `hakmem bench` shows the time itself.
"""
import unittest

import lab
from allocators import floor_allocator
from instructions import instructions_per_op
from runner import Pattern

LOOP_MAX = 24


class Options:
    programs, threads, scale, timeout = lab.BUILD / "bench", 2, 1.0, 60


class Floor(unittest.TestCase):
    def test_instructions_of_the_loop(self):
        floor, = floor_allocator(Options.programs)
        row = Pattern("tiny", "small", "bench_tiny_hot 64 100 {n}", 350000, floor=True)
        counted = instructions_per_op(row, floor, Options)
        print(f"{counted:.1f} instructions per op with the floor")
        self.assertGreater(counted, 8)
        self.assertLessEqual(counted, LOOP_MAX)


if __name__ == "__main__":
    unittest.main()
