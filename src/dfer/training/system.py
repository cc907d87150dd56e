"""What training finds on this machine: versions, processor, threads, and the precision whose gradients are proved.

For bug reports, and for whoever wants to know before a long run: `dfer doctor --system`.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from dfer.machine import usable_cores
from dfer.models import create_model
from dfer.training.gradients import layers_called, wrong_gradients
from dfer.training.precision import Precision, has_bf16
from dfer.training.threads import Threads, threads_kept
from dfer.version import __version__

PACKAGES = ("torch", "numpy", "accelerate", "safetensors", "opencv-python-headless", "av")
CLIPS: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "former_dfer": ({}, (1, 3, 16, 112, 112)),
    "frame_encoder": ({}, (2, 3, 4, 112, 112)),
    "frame_gru": ({}, (2, 3, 6, 56, 56)),
    "frame_transformer": ({}, (2, 3, 4, 112, 112)),
    "frame_vit": ({"depth": 1}, (1, 3, 2, 112, 112)),
    "m3dfel": ({}, (1, 3, 16, 112, 112)),
    "mae_dfer": ({"depth": 2}, (1, 3, 16, 160, 160)),
    "mc3_18": ({}, (1, 3, 16, 112, 112)),
    "r2plus1d_18": ({}, (1, 3, 16, 112, 112)),
    "r3d18": ({}, (1, 3, 16, 112, 112)),
    "resnet18_lstm": ({}, (2, 3, 4, 112, 112)),
    "tiny3d": ({}, (2, 3, 4, 48, 48)),
    "videomae": ({"depth": 1}, (1, 3, 16, 112, 112)),
}
"""Name of a network -> its options, and the clips (B, C, T, H, W) on which it is proved. A transformer's blocks are
alike, so that one stands for all; `hub_frames`, whose network is the user's, has the layers of frame_vit."""


@dataclass(frozen=True)
class Proof:
    """What was found of a network: how many of its layers were looked at, and which have wrong gradients."""

    network: str
    layers: int
    wrong_bf16: list[str] | None
    wrong_fp32: list[str]

    @property
    def precision(self) -> str:
        """What optim.precision = "auto" takes."""
        if self.wrong_fp32:
            return "none"
        return "fp32" if self.wrong_bf16 is None or self.wrong_bf16 else "bf16"


@dataclass(frozen=True)
class System:
    """This machine, as training sees it."""

    versions: dict[str, str]
    platform: str
    processor: str
    device: str
    cores: int
    threads: int
    bf16: bool
    proofs: list[Proof]

    @property
    def sound(self) -> bool:
        """Whether every network can be trained in some precision."""
        return not any(proof.wrong_fp32 for proof in self.proofs)


def examine_system() -> System:
    """Look at the machine, and prove the gradients of every network of dfer on it; takes some ten seconds."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with threads_kept():
        threads = Threads("auto").choose()
        proofs = [_prove(name, device) for name in CLIPS]
    return System(
        versions={"dfer": __version__, "python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
        platform=platform.platform(),
        processor=_processor(),
        device=torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        cores=usable_cores(),
        threads=threads,
        bf16=has_bf16(device),
        proofs=proofs,
    )


def _prove(name: str, device: torch.device) -> Proof:
    options, shape = CLIPS[name]
    layers = layers_called(create_model(name, 7, **options).to(device), torch.zeros(shape, device=device))

    def wrong(precision: Precision) -> list[str]:
        return wrong_gradients(layers, device, precision)

    return Proof(name, len(layers), wrong("bf16") if has_bf16(device) else None, wrong("fp32"))


def _processor() -> str:
    """The processor's name, and what torch uses of it."""
    name, known = platform.processor() or platform.machine(), Path("/proc/cpuinfo")  # the file is Linux's
    if known.is_file():
        lines = known.read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"
