"""Video in, emotions over time out: frames, faces, windows, probabilities, each step at work while the next one is.

predictor = Predictor.from_pretrained()
timeline = predictor("clip.mp4")

It can be pickled: what is kept is the model's folder, the device and the runtime, and it is loaded anew from there.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dfer.errors import DferError
from dfer.inference.abstention import abstaining
from dfer.inference.ahead import Ahead
from dfer.inference.network import Network, TorchNetwork, choose_network
from dfer.inference.population import Population, adapted, ratio_of, stated
from dfer.inference.reader import NEAR, Crops, Reader
from dfer.inference.recording import Moment, Recording
from dfer.inference.segments import SMOOTHING_S
from dfer.inference.timeline import Timeline
from dfer.inference.windows import Window
from dfer.labels import EmotionSet
from dfer.models import Card, load_checkpoint, model_folder
from dfer.models.abstention import confidence
from dfer.models.places import SHIPPED
from dfer.video.detection import Detector
from dfer.video.faces import find_faces
from dfer.video.identity import Embed
from dfer.video.mtcnn import Mtcnn
from dfer.video.orientation import upright_turn
from dfer.video.preprocessing import Preprocessing
from dfer.video.sources import Source, is_live, name_of, open_source
from dfer.video.stream import FPS, Span

logger = logging.getLogger(__name__)

Frames = npt.NDArray[np.uint8]

FRAMES_AHEAD = 1
"""Frames that are decoded in advance, beside the one that is being decoded: more bring no speed, for decoding is the
quickest of the steps, and one of 8K takes 100 MB."""
FACES_AHEAD = 32
"""Frames whose faces may wait for the network; they are only crops by then. The windows that are complete with so many
frames are shown to it together, of a source that is not live: the last bits of an answer depend on the batch, which
shall not depend on how fast the threads are."""
BATCH = 32
"""Windows that a network is shown at once, at most. With 64, the shipped one's memory goes back to the system after
each batch, and each face takes a fifth longer."""
SHARPEST = 96
"""Crops have at least this size, pixels, so that their sharpness can be told."""


class Predictor:
    """A trained network that reads faces in video.

    Args:
        network: pictures (B, T, H, W, C) uint8 -> probs (B, K).
        card: of its checkpoint.
        detector: finds faces in one picture; None: the default one.
        embed: tells whose they are; None: the default one.
        smoothing_s: of timelines, see `dfer.inference.segments.smooth`.
        prior: the population that is answered for, see `dfer.inference.population`; None: the one that the card names.
        abstain: the risk of naming another emotion than most people would, at most, see `dfer.models.abstention`;
            None: an emotion is named unless people would probably disagree, or the picture does not show enough.
        both_views: whether the network sees each face and its mirror image in every frame. Otherwise it sees them in
            turns, in 11 to 22 frames a second, where frames follow each other closely; see
            `dfer.inference.reader`. With `abstain`, for cameras and iterators, for clips, without smoothing and in ONNX
            Runtime it always sees both in every frame.
    """

    def __init__(
        self, network: Network, card: Card, *, detector: Detector | None = None, embed: Embed | None = None,
        smoothing_s: float = SMOOTHING_S, prior: Population | None = None, abstain: float | None = None,
        both_views: bool = False,
    ) -> None:  # fmt: skip
        if not 0 <= smoothing_s < np.inf:
            raise DferError(f"expected a smoothing of 0 seconds or more, got {smoothing_s}")
        self.network, self.card, self.smoothing_s = network, card, smoothing_s
        self.detector, self.embed, self.both_views = detector, embed, both_views
        self.prior = stated(card.view if prior is None else prior, card.emotions)
        self._ratio = ratio_of(card.prior, card.emotions, self.prior)
        self.abstaining = None if abstain is None else abstaining(card, self.prior, abstain)
        self._origin: tuple[str, str, str] | None = None
        self.preprocessing = Preprocessing.from_card(card.preprocessing)

    @classmethod
    def from_pretrained(
        cls, model: str | Path = "default", *, device: str = "auto", runtime: str = "auto",
        detector: Detector | None = None, smoothing_s: float = SMOOTHING_S, prior: Population | None = None,
        abstain: float | None = None, both_views: bool = False,
    ) -> Predictor:  # fmt: skip
        """A model that comes with dfer, or one of your own.

        Args:
            model: "default", or the folder of a checkpoint (or of a run of `dfer train` that has one in `model`).
            device: as torch names it, or "auto": a GPU where there is one.
            runtime: "torch", "onnx", "int8" (the file that `dfer export --int8` writes), or "auto": ONNX Runtime on a
                CPU where it is installed and the checkpoint has an exported file, else torch; for a network that sees
                a single frame and its mirror image, as "default" does, torch.
            detector: see `Predictor`.
            smoothing_s: likewise.
            prior: likewise.
            abstain: likewise.
            both_views: likewise.

        Raises:
            DferError: no such model, or one that is damaged; nothing in its files is executed.
        """
        folder = model_folder(model)
        network, card = load_checkpoint(folder)
        run = choose_network(folder, network, card, device=device, runtime=runtime)
        predictor = cls(
            run, card, detector=detector, smoothing_s=smoothing_s, prior=prior, abstain=abstain, both_views=both_views
        )
        # By name where it comes with dfer, so that another machine finds its own.
        name = str(model) if str(model) in SHIPPED else str(folder.resolve())
        predictor._origin = (name, device, runtime)
        return predictor

    def __reduce__(self) -> tuple[object, ...]:
        rest: dict[str, Any] = {"detector": self.detector, "smoothing_s": self.smoothing_s, "prior": self.prior}
        rest |= {"abstain": self.abstaining.risk if self.abstaining else None, "both_views": self.both_views}
        if self._origin is None:
            made = partial(type(self), self.network, self.card, **rest)
        else:
            model, device, runtime = self._origin
            made = partial(type(self).from_pretrained, model, device=device, runtime=runtime, **rest)
        return made, (), {"embed": self.embed}

    @property
    def emotions(self) -> EmotionSet:
        """Of the columns of probs."""
        return self.card.emotions

    def __call__(
        self, source: Source, *, span: Span | None = None, people: int | None = None, fps: float | None = None,
        times: Iterable[float] | None = None, rotate: int | None = None,
    ) -> Timeline:  # fmt: skip
        """Emotions over time in a video, an image, a folder of frames, a camera, or frames in memory, until it ends.

        Args:
            source: a path; the number of a camera; the bytes of a video or image file, or a file object opened for
                reading bytes; a picture (H, W, 3) or frames (T, H, W, 3), as NumPy array, torch tensor or PIL image,
                RGB, uint8 or float from 0 to 1; a list or an iterator of pictures. See `dfer.video.sources`.
            span: which part, and how densely; None: all frames.
            people: how many people at most are followed; None: all.
            fps: frames a second of a source without a clock, such as a folder of frames; None: 25.
            times: of each frame in memory, seconds, increasing, instead of `fps`.
            rotate: degrees by which the pictures are turned clockwise; None: see `upright_turn`.

        Raises:
            DferError: the source cannot be read; the message names it.
        """
        turn = self.upright_turn(source, span=span, fps=fps) if rotate is None else rotate
        recording = self.recording(source, fps=fps, rotate=turn)
        for moment in self.stream(source, span=span, people=people, fps=fps, times=times, rotate=turn):
            recording.add(moment)
        return recording.timeline()

    def recording(self, source: Source, *, fps: float | None = None, rotate: int = 0) -> Recording:
        """An empty recording for the moments of a source, to be filled from `stream` with the same values."""
        return Recording(
            name_of(source), self.emotions, smoothing_s=self.smoothing_s, fps=fps, rotate=rotate, prior=self.prior,
            abstaining=self.abstaining,
        )  # fmt: skip

    def upright_turn(self, source: Source, *, span: Span | None = None, fps: float | None = None) -> int:
        """Degrees clockwise by which a source is turned, for its faces are clearly upright only then; 0 for most.

        A few frames are looked at. Of what is no path, and where it is not clear, it is 0. Another value is told.
        """
        if not isinstance(source, str | Path) or not Path(source).exists():
            return 0
        # a rate that is assumed is told of when the film is read
        turn = upright_turn(Path(source), self.detector or Mtcnn(), span=span or Span(), fps=fps or FPS)
        if turn:
            told = "%s: read turned by %d degrees, for then its faces are upright; --rotate 0 reads it as it is"
            logger.warning(told, source, turn)
        return turn

    def stream(
        self, source: Source, *, span: Span | None = None, people: int | None = None,
        fps: float | None = None, times: Iterable[float] | None = None, rotate: int | None = None,
    ) -> Generator[Moment, None, None]:  # fmt: skip
        """As calling, one frame at a time while the source is read, which may never end: memory does not grow.

        A network of more than one frame speaks of a frame when the last window over it is complete. Probabilities are
        not smoothed: in a film whose frames follow each other closely they jump, since faces are seen as they are and
        mirrored in turns; in the frames between they are interpolated. `both_views` avoids this.
        """
        turn = self.upright_turn(source, span=span, fps=fps) if rotate is None else rotate
        size = self.preprocessing.size
        crop = size * -(-SHARPEST // size)
        opened = open_source(source, span=span, fps=fps, times=times, rotate=turn)
        with Ahead(opened, FRAMES_AHEAD) as frames:
            shown = (frame for ready in frames for frame in ready)
            faces = find_faces(shown, detector=self.detector, embed=self.embed, size=crop, people=people)
            crops = (
                Crops(one.index, one.time_s, one.faces, one.end_s, one.name, one.cut, one.renamed) for one in faces
            )
            with Ahead(crops, FACES_AHEAD, steady=not is_live(source)) as followed:
                yield from self._moments(followed, live=is_live(source))

    def _moments(self, followed: Ahead[Crops], *, live: bool) -> Iterator[Moment]:
        in_turns = self._once is not None and not live
        reader = Reader(self.preprocessing, NEAR * self.smoothing_s if in_turns else None)
        for ready in followed:
            windows = [window for frame in ready for window in reader.push(frame)]
            self._answer(reader, windows)
            yield from reader.moments()
        self._answer(reader, list(reader.finish()))
        yield from reader.moments()

    @property
    def _once(self) -> Network | None:
        """What is shown faces without their mirror images; None where both are always seen."""
        if self.both_views or self.abstaining is not None:  # a risk is proved for both
            return None
        return self.network.once if isinstance(self.network, TorchNetwork) else None

    def _answer(self, reader: Reader, windows: list[Window]) -> None:
        self._ask(self.network, reader, [window for window in windows if not window.once])
        if self._once is not None:
            self._ask(self._once, reader, [window for window in windows if window.once])

    def _ask(self, network: Network, reader: Reader, windows: list[Window]) -> None:
        for start in range(0, len(windows), BATCH):
            part = windows[start : start + BATCH]
            probs = network(np.stack([window.pictures for window in part]))
            shown = adapted(probs, self._ratio)
            for window, *row in zip(part, shown, 1 - probs.max(axis=1), confidence(probs, shown), strict=True):
                reader.answers.add(window, np.hstack(row))
