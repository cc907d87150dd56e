"""Video in, emotions over time out: frames, faces, windows, probabilities, each step at work while the next one is.

predictor = Predictor.from_pretrained()
timeline = predictor("clip.mp4")
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dfer.errors import DferError, nearest
from dfer.inference.ahead import Ahead
from dfer.inference.flaws import flaws_of
from dfer.inference.network import Network, choose_network
from dfer.inference.recording import Moment, Reading, Recording
from dfer.inference.segments import SMOOTHING_S
from dfer.inference.timeline import Timeline
from dfer.inference.windows import Answers, Window, Windows
from dfer.labels import EmotionSet
from dfer.models import Card, load_checkpoint
from dfer.video.detection import Detector
from dfer.video.faces import TrackedFace, find_faces
from dfer.video.mtcnn import Mtcnn
from dfer.video.orientation import upright_turn
from dfer.video.preprocessing import Preprocessing, resize_square, to_grey
from dfer.video.stream import FPS, Span, stream

logger = logging.getLogger(__name__)

Frames = npt.NDArray[np.uint8]

SHIPPED = {"default": "faces", "faces": "faces"}
"""Models that come with dfer: name -> folder in dfer/models/shipped."""
FRAMES_AHEAD = 1
"""Frames that are decoded in advance, beside the one that is being decoded: more bring no speed, for decoding is the
quickest of the steps, and one of 8K takes 100 MB."""
FACES_AHEAD = 32
"""Frames whose faces may wait for the network; they are only crops by then. As many are looked at in one batch."""
BATCH = 64
"""Windows that a network is shown at once, at most."""
SHARPEST = 96
"""Crops have at least this size, pixels, so that their sharpness can be told."""


@dataclass(frozen=True, eq=False)
class _Crops:
    """A frame without its pixels."""

    index: int
    time_s: float
    faces: tuple[TrackedFace, ...]
    end_s: float
    name: str


class Predictor:
    """A trained network that reads faces in video.

    Args:
        network: pictures (B, T, H, W, C) uint8 -> probs (B, K).
        card: of its checkpoint.
        detector: finds faces in one picture; None: the default one.
        smoothing_s: of timelines, see `dfer.inference.segments.smooth`.
    """

    def __init__(
        self, network: Network, card: Card, *, detector: Detector | None = None, smoothing_s: float = SMOOTHING_S
    ) -> None:
        if not 0 <= smoothing_s < np.inf:
            raise DferError(f"expected a smoothing of 0 seconds or more, got {smoothing_s}")
        self.network, self.card, self.detector, self.smoothing_s = network, card, detector, smoothing_s
        self.preprocessing = Preprocessing.from_card(card.preprocessing)

    @classmethod
    def from_pretrained(
        cls, model: str | Path = "default", *, device: str = "auto", runtime: str = "auto",
        detector: Detector | None = None, smoothing_s: float = SMOOTHING_S,
    ) -> Predictor:  # fmt: skip
        """A model that comes with dfer, or one of your own.

        Args:
            model: "default", or the folder of a checkpoint (or of a run of `dfer train` that has one in `model`).
            device: as torch names it, or "auto": a GPU where there is one.
            runtime: "torch", "onnx", or "auto": the faster one, if the checkpoint has an exported file.
            detector: see `Predictor`.
            smoothing_s: likewise.

        Raises:
            DferError: no such model, or one that is damaged; nothing in its files is executed.
        """
        folder = model_folder(model)
        network, card = load_checkpoint(folder)
        run = choose_network(folder, network, card, device=device, runtime=runtime)
        return cls(run, card, detector=detector, smoothing_s=smoothing_s)

    @property
    def emotions(self) -> EmotionSet:
        """Of the columns of probs."""
        return self.card.emotions

    def __call__(
        self, source: str | Path | int, *, span: Span | None = None, people: int | None = None,
        fps: float | None = None, rotate: int | None = None,
    ) -> Timeline:  # fmt: skip
        """Emotions over time in a video, an image, a folder of frames or a camera (an int), until it ends.

        Args:
            source: see `dfer.video.stream.stream`.
            span: which part, and how densely; None: all frames.
            people: how many people at most are followed; None: all.
            fps: frames a second of a source without a clock, such as a folder of frames; see
                `dfer.video.stream.stream`.
            rotate: degrees by which the pictures are turned clockwise; None: see `upright_turn`.

        Raises:
            DferError: the source cannot be read; the message names it.
        """
        turn = self.upright_turn(source, span=span, fps=fps) if rotate is None else rotate
        recording = self.recording(source, fps=fps, rotate=turn)
        for moment in self.stream(source, span=span, people=people, fps=fps, rotate=turn):
            recording.add(moment)
        return recording.timeline()

    def recording(self, source: str | Path | int, *, fps: float | None = None, rotate: int = 0) -> Recording:
        """An empty recording for the moments of a source, to be filled from `stream` with the same values."""
        name = f"camera {source}" if isinstance(source, int) else str(source)
        return Recording(name, self.emotions, smoothing_s=self.smoothing_s, fps=fps, rotate=rotate)

    def upright_turn(self, source: str | Path | int, *, span: Span | None = None, fps: float | None = None) -> int:
        """Degrees clockwise by which a source is turned, for its faces are clearly upright only then; 0 for most.

        A few frames are looked at. Of a camera, and where it is not clear, it is 0. Another value is told.
        """
        if isinstance(source, int) or not Path(source).exists():
            return 0
        # a rate that is assumed is told of when the film is read
        turn = upright_turn(Path(source), self.detector or Mtcnn(), span=span or Span(), fps=fps or FPS)
        if turn:
            told = "%s: read turned by %d degrees, for then its faces are upright; --rotate 0 reads it as it is"
            logger.warning(told, source, turn)
        return turn

    def stream(
        self, source: str | Path | int, *, span: Span | None = None, people: int | None = None,
        fps: float | None = None, rotate: int | None = None,
    ) -> Generator[Moment, None, None]:  # fmt: skip
        """As calling, one frame at a time while the video is read: memory does not grow with its length.

        A network of more than one frame speaks of a frame when the last window over it is complete.
        """
        turn = self.upright_turn(source, span=span, fps=fps) if rotate is None else rotate
        size = self.preprocessing.size
        crop = size * -(-SHARPEST // size)
        with Ahead(stream(source, span=span, fps=fps, rotate=turn), FRAMES_AHEAD) as frames:
            shown = (frame for ready in frames for frame in ready)
            faces = find_faces(shown, detector=self.detector, size=crop, people=people)
            crops = (_Crops(each.index, each.time_s, each.faces, each.end_s, each.name) for each in faces)
            with Ahead(crops, FACES_AHEAD) as followed:
                yield from self._moments(followed)

    def _moments(self, followed: Ahead[_Crops]) -> Iterator[Moment]:
        reader = _Reader(self.preprocessing)
        for ready in followed:
            windows = [window for frame in ready for window in reader.push(frame)]
            self._answer(reader, windows)
            yield from reader.moments()
        self._answer(reader, list(reader.finish()))
        yield from reader.moments()

    def _answer(self, reader: _Reader, windows: list[Window]) -> None:
        for start in range(0, len(windows), BATCH):
            part = windows[start : start + BATCH]
            probs = self.network(np.stack([window.pictures for window in part]))
            for window, row in zip(part, probs, strict=True):
                reader.answers.add(window, row)


class _Reader:
    """Frames with faces in, windows out; answers about windows in, moments out."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self.preprocessing = preprocessing
        self.answers = Answers()
        self._windows: dict[int, Windows] = {}
        self._frames: deque[_Crops] = deque()

    def push(self, frame: _Crops) -> Iterator[Window]:
        """The windows that are complete with a frame."""
        self._frames.append(frame)
        for face in frame.faces:
            if face.id not in self._windows:
                self._windows[face.id] = Windows(face.id, self.preprocessing.frames, self.preprocessing.short)
            yield from self._windows[face.id].push(frame.index, frame.time_s, picture(face.crop, self.preprocessing))
        for windows in self._windows.values():
            yield from windows.idle(frame.time_s)
        self._windows = {id_: windows for id_, windows in self._windows.items() if windows.waiting is not None}

    def finish(self) -> Iterator[Window]:
        """The last windows of everybody."""
        for windows in self._windows.values():
            yield from windows.finish()
        self._windows = {}

    def moments(self) -> Iterator[Moment]:
        """The frames of which everything is said."""
        waiting = [windows.waiting for windows in self._windows.values() if windows.waiting is not None]
        until = min(waiting, default=np.inf)
        while self._frames and self._frames[0].index < until:
            frame = self._frames.popleft()
            yield Moment(
                frame.time_s,
                tuple(
                    Reading(face.id, face.box, self.answers.take(face.id, frame.index), flaws_of(face.quality))
                    for face in frame.faces
                ),
                frame.end_s,
                frame.name,
            )


def picture(crop: Frames, preprocessing: Preprocessing) -> Frames:
    """A face's crop (S, S, 3) as a network is shown it, (H, W, C) uint8."""
    small = resize_square(crop[None], preprocessing.size)
    return np.asarray((to_grey(small) if preprocessing.grey else small)[0])


def model_folder(model: str | Path) -> Path:
    """The folder of a model by its name or by its place.

    Raises:
        DferError: neither is there.
    """
    shipped = SHIPPED.get(str(model))
    folder = Path(str(files("dfer.models"))) / "shipped" / shipped if shipped else Path(model)
    if (folder / "model" / "card.json").is_file():
        return folder / "model"
    if shipped and not folder.exists():
        raise DferError(f"the model {model} does not come with this installation; give the folder of a checkpoint")
    if not folder.exists():
        hint = nearest(str(model), SHIPPED)
        raise DferError(f"no model {model}{hint}: expected default, or the folder of a checkpoint")
    return folder
