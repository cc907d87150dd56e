"""A checkpoint as an ONNX file with whole numbers of 8 bits, and what that costs, measured on clips; needs `onnx`.

Weights and the inputs of convolutions and linear layers are rounded to 256 steps. How wide the steps are is fitted on
every other clip, and the loss is measured on the rest. The rest of a network, such as norms and LSTMs, stays as it is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from dfer.errors import DferError
from dfer.files import replacing
from dfer.inference.export import export_onnx
from dfer.inference.network import INT8_FILE, Floats, Frames, Network, onnx_network

LEAST_CLIPS = 16
SMALLEST = 1e-12
"""Probability that stands for 0 in a logarithm."""
SECONDS = 1.0
"""For so long both speeds are measured."""


@dataclass(frozen=True)
class Int8:
    """What the file has lost, on clips that it was not fitted to.

    Attributes:
        path: of the file, beside the weights.
        clips: how many they are.
        same: the share of them for which the most probable emotion is the same.
        largest: the largest difference of a probability.
        divergence: the mean KL divergence of its probabilities from those of the network, nats.
        size: of the file, as a share of the ONNX file with floating point.
        speed: how many times as fast it is as that file, on this machine, one clip at a time.
    """

    path: Path
    clips: int
    same: float
    largest: float
    divergence: float
    size: float
    speed: float

    def __str__(self) -> str:
        return (
            f"{self.path}: on {self.clips} clips that it was not fitted to, {self.same:.1%} keep their most probable "
            f"emotion; probabilities differ by at most {self.largest:.2g}, KL {self.divergence:.2g}; {self.size:.0%} "
            f"of the size and {self.speed:.2g} times the speed of model.onnx here"
        )


def export_int8(folder: str | Path, pictures: Frames) -> Int8:
    """Write `model.int8.onnx` beside the weights of a checkpoint, and `model.onnx`, see `export_onnx`.

    Args:
        folder: of the checkpoint.
        pictures: (N, T, H, W, C) uint8, clips such as it will see, N at least 16.

    Raises:
        DferError: as `export_onnx`; too few clips; or a network that cannot be rounded.
    """
    folder = Path(folder)
    if len(pictures) < LEAST_CLIPS:
        raise DferError(f"int8 is fitted and measured on at least {LEAST_CLIPS} clips, got {len(pictures)}")
    exact_file, _ = export_onnx(folder)
    with replacing(folder / INT8_FILE) as partial:
        _write(exact_file, partial, pictures[::2])
        exact, rounded = onnx_network(exact_file), onnx_network(partial)
        rest = pictures[1::2]
        wanted, found = (_one_by_one(network, rest) for network in (exact, rounded))
        size = partial.stat().st_size / exact_file.stat().st_size
        speed = _speed(exact, rounded, rest)
    return Int8(
        folder / INT8_FILE, len(rest), float((wanted.argmax(1) == found.argmax(1)).mean()),
        float(np.abs(wanted - found).max()), _divergence(wanted, found), size, speed,
    )  # fmt: skip


def _write(exact: Path, path: Path, pictures: Frames) -> None:
    import onnx
    import onnxruntime
    from onnxruntime import quantization

    class Shown(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest: Iterator[np.ndarray] = iter(pictures)

        def get_next(self) -> dict[str, np.ndarray] | None:
            clip = next(self.rest, None)
            return None if clip is None else {"pictures": clip[None]}

    with TemporaryDirectory() as folder:
        simpler, rounded = Path(folder) / "simpler.onnx", Path(folder) / "rounded.onnx"
        options = onnxruntime.SessionOptions()  # norms become part of the convolutions before them
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(simpler)
        onnxruntime.InferenceSession(str(exact), options, providers=["CPUExecutionProvider"])
        former = logging.root.manager.disable
        logging.disable(logging.WARNING)  # it advises what was just done
        try:
            quantization.quantize_static(
                str(simpler), str(rounded), Shown(), quant_format=quantization.QuantFormat.QDQ, per_channel=True,
                reduce_range=True, op_types_to_quantize=["Conv", "Gemm", "MatMul"],
            )  # fmt: skip
        except Exception as error:  # its errors have no class in common but this one
            reason = " ".join(str(error).split())[:200]
            raise DferError(f"{exact} cannot be rounded to 8 bits: {reason}; use model.onnx") from error
        finally:
            logging.disable(former)
        graph = onnx.load(str(rounded))
        for entry in onnx.load(str(exact)).metadata_props:
            if entry.key not in {each.key for each in graph.metadata_props}:
                graph.metadata_props.append(entry)
        onnx.save(graph, str(path))


def _one_by_one(network: Network, pictures: Frames) -> Floats:
    return np.concatenate([network(clip[None]) for clip in pictures])


def _divergence(wanted: Floats, found: Floats) -> float:
    ratios = np.log(np.maximum(wanted, SMALLEST) / np.maximum(found, SMALLEST))
    return float((wanted * ratios).sum(axis=1).mean())


def _speed(exact: Network, rounded: Network, pictures: Frames) -> float:
    """How many times as fast the second is: turn by turn and by medians, for the machine may have other work too."""
    seconds: tuple[list[float], list[float]] = ([], [])
    begin = time.perf_counter()
    while not seconds[1] or time.perf_counter() - begin < SECONDS:
        clip = pictures[len(seconds[1]) % len(pictures)][None]
        for network, kept in zip((exact, rounded), seconds, strict=True):
            started = time.perf_counter()
            network(clip)
            kept.append(time.perf_counter() - started)
    return float(np.median(seconds[0]) / np.median(seconds[1]))
