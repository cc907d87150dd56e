"""A checkpoint as one ONNX file, proved against torch before it takes its name; needs the extra `onnx`.

The file takes pictures (B, T, H, W, C) uint8 and gives probs (B, K): scaling, network and temperature are inside. Its
metadata has the card as `card` and the fingerprint of the checkpoint as `checkpoint`. Any B; T, H, W and C are the
network's.
"""

from __future__ import annotations

import importlib.util
import logging
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from dfer.errors import DferError, shortened
from dfer.files import replacing
from dfer.inference.network import CHECKPOINT, ONNX_FILE, PicturesToProbs, onnx_network, torch_network
from dfer.models import load_checkpoint
from dfer.models.checkpoint import fingerprint
from dfer.models.places import CARD
from dfer.video.preprocessing import Preprocessing

TOLERANCE = 1e-4
"""The largest difference of two probabilities that passes."""
TRIED = 5
"""Windows that both are shown: more than the two that the graph is made with."""


def export_onnx(folder: str | Path) -> tuple[Path, float]:
    """Write `model.onnx` beside the weights of a checkpoint.

    Returns:
        The file, and the largest difference of its probabilities and torch's over random pictures.

    Raises:
        DferError: no checkpoint, the extra `onnx` is not installed, or the two differ; then there is no file.
    """
    folder = Path(folder)
    lacking = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    if lacking:
        raise DferError(f"export needs {', '.join(lacking)}: pip install 'dfer[onnx]'")
    model, card = load_checkpoint(folder)
    preprocessing = Preprocessing.from_card(card.preprocessing)
    pictures = _pictures(preprocessing)
    wanted = torch_network(model, card, "cpu")(pictures)
    with replacing(folder / ONNX_FILE) as partial:
        told = {"card": (folder / CARD).read_text("utf-8"), CHECKPOINT: fingerprint(folder)}
        _write(PicturesToProbs(model, card).eval(), pictures[:2], partial, told)
        difference = float(np.abs(_answers(partial, pictures) - wanted).max())
        if not difference <= TOLERANCE:
            raise DferError(
                f"{folder}: the exported network differs from torch by {difference:.2g}, more than {TOLERANCE:g}"
            )
    return folder / ONNX_FILE, difference


def _answers(path: Path, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Of the exported network, for more pictures than the graph was made with."""
    network = onnx_network(path)
    try:
        return network(pictures)
    except Exception as error:  # its errors have no class in common but this one
        reason = shortened(" ".join(str(error).split()), 200)
        raise DferError(
            f"the exported network fails on {len(pictures)} clips at a time: {reason}; where it asks for the size of a "
            "batch it must use clips.shape[0], for len(clips) is a fixed number to the exporter"
        ) from error


def _pictures(preprocessing: Preprocessing) -> npt.NDArray[np.uint8]:
    """Blurred noise: smooth as pictures are, and no two alike."""
    side, generator = preprocessing.size, torch.Generator().manual_seed(0)
    coarse = torch.rand(TRIED * preprocessing.frames, preprocessing.channels, 6, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    shape = (TRIED, preprocessing.frames, preprocessing.channels, side, side)
    return (smooth.reshape(shape).permute(0, 1, 3, 4, 2) * 255).to(torch.uint8).contiguous().numpy()


def _write(module: PicturesToProbs, pictures: npt.NDArray[np.uint8], path: Path, told: dict[str, str]) -> None:
    import onnx

    batch = torch.export.Dim("batch", min=1)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision, which is not needed
    with warnings.catch_warnings():  # the exporter's own, about its own insides
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module, (torch.from_numpy(pictures),), dynamo=True, verbose=False, input_names=["pictures"],
            output_names=["probs"], dynamic_shapes={"pictures": {0: batch}},
        )  # fmt: skip
    if program is None:
        raise DferError("torch gave no program to export")
    graph = program.model_proto
    for key, value in told.items():
        entry = graph.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(graph, str(path))
