"""A predictor whose every answer is known: it tells colours, and its faces are patches of colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dfer.inference import Person, Predictor, Segment, Timeline
from dfer.labels import EmotionSet
from dfer.models import Card
from dfer.video import Preprocessing

from ..video.films import write_video
from ..video.people import ColourDetector, colour_looks, picture

EMOTIONS = EmotionSet("toy", ("angry", "disgust", "sad"))
"""Red, green and blue."""


def colour_network(pictures: np.ndarray) -> np.ndarray:
    """Pictures (B, T, H, W, 3) -> the shares of red, green and blue in each."""
    assert pictures.dtype == np.uint8 and pictures.ndim == 5
    means = pictures.mean(axis=(1, 2, 3)).astype(np.float64) + 1e-6
    return means / means.sum(axis=1, keepdims=True)


def toy_predictor(frames: int = 1, card: Card | None = None, **options: object) -> Predictor:
    card = card or Card("tiny3d", {}, EMOTIONS, Preprocessing(frames=frames, size=48).to_dict())
    return Predictor(colour_network, card, detector=ColourDetector(), embed=colour_looks, **options)


def film(path: Path, places: Sequence[dict[str, tuple[float, float]]], times: Sequence[float] | None = None) -> Path:
    """A video of patches: for each frame where they are, see `picture`."""
    return write_video(path, np.stack([picture(place) for place in places]), times)


def toy_person(id_: int = 0, **changes: object) -> Person:
    """Four rows at 0, 0.1, 0.2 and 0.3 s, the third one without a face."""
    values = {
        "times": np.array([0.0, 0.1, 0.2, 0.3]),
        "probs": np.array([[0.5, 0.25, 0.25], [0.7, 0.2, 0.1], [np.nan] * 3, [0.0, 0.0, 1.0]]),
        "boxes": np.array([[1.0, 2, 30, 40], [2, 2, 30, 40], [np.nan] * 4, [3, 2, 30, 40]]),
        "flaws": np.array([0, 5, 0, 2], dtype=np.uint8),
        "segments": (Segment(0.0, 0.1, 0.2, "angry", 0.7),),
        "overall": np.array([0.4, 0.2, 0.4]),
    }
    return Person(id_, **(values | changes))


def toy_timeline(*people: Person, video: str = "clip.mp4") -> Timeline:
    return Timeline(video, 0.4, EMOTIONS, people or (toy_person(),))
