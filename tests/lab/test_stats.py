# SPDX-License-Identifier: MIT
"""Goal: the lab's statistics say what they claim.

Method: known values by hand, and simulated measurements with a fixed seed: A/A comparisons under
small and large noise must be NEUTRAL in at least 95 of 100, real effects must be found, and the
95 % intervals must hold the true ratio about that often.
"""
import random
import unittest

import lab  # noqa: F401 (finds the modules below)
import stats


def noisy(rng, level, noise, count, outliers):
    """Positive samples, a share of them at half speed, as a shared machine gives them."""
    return [level * rng.lognormvariate(0, noise) * (0.5 if rng.random() < outliers else 1)
            for _ in range(count)]


class Verdicts(unittest.TestCase):
    def count(self, effect, noise, outliers=0.05, times=400, runs=10):
        rng = random.Random(7)
        verdicts = [stats.judge(noisy(rng, 1, noise, runs, outliers),
                                noisy(rng, 1 + effect, noise, runs, outliers))
                    for _ in range(times)]
        return {kind: sum(v.verdict == kind for v in verdicts) / times
                for kind in (stats.GO, stats.NEUTRAL, stats.NO_GO)}

    def test_no_effect_is_neutral(self):
        for noise in (0.002, 0.02, 0.2):
            with self.subTest(noise=noise):
                self.assertGreaterEqual(self.count(0, noise)[stats.NEUTRAL], 0.95)

    def test_an_effect_is_found_in_its_direction(self):
        self.assertGreaterEqual(self.count(0.05, 0.01, 0.01)[stats.GO], 0.8)
        self.assertGreaterEqual(self.count(-0.05, 0.01, 0.01)[stats.NO_GO], 0.8)

    def test_a_sure_effect_below_one_percent_is_neutral(self):
        verdict = stats.judge([1.0] * 10, [1.005] * 10)
        self.assertEqual(verdict.verdict, stats.NEUTRAL)
        self.assertAlmostEqual(verdict.change, 0.005)

    def test_signed_rank_interval_of_ten(self):
        # Tables of the signed-rank test: n = 10, two-sided 5 %: critical value 8; 1 %: 3.
        walsh = sorted((i + j) / 2 for i in range(10) for j in range(i, 10))
        self.assertEqual(stats.signed_rank_interval(list(range(10)), 0.95), (walsh[8], walsh[-9]))
        self.assertEqual(stats.signed_rank_interval(list(range(10)), 0.99), (walsh[3], walsh[-4]))


class Ratios(unittest.TestCase):
    def test_ratio_of_medians(self):
        found = stats.ratio_of_medians([2, 4, 6, 8, 10], [1, 2, 3, 4, 5])
        self.assertEqual(found.ratio, 2)
        self.assertLessEqual(found.low, found.ratio)
        self.assertGreaterEqual(found.high, found.ratio)

    def test_equal_samples_have_no_spread(self):
        found = stats.ratio_of_medians([3.0] * 5, [2.0] * 5)
        self.assertEqual((found.low, found.ratio, found.high), (1.5, 1.5, 1.5))

    def test_the_interval_holds_the_truth(self):
        """Five rounds are few: the percentile bootstrap is known to be a little too narrow."""
        rng = random.Random(3)
        held = 0
        for _ in range(200):
            found = stats.ratio_of_medians([1.1 * rng.lognormvariate(0, 0.03) for _ in range(5)],
                                           [rng.lognormvariate(0, 0.03) for _ in range(5)])
            held += found.low <= 1.1 <= found.high
        self.assertGreaterEqual(held / 200, 0.85)

    def test_geometric_mean(self):
        self.assertAlmostEqual(stats.geometric_mean([1, 4, 16]), 4)
        mean = stats.mean_of_ratios([([2] * 5, [1] * 5), ([8] * 5, [1] * 5)])
        self.assertAlmostEqual(mean.ratio, 4)
        self.assertAlmostEqual(mean.low, 4)


if __name__ == "__main__":
    unittest.main()
