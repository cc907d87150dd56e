"""A checkpoint: weights as safetensors and a card as JSON, enough to rebuild the network and what it must be shown.

    model/model.safetensors
    model/card.json    network and options, emotions in order, preprocessing, data, recipe, version

Nothing is unpickled: a file from a stranger can be wrong, but it cannot run.
"""

from __future__ import annotations

import hashlib
import json
import math
import operator
import os
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dfer.documents import MEGABYTE, checked, parse_json, read_json
from dfer.errors import DferError, listed, shortened
from dfer.files import replacing
from dfer.labels import EmotionSet
from dfer.models.abstention import Table
from dfer.models.places import CARD, model_folder
from dfer.models.registry import BUILT_IN, foreign_code, require_allowed
from dfer.models.weights import fit_weights, read_outlines, require_fit
from dfer.version import __version__
from dfer.video.preprocessing import Preprocessing

FORMAT = "dfer.checkpoint/1"
WEIGHTS = "model.safetensors"
TOLERANCE = 0.02
"""How far a probability may be from the card's: another processor, or weights of half precision, shift it by less."""
SIDE = 32
"""Pixels of the pattern that a network is asked about, at most: few, so that loading stays fast."""

Temperature = Annotated[float, Field(ge=1e-3, le=1e3)]


@dataclass(frozen=True)
class Card:
    """What is known of a model.

    Attributes:
        model: a name of `dfer.models.list_models()`, or `my_module:Net` for a network of one's own.
        options: the other arguments of `create_model`; in a file all of them are there, defaults too.
        emotions: the K emotions, in the order of the logits.
        preprocessing: of `dfer.video.Preprocessing`.
        data: what it was trained on.
        metrics: what it scored, and on what.
        recipe: the whole recipe.
        calibration: {"temperature": t} where one was fitted: probabilities are softmax(logits / t);
            "temperature_labels" suits labels better than votes.
        version: of dfer.
        answer: probs of each emotion for a fixed pattern, see `answer_of`, by which the weights are known again; empty
            in cards of earlier versions.
        prior: (K,) the mean target of the training part: how frequent each emotion is there; empty in cards of earlier
            versions.
        view: the population that `dfer predict` answers for unless it is told: "trained", "uniform" or a number, see
            `dfer.inference.population`.
        abstention: how many clips that it was not trained on reach each level of the confidence, in this view, and for
            how many of them it names another emotion than most voters, see `dfer.models.abstention`; empty where
            nobody counted.
    """

    model: str
    options: dict[str, Any]
    emotions: EmotionSet
    preprocessing: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    calibration: dict[Literal["temperature", "temperature_labels"], Temperature] = field(default_factory=dict)
    version: Annotated[str, Field(max_length=100)] = __version__
    answer: tuple[Annotated[float, Field(ge=0, le=1)], ...] = ()
    prior: tuple[Annotated[float, Field(ge=0, le=1)], ...] = ()
    view: Annotated[str, Field(pattern=r"^(trained|uniform|[012](\.\d{1,6})?)$")] = "trained"
    abstention: dict[Literal["confidence", "named", "wrong"], tuple[Annotated[float, Field(ge=-1)], ...]] = field(
        default_factory=dict
    )

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012 (pydantic reads it; it is no field)


def save_checkpoint(folder: str | Path, model: nn.Module, card: Card) -> None:
    """Write a checkpoint; a process killed meanwhile leaves the former one, or none, never a mixture of two.

    Raises:
        DferError: the card names no known model or could not be read again, the network's answers are not finite, or
            the folder cannot be written.
    """
    folder = Path(folder)
    text = _to_json(card, model)
    state: dict[str, Tensor] = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    weights, card_file = folder / WEIGHTS, folder / CARD
    with replacing(card_file) as new_card, replacing(weights) as new_weights:  # the weights take their place first
        new_card.write_text(text, encoding="utf-8")
        try:
            save_file(state, new_weights)
        except SafetensorError as error:  # how it tells of a full disk
            raise OSError(str(error)) from error
        card_file.unlink(missing_ok=True)  # without a card it is no checkpoint: old weights never meet the new card


