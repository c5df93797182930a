# SPDX-License-Identifier: MIT
"""Goal: the same binary with the same setting is never said to be faster than itself.

Method: 100 real A/A comparisons as `hakmem ab` makes them, on runs of a few milliseconds; at least
95 must be NEUTRAL. Speeds themselves are not looked at.
"""
import unittest

from lab import BUILD, LabTest
from ab import compare_values
from allocators import own_allocator
from runner import Pattern
from stats import NEUTRAL


class Options:
    programs, threads, scale, timeout, runs = BUILD / "bench", 2, 1.0, 60, 10


class SameAgainstSame(LabTest):
    def test_neutral(self):
        row = Pattern("aa", "small", "bench_random_mixed {n} 400 1", 200000)
        sides = [own_allocator(BUILD / "libhakmem.so", name) for name in ("hakmem A", "hakmem B")]
        verdicts = [compare_values(row, sides, Options)[0] for _ in range(100)]
        wrong = [v for v in verdicts if v.verdict != NEUTRAL]
        print(f"{100 - len(wrong)} of 100 A/A comparisons are NEUTRAL")
        self.assertLessEqual(len(wrong), 5, wrong)


if __name__ == "__main__":
    unittest.main()
