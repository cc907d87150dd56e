"""A checkpoint: weights as safetensors and a card as JSON, enough to rebuild the network and what it must be shown.

    model/model.safetensors
    model/card.json    network and options, emotions in order, preprocessing, data, recipe, version

Nothing is unpickled: a file from a stranger can be wrong, but it cannot run.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from dfer.errors import DferError
from dfer.labels import EmotionSet
from dfer.version import __version__

FORMAT = "dfer.checkpoint/1"


@dataclass(frozen=True)
class Card:
    """What is known of a model.

    Attributes:
        model: a name of `dfer.models.list_models()`.
        options: the other arguments of `create_model`.
        emotions: the K emotions, in the order of the logits.
        preprocessing: of `dfer.video.Preprocessing`.
        data: what it was trained on.
        metrics: what it scored, and on what.
        recipe: the whole recipe.
        version: of dfer.
    """

    model: str
    options: dict[str, Any]
    emotions: EmotionSet
    preprocessing: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    version: str = __version__


def save_checkpoint(folder: Path, model: nn.Module, card: Card) -> None:
    """Write a checkpoint; a process killed meanwhile leaves the former one, or none, never half of one.

    Raises:
        DferError: the folder cannot be written.
    """
    partial, former = (folder.with_name(folder.name + suffix) for suffix in (".partial", ".former"))
    emotions = {"name": card.emotions.name, "emotions": list(card.emotions)}
    text = json.dumps({"format": FORMAT} | asdict(card) | {"emotions": emotions}, indent=1, default=list)
    try:
        for left in (partial, former):
            shutil.rmtree(left, ignore_errors=True)
        partial.mkdir(parents=True)
        weights = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
        save_file(weights, partial / "model.safetensors")
        (partial / "card.json").write_text(text + "\n", encoding="utf-8")
        if folder.exists():
            folder.rename(former)
        partial.rename(folder)
        shutil.rmtree(former, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        raise DferError(f"cannot write the checkpoint {folder}: {error}") from error


def load_checkpoint(folder: Path) -> tuple[nn.Module, Card]:
    """Rebuild the network of a checkpoint, in evaluation mode, on the CPU.

    Raises:
        DferError: not a checkpoint, a damaged one, or one of another version of the format.
    """
    from dfer.models import create_model

    card = _read_card(Path(folder))
    options = {key: value for key, value in card.options.items() if key != "weights"}  # they are in the file
    model = create_model(card.model, len(card.emotions), **options)
    path = Path(folder) / "model.safetensors"
    try:
        model.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DferError(f"{path} is damaged, or its weights do not fit its card: {reason}") from error
    return model.eval(), card


def _read_card(folder: Path) -> Card:
    path = folder / "card.json"
    if not path.is_file():
        raise DferError(f"{folder} is not a checkpoint of dfer: expected card.json and model.safetensors in it")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("format") != FORMAT:
            raise DferError(f"{path} is of another format than {FORMAT}; use the version of dfer that wrote it")
        emotions = EmotionSet(values["emotions"]["name"], tuple(values["emotions"]["emotions"]))
        return Card(**(values | {"emotions": emotions}))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise DferError(f"{path} is damaged: {error}") from error


def require_emotions(card: Card, emotions: EmotionSet) -> None:
    """Refuse data whose emotions, or their order, are not the model's.

    Raises:
        DferError: says both.
    """
    if tuple(card.emotions) != tuple(emotions):
        raise DferError(
            f"the model knows {', '.join(card.emotions)}; the data have {', '.join(emotions)}, in this order; "
            "evaluate it on data of its own emotions"
        )
