"""Networks for pictures that are worth starting from: RGB pictures (N, 3, H, W) in, one row of features each out.

`dfer.models.frame_encoder` makes networks for clips of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from dfer.models.encoders import dlib_face, mobilenet_v2

__all__ = ["ENCODERS", "Encoder"]


@dataclass(frozen=True)
class Encoder:
    """A network for pictures.

    Attributes:
        build: makes it, freshly initialised. It has a method `stages`, see `dfer.models.manifold`.
        features: the width of its rows.
        mean: what its published weights expect to be taken off red, green and blue in [0, 1], ...
        std: ... and what to divide them by.
    """

    build: Callable[[], nn.Module]
    features: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


ENCODERS = {
    "dlib_face": Encoder(dlib_face.DlibFace, dlib_face.FEATURES, dlib_face.MEAN, dlib_face.STD),
    "mobilenet_v2": Encoder(mobilenet_v2.MobileNetV2, mobilenet_v2.FEATURES, mobilenet_v2.MEAN, mobilenet_v2.STD),
}
