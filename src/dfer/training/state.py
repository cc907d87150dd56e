"""The state of an unfinished run as one safetensors file, replaced in one go.

It holds weights, optimiser and moving average as tensors and the run's place as metadata. Random generators are
not in it: see `dfer.training.randomness`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dfer.documents import checked, parse_json
from dfer.errors import DferError, listed, shortened
from dfer.files import replacing
from dfer.models.weights import fit_weights, read_outlines, require_fit

GO_ON = "make room and go on with --resume, or choose another folder with --out"
"""What to do when a run's folder cannot be written."""
MOMENTS = {"AdamW": {"step", "exp_avg", "exp_avg_sq"}, "SGD": {"momentum_buffer"}}
"""What an optimiser keeps of each weight."""


@dataclass
class Place:
    """Where a run stands.

    Attributes:
        step: steps done.
        loss: sum of the loss over the clips of the epoch that is not closed yet.
        clips: how many these are; 0 between two epochs.
        seconds: of training so far.
        best: the best score on the validation part so far; None where there is none.
        best_epoch: its epoch; 0 for none.
        row: the line of metrics.jsonl of the last epoch that is closed.
        data: a fingerprint of the clips and targets.
    """

    data: str = ""
    step: Annotated[int, Field(ge=0)] = 0
    loss: float = 0.0
    clips: Annotated[int, Field(ge=0)] = 0
    seconds: Annotated[float, Field(ge=0)] = 0.0
    best: float | None = None
    best_epoch: Annotated[int, Field(ge=0)] = 0
    row: dict[str, int | float | None] = field(default_factory=dict)

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012 (pydantic reads it; it is no field)

    def epoch(self, steps: int) -> int:
        """Epochs that are closed, of so many steps each: the last one of all steps done may not be, see `clips`."""
        return (self.step - (self.clips > 0)) // steps


def save_state(path: Path, place: Place, *, optimizer: torch.optim.Optimizer, modules: dict[str, nn.Module]) -> None:
    """Write the state; a run killed meanwhile leaves the former file whole.

    Args:
        path: the file.
        place: where the run stands.
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
            save_file(packed, partial, {"place": json.dumps(asdict(place))})
        except SafetensorError as error:  # how it tells of a full disk
            raise OSError(str(error)) from error


def load_state(path: Path, *, optimizer: torch.optim.Optimizer, modules: dict[str, nn.Module]) -> Place:
    """Read what `save_state` wrote into `optimizer` and `modules`, and return the run's place.

    Raises:
        DferError: the file is damaged, or of another network or optimiser; nothing of it is read into memory then.
    """
    try:
        outlines = _parts(read_outlines(path))
        unknown = outlines.keys() - modules.keys() - {"optimizer"}
        if unknown:
            raise DferError(f"{path}: unknown tensors of {listed(sorted(unknown))}")
        for name, module in modules.items():
            require_fit(module, outlines.get(name, {}), source=f"{path}, {name}")
        _require_moments(optimizer, outlines.get("optimizer", {}), str(path))
        place = _read_place(path)
        parts = _parts(load_file(path))
        _require_moments(optimizer, parts.get("optimizer", {}), str(path), step=place.step)
        for name, module in modules.items():
            fit_weights(module, parts[name], source=f"{path}, {name}")
    except (OSError, SafetensorError, DferError) as error:
        raise DferError(f"cannot resume from {shortened(str(error), 350)}; start again in another folder") from error
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in parts.get("optimizer", {}).items():
        index, _, moment = key.partition(":")
        moments.setdefault(int(index), {})[moment] = value
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return place


def _parts(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Tensors by the name of their module, and in it by their own."""
    parts: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        owner, _, name = key.partition(":")
        parts.setdefault(owner, {})[name] = value
    return parts


def _read_place(path: Path) -> Place:
    with safe_open(path, framework="pt") as file:
        written = (file.metadata() or {}).get("place", "null")
    values = parse_json(written, f"{path}, place", finite=True)
    place = checked(Place, values, f"{path}, place")
    if lacking := [each.name for each in fields(Place) if each.name not in values]:
        raise DferError(f"{path}, place: lacks {listed(lacking, 8)}")
    return place


def _require_moments(
    optimizer: torch.optim.Optimizer, moments: Mapping[str, Tensor], source: str, *, step: int | None = None
) -> None:
    """Refuse what another optimiser, or that of another network or step, keeps of its weights; without a step only by
    name and shape."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    kept = MOMENTS[type(getattr(optimizer, "optimizer", optimizer)).__name__]
    shapes = {
        f"{index}:{kind}": () if kind == "step" else tuple(weight.shape)
        for index, weight in enumerate(weights)
        for kind in kept
    }
    there = {key.partition(":")[0] for key in moments}
    wrong = [key for key, value in moments.items() if key not in shapes or value.shape != shapes[key]]
    wrong += [key for key in shapes if key.partition(":")[0] in there and key not in moments]
    if step is not None:
        wrong += [key for key, value in moments.items() if value.isnan().any()]
        wrong += [key for key, value in moments.items() if key.endswith(":step") and int(value) != step]
    if wrong:
        raise DferError(f"{source}: {listed(wrong)} of the optimiser are not those of this run at its step")
