"""A checkpoint as a function from pictures of faces to probabilities, in torch or in ONNX Runtime.

Everything that the card says of preprocessing and calibration is inside: pictures (B, T, H, W, C) uint8 in, probs
(B, K) out. An exported file is the same module, so the two cannot differ but in rounding.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dfer.errors import DferError, require_known
from dfer.models import Card, answer
from dfer.models.checkpoint import fingerprint
from dfer.video.preprocessing import Preprocessing

logger = logging.getLogger(__name__)

Frames = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Network = Callable[[Frames], Floats]
"""Pictures (B, T, H, W, C) uint8 -> probs (B, K)."""

ONNX_FILE = "model.onnx"
"""In the folder of a checkpoint, beside model.safetensors; `dfer.inference.export` writes it."""
INT8_FILE = "model.int8.onnx"
"""Likewise; `dfer.inference.quantise` writes it."""
WRITTEN_BY = {ONNX_FILE: "dfer export", INT8_FILE: "dfer export --int8 --data"}
RUNTIMES = ("auto", "torch", "onnx", "int8")
CHECKPOINT = "checkpoint"
"""In the metadata of an exported file: the fingerprint of the checkpoint that it was made of."""


class PicturesToProbs(nn.Module):
    """Scaling, network and temperature in one: `dfer.models.answer`, as training asks, and what makes probs of it.

    Args:
        model: clips (B, C, T, H, W) -> logits (B, K).
        card: of the model.

    Raises:
        DferError: the card's temperature is none.
    """

    def __init__(self, model: nn.Module, card: Card) -> None:
        super().__init__()
        self.model, self.preprocessing = model, Preprocessing.from_card(card.preprocessing)
        self.temperature = card.calibration.get("temperature", 1.0)
        if not 0 < self.temperature < float("inf"):
            raise DferError(f"expected a temperature above 0 in the card's calibration, got {self.temperature}")

    def forward(self, pictures: Tensor) -> Tensor:
        """Pictures (B, T, H, W, C) uint8 -> probs (B, K) float32."""
        logits = answer(self.model, pictures.permute(0, 4, 1, 2, 3), self.preprocessing)
        return torch.softmax(logits / self.temperature, dim=1)


class TorchNetwork:
    """A `Network` that torch runs.

    Attributes:
        once: the same network of stills, shown them without their mirror images, for films show it the two in turns;
            None where it sees no mirror images anyway, and for clips.
    """

    def __init__(self, module: nn.Module, device: str, *, once: TorchNetwork | None = None) -> None:
        self._module, self._device, self.once = module, device, once

    def __call__(self, pictures: Frames) -> Floats:
        """See `Network`."""
        with torch.inference_mode(), _one_core_less():
            probs: Tensor = self._module(torch.from_numpy(pictures).to(self._device))
        return probs.double().cpu().numpy()


def torch_network(model: nn.Module, card: Card, device: str = "auto") -> TorchNetwork:
    """A network that torch runs.

    Args:
        model: of the checkpoint.
        card: likewise.
        device: as torch names it, or "auto": a GPU where there is one.

    Raises:
        DferError: no such device.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    module = PicturesToProbs(model, card).eval()
    try:
        torch.zeros(1, device=device).cpu()  # "meta" takes a network, and gives no numbers back
        module = module.to(device)
    except (RuntimeError, AssertionError) as error:  # AssertionError: a build without the device
        reason = (str(error).splitlines() or [""])[0]
        raise DferError(f"device {device!r} cannot be used: {reason}; --device cpu always can") from error

    if not module.preprocessing.mirror or module.preprocessing.frames > 1:
        return TorchNetwork(module, device)
    single = PicturesToProbs(model, replace(card, preprocessing={**card.preprocessing, "mirror": False})).eval()
    return TorchNetwork(module, device, once=TorchNetwork(single, device))


@contextlib.contextmanager
def _one_core_less() -> Iterator[None]:
    """The search for faces is at work meanwhile: a thread that waits for its core holds up all of the network's."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads - 1))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def onnx_network(path: Path, *, made_of: str | None = None) -> Network:
    """A network that ONNX Runtime runs on the CPU; needs the extra `onnx`.

    Args:
        path: of the file.
        made_of: the fingerprint of the checkpoint that the file must have been made of.

    Raises:
        DferError: ONNX Runtime is not installed, or the file is damaged, missing, not one of ours, or made of other
            weights or another card.
    """
    if not has_onnxruntime():
        raise DferError("ONNX Runtime is not installed: pip install 'dfer[onnx]'")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # as OMP_NUM_THREADS says
    # Its threads would spin while they wait, and faces are looked for on the same cores meanwhile.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no class in common but this one
        raise DferError(f"{path} is missing, damaged or not an ONNX file: {str(error).splitlines()[0]}") from error
    names = [value.name for value in (*session.get_inputs(), *session.get_outputs())]
    if names != ["pictures", "probs"]:
        raise DferError(f"{path}: expected the input pictures and the output probs, got {names}; export it again")

    if made_of is not None and session.get_modelmeta().custom_metadata_map.get(CHECKPOINT) != made_of:
        raise DferError(
            f"{path} was not made of the card.json and model.safetensors beside it; make it anew with "
            f"{WRITTEN_BY[path.name]}"
        )

    def run(pictures: Frames) -> Floats:
        return np.asarray(session.run(["probs"], {"pictures": pictures})[0], dtype=np.float64)

    return run


def has_onnxruntime() -> bool:
    """Whether ONNX Runtime is installed."""
    return importlib.util.find_spec("onnxruntime") is not None


def free_gpu_memory() -> int | None:
    """Bytes that are free on the GPU that "auto" takes; None where there is none."""
    return int(torch.cuda.mem_get_info()[0]) if torch.cuda.is_available() else None


def choose_network(folder: Path, model: nn.Module, card: Card, *, device: str, runtime: str) -> Network:
    """The network of a checkpoint in the runtime that is asked for.

    "auto" is ONNX Runtime where it is installed, a file was exported of this checkpoint, and no other device than the
    CPU is asked for or there; else torch. A network that films show two views in turns stays in torch, which is faster
    for it, since ONNX Runtime computes both. What is chosen depends on nothing else, so that a result can be repeated.
    "int8" is never chosen unasked, for it is not quite the same network.

    Raises:
        DferError: an unknown runtime, or one that is not there, or whose file is of another checkpoint.
    """
    require_known("no runtime", runtime, RUNTIMES)
    on_cpu = device == "cpu" or (device == "auto" and not torch.cuda.is_available())
    if runtime in ("onnx", "int8"):
        return _exported(folder, ONNX_FILE if runtime == "onnx" else INT8_FILE)
    ours = torch_network(model, card, device)
    if runtime == "auto" and on_cpu and ours.once is None and (folder / ONNX_FILE).is_file() and has_onnxruntime():
        try:
            return _exported(folder, ONNX_FILE)
        except DferError as error:
            logger.warning("%s; torch is used", error)
    return ours


def _exported(folder: Path, name: str) -> Network:
    if not (folder / name).is_file():
        raise DferError(f"{folder} has no {name}; {WRITTEN_BY[name]} writes it")
    return onnx_network(folder / name, made_of=fingerprint(folder))
