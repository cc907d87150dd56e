"""One temperature for a trained model, or for a table of predictions: fitted on clips that it was not trained on.

The temperature T is that with the least cross-entropy to what people said of the validation clips: the shares of their
votes, or the label where there are none. Probabilities become softmax(log(p) / T), which keeps their order.

Reference: Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dfer.comparison.remedies import logits_of, towards
from dfer.errors import DferError, listed
from dfer.files import keep_inputs
from dfer.metrics import Predictions, apply_temperature, fit_temperature
from dfer.metrics.protocol import measure
from dfer.models import load_checkpoint, save_checkpoint
from dfer.models.abstention import confidence, held_out

SCORES = ("kl", "vote_ece", "ece")
"""What a temperature changes; WAR and UAR stay."""


@dataclass(frozen=True)
class Tempering:
    """A fitted temperature and what it does to the validation clips that it was fitted on.

    Attributes:
        temperature: above 1 where the model was too sure.
        clips: how many it was fitted on.
        before, after: {score of `SCORES`: value}, None where it is not defined.
    """

    temperature: float
    clips: int
    before: Mapping[str, float | None]
    after: Mapping[str, float | None]


def fit(validation: Predictions) -> Tempering:
    """The temperature of some predictions.

    Raises:
        DferError: fewer clips with votes or labels than a temperature needs.
    """
    logits, wanted = towards(validation)
    temperature = fit_temperature(logits, wanted)
    before, after = (measure(part, SCORES).values for part in (validation, tempered(validation, temperature)))
    return Tempering(temperature, len(logits), before, after)


def tempered(predictions: Predictions, temperature: float) -> Predictions:
    """The same predictions at a temperature."""
    return replace(predictions, probs=apply_temperature(logits_of(predictions.probs), temperature))


def calibrate_table(table: Path, validation: Path, out: Path) -> Tempering:
    """Write a table of predictions at the temperature that another table of the same model gives.

    Raises:
        DferError: the tables have clips in common, or other emotions; a table that cannot be read or written, or would
            be written over.
    """
    keep_inputs([out], [table, validation])
    predictions, fitted_on = Predictions.read(table), Predictions.read(validation)
    common = sorted(set(predictions.ids) & set(fitted_on.ids))
    if common:
        raise DferError(
            f"expected validation clips that are not in {table}: fitted on its own clips, a temperature looks better "
            f"than it is; both have {listed(common)}"
        )
    if predictions.emotions != fitted_on.emotions:
        raise DferError(
            f"{table} has the emotions {listed(predictions.emotions, 12)}; {validation} has "
            f"{listed(fitted_on.emotions, 12)}; expected the same, in this order"
        )
    found = fit(fitted_on)
    tempered(predictions, found.temperature).write(out)
    return found


def calibrate_model(model: Path, validation: Path, out: Path) -> Tempering:
    """Write a checkpoint whose card carries the temperature and, for `dfer predict --abstain`, how often it is wrong.

    Args:
        model: folder of a checkpoint without a temperature of its own.
        validation: the predictions of this model for its validation clips, as `dfer evaluate` keeps them.
        out: folder of the new checkpoint.

    Raises:
        DferError: another label space, a model that has a temperature or would be written over, or as `fit`.
    """
    keep_inputs([out], [model, validation])
    network, card = load_checkpoint(model)
    fitted_on = Predictions.read(validation)
    if fitted_on.emotions != card.emotions:
        raise DferError(
            f"the model knows {listed(card.emotions, 12)}; {validation} has {listed(fitted_on.emotions, 12)}; expected "
            "the predictions of this model"
        )
    if card.calibration:
        raise DferError(f"{model} is calibrated already (temperature {card.calibration.get('temperature')})")
    found = fit(fitted_on)
    mended = replace(card, calibration={"temperature": found.temperature})
    if card.view == "trained" and fitted_on.labelled.any():
        probs = tempered(fitted_on, found.temperature).probs
        mended = replace(mended, abstention=held_out(confidence(probs), ~fitted_on.right))
    save_checkpoint(out, network, mended)
    return found
