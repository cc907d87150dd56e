"""What fifty clips are worth: from scratch, the model that ships fine-tuned on them, and as it is.

    python benchmarks/fine_tuning.py data/ferplus.csv data/sim.csv

Of the clips of each manifest that the model that ships was not trained on (the test part, or all where there is none),
fifty are drawn to train on and others to test on. From scratch, the network has the same recipe without layer_decay,
with the schedule of lower KL of two.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from results import write_result

from dfer import Manifest, Predictions
from dfer.experiments.elsewhere import evaluate_elsewhere
from dfer.metrics.protocol import measure
from dfer.training import fit
from dfer.training.config import load_recipe
from dfer.training.predict import predict_fold

TRAINED, TESTED, SEED = 50, 600, 0
SCRATCH = ("init.weights=", "optim.layer_decay=1.0")
SCHEDULES = (("optim.lr=1e-3",), ("optim.lr=2e-3", "optim.epochs=120"))
SCORES = ("war", "uar", "kl")


def drawn(manifest: Manifest) -> Manifest:
    """Fifty clips in the training part and up to 600 others in the test part."""
    unseen = np.ones(len(manifest), bool)
    if (manifest.table["split"] == "test").any():
        unseen = manifest.partition(None)[1]
    rows = np.flatnonzero(unseen & (manifest.votes.sum(axis=1) > 0))
    generator = np.random.default_rng(SEED)
    rows = np.sort(generator.permutation(rows)[: TRAINED + TESTED])
    part = np.full(len(rows), "test", object)
    part[generator.choice(len(rows), TRAINED, replace=False)] = "train"
    table = manifest.select(np.isin(np.arange(len(manifest)), rows)).table.assign(split=part, fold="")
    return Manifest.build(table, emotions=manifest.emotions, root=manifest.root, source=manifest.source)


def scores_of(manifest: Manifest, folder: Path, changes: tuple[str, ...]) -> dict[str, float | None]:
    """Trained on the fifty, scored on the others."""
    several = manifest.table["frames"].max() > 1
    common = [f"input.frames={4 if several else 1}", "data.validation=0"]
    fit(load_recipe(Path("finetune_faces"), [*common, *changes]), manifest, folder)
    return told(measure(predict_fold(folder, manifest, None), SCORES).as_dict())


def told(scores: dict[str, Any]) -> dict[str, float | None]:
    """The scores, to four digits."""
    return {key: round(scores[key], 4) for key in SCORES}


def main(paths: list[Path]) -> None:
    """Print and write the scores of each manifest."""
    found: dict[str, Any] = {}
    for path in paths:
        manifest = drawn(Manifest.read(path))
        with tempfile.TemporaryDirectory() as temporary:
            place = Path(temporary)
            manifest.select(manifest.partition(None)[1]).write(place / "others.csv")
            tries = [scores_of(manifest, place / f"scratch{k}", (*SCRATCH, *s)) for k, s in enumerate(SCHEDULES)]
            tuned = scores_of(manifest, place / "tuned", ())
            evaluate_elsewhere({"faces": Path("faces")}, place / "others.csv", place / "as_it_is")
            as_it_is = told(measure(Predictions.read(place / "as_it_is" / "faces.csv"), SCORES).as_dict())
        scratch = min(tries, key=lambda scores: scores["kl"] or np.inf)
        found[path.stem] = {
            "clips": len(manifest), "from scratch": scratch, "faces, fine-tuned": tuned, "faces, as it is": as_it_is
        }  # fmt: skip
        print(path.stem, found[path.stem])
    write_result("fine_tuning", {"trained": TRAINED, "seed": SEED} | found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    main(parser.parse_args().data)
