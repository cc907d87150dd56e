"""Rater models on real people: 94 raters, 14 faces, 21,056 answers, each rater asked 16 times of each face.

Usage: python benchmarks/real_raters.py answers.csv (columns clip, rater, emotion, trial; clip is gender_emotion).

`--all` compares MACE too, which takes seven seconds a fit. Three questions, each with seeds stated in the JSON:

1. A small panel: some raters, one answer of each to each face. How near does each model come to what all other raters
   say (total variation, 0 to 1, and KL with a hundredth of the uniform mixed in), and how often is its first choice the
   acted emotion, or the one that the others choose most?
2. Who can be relied upon: each rater is judged on one half of the trials. Does the figure (kappa with the others, the
   skill of a model) rank raters as their agreement with the acted emotion, and with the others, does on the other half?
3. Careless raters: the answers of some real raters are put in a random order, so that they have nothing to do with the
   faces. How many of them are found, and how many of the others are accused?
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from results import write_result
from scipy.stats import spearmanr

from dfer.labels import DFEW, soft_labels
from dfer.labels.annotators import MODELS, consensus
from dfer.labels.answers import Answers
from dfer.labels.reliability import agreement_with_others

OWN = {
    "ang": "angry",
    "dis": "disgust",
    "fea": "fear",
    "hap": "happy",
    "ntr": "neutral",
    "sad": "sad",
    "sup": "surprise",
}
PANELS, DRAWS = (3, 5, 10, 20), 10
HALVES, SHUFFLED, ROUNDS = 5, 8, 10
SMALL = [name for name in MODELS if name != "mace" or "--all" in sys.argv]
QUICK = [name for name in MODELS if name not in ("glad", "mace")]
"""GLAD and MACE take minutes on thousands of answers: they are compared on small panels at most."""


def read(path: Path) -> pd.DataFrame:
    """The answers with the emotions' names; acted is the emotion that the face shows by its actor."""
    table = pd.read_csv(path)
    table["emotion"] = table["emotion"].map(OWN)
    return table.assign(acted=table["clip"].str[2:].map(OWN))


def build(table: pd.DataFrame) -> Answers:
    return Answers.build(table["clip"], table["rater"], table["emotion"], DFEW, repeats="all")


def shares(table: pd.DataFrame, clips: tuple[str, ...]) -> np.ndarray:
    """(N, K) the share of each answer to each face."""
    counts = pd.crosstab(table["clip"], table["emotion"]).reindex(index=list(clips), columns=list(DFEW), fill_value=0)
    return (counts.div(counts.sum(axis=1), axis=0)).to_numpy()


def small_panels(table: pd.DataFrame) -> dict[str, Any]:
    """Panel -> model -> mean and standard error of each figure over the draws."""
    found: dict[str, Any] = {}
    raters = np.array(sorted(table["rater"].unique()))
    for panel in PANELS:
        rows: dict[str, list[list[float]]] = {}
        for seed in range(DRAWS):
            generator = np.random.default_rng([panel, seed])
            chosen = generator.choice(raters, panel, replace=False)
            inside = table["rater"].isin(chosen)
            drawn = table[inside].sample(frac=1, random_state=seed).drop_duplicates(["clip", "rater"])
            answers = build(drawn)
            truth = shares(table[~inside], answers.clips)
            acted = np.array([DFEW.index(OWN[clip[2:]]) for clip in answers.clips])
            predicted = {"frequency": soft_labels(answers.votes)}
            predicted["dirichlet, strength 1"] = soft_labels(answers.votes, "dirichlet", strength=1.0)
            predicted |= {model: consensus(answers, model, seed=seed).probs for model in SMALL}
            for name, probs in predicted.items():
                rows.setdefault(name, []).append(judged(probs, truth, acted))
        found[str(panel)] = {name: summed(np.array(figures)) for name, figures in rows.items()}
        print(panel, {name: values["total_variation"] for name, values in found[str(panel)].items()}, flush=True)
    return found


