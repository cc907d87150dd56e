r"""Puts a trained model into the package: `python tools/ship.py RUN --after RUN RUN --view 0.6`; then model_card.py.

The whole way from the data:

    dfer prepare ferplus FERPLUS/ -o data/ferplus.csv --pack 48 --grey
    python tools/face_encoder.py WEIGHTS/ data/ferplus.csv -o data/dlib_face.safetensors
    dfer train ferplus_faces --data data/ferplus.csv --init data/dlib_face.safetensors -o runs/ship/first
    dfer train ferplus_faces_gentle --data data/ferplus.csv --init runs/ship/first -o runs/ship/second
    python tools/upright_copies.py data/ferplus.csv -o data/ferplus_upright.csv
    dfer train ferplus_faces_gentle --data data/ferplus_upright.csv --init runs/ship/second -o runs/ship/third \
        --set optim.epochs=3 --set optim.unmixed_epochs=1
    dfer train ferplus_faces_gentle --data data/ferplus_upright.csv --init runs/ship/third -o runs/ship/fourth \
        --set optim.epochs=4 --set optim.unmixed_epochs=1 --set input.size=150 --set seed=2
    dfer train ferplus_faces_gentle --data data/ferplus_upright.csv --init runs/ship/fourth -o runs/ship/fifth \
        --set optim.epochs=5 --set optim.unmixed_epochs=1 --set input.size=150 --set seed=3
    dfer train ferplus_faces_gentle --data data/ferplus_upright.csv --init runs/ship/fifth -o runs/ship/sixth \
        --set optim.epochs=12 --set optim.unmixed_epochs=2 --set input.size=150 --set seed=4
    dfer train ferplus_faces_gentle --data data/ferplus_upright.csv --init runs/ship/sixth -o runs/ship/faces \
        --set optim.epochs=16 --set optim.unmixed_epochs=3 --set input.size=150 --set seed=5
    dfer evaluate runs/ship/faces
    python tools/ship.py runs/ship/faces --view 0.6 --after runs/ship/{first,second,third,fourth,fifth,sixth}
    python tools/model_card.py data/ferplus.csv CREMA_D/ ANNOTATED_VIDEOS/

Weights are stored in half precision, half the bytes, and computed with in single; temperature and figures are those of
the weights as they are stored. The temperature is fitted on the run's validation part, against the votes; the test
part is read for the figures of the card alone. No ONNX file is shipped: it is twice as large as the weights and of use
only with ONNX Runtime; `dfer export default` writes it on the spot.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from upright_copies import COPY

from dfer import DferError, Manifest, Predictions
from dfer.experiments.runs import manifest_of, saved_predictions
from dfer.experiments.tempering import tempered
from dfer.inference.population import adapted, ratio_of
from dfer.labels import one_hot
from dfer.metrics import fit_temperature
from dfer.metrics.functional import EPSILON
from dfer.metrics.protocol import measure
from dfer.models import Card, load_checkpoint, save_checkpoint
from dfer.models.abstention import Table, confidence, held_out
from dfer.training.choosing import choose_clips
from dfer.training.config import load_recipe
from dfer.training.predict import predict_rows

PLACE = Path(__file__).resolve().parents[1] / "src" / "dfer" / "models" / "shipped" / "faces"
TOLERANCE = 5e-3
"""The largest difference of a probability that storing the weights in half precision may make."""
SCORES = ("war", "uar", "kl", "ece", "vote_ece")
TOLD = ("clips", "copies", "validation", "left_out", "stages", "epochs", "seconds", "device", "parameters")
"""Of train.json, what the card says of the training."""


def fitted(predictions: Predictions, targets: NDArray[np.float64]) -> float:
    """The temperature that brings predictions nearest to targets, to four digits."""
    return round(fit_temperature(np.log(predictions.probs.clip(EPSILON)), targets), 4)


def scored(predictions: Predictions) -> dict[str, Any]:
    """The scores that a card gives, to four digits."""
    found = measure(predictions, SCORES).as_dict()
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in found.items()}


def counted(validation: Predictions, prior: Sequence[float], view: str) -> Table:
    """How sure the model is of clips that it was not trained on, and how often it is wrong, in a view."""
    shown = adapted(validation.probs, ratio_of(prior, validation.emotions, view))
    return held_out(confidence(validation.probs, shown), shown.argmax(axis=1) != validation.labels)


def shipped_card(
    card: Card, validation: Predictions, test: Predictions, *, training: Mapping[str, Any], view: str
) -> Card:
    """A run's card with its temperature, what it scores at it, its view, and how it was trained."""
    voted, labelled = validation.select(validation.voted), validation.select(validation.labelled)
    temperature = fitted(voted, voted.shares)
    for_labels = fitted(labelled, one_hot(labelled.labels, len(card.emotions)))
    parts = {"validation": validation, "test": test}
    scores = {name: scored(tempered(part, temperature)) for name, part in parts.items()}
    known = {key: training[key] for key in TOLD if key in training}
    temperatures = {"temperature": temperature, "temperature_labels": for_labels}  # the second is told, and not used
    table = counted(tempered(voted, temperature), card.prior, view)
    data, recipe = card.data | known, dict(card.recipe)
    recipe.pop("init", None)  # a file of the machine it was trained on
    return replace(
        card, calibration=temperatures, metrics=scores, data=data, recipe=recipe, view=view, abstention=table
    )