def load_checkpoint(model: str | Path) -> tuple[nn.Module, Card]:
    """Rebuild the network of a checkpoint, in evaluation mode, on the CPU.

    Args:
        model: "faces", the model that comes with dfer, or the folder of a checkpoint or of a run, see `model_folder`.

    Raises:
        DferError: not a checkpoint, a damaged one, one of another version of the format, weights that do not fit the
            network and the number of emotions that the card names, or a network of somebody's own whose module was
            not allowed (see `dfer.models.registry`) or cannot be imported.

    >>> network, card = load_checkpoint("faces")
    >>> card.model, card.emotions[1], network.training
    ('frame_encoder', 'happy', False)
    """
    from dfer.models import create_model, outline_model  # the door imports this module

    folder = model_folder(model)
    card, path = read_card(folder), folder / WEIGHTS
    require_allowed(card.model, folder)
    source = f"{path} ({card.model} for {len(card.emotions)} emotions by its card)"
    # What dfer builds itself is compared with the file before anything takes memory.
    build = outline_model if card.model in BUILT_IN else create_model
    try:
        network = build(card.model, len(card.emotions), **card.options)
    except (DferError, TypeError) as error:  # TypeError: an option that repeats one of our own arguments
        raise DferError(f"{folder}: its card.json asks for what cannot be built: {error}") from error
    require_fit(network, read_outlines(path), source=source)
    if card.model in BUILT_IN:
        network = create_model(card.model, len(card.emotions), **card.options)
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DferError(f"{path} is damaged or not a safetensors file: {shortened(str(error), 200)}") from error
    fit_weights(network, state, source=source)
    _require_answer(network.eval(), card, folder)
    return network, card


def fingerprint(folder: Path) -> str:
    """Of both files of a checkpoint (SHA-256), by which what was made of them is known to be of these."""
    found = hashlib.sha256()
    for name in (CARD, WEIGHTS):
        with (folder / name).open("rb") as file:
            while part := file.read(MEGABYTE):
                found.update(part)
    return found.hexdigest()


def answer_of(model: nn.Module, preprocessing: Preprocessing, *, largest: int = SIDE) -> tuple[float, ...]:
    """The (K,) probs of a network, without temperature and mirror image, for a fixed pattern of waves.

    Args:
        model: on any device.
        preprocessing: what clips it takes.
        largest: height and width of the pattern, pixels, at most.

    Raises:
        DferError: they are not finite, or the network takes no such clips.
    """
    side, length = min(preprocessing.size, largest), preprocessing.frames
    waves = torch.arange(preprocessing.channels * length * side * side, dtype=torch.float64).mul(0.7).sin()
    clip = waves.view(1, preprocessing.channels, length, side, side).add(1).div(2)
    mean, std = (torch.tensor(values).view(1, -1, 1, 1, 1) for values in (preprocessing.mean, preprocessing.std))
    training, weight = model.training, next(model.parameters())
    try:
        with torch.inference_mode():
            logits = model.eval()(((clip - mean) / std).to(weight))
    finally:
        model.train(training)
    probs: list[float] = torch.softmax(logits[0].double(), dim=0).tolist()
    if not all(map(math.isfinite, probs)):
        raise DferError("the network's answers are not finite; train it anew with a lower optim.lr or optim.clip_norm")
    return tuple(round(value, 5) for value in probs)


def _require_answer(model: nn.Module, card: Card, folder: Path) -> None:
    """Refuse a network that answers NaN, or another thing than its card says."""
    try:
        with foreign_code("it fails on a fixed pattern"):
            found = _answer(model, card)
    except DferError as error:
        raise DferError(f"{folder} cannot be used: {shortened(str(error), 300)}") from error
    same = [abs(ours - told) <= TOLERANCE for ours, told in zip(found, card.answer, strict=False)]
    if card.answer and not (all(same) and len(found) == len(card.answer)):
        raise DferError(
            f"{folder}: the weights are not those of its card.json, which says that a fixed pattern gets the probs "
            f"{_few(card.answer)}; they give {_few(found)}; take both files from one source"
        )


def _answer(model: nn.Module, card: Card) -> tuple[float, ...]:
    """`answer_of`; a network of one's own, or one that says so, takes clips of no other size than it was made for."""
    preprocessing = Preprocessing.from_card(card.preprocessing)
    any_size = card.model in BUILT_IN and not getattr(model, "fixed_size", False)
    return answer_of(model, preprocessing, largest=SIDE if any_size else preprocessing.size)


