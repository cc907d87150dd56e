"""Is an estimated soft label nearer to what people say of a clip than the clip's own label? And does it train better?

600 drawn clips of single labels, whose votes nobody sees but this script: the training part of fold 1 is estimated by
the demo's recipe (`dfer estimate`), and compared with the votes and with how the whole panel votes in the long run.
Then the recipe is trained on labels, on estimates and on votes, and tested on the same clips. Takes half an hour.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from results import write_result

from dfer.datasets import Manifest, read_source
from dfer.datasets.pack import pack
from dfer.datasets.synthetic import synthesise
from dfer.documents import jsonable
from dfer.experiments import evaluate_runs, train_folds
from dfer.experiments.estimate import Estimation, estimate_labels
from dfer.labels import one_hot, smooth_labels
from dfer.metrics import entropy_correlation, js_divergence, kl_divergence
from dfer.training import load_recipe

CLIPS, FOLD, SEEDS = 600, 1, 2
SCORES = ("war", "uar", "kl", "js", "ece")


def candidates(labels: np.ndarray[Any, Any], estimate: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """Name -> soft labels (N, K) of the same clips."""
    given = one_hot(labels, estimate.shape[1])
    by_label = np.array([estimate[labels == k].mean(axis=0) for k in range(estimate.shape[1])])[labels]
    mixed = {f"{weight:g} label + {1 - weight:g} estimate": weight * given + (1 - weight) * estimate
             for weight in (0.9, 0.75, 0.5, 0.25)}  # fmt: skip
    return {
        "label": given,
        "label, smoothed by 0.1": smooth_labels(given, 0.1),
        "label, smoothed by 0.3": smooth_labels(given, 0.3),
        **mixed,
        "estimate alone": estimate,
        "0.5 label + 0.5 mean estimate of its label": 0.5 * given + 0.5 * by_label,
    }


def compare(manifest: Manifest, truth: pd.DataFrame) -> dict[str, dict[str, float]]:
    """How far each soft label is from votes and truth, over the clips that were estimated with weight 0."""
    rows = manifest.estimated
    votes = manifest.votes[rows]
    shares = votes / votes.sum(axis=1, keepdims=True)
    whole = truth.loc[manifest.table["id"][rows].astype(int), [f"p_{name}" for name in manifest.emotions]].to_numpy()
    table = {}
    for name, soft in candidates(manifest.labels[rows], manifest.soft[rows]).items():
        distances = (
            float(js_divergence(soft, shares).mean()),
            float(kl_divergence(soft, shares).mean()),
            float(js_divergence(soft, whole).mean()),
            float(entropy_correlation(soft, shares)),
        )
        table[name] = jsonable(
            dict(zip(("js_votes", "kl_votes", "js_panel", "entropy_correlation"), distances, strict=True))
        )
        print(name.ljust(46) + "".join(f"{value:8.3f}" for value in distances))
    return table


def train(data: Path, folder: Path, recipe: Any) -> dict[str, dict[str, list[float]]]:
    """Test scores of the recipe by rule, one number a seed."""
    rules = ("hard", "given", "frequency")
    scores: dict[str, dict[str, list[float]]] = {rule: {name: [] for name in SCORES} for rule in rules}
    for seed in range(SEEDS):
        for rule in rules:
            labels = recipe.labels.model_copy(update={"rule": rule})
            run = folder / f"{rule}{seed}"
            each = recipe.model_copy(update={"labels": labels, "seed": seed})
            train_folds(each, Manifest.read(data), run, folds=[None], resume=True)
            (cell,) = evaluate_runs({rule: run}, run).cells
            for name in SCORES:
                scores[rule][name].append(cell[name])
            print(f"seed {seed}  {rule:12}" + "".join(f"{name} {cell[name]:.3f}  " for name in SCORES), flush=True)
    return scores


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/benchmark_estimate")
    if not (folder / "clips.csv").exists():
        synthesise(folder / "dfew", clips=CLIPS, seed=0)
        manifest, _ = pack(read_source("dfew", folder / "dfew"), folder / "frames", size=56)
        manifest.write(folder / "clips.csv")
    manifest = Manifest.read(folder / "clips.csv")
    truth = pd.read_csv(folder / "dfew" / "truth.csv").set_index("video_name")
    recipe = load_recipe(Path("demo"), ["midas=off"])
    alone, mixed = (
        estimate_labels(
            recipe, manifest, folder / "models", plan=Estimation("demo", weight=weight, fold=FOLD), resume=True
        )
        for weight in (0.0, 0.5)
    )
    print(f"{alone.estimated.sum()} clips; JS and KL to the votes, JS to the panel, entropy correlation")
    results: dict[str, Any] = {"clips": CLIPS, "fold": FOLD, "seeds": SEEDS, "estimated": int(alone.estimated.sum())}
    results["origins"] = sorted(mixed.table["soft_from"][mixed.estimated].unique())
    results["distance"] = compare(alone, truth)
    mixed.write(folder / "mixed.csv")
    results["test"] = train(folder / "mixed.csv", folder / "runs", recipe)
    write_result("estimate", results)


if __name__ == "__main__":
    main()
