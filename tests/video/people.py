"""Made-up people whose places are known: patches of coloured noise on grey noise; a detector, and looks, of colours."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from dfer.video.detection import Face, Frames

SIDE = 60
"""Height and width of a patch, pixels."""
COLOURS = ("red", "green", "blue")


def picture(places: Mapping[str, tuple[float, float]], *, height: int = 180, width: int = 320, seed: int = 0) -> Frames:
    """A frame with patches at (x, y), their top left corners; the last one named lies in front."""
    grey = smooth(height, width, seed)
    frame = np.repeat(grey[..., None], 3, axis=2)
    for colour, (x, y) in places.items():
        left, top = round(x), round(y)
        channel = COLOURS.index(colour)
        patch = np.zeros((SIDE, SIDE, 3), np.uint8)
        patch[..., channel] = 120 + smooth(SIDE, SIDE, 7 + channel) // 2
        rows, columns = slice(max(top, 0), max(top + SIDE, 0)), slice(max(left, 0), max(left + SIDE, 0))
        place = frame[rows, columns]
        place[...] = patch[max(-top, 0) :, max(-left, 0) :][: place.shape[0], : place.shape[1]]
    return frame


def smooth(height: int, width: int, seed: int) -> Frames:
    """Noise with structures of some pixels, which can be followed."""
    import cv2

    noise = np.random.default_rng(seed).uniform(0, 255, (height // 4, width // 4)).astype(np.float32)
    return np.clip(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)


class ColourDetector:
    """Finds the patches of which at least half can be seen, with the truth but for some trembling."""

    def __init__(self, *, tremble: float = 0.0, score: float = 0.99) -> None:
        self.calls = 0
        self.score = score
        self.tremble, self.generator = tremble, np.random.default_rng(0)

    def __call__(self, frame: Frames) -> list[Face]:
        self.calls += 1
        faces = []
        channels = cv2.split(frame)
        for own, first, second in (channels, (*channels[1:], channels[0]), (channels[2], *channels[:2])):
            mask = cv2.subtract(own, cv2.max(first, second)) > 100
            if np.count_nonzero(mask) < SIDE**2 / 2:
                continue
            rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
            corner = np.array([columns[0], rows[0]]) + self.generator.normal(0, 1, 2) * self.tremble
            faces.append(Face(np.array([*corner, np.ptp(columns) + 1, np.ptp(rows) + 1]), self.score))
        return faces


def colour_looks(frame: Frames, landmarks: list[np.ndarray]) -> list[np.ndarray | None]:
    """Looks that tell red, green and blue patches apart: they lie 1.4 from each other, one of its own at most 0.2."""
    looks: list[np.ndarray | None] = []
    for points in landmarks:
        x, y = np.rint(points.mean(axis=0)).astype(int)
        patch = frame[max(y - 8, 0) : y + 9, max(x - 8, 0) : x + 9].reshape(-1, 3)
        mean = patch.mean(axis=0) if len(patch) else np.zeros(3)
        looks.append((mean / np.linalg.norm(mean)).astype(np.float32) if mean.max() - mean.min() > 50 else None)
    return looks