def trained(run: Path) -> dict[str, Any]:
    """What is known of a run's training."""
    found: dict[str, Any] = json.loads((run / "split" / "train.json").read_text(encoding="utf-8"))
    return found


def stage(run: Path) -> dict[str, Any]:
    """What the card says of a run that the model went through."""
    recipe = load_recipe(run / "split" / "recipe.toml")
    optim = {"epochs": recipe.optim.epochs, "unmixed_epochs": recipe.optim.unmixed_epochs}
    return optim | {"alpha": recipe.midas.alpha, "size": recipe.input.size, "seed": recipe.seed}


def main(run: Path, after: Sequence[Path], view: str) -> None:
    """Store, fit, compare, and only then take the place of the former model.

    Args:
        run: of `dfer train` and `dfer evaluate`.
        after: the runs that it started from, whose epochs and seconds count too.
        view: the population that `dfer predict` answers for unless it is told, see `dfer.inference.population`.
    """
    manifest, folder = Manifest.read(manifest_of([run])), run / "split"
    model, card = load_checkpoint(folder / "model")
    chosen = choose_clips(load_recipe(folder / "recipe.toml"), manifest, None)
    with tempfile.TemporaryDirectory() as temporary:
        save_checkpoint(Path(temporary) / "model", model.half(), card)
        rows = (chosen.validation, np.flatnonzero(manifest.partition()[1]))
        validation, test = (predict_rows(Path(temporary), manifest, part, fold=None) for part in rows)
    difference = float(np.abs(test.probs - saved_predictions(run, manifest, [None]).probs).max())
    if not difference <= TOLERANCE:
        raise DferError(f"{run}: half precision moves a probability by {difference:.2g}, more than {TOLERANCE:g}")
    training = trained(run)
    for former in after:
        training |= {key: training[key] + trained(former)[key] for key in ("epochs", "seconds")}
    training["stages"] = [stage(one) for one in (*after, run)]
    names = manifest.table["id"].iloc[chosen.train]
    training["copies"] = int(names.str.endswith(COPY).sum())
    shipped = shipped_card(card, validation, test, training=training, view=view)
    save_checkpoint(PLACE, model, shipped)
    (PLACE / "model.safetensors").chmod(0o644)  # it is written for its owner alone
    size = sum(path.stat().st_size for path in PLACE.iterdir()) / 1e6
    print(f"{PLACE}: {size:.2f} MB; half precision moves a probability by at most {difference:.1g}")
    print(f"temperature {shipped.calibration['temperature']}; test part: {shipped.metrics['test']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--after", type=Path, nargs="*", default=[])
    parser.add_argument("--view", default="trained")
    arguments = parser.parse_args()
    main(arguments.run, arguments.after, arguments.view)
