# SPDX-License-Identifier: MIT
"""The statistics of the lab: medians, bootstrap intervals, geometric means, A/B verdicts.

Bootstrap: Efron 1979, percentile interval. Signed-rank interval: Hodges and Lehmann 1963, Tukey's
Walsh averages. Everything is deterministic: the resampling has a fixed seed.
"""
import math
import random
from dataclasses import dataclass
from statistics import median

RESAMPLES = 1000
SEED = 1


@dataclass(frozen=True)
class Ratio:
    """A ratio with the interval that holds it with 95 % confidence."""
    ratio: float
    low: float
    high: float

    def __str__(self):
        return f"{self.ratio:.3f} [{self.low:.3f}..{self.high:.3f}]"


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def interval(values, confidence=0.95):
    ordered = sorted(values)
    tail = (1 - confidence) / 2
    return percentile(ordered, tail), percentile(ordered, 1 - tail)


def resampled_ratios(above, below, rng):
    """Ratios of medians over resampled rounds; round i of both was taken side by side, so a round
    is drawn as a whole."""
    rounds = range(len(above))
    ratios = []
    for _ in range(RESAMPLES):
        drawn = rng.choices(rounds, k=len(above))
        ratios.append(median([above[i] for i in drawn]) / median([below[i] for i in drawn]))
    return ratios


def ratio_of_medians(above, below):
    """above, below: positive samples of the same rounds, in the same order."""
    low, high = interval(resampled_ratios(above, below, random.Random(SEED)))
    return Ratio(median(above) / median(below), low, high)


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values))


def mean_of_ratios(pairs):
    """Geometric mean over rows of the ratio of medians; pairs: (above, below) samples per row."""
    rng = random.Random(SEED)
    rows = [resampled_ratios(above, below, rng) for above, below in pairs]
    low, high = interval([geometric_mean(column) for column in zip(*rows)])
    return Ratio(geometric_mean([median(a) / median(b) for a, b in pairs]), low, high)


# ---- A/B ----

GO, NEUTRAL, NO_GO = "GO", "NEUTRAL", "NO-GO"
THRESHOLD = 0.01
# An A/A comparison must be NEUTRAL in more than 95 of 100 cases, so the verdict asks for more
# than the 95 % that are shown.
VERDICT_CONFIDENCE = 0.99


def signed_rank_counts(count):
    """counts[w]: in how many of the 2^count sign patterns the positive ranks sum to w."""
    counts = [1]
    for rank in range(1, count + 1):
        grown = counts + [0] * rank
        for w, ways in enumerate(counts):
            grown[w + rank] += ways
        counts = grown
    return counts


def walsh_averages(values):
    return sorted((values[i] + values[j]) / 2
                  for i in range(len(values)) for j in range(i, len(values)))


def signed_rank_interval(values, confidence):
    """Exact distribution-free interval of the centre of a symmetric distribution."""
    walsh = walsh_averages(values)
    counts, total = signed_rank_counts(len(values)), 2 ** len(values)
    cut, seen = 0, counts[0]
    while seen / total <= (1 - confidence) / 2:
        cut += 1
        seen += counts[cut]
    cut = max(cut - 1, 0)
    return walsh[cut], walsh[-1 - cut]


@dataclass(frozen=True)
class Verdict:
    verdict: str
    change: float  # of B against A, 0.02 is 2 % more
    low: float     # 95 % interval
    high: float


def judge(a, b):
    """Verdict on paired speeds: A and B of the same round ran next to each other."""
    changes = [math.log(after / before) for before, after in zip(a, b)]
    change = math.exp(median(walsh_averages(changes))) - 1  # Hodges-Lehmann estimate
    low, high = signed_rank_interval(changes, 0.95)
    sure_low, sure_high = signed_rank_interval(changes, VERDICT_CONFIDENCE)
    verdict = NEUTRAL
    if change >= THRESHOLD and sure_low > 0:
        verdict = GO
    elif change <= -THRESHOLD and sure_high < 0:
        verdict = NO_GO
    return Verdict(verdict, change, math.exp(low) - 1, math.exp(high) - 1)
