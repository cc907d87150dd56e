"""How many votes does allocation by need save, at the same distance to the full panel?

Usage: python benchmarks/allocation.py FOLDER, a folder with crema_d/, ferplus/ and raters_faces/ (real votes).

Votes of real people are given out one after the other, once as "every clip the same number" and once as "by need"
(`dfer.labels.allocation`: the next vote goes to the clip whose distribution is known least precisely, under a mixture
of Dirichlets that is learned from the votes so far and learned anew when there are a fifth more; with fewer than twenty
clips, as in raters_faces, nothing is learned). A clip's votes come in a random order, without replacement, as its panel
gave them; that ends when the panel is used up. So it is asked a second time with votes that are drawn with replacement,
as if each panel stood for many more people.

The distance is to the shares of the full panel: the mean over the clips of the total variation (0 to 1), and the
distance that nine clips of ten stay below. The estimate is the same for both: the shares of the votes so far, or the
posterior mean under the prior. A number below 1 says that by need reaches the distance with fewer votes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from results import write_result

from dfer.labels.allocation import ENOUGH, GROWTH, uncertainty
from dfer.labels.dirichlet import Floats, Prior, learn_mixture

CLIPS, SEEDS = 800, 4
FIRST = 2
"""Votes that every clip gets before need is asked for."""
STEP = 0.1
"""Share of the clips that get a vote before need is judged anew."""
EQUAL = {"crema_d": (3, 4, 5, 6, 7), "ferplus": (3, 4, 5, 6, 7), "raters_faces": (3, 5, 10, 20, 40)}
"""Votes on each clip, given equally, whose distance is to be reached."""
MEASURES = ("shares, mean", "shares, 9 of 10", "posterior, mean", "posterior, 9 of 10")


def crema_d(folder: Path, generator: np.random.Generator) -> Floats:
    """Votes on the face alone."""
    table = pd.read_csv(folder / "crema_d" / "processedResults" / "tabulatedVotes.csv")
    table = table[table.iloc[:, 0].astype(str).str.startswith("2")]
    return some(table[list("ADFHNS")].to_numpy(dtype=np.float64), generator)


def ferplus(folder: Path, generator: np.random.Generator) -> Floats:
    """Votes for the eight emotions; those that name none are passed over."""
    table = pd.read_csv(folder / "ferplus" / "fer2013new.csv")
    return some(table.iloc[:, 2:10].to_numpy(dtype=np.float64), generator)


def raters_faces(folder: Path, generator: np.random.Generator) -> Floats:
    """One answer of each of 94 people to each of 14 faces."""
    table = pd.read_csv(folder / "raters_faces" / "answers.csv")
    one = table.iloc[generator.permutation(len(table))].drop_duplicates(["clip", "rater"])
    return np.asarray(pd.crosstab(one["clip"], one["emotion"]).to_numpy(dtype=np.float64))


def some(votes: Floats, generator: np.random.Generator) -> Floats:
    full = votes[votes.sum(axis=1) >= 8]
    return np.asarray(full[generator.choice(len(full), CLIPS, replace=False)])


def given_out(panel: Floats, by_need: bool, again: bool, most: int, generator: np.random.Generator) -> Floats:
    """A row for each step: mean votes a clip, then `MEASURES`."""
    clips, shares = len(panel), panel / panel.sum(axis=1, keepdims=True)
    order = orders(panel, again, 4 * most, generator)
    left = np.array([len(row) for row in order])
    votes, people = np.zeros_like(panel), np.zeros(clips, np.int64)
    prior, learned_from, found = Prior.single(np.ones(panel.shape[1])), 0.0, []
    chosen = np.arange(clips)
    while votes.sum() < clips * most and len(chosen):
        for clip in chosen:
            votes[clip, order[clip][people[clip]]] += 1
        people[chosen] += 1
        if (people >= FIRST).all():
            if clips >= ENOUGH and votes.sum() >= GROWTH * learned_from:  # as `Board` does
                prior, learned_from = learn_mixture(votes, 2 * panel.shape[1]), votes.sum()
            found.append([votes.sum() / clips, *distances(votes, prior, shares)])
        need = uncertainty(votes, prior) if by_need and (people >= FIRST).all() else -people + generator.random(clips)
        need[people >= left] = -np.inf
        best = np.argsort(-need, kind="stable")[: max(1, round(STEP * clips))]
        chosen = best[need[best] > -np.inf]
    return np.array(found)


def orders(panel: Floats, again: bool, longest: int, generator: np.random.Generator) -> list[Any]:
    """The votes on each clip in the order in which they come."""
    if again:
        return [generator.choice(len(row), longest, p=row / row.sum()) for row in panel]
    return [generator.permutation(np.repeat(np.arange(len(row)), row.astype(int))) for row in panel]


def distances(votes: Floats, prior: Prior, shares: Floats) -> list[float]:
    estimates = votes / votes.sum(axis=1, keepdims=True), prior.mean(votes)
    apart = [np.abs(estimate - shares).sum(axis=1) / 2 for estimate in estimates]
    return [value for each in apart for value in (float(each.mean()), float(np.quantile(each, 0.9)))]


def saved(equal: Floats, need: Floats, votes: int) -> list[float]:
    """For each measure: votes by need over votes given equally, at the distance that the latter reach; NaN: never."""
    found = []
    for column in range(1, len(MEASURES) + 1):
        wanted = np.interp(votes, equal[:, 0], equal[:, column])
        falling = np.minimum.accumulate(need[:, column])  # the first time that it is reached
        reached = np.interp(-wanted, -falling, need[:, 0], left=np.nan, right=np.nan)
        found.append(float(reached / votes))
    return found


def main() -> None:
    folder, found = Path(sys.argv[1]), {}
    readers: dict[str, Callable[[Path, np.random.Generator], Floats]] = {
        "crema_d": crema_d, "ferplus": ferplus, "raters_faces": raters_faces,
    }  # fmt: skip
    for name, reader in readers.items():
        for again in (False, True):
            most = round(1.3 * EQUAL[name][-1])
            rows = []
            for seed in range(SEEDS):
                panel = reader(folder, np.random.default_rng([seed, 0]))
                runs = [
                    given_out(panel, by_need, again, most, np.random.default_rng([seed, 1]))
                    for by_need in (False, True)
                ]
                rows.append([saved(*runs, votes) for votes in EQUAL[name]])
            ratios = np.array(rows)
            key = f"{name}, {'drawn again' if again else 'as they are'}"
            found[key] = table(ratios, EQUAL[name])
            print(key, {votes: row["shares, mean"] for votes, row in found[key].items()}, flush=True)
    write_result("allocation", {"clips": CLIPS, "seeds": SEEDS, "ratios": found})


def table(ratios: Floats, equal: tuple[int, ...]) -> dict[str, Any]:
    """Votes -> measure -> mean ratio and standard error over the seeds."""
    error = ratios.std(axis=0, ddof=1) / np.sqrt(len(ratios))
    return {
        str(votes): {
            measure: None if np.isnan(mean) else [round(float(mean), 3), round(float(se), 3)]
            for measure, mean, se in zip(MEASURES, ratios.mean(axis=0)[row], error[row], strict=True)
        }
        for row, votes in enumerate(equal)
    }


if __name__ == "__main__":
    main()
