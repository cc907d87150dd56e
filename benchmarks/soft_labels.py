"""Which soft label is closest to what people would say in the long run?

1. On the made-up set, whose long-run distributions are known: every rule and every rater model against the truth.
2. On votes alone: half of each clip's voters, drawn without putting back, make the soft label, the others judge it
   (made-up set, CREMA-D's faces, FER+; the mean over five draws, and their standard deviation).

KL is KL(truth or held-out shares || soft label) in nats, with soft labels from 1e-12 up: a rule that gives an emotion
nothing pays 27.6 nats for each share that it gets. JS is finite by itself. What is learned is learned from the votes
that make the soft labels, never from those that judge. The KL of part 2 has a floor above 0: five voters differ.

    python benchmarks/soft_labels.py FOLDER

FOLDER holds sim_dfew/, crema_d/ and ferplus/ as their sources give them; what is absent is passed over.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from results import write_result

from dfer.labels import DFEW, FERPLUS, soft_labels
from dfer.labels.annotators import MODELS, consensus
from dfer.labels.answers import Answers
from dfer.metrics.functional import js_divergence, kl_divergence

Floats = NDArray[np.float64]

RULES: dict[str, tuple[str, dict[str, Any]]] = {
    "frequency": ("frequency", {}),
    "hard": ("hard", {"ties": "first"}),
    "smooth .1": ("smooth", {"epsilon": 0.1, "ties": "first"}),
    "softmax of counts": ("softmax", {}),
    "softmax of shares": ("softmax", {"of": "frequency"}),
    "dirichlet uniform, strength 1": ("dirichlet", {}),
    "dirichlet uniform, strength K": ("dirichlet", {"strength": None}),
    "dirichlet class, strength 1": ("dirichlet", {"prior": "class"}),
    "dirichlet learned": ("dirichlet", {"prior": "learned"}),
    "dirichlet per_class": ("dirichlet", {"prior": "per_class"}),
    "dirichlet mixture": ("dirichlet", {"prior": "mixture"}),
}
DRAWS = 5


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("expected one folder that holds sim_dfew/, crema_d/ or ferplus/")
    folder = Path(sys.argv[1])
    tables: dict[str, Any] = {"truth": {}, "held_out": {}}
    votes = {}
    if (folder / "sim_dfew").is_dir():
        answers, truth = sim_dfew(folder / "sim_dfew")
        tables["truth"] = against_truth(answers, truth)
        votes["made-up set"] = answers.votes
    if (folder / "crema_d").is_dir():
        votes["CREMA-D, faces"] = crema_d(folder / "crema_d" / "processedResults" / "tabulatedVotes.csv")
    if (folder / "ferplus").is_dir():
        votes["FER+"] = ferplus(folder / "ferplus" / "fer2013new.csv")
    for name, counts in votes.items():
        tables["held_out"][name] = held_out(name, counts)
    if votes:
        write_result("soft_labels", {"draws": DRAWS, **tables})
    else:
        print(f"no sim_dfew, crema_d or ferplus in {folder}: nothing to compare")


def sim_dfew(folder: Path) -> tuple[Answers, Floats]:
    """The raters' answers, and the long-run distribution of each clip in their order."""
    table = pd.read_csv(folder / "raters.csv", dtype=str)
    answers = Answers.build(table["clip"], table["rater"], table["emotion"], DFEW)
    truth = pd.read_csv(folder / "truth.csv", dtype={"clip": str}).set_index("clip")
    rows = truth.loc[list(answers.clips), [f"p_{name}" for name in DFEW]].to_numpy()
    return answers, rows / rows.sum(axis=1, keepdims=True)


def crema_d(path: Path) -> Floats:
    """Votes on the face alone: the rows whose name begins with 2."""
    table = pd.read_csv(path, index_col=0)
    return table[table.index // 100_000 == 2][list("ADFHNS")].to_numpy(dtype=float)


def ferplus(path: Path) -> Floats:
    """Votes for the eight emotions, of the images that have at least two."""
    counts = pd.read_csv(path).iloc[:, 2 : 2 + len(FERPLUS)].to_numpy(dtype=float)
    return counts[counts.sum(axis=1) >= 2]


def made(votes: Floats, rule: str) -> Floats:
    name, options = RULES[rule]
    options = {key: votes.shape[1] if value is None else value for key, value in options.items()}
    return soft_labels(votes, name, **options)


def against_truth(answers: Answers, truth: Floats) -> dict[str, Any]:
    """Every rule and rater model against the true distributions."""
    print(f"{len(truth)} clips against their true distribution\n{'':32}{'KL':>9}{'JS':>9}{'TV':>9}{'top %':>9}")
    found = {rule: made(answers.votes, rule) for rule in RULES}
    found |= {f"raters: {model}": consensus(answers, model).probs for model in MODELS}
    rows = {}
    for name, probs in found.items():
        right = float((probs.argmax(axis=1) == truth.argmax(axis=1)).mean())
        distances = [kl_divergence(probs, truth), js_divergence(probs, truth), np.abs(probs - truth).sum(axis=1) / 2]
        kl, js, tv = (float(values.mean()) for values in distances)
        rows[name] = {"kl": round(kl, 4), "js": round(js, 4), "tv": round(tv, 4), "top": round(right, 4)}
        print(f"{name:32}{kl:9.4f}{js:9.4f}{tv:9.4f}{100 * right:9.1f}")
    return rows


def held_out(name: str, votes: Floats) -> dict[str, Any]:
    """Every rule on half of each clip's voters, against the other half."""
    print(
        f"\n{name}: {len(votes)} clips, half of the voters against the other half\n{'':32}{'KL':>9}{'± sd':>9}{'JS':>9}"
    )
    scores: dict[str, list[tuple[float, float]]] = {rule: [] for rule in RULES}
    for seed in range(DRAWS):
        generator = np.random.default_rng(seed)
        counts = votes.astype(np.int64)
        kept = np.array([generator.multivariate_hypergeometric(row, row.sum() // 2) for row in counts])
        judges = (counts - kept) / (counts - kept).sum(axis=1, keepdims=True)
        for rule in RULES:
            probs = made(kept.astype(float), rule)
            scores[rule].append((kl_divergence(probs, judges).mean(), js_divergence(probs, judges).mean()))
    rows = {}
    for rule, pairs in scores.items():
        (kl, js), spread = np.mean(pairs, axis=0), float(np.std([pair[0] for pair in pairs], ddof=1))
        rows[rule] = {"kl": round(float(kl), 4), "kl_sd": round(spread, 4), "js": round(float(js), 4)}
        print(f"{rule:32}{kl:9.4f}{spread:9.4f}{js:9.4f}")
    return {"clips": len(votes), "rules": rows}


if __name__ == "__main__":
    main()
