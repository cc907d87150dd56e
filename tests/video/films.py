"""Writers of small videos whose every pixel and time is known."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CODECS = {
    ".mp4": ("libx264rgb", "rgb24", {"crf": "0"}),
    ".mov": ("libx264rgb", "rgb24", {"crf": "0"}),
    ".ts": ("libx264", "yuv420p", {}),
    ".flv": ("flv", "yuv420p", {"qscale": "2"}),
}
CLOCK = Fraction(1, 1000)


def noise(frames: int, height: int = 24, width: int = 32, seed: int = 0) -> np.ndarray:
    """(T, H, W, 3) uint8; no two frames alike."""
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def write_video(path: Path, frames: np.ndarray, times: Sequence[float] | None = None, **options: str) -> Path:
    """A video, 25 frames a second or at `times`; without loss but for .ts and .flv, which have no such codec."""
    codec, pixels, settings = CODECS.get(path.suffix, ("ffv1", "bgr0", {}))
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.options = pixels, settings
        if times is not None:
            stream.codec_context.time_base = CLOCK
        for index, pixels_of_frame in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels_of_frame), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = round(times[index] / CLOCK), CLOCK
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
