"""A checkpoint: weights as safetensors and a card as JSON, enough to rebuild the network and what it must be shown.

    model/model.safetensors
    model/card.json    network and options, emotions in order, preprocessing, data, recipe, version

Nothing is unpickled: a file from a stranger can be wrong, but it cannot run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dfer.errors import DferError
from dfer.files import replacing
from dfer.labels import EmotionSet
from dfer.models.weights import fit_weights
from dfer.version import __version__

FORMAT = "dfer.checkpoint/1"


@dataclass(frozen=True)
class Card:
    """What is known of a model.

    Attributes:
        model: a name of `dfer.models.list_models()`.
        options: the other arguments of `create_model`; in a file all of them are there, defaults too.
        emotions: the K emotions, in the order of the logits.
        preprocessing: of `dfer.video.Preprocessing`.
        data: what it was trained on.
        metrics: what it scored, and on what.
        recipe: the whole recipe.
        calibration: {"temperature": t} where one was fitted: probabilities are softmax(logits / t).
        version: of dfer.
    """

    model: str
    options: dict[str, Any]
    emotions: EmotionSet
    preprocessing: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, float] = field(default_factory=dict)
    version: str = __version__


def save_checkpoint(folder: str | Path, model: nn.Module, card: Card) -> None:
    """Write a checkpoint; a process killed meanwhile leaves the former one, or none, never a mixture of two.

    Raises:
        DferError: the card names no known model, or the folder cannot be written.
    """
    folder = Path(folder)
    text = _to_json(card)
    state: dict[str, Tensor] = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    weights, card_file = folder / "model.safetensors", folder / "card.json"
    with replacing(card_file) as new_card, replacing(weights) as new_weights:  # the weights take their place first
        new_card.write_text(text, encoding="utf-8")
        try:
            save_file(state, new_weights)
        except SafetensorError as error:  # how it tells of a full disk
            raise OSError(str(error)) from error
        card_file.unlink(missing_ok=True)  # without a card it is no checkpoint: old weights never meet the new card


def load_checkpoint(folder: str | Path) -> tuple[nn.Module, Card]:
    """Rebuild the network of a checkpoint, in evaluation mode, on the CPU.

    Raises:
        DferError: not a checkpoint, a damaged one, one of another version of the format, or weights that do not fit
            the network and the number of emotions that the card names.
    """
    from dfer.models import create_model  # the door imports this module

    card, path = _read_card(Path(folder)), Path(folder) / "model.safetensors"
    try:
        model = create_model(card.model, len(card.emotions), **card.options)
    except (DferError, TypeError) as error:  # TypeError: an option that repeats one of our own arguments
        raise DferError(f"{folder}: its card.json asks for what cannot be built: {error}") from error
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DferError(f"{path} is missing, damaged or not a safetensors file: {error}") from error
    fit_weights(model, state, source=f"{path} ({card.model} for {len(card.emotions)} emotions by its card)")
    return model.eval(), card


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


def _to_json(card: Card) -> str:
    from dfer.models import default_options

    options = default_options(card.model) | card.options  # so that a later default does not change this model
    options.pop("weights", None)  # what it started from; the weights it has now are in the file
    values = {each.name: getattr(card, each.name) for each in fields(card)} | {
        "options": options,
        "emotions": {"name": card.emotions.name, "emotions": list(card.emotions)},
    }
    return json.dumps({"format": FORMAT} | values, indent=1, default=str) + "\n"


def _read_card(folder: Path) -> Card:
    path = folder / "card.json"
    if not path.is_file():
        raise DferError(f"{folder} is not a checkpoint of dfer: expected card.json and model.safetensors in it")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DferError(f"{path} is damaged: {error}") from error
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT:
        raise DferError(f"{path}: expected the format {FORMAT}, got {found}; use the version of dfer that wrote it")
    try:
        card = TypeAdapter(Card).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise DferError(f"{path} is damaged: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    card.options.pop("weights", None)  # a path of the machine it was trained on
    return card