def judged(probs: np.ndarray, truth: np.ndarray, acted: np.ndarray) -> list[float]:
    mixed = 0.99 * probs + 0.01 / probs.shape[1]
    kl = np.where(truth > 0, truth * np.log(np.where(truth > 0, truth, 1) / mixed), 0).sum(axis=1).mean()
    first = probs == probs.max(axis=1, keepdims=True)
    share = first / first.sum(axis=1, keepdims=True)  # of equal first choices each counts its part
    rows = np.arange(len(probs))
    return [
        float(np.abs(probs - truth).sum(axis=1).mean() / 2), float(kl),
        float(share[rows, acted].mean()), float(share[rows, truth.argmax(axis=1)].mean()),
    ]  # fmt: skip


def summed(figures: np.ndarray) -> dict[str, list[float]]:
    names = ("total_variation", "kl", "acted", "most_chosen_by_others")
    error = figures.std(axis=0, ddof=1) / np.sqrt(len(figures))
    return {
        name: [round(float(mean), 4), round(float(se), 4)]
        for name, mean, se in zip(names, figures.mean(axis=0), error, strict=True)
    }


def reliability(table: pd.DataFrame) -> dict[str, Any]:
    """Figure -> mean Spearman correlation with the other half's accuracy and agreement, and their spread."""
    rows: dict[str, list[list[float]]] = {}
    for seed in range(HALVES):
        half = np.random.default_rng(seed).permutation(224) < 112
        first = half[table["trial"]]
        answers, rest = build(table[first]), table[~first]
        right = (rest["emotion"] == rest["acted"]).groupby(rest["rater"]).mean().reindex(list(answers.raters))
        others = agreement_with_others(build(rest)).kappa
        own = table[first]
        known = (own["emotion"] == own["acted"]).groupby(own["rater"]).mean().reindex(list(answers.raters))
        figures = {"accuracy, where the acted emotion is known": known.to_numpy()}
        figures["kappa with the others"] = agreement_with_others(answers).kappa
        for model in QUICK:
            figures[f"skill, {model}"] = consensus(answers, model, seed=seed).raters["skill"].to_numpy()
        for name, values in figures.items():
            rows.setdefault(name, []).append([spearmanr(values, right)[0], spearmanr(values, others)[0]])
        print("half", seed, flush=True)
    return {
        name: {
            what: [round(float(column.mean()), 3), round(float(column.std(ddof=1)), 3)]
            for what, column in zip(("acted", "others"), np.array(values).T, strict=True)
        }
        for name, values in rows.items()
    }


def careless(table: pd.DataFrame) -> dict[str, Any]:
    """How many shuffled raters are called careless, and how many of the others, with 14 x n answers each."""
    found = {}
    raters = np.array(sorted(table["rater"].unique()))
    for times in (2, 4, 16):
        caught = accused = 0
        for seed in range(ROUNDS):
            generator = np.random.default_rng([times, seed])
            some = table.sample(frac=1, random_state=seed).groupby(["clip", "rater"]).head(times).copy()
            guilty = generator.choice(raters, SHUFFLED, replace=False)
            for rater in guilty:
                mine = some["rater"] == rater
                some.loc[mine, "emotion"] = generator.permutation(some.loc[mine, "emotion"].to_numpy())
            judged_ = consensus(build(some), "majority").raters.set_index("rater")["careless"]
            caught += int((judged_[guilty] != "").sum())
            accused += int((judged_.drop(guilty) != "").sum())
        found[str(14 * times)] = {
            "found": [caught, SHUFFLED * ROUNDS],
            "accused": [accused, (len(raters) - SHUFFLED) * ROUNDS],
        }
        print("careless", found, flush=True)
    return found


def main(path: Path) -> None:
    table = read(path)
    values = {
        "answers": len(table), "raters": table["rater"].nunique(), "clips": table["clip"].nunique(),
        "draws": DRAWS, "halves": HALVES, "shuffled": [SHUFFLED, ROUNDS],
        "panels": small_panels(table), "reliability": reliability(table), "careless": careless(table),
    }  # fmt: skip
    write_result("real_raters", values)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
