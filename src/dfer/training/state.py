"""The state of an unfinished run as one safetensors file, replaced in one go.

It holds weights, optimiser and moving average as tensors and the run's place as metadata. Random generators are
not in it: see `dfer.training.randomness`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from dfer.errors import DferError
from dfer.files import replacing

GO_ON = "make room and go on with --resume, or choose another folder with --out"
"""What to do when a run's folder cannot be written."""


def save_state(
    path: Path, place: dict[str, Any], *, optimizer: torch.optim.Optimizer, modules: dict[str, nn.Module]
) -> None:
    """Write the state; a run killed meanwhile leaves the former file whole.

    Args:
        path: the file.
        place: plain values: step, sums of the epoch so far.
        optimizer: whose moments are kept.
        modules: by name, whose state dicts are kept.

    Raises:
        DferError: the file cannot be written.
    """
    tensors = {f"{name}:{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer:{index}:{key}": value for key, value in moments.items() if isinstance(value, Tensor)}
    # safetensors wants each tensor by itself and contiguous; weights may be channels-last.
    packed = {key: value.detach().clone(memory_format=torch.contiguous_format) for key, value in tensors.items()}
    with replacing(path, advice=GO_ON) as partial:
        try:
            save_file(packed, partial, {"place": json.dumps(place)})
        except SafetensorError as error:  # how it tells of a full disk
            raise OSError(str(error)) from error


def load_state(path: Path, *, optimizer: torch.optim.Optimizer, modules: dict[str, nn.Module]) -> dict[str, Any]:
    """Read what `save_state` wrote into `optimizer` and `modules`, and return the run's place.

    Raises:
        DferError: the file is damaged or belongs to another recipe.
    """
    try:
        with safe_open(path, framework="pt") as file:
            place = json.loads(file.metadata()["place"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
        for name, module in modules.items():
            module.load_state_dict(
                {key.split(":", 1)[1]: tensors[key] for key in tensors if key.startswith(f"{name}:")}
            )
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer:"):
                _, index, moment = key.split(":")
                moments.setdefault(int(index), {})[moment] = value
        optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DferError(
            f"cannot resume from {path}: damaged or of another network ({reason:.300}); start again in another folder"
        ) from error
    return dict(place)
