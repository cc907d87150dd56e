"""How many validation clips does it take? What is fitted after training, on so many clips, beside what is right.

Made-up networks of seven emotions whose right answer is known: what they say is the truth p to the power T (too sure if
T > 1), and each clip gets a label, or ten votes, drawn from p. Fitted on n clips, and judged on others:

- temperature: the factor by which 95 of 100 fitted ones miss T at most;
- vector scaling: by how many nats its cross-entropy is above that of the truth, on average;
- τ of logit adjustment: how many points of UAR are lost against the best τ, on average;
- the reject rule for 10 % wrong answers: how many are wrong of those that it answers, in 95 of 100 fits at most.

The bounds below give the numbers that `dfer.metrics` asks for (`FEWEST_*`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from results import write_result

from dfer.comparison import adjust
from dfer.comparison.remedies import TAUS, best_tau
from dfer.metrics import uar
from dfer.metrics.calibration import best_temperature, best_vector_scaling
from dfer.metrics.selective import fit_threshold

Floats = NDArray[np.float64]

SIZES = (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
FITS, FRESH, VOTES, SURE = 400, 4000, 10, 1.5
SHARES = np.array([0.25, 0.2, 0.2, 0.15, 0.1, 0.05, 0.05])
WITHIN = {"temperature": 1.33, "vector": 0.05, "tau": 0.02, "reject": 0.25}
"""The largest number of each column with which a fit is taken to be of use."""


def truths(count: int, generator: np.random.Generator) -> Floats:
    """What people say of faces in the long run, (count, 7)."""
    p = generator.dirichlet(3 * SHARES, count) + 0.01
    return np.asarray(p / p.sum(axis=1, keepdims=True))


def labels_of(p: Floats, generator: np.random.Generator) -> NDArray[np.int64]:
    return (generator.random((len(p), 1)) > p.cumsum(axis=1)).sum(axis=1).clip(max=p.shape[1] - 1)


def missed(count: int, generator: np.random.Generator, *, votes: bool) -> float:
    """The factor by which a fitted temperature misses."""
    p = truths(count, generator)
    targets = generator.multinomial(VOTES, p) / VOTES if votes else np.eye(p.shape[1])[labels_of(p, generator)]
    return float(np.exp(abs(np.log(best_temperature(SURE * np.log(p), targets) / SURE))))


def excess(count: int, generator: np.random.Generator) -> float:
    """Nats that vector scaling is above the truth."""
    p, fresh = truths(count, generator), truths(FRESH, generator)
    found = best_vector_scaling(SURE * np.log(p), np.eye(p.shape[1])[labels_of(p, generator)])
    return float((fresh * np.log(fresh / found.apply(SURE * np.log(fresh)).clip(1e-12))).sum(axis=1).mean())


def lost_uar(count: int, generator: np.random.Generator) -> float:
    """UAR of the best τ less that of the chosen one."""
    p, fresh = truths(count, generator), truths(FRESH, generator)
    tau = best_tau(p, labels_of(p, generator), SHARES)
    answers = labels_of(fresh, generator)
    reached = {float(each): uar(adjust(fresh, SHARES, each), answers) for each in TAUS}
    return max(reached.values()) - reached[tau]


def wrong(count: int, generator: np.random.Generator) -> float:
    """The share of wrong answers among those that the reject rule gives; of none, 0."""
    p, fresh = truths(count, generator), truths(FRESH, generator)
    least = fit_threshold(p.max(axis=1), p.argmax(axis=1) != labels_of(p, generator), risk=0.1)
    kept = fresh[fresh.max(axis=1) >= least]
    return float(1 - kept.max(axis=1).mean()) if len(kept) else 0.0


def smallest(row: dict[str, float], bound: float) -> int | None:
    """The fewest clips from which on the column keeps its bound."""
    kept = [size for size in SIZES if all(row[str(more)] <= bound for more in SIZES if more >= size)]
    return min(kept, default=None)


def main() -> None:
    columns: dict[str, tuple[Callable[[int, np.random.Generator], float], Callable[[list[float]], float]]] = {
        "temperature, labels": (lambda n, g: missed(n, g, votes=False), lambda found: float(np.quantile(found, 0.95))),
        "temperature, votes": (lambda n, g: missed(n, g, votes=True), lambda found: float(np.quantile(found, 0.95))),
        "vector": (excess, lambda found: float(np.mean(found))),
        "tau": (lost_uar, lambda found: float(np.mean(found))),
        "reject": (wrong, lambda found: float(np.quantile(found, 0.95))),
    }
    print(f"{'clips':>6}" + "".join(f"{name:>22}" for name in columns))
    table: dict[str, dict[str, float]] = {name: {} for name in columns}
    for size in SIZES:
        for name, (once, summary) in columns.items():
            fits = FITS if name.startswith("temperature") else FITS // 4
            generator = np.random.default_rng(size)
            table[name][str(size)] = round(summary([once(size, generator) for _ in range(fits)]), 4)
        print(f"{size:6}" + "".join(f"{table[name][str(size)]:22.3f}" for name in columns))
    enough = {name: smallest(row, WITHIN[name.split(",")[0]]) for name, row in table.items()}
    print(f"{'enough':>6}" + "".join(f"{enough[name] or '-':>22}" for name in columns))
    write_result("temperature", {"fits": FITS, "table": table, "within": WITHIN, "enough": enough})


if __name__ == "__main__":
    main()
