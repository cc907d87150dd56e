"""From a file of weights to a network: reading without running anything, and saying what does not fit."""

from __future__ import annotations

import re
import string
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from dfer.errors import DferError, listed, shortened
from dfer.files import require_file

LARGEST_WEIGHTS = 8 * 2**30
"""Bytes of a file of weights."""
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "module", "network", "net", "weights")
"""Under what trainings save the weights."""
PASSED_OVER = (
    "argparse.Namespace",
    "__main__.RecorderMeter",
    "numpy.ndarray",
    "numpy.dtype",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
)
"""What the field's trainings save beside the weights: their options, scores and curves. None of it is built; in its
place stands an object that does nothing."""
BEGINNINGS = {
    b"version https://git-lfs": "a git-LFS pointer stands in its place; download the file itself with `git lfs pull`",
    b"<": "it is a web page or XML; download the file itself",
    b"\x89HDF": "it is an HDF5 file, as Keras writes it; expected .safetensors, or a file of torch",
    b"\x93NUMPY": "it is an array of NumPy; expected .safetensors, or a file of torch",
}
"""How files begin that people take for weights, and what is told of them."""
BLOCKED = re.compile(r"GLOBAL ([\w.]+)")
"""How torch names the class or function in a pickle that it did not call."""
FLOATS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""How safetensors calls the numbers that weights may have; those of all others count as whole ones."""


def read_outlines(path: Path) -> dict[str, Tensor]:
    """The names, shapes and kinds of the tensors of a safetensors file, from its header: tensors without memory.

    Raises:
        DferError: no such file, or a damaged one.
    """
    require_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            return {
                name: torch.empty(part.get_shape(), dtype=FLOATS.get(part.get_dtype(), torch.int64), device="meta")
                for name, part in parts.items()
            }
    except (OSError, SafetensorError, RuntimeError) as error:
        raise DferError(f"{path} is damaged or not a safetensors file: {shortened(str(error), 200)}") from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a local file by name, on the CPU; those of a training's checkpoint are looked for in it.

    Args:
        path: .safetensors, or anything else that `torch.load(weights_only=True)` reads; no code in it is executed.

    Raises:
        DferError: no such file, a damaged one, or one that holds more or other things than tensors.
    """
    try:
        size = require_file(path)
        if path.suffix != ".safetensors" and zipfile.is_zipfile(path):  # torch packs nothing: a bomb does
            with zipfile.ZipFile(path) as packed:
                size = max(size, sum(member.file_size for member in packed.infolist()))
        if size > LARGEST_WEIGHTS:
            raise DferError(
                f"cannot read weights from {path}: expected at most {LARGEST_WEIGHTS / 2**30:.0f} GB, got "
                f"{size / 2**30:.0f}"
            )
        safe = path.suffix == ".safetensors"
        with warnings.catch_warnings(), torch.serialization.safe_globals([_inert(name) for name in PASSED_OVER]):
            warnings.simplefilter("ignore")  # torch's, to those who write such files
            state = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
    except DferError:
        raise
    except Exception as error:  # a damaged or hostile file makes the readers raise nearly anything
        raise DferError(f"cannot read weights from {path}: {_fault(path, error)}") from error
    state = _unwrapped(state)
    if not isinstance(state, dict) or not state or not all(map(_is_weight, state.items())):
        found = listed(map(_kind, state.items())) if isinstance(state, dict) else type(state).__name__
        raise DferError(
            f"{path} holds no weights: expected ordinary tensors by name, such as fc.weight; found {found or 'none'}"
        )
    return state


def _fault(path: Path, error: Exception) -> str:
    """Why a file cannot be read. What torch says of a pickle is left out: it advises to run the code in it."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    with path.open("rb") as file:
        beginning = file.read(64)
    if not beginning:
        return "it is empty; copy or download it again"
    for known, told in BEGINNINGS.items():
        if beginning.lstrip().startswith(known):
            return told
    if set(beginning) <= set(string.printable.encode()):
        return (
            f"it is a text that begins {shortened(beginning.decode(), 30)!r}; expected .safetensors, or a file of torch"
        )
    said = " ".join(str(error).split()) or type(error).__name__
    if blocked := BLOCKED.search(said):
        return (
            f"it holds {blocked.group(1)}, which is no tensor and is not run; whoever has the network can save its "
            "weights alone, with torch.save(network.state_dict(), ...)"
        )
    if "TorchScript" in said:
        return "it is a network of TorchScript; save its weights alone, with torch.save(network.state_dict(), ...)"
    if "eights only load failed" in said:
        return "it is no file of torch, or it is damaged; expected .safetensors, or what torch.save writes"
    return f"it is damaged, or no file of weights ({said[:200]})"


class _Inert:
    """Takes any arguments and any state, and keeps none."""

    def __new__(cls, *_: object, **__: object) -> _Inert:
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        pass


def _inert(name: str) -> Any:
    """A class of this name that does nothing, for the unpickler to take instead of what has the name."""
    module, _, attribute = name.rpartition(".")
    return type(attribute, (_Inert,), {"__module__": module})


def _unwrapped(state: object) -> object:
    """The weights in what a training saved: they stand beside its optimiser and its epoch, under a usual name."""
    for _ in range(len(WRAPPERS)):  # one may stand in another
        if not isinstance(state, dict) or any(isinstance(value, Tensor) for value in state.values()):
            break
        inner = [state[name] for name in WRAPPERS if isinstance(state.get(name), dict)]
        if not inner:
            break
        state = inner[0]
    return state


def _is_weight(named: tuple[object, object]) -> bool:
    """Whether it has a name and is an ordinary tensor, with numbers in memory."""
    name, value = named
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
    )


def _kind(named: tuple[object, object]) -> str:
    """What stands under a name, for the message."""
    name, value = named
    if not isinstance(value, Tensor):
        return f"{name} ({type(value).__name__})"
    layout = str(value.layout).removeprefix("torch.")
    return f"{name} ({'quantised' if value.is_quantized else layout} tensor on {value.device.type})"


def require_fit(network: nn.Module, state: Mapping[str, Tensor], *, source: str) -> None:
    """Refuse what is not the weights of a network: each of its tensors in its shape, and nothing else.

    Batch norm's counters of batches may be absent: nothing is computed from them, and converters drop them.

    Args:
        network: may be on the device "meta", without memory.
        state: tensors by name, or their outlines.
        source: what they are, for the message.

    Raises:
        DferError: lists the names that are missing, unknown, of another shape or of another kind of number.
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
    }
    _refuse(faults, source)


def fit_weights(network: nn.Module, state: Mapping[str, Tensor], *, source: str) -> None:
    """Copy `state` into `network`, which is changed in place; see `require_fit`.

    Raises:
        DferError: as `require_fit`; or weights that are not finite, or variances of batch norm below 0.
    """
    require_fit(network, state, source=source)
    floats = {key: value.float() for key, value in state.items() if value.is_floating_point()}  # what they become
    faults = {
        "not finite": [key for key, value in floats.items() if not torch.isfinite(value).all()],
        "a negative variance": [
            key for key, value in floats.items() if key.endswith("running_var") and (value < 0).any()
        ],
    }
    _refuse(faults, source)
    network.load_state_dict(state, strict=False)


def _refuse(faults: Mapping[str, list[str]], source: str) -> None:
    if any(faults.values()):
        found = "; ".join(f"{what}: {listed(keys)}" for what, keys in faults.items() if keys)
        raise DferError(f"{source}: the weights do not fit the network: {found}")
