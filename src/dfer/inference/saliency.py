"""Which parts of a face an answer depends on, over time: a film with the faces coloured by saliency.

The saliency of a pixel is how strongly the log probability of the emotion that is named changes with it: the size of
the gradient, in the mean over some copies of the picture with noise, blurred a little. It shows where the network
looks, not why, and edges are salient to nearly any network.

References: Simonyan, Vedaldi and Zisserman, "Deep inside convolutional networks", ICLR workshop 2014; Smilkov, Thorat,
Kim, Viegas and Wattenberg, "SmoothGrad", arXiv 1706.03825. What such maps cannot tell: Adebayo et al., "Sanity checks
for saliency maps", NeurIPS 2018.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from dfer.errors import DferError, require_known
from dfer.files import keep_inputs, replacing
from dfer.inference.population import adapted, ratio_of
from dfer.inference.predictor import Predictor
from dfer.inference.windows import Window, Windows
from dfer.models import Card, load_checkpoint, to_network
from dfer.video.alignment import TEMPLATE, similarity
from dfer.video.detection import Detector
from dfer.video.faces import find_faces
from dfer.video.preprocessing import Preprocessing
from dfer.video.sampling import uniform
from dfer.video.stream import Span, TimedFrame, stream
from dfer.video.writing import Timed, write_video

Frames = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

COPIES = 8
"""Noisy copies of a picture, whose gradients are averaged."""
NOISE = 0.1
"""Standard deviation of their noise, over the range of values."""
BLUR = 1 / 32
"""Standard deviation of what a map is blurred with, sides of the face."""
STRONGEST = 99.0
"""The percentile of a map that is drawn in full colour."""
DENSE = 0.65
"""How much of the picture the strongest colour covers, 0..1."""


@dataclass(frozen=True, eq=False)
class _Face:
    """A face in a frame: its landmarks (5, 2) in pixels, and its map (S, S), 0..1."""

    landmarks: Floats
    heat: npt.NDArray[np.float32]


class Saliency:
    """Maps of a network.

    Args:
        network: clips (B, C, T, H, W) -> logits (B, K).
        card: of its checkpoint.
        emotion: whose probability is looked at; None: the one that is named, in the view of the card.
        seed: of the noise.

    Raises:
        DferError: the network knows no such emotion.
    """

    def __init__(self, network: nn.Module, card: Card, *, emotion: str | None = None, seed: int = 0) -> None:
        if emotion is not None:
            require_known("the model knows no emotion", emotion, card.emotions.emotions)
        self.network, self.card, self.seed = network.eval(), card, seed
        self.preprocessing = Preprocessing.from_card(card.preprocessing)
        self.wanted = None if emotion is None else card.emotions.index(emotion)
        self._ratio = ratio_of(card.prior, card.emotions, card.view)

    def __call__(self, pictures: Frames) -> npt.NDArray[np.float32]:
        """Maps (T, H, W), 0..1, of what a network sees at once, (T, H, W, C) uint8."""
        clip = torch.from_numpy(pictures).permute(3, 0, 1, 2)[None].float() / 255
        generator = torch.Generator().manual_seed(self.seed)
        found = torch.zeros(clip.shape[2:])
        with torch.no_grad():
            probs = torch.softmax(self.network(to_network(clip, self.preprocessing)), dim=1).double().numpy()
        target = int(adapted(probs, self._ratio).argmax()) if self.wanted is None else self.wanted
        for _ in range(COPIES):
            noisy = (clip + NOISE * torch.randn(clip.shape, generator=generator)).requires_grad_()
            logits = self.network(to_network(noisy, self.preprocessing))
            (gradient,) = torch.autograd.grad(torch.log_softmax(logits, dim=1)[0, target], noisy)
            found += gradient[0].abs().sum(dim=0)
        return np.stack([_drawable(each) for each in found.numpy()])


def _drawable(strength: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A map (H, W) that is smooth, from 0 to 1."""
    smooth = cv2.GaussianBlur(strength, (0, 0), max(strength.shape[0] * BLUR, 0.5))
    strongest = float(np.percentile(smooth, STRONGEST))
    return np.asarray(np.clip(smooth / strongest, 0, 1) if strongest > 0 else np.zeros_like(smooth), dtype=np.float32)


