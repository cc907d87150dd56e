"""From a file of weights to a network: reading without running anything, and saying what does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from dfer.errors import DferError, listed


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a local file by name, on the CPU.

    Args:
        path: .safetensors, or anything else that `torch.load(weights_only=True)` reads; no code in it is executed.

    Raises:
        DferError: no such file, a damaged one, or one that holds more or other things than tensors.
    """
    try:
        safe = path.suffix == ".safetensors"
        state = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file makes the readers raise nearly anything
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise DferError(
            f"cannot read weights from {path}: it is missing, damaged or no such file ({reason})"
        ) from error
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        found = listed(state) if isinstance(state, dict) else type(state).__name__
        raise DferError(
            f"{path} holds no weights: expected tensors by name, such as fc.weight; found {found or 'none'}"
        )
    return state


def fit_weights(network: nn.Module, state: Mapping[str, Tensor], *, source: str) -> None:
    """Copy `state` into `network`; every weight of the network must be there, in its shape, and nothing else.

    Batch norm's counters of batches may be absent: nothing is computed from them, and converters drop them.

    Args:
        network: changed in place.
        state: tensors by name.
        source: what they are, for the message.

    Raises:
        DferError: lists the names that are missing, unknown, of another shape or kind of number, or not finite.
    """
    own = network.state_dict()
    faults = {
        "missing": [key for key in own if key not in state and not key.endswith("num_batches_tracked")],
        "unknown": [key for key in state if key not in own],
        "of another shape": [
            f"{key} {tuple(value.shape)} instead of {tuple(own[key].shape)}"
            for key, value in state.items()
            if key in own and value.shape != own[key].shape
        ],
        "of another kind of number": [
            f"{key} {value.dtype}"
            for key, value in state.items()
            if key in own and value.is_floating_point() != own[key].is_floating_point()
        ],
        # as float, which is what they become: a float64 may be too large for it
        "not finite": [
            key for key, value in state.items() if value.is_floating_point() and not torch.isfinite(value.float()).all()
        ],
    }
    if any(faults.values()):
        found = "; ".join(f"{what}: {listed(keys)}" for what, keys in faults.items() if keys)
        raise DferError(f"{source}: the weights do not fit the network: {found}")
    network.load_state_dict(state, strict=False)
