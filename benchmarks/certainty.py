"""What does certainty cost? 10,000 paired bootstraps of two runs against the plain loop over the same scores.

The bound to hold: all metrics of both runs and 10,000 paired bootstraps of 12,000 clips and 7 emotions within 5 s. The
loop draws clips and calls the metrics on what it drew, which is what one would write first; it is timed for some draws
and extrapolated. Both give the same scores of the same draws (tests/evaluation/test_significance.py).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from results import write_result

from dfer.evaluation import Predictions, compare, ece, kl_divergence, score, uar, war
from dfer.evaluation.significance import bootstrap
from dfer.evaluation.sums import contributions, scores_of_sums
from dfer.labels import DFEW

CLIPS, DRAWS, LOOPED, ROUNDS = 12_000, 10_000, 20, 5


def run(seed: int) -> Predictions:
    """Ten votes a clip that do not depend on the seed, and noisy probabilities that do."""
    people, model = np.random.default_rng(0), np.random.default_rng(seed)
    truth = people.dirichlet(np.full(len(DFEW), 0.3), CLIPS) + 0.01
    truth /= truth.sum(axis=1, keepdims=True)
    votes = people.multinomial(10, truth).astype(float)
    noisy = truth * np.exp(model.normal(0, 1, truth.shape))
    return Predictions(
        ids=np.arange(CLIPS), fold=np.arange(CLIPS) % 5 + 1,
        labels=np.where(votes.max(axis=1) > 5, votes.argmax(axis=1), -1),
        probs=noisy / noisy.sum(axis=1, keepdims=True), votes=votes, frames=[""] * CLIPS, emotions=DFEW,
    )  # fmt: skip


def looped(runs: list[Predictions]) -> None:
    """WAR, UAR, KL and ECE of `LOOPED` draws of clips, run by run."""
    generator = np.random.default_rng(0)
    for _ in range(LOOPED):
        rows = generator.integers(0, CLIPS, CLIPS)
        labelled = rows[runs[0].labelled[rows]]
        for one in runs:
            judged = one.probs[labelled], one.labels[labelled]
            war(*judged), uar(*judged), ece(*judged), kl_divergence(one.probs[rows], one.shares[rows]).mean()


def sampled(runs: list[Predictions]) -> None:
    """The same scores, and some more, of `DRAWS` draws, by sums."""
    table = contributions(runs)
    scores_of_sums(bootstrap(table.table, np.random.default_rng(0), draws=DRAWS), table)


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Of the clock, and of the processor: other programs run on this machine, too."""
    begin, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begin, time.process_time() - busy


def main() -> None:
    runs = [run(1), run(2)]
    candidates: dict[str, tuple[Callable[[], object], int]] = {
        "a loop over the metrics (extrapolated)": (lambda: looped(runs), DRAWS // LOOPED),
        "paired bootstrap by sums": (lambda: sampled(runs), 1),
        "all metrics of both runs": (lambda: [score(one) for one in runs], 1),
        "dfer compare: all of it, but reading": (lambda: compare({"a": runs[:1], "b": runs[1:]}, draws=DRAWS), 1),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    for _ in range(ROUNDS):
        for name, (work, times_as_many) in candidates.items():
            clock, busy = seconds(work)
            times[name].append((clock * times_as_many, busy * times_as_many))
    clock = {name: statistics.median(pair[0] for pair in values) for name, values in times.items()}
    busy = {name: statistics.median(pair[1] for pair in values) for name, values in times.items()}
    base = busy["paired bootstrap by sums"]
    print(f"{'':42}{'s':>9}{'cpu s':>9}{'x sums':>9}")
    for name in candidates:
        print(f"{name:42}{clock[name]:9.2f}{busy[name]:9.2f}{busy[name] / base:9.1f}")
    write_result(
        "certainty",
        {
            "clips": CLIPS, "emotions": len(DFEW), "draws": DRAWS, "looped_draws": LOOPED, "numpy": np.__version__,
            "seconds": {name: round(value, 2) for name, value in clock.items()},
            "cpu_seconds": {name: round(value, 2) for name, value in busy.items()},
            "cpu_ratio_to_sums": {name: round(value / base, 1) for name, value in busy.items()},
        },
    )  # fmt: skip


if __name__ == "__main__":
    main()
