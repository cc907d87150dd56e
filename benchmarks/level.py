"""Do the tests hold their level, and the intervals what they promise? Equal models, often, on few clips and on many.

Two recipes that are equally good by construction: both see the truth of a clip through noise of the same strength. Any
difference that a test finds is a false alarm, of which 5 in 100 are allowed. The kinds:

- clips: each clip by itself, one run of each recipe;
- ties: the second run differs from the first in about 2 of 100 clips;
- two seeds: two runs of each recipe, which share most of their noise;
- 20 groups: clips of 20 persons, some with many and some with few, each of whom one of the recipes suits better;
- one group: all clips of one person, who proves nothing.

Intervals are of WAR and KL of one recipe, and of the difference in KL: how many of 100 hold the true number. The table
is in docs/protocol.md. At the end: what a comparison costs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from results import write_result

from dfer.comparison import compare
from dfer.comparison.paired import TESTED, judge
from dfer.labels import DFEW
from dfer.metrics import Predictions
from dfer.metrics.scores import BY_KEY

Floats = NDArray[np.float64]

SIZES = {20: 400, 50: 400, 200: 400, 1_000: 300, 5_000: 200, 20_000: 100}
"""Clips: how many comparisons."""
KINDS = ("clips", "ties", "two seeds", "20 groups", "one group")
DRAWS, COST_CLIPS = 199, 12_000
HELD = ("war", "kl", "difference in kl")


def run(truth: Floats, votes: Floats, noise: Floats) -> Predictions:
    """What a model says that sees the truth (N, K) through noise (N, K)."""
    seen = truth * np.exp(noise)
    count = len(truth)
    return Predictions(
        np.arange(count), np.zeros(count, np.int64), votes.argmax(axis=1), seen / seen.sum(axis=1, keepdims=True),
        votes, [""] * count, DFEW,
    )  # fmt: skip


def cells(
    kind: str, count: int, draw: np.random.Generator
) -> tuple[list[list[Predictions]], NDArray[np.object_] | None]:
    """Two recipes' runs on new clips, and the person of each clip."""
    truth = draw.dirichlet(np.full(len(DFEW), 0.4), count) + 0.01
    truth /= truth.sum(axis=1, keepdims=True)
    votes = draw.multinomial(10, truth).astype(float)

    def noise() -> Floats:
        return draw.normal(0, 1, truth.shape)

    if kind == "ties":
        first = noise()
        second = np.where(draw.random((count, 1)) < 0.02, noise(), first)
        return [[run(truth, votes, first)], [run(truth, votes, second)]], None
    if kind == "two seeds":
        shared = [noise(), noise()]
        return [[run(truth, votes, 0.9 * part + np.sqrt(0.19) * noise()) for _ in range(2)] for part in shared], None
    if kind == "clips":
        return [[run(truth, votes, noise())], [run(truth, votes, noise())]], None
    person = np.zeros(count, np.int64) if kind == "one group" else (20 * draw.random(count) ** 2).astype(np.int64)
    taste = draw.normal(0, 0.5, 20)[person][:, None]  # of whom it sees more, and of whom less
    groups = np.array([f"p{number}" for number in person], dtype=object)
    return [[run(truth, votes, noise() * np.exp(sign * taste))] for sign in (1, -1)], groups


def true_scores(kind: str) -> dict[str, float]:
    """WAR and KL of a million clips, of 20,000 persons if there are any."""
    draw, parts = np.random.default_rng(1), []
    for _ in range(1_000):
        part, _ = cells(kind, 1_000, draw)
        parts += judge(part, [], draws=1).scores
    return {key: float(np.mean([part[key] for part in parts])) for key in ("war", "kl")}


def outcomes(kind: str, count: int, times: int, truth: dict[str, float]) -> dict[str, Any]:
    """How often tests alarm, and how often intervals hold what is true."""
    draw = np.random.default_rng([count, KINDS.index(kind)])
    alarms, held = [], []
    for number in range(times):
        runs, groups = cells(kind, count, draw)
        found = judge(runs, [(0, 1)], groups=groups, draws=DRAWS, seed=number)
        tests = found.differences[0, 1]
        alarms.append([(tests[key].p or 1.0) < 0.05 for key in TESTED])
        ends = [(found.intervals[0][key], truth[key]) for key in ("war", "kl")] + [(tests["kl"].interval, 0.0)]
        held.append([between is None or between[0] <= value <= between[1] for between, value in ends])
    return {
        "comparisons": times,
        "alarms": dict(zip(TESTED, np.mean(alarms, axis=0).round(4).tolist(), strict=True)),
        "held": dict(zip(HELD, np.mean(held, axis=0).round(4).tolist(), strict=True)),
    }


def table(told: dict[str, Any]) -> Iterator[str]:
    """The numbers as a table in Markdown, in percent."""
    names = [f"{BY_KEY[key].name} alarms" for key in TESTED]
    yield f"| equal recipes, by | clips | {' | '.join(names)} | WAR held | KL held | KL difference held |"
    yield "|---" * (len(names) + 5) + "|"
    for kind, sizes in told.items():
        for count, found in sizes.items():
            numbers = [f"{100 * value:.1f}" for value in (*found["alarms"].values(), *found["held"].values())]
            yield f"| {kind} | {int(count):,} | {' | '.join(numbers)} |"


def seconds_of_a_comparison() -> float:
    """Of the processor: two runs on 12,000 clips, every number of the page."""
    runs, _ = cells("clips", COST_CLIPS, np.random.default_rng(0))
    busy = time.process_time()
    compare({"a": runs[0], "b": runs[1]})
    return round(time.process_time() - busy, 2)


def main() -> None:
    told: dict[str, Any] = {}
    alone, of_persons = true_scores("clips"), true_scores("20 groups")
    for kind in KINDS:
        truth = of_persons if "group" in kind else alone
        times = {count: 40 if kind == "one group" else most for count, most in SIZES.items()}
        told[kind] = {str(count): outcomes(kind, count, most, truth) for count, most in times.items()}
        print("\n".join(table({kind: told[kind]})), flush=True)
    cost = seconds_of_a_comparison()
    print(f"a comparison of two runs on {COST_CLIPS:,} clips: {cost} s of one core")
    write_result("level", {"draws": DRAWS, "level": told, "cost_clips": COST_CLIPS, "cost_cpu_seconds": cost})


if __name__ == "__main__":
    main()