def explain(
    model: str | Path, video: Path, out: Path, *, emotion: str | None = None, span: Span | None = None,
    detector: Detector | None = None,
) -> int:  # fmt: skip
    """Write a film in which each face is coloured where the answer depends on it.

    Args:
        model: see `Predictor.from_pretrained`.
        video: a film, an image or a folder of frames.
        out: .mp4.
        emotion: see `Saliency`.
        span: which part; None: all of it.
        detector: see `Predictor`.

    Returns:
        How many faces were coloured, over all frames.

    Raises:
        DferError: another suffix, the video itself as `out`, no such model or emotion, or a film that cannot be read.
    """
    if out.suffix.lower() != ".mp4":
        raise DferError(f"expected a file .mp4 for the film, got {out}")
    keep_inputs([out], [video])
    saliency = Saliency(*load_checkpoint(model), emotion=emotion)
    turn = Predictor.from_pretrained(model, detector=detector).upright_turn(video, span=span)

    def shown() -> Iterator[TimedFrame]:
        return stream(video, span=span, rotate=turn)

    faces = _maps(shown(), saliency, detector)
    begin_s = next(shown()).time_s

    def drawn() -> Iterator[Timed]:
        for index, frame in enumerate(shown()):
            picture = frame.pixels.copy()
            for face in faces.get(index, []):
                picture = _coloured(picture, face)
            yield picture, frame.time_s - begin_s, frame.end_s - begin_s

    with replacing(out) as partial:
        write_video(partial, drawn)
    return sum(map(len, faces.values()))


def _maps(frames: Iterator[TimedFrame], saliency: Saliency, detector: Detector | None) -> dict[int, list[_Face]]:
    """The faces of each frame, by its number, with their maps: the means over the windows that cover it."""
    shown = saliency.preprocessing
    windows: dict[int, Windows] = {}
    landmarks: dict[tuple[int, int], Floats] = {}
    sums: defaultdict[tuple[int, int], list[npt.NDArray[np.float32]]] = defaultdict(list)

    def add(found: Iterator[Window]) -> None:
        for window in found:
            maps = saliency(window.pictures)
            seen = uniform(len(window.frames), shown.frames, short=shown.short)
            for place, frame in enumerate(window.frames.tolist()):
                sums[window.person, frame].append(maps[int(np.abs(seen - place).argmin())])

    for one in find_faces(frames, detector=detector, size=shown.size):
        for face in one.faces:
            landmarks[face.id, one.index] = face.landmarks
            own = windows.setdefault(face.id, Windows(face.id, shown.frames, shown.short))
            add(own.push(one.index, one.time_s, shown.shown(face.crop[None])[0]))
    for own in windows.values():
        add(own.finish())
    found: defaultdict[int, list[_Face]] = defaultdict(list)
    for (person, frame), maps in sums.items():
        found[frame].append(_Face(landmarks[person, frame], np.mean(maps, axis=0)))
    return found


def _coloured(picture: Frames, face: _Face) -> Frames:
    """A picture with the face in it coloured: the stronger, the denser and the brighter."""
    side = face.heat.shape[0]
    back = cv2.invertAffineTransform(similarity(face.landmarks, TEMPLATE * side))
    size = (picture.shape[1], picture.shape[0])
    heat = np.asarray(cv2.warpAffine(face.heat, back, size, flags=cv2.INTER_LINEAR))[..., None]
    colours = cv2.applyColorMap((255 * heat).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    mixed = picture * (1 - DENSE * heat) + colours * DENSE * heat
    return np.asarray(mixed.round().clip(0, 255), dtype=np.uint8)