def _few(probs: tuple[float, ...]) -> str:
    shown = ", ".join(f"{value:.3f}" for value in probs[:8])
    return f"({shown}{', ...' if len(probs) > 8 else ''})"


def require_emotions(card: Card, emotions: EmotionSet) -> None:
    """Refuse data whose emotions, or their order, are not the model's.

    Raises:
        DferError: says both.
    """
    if card.emotions != emotions:
        raise DferError(
            f"the model knows {', '.join(card.emotions)} ({card.emotions.name}); the data have {', '.join(emotions)} "
            f"({emotions.name}), in this order; evaluate it on data of its own emotions"
        )


def _to_json(card: Card, model: nn.Module) -> str:
    from dfer.models import default_options

    # All of them, so that a later default does not change this model; of one's own, those that JSON holds.
    with foreign_code("the network fails on a clip such as its card describes"):
        found = _answer(model, card)
    defaults = {key: value for key, value in default_options(card.model).items() if _is_plain(value)}
    options = defaults | card.options | getattr(model, "card_options", {})
    options.pop("weights", None)  # what it started from; the weights it has now are in the file
    values = {each.name: getattr(card, each.name) for each in fields(card)} | {
        "options": options,
        "emotions": {"name": card.emotions.name, "emotions": list(card.emotions)},
        "answer": found,
    }
    text = json.dumps({"format": FORMAT} | _plain(values), indent=1, allow_nan=False) + "\n"
    _card_of(parse_json(text, "the card"), "the card")
    return text


def _plain(value: Any) -> Any:
    """What JSON knows: a number that is not finite is null, and what has no form of its own is its text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(each) for key, each in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def read_card(folder: Path) -> Card:
    """The card of a checkpoint; nothing that it names is looked at.

    Raises:
        DferError: no checkpoint, a damaged one, or one of another version of the format.
    """
    path = folder / CARD
    if not os.path.lexists(path):
        raise DferError(f"{folder} is not a checkpoint of dfer: expected card.json and model.safetensors in it")
    return _card_of(read_json(path, largest=MEGABYTE, finite=True), str(path))


def _card_of(values: Any, source: str) -> Card:
    found = values.pop("format", None) if isinstance(values, dict) else None
    if found != FORMAT:
        raise DferError(
            f"{source}: expected the format {FORMAT}, got {shortened(str(found), 80)}; use the version of dfer that "
            "wrote it"
        )
    card = checked(Card, values, source)
    try:
        Preprocessing.from_card(card.preprocessing)
    except DferError as error:
        raise DferError(f"{source}: {error}") from error
    newer = ("mirror", "centre")
    lacking = [key for key in Preprocessing().to_dict() if key not in card.preprocessing and key not in newer]
    if lacking:
        raise DferError(
            f"{source}: preprocessing: lacks {listed(lacking, 6)}; a network is shown what it was trained on"
        )
    if card.prior and (len(card.prior) != len(card.emotions) or abs(sum(card.prior) - 1) > 0.01):
        raise DferError(
            f"{source}: prior: expected {len(card.emotions)} shares that sum to one, got {_few(card.prior)}"
        )
    if card.abstention:
        _check_abstention(card.abstention, source)
    card.options.pop("weights", None)  # a path of the machine it was trained on
    return card


def _check_abstention(table: Table, source: str) -> None:
    """Raises where the counts of a card cannot be."""
    empty: tuple[float, ...] = ()
    levels, named, wrong = table.get("confidence", empty), table.get("named", empty), table.get("wrong", empty)
    rising = all(one < other for one, other in pairwise(levels))
    falling = all(one >= other for counts in (named, wrong) for one, other in pairwise(counts))
    fits = len(levels) == len(named) == len(wrong) > 0 and min(wrong) >= 0 and all(map(operator.le, wrong, named))
    if not (rising and falling and fits):
        raise DferError(
            f"{source}: abstention: expected levels of the confidence that rise, and for each how many clips reach it "
            "and how many of these are wrong, which fall"
        )
