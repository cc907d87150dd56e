"""Where a network looks, against networks of which it is known."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dfer import DferError
from dfer.inference.saliency import Saliency, _coloured, _Face, explain
from dfer.labels import EmotionSet
from dfer.models import Card
from dfer.video import Preprocessing
from dfer.video.alignment import TEMPLATE
from dfer.video.decoding import Film
from dfer.video.stream import Span, stream

from ..test_cli import here

EMOTIONS = EmotionSet("two", ("happy", "sad"))
CLIP = Path(__file__).parents[2] / "examples" / "crema_d" / "1001_DFA_HAP_XX.flv"


class Patch(nn.Module):
    """Happy by one square of the picture, sad by another one."""

    def forward(self, clips: Tensor) -> Tensor:
        happy, sad = clips[..., 4:12, 4:12], clips[..., 30:38, 34:42]
        return torch.stack([part.mean(dim=(1, 2, 3, 4)) for part in (happy, sad)], dim=1)


def saliency(emotion: str | None = None, frames: int = 1, **options: object) -> Saliency:
    card = Card("tiny3d", {}, EMOTIONS, Preprocessing(frames=frames, size=48).to_dict())
    return Saliency(Patch(), card, emotion=emotion, **options)


def pictures(frames: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (frames, 48, 48, 3)).astype(np.uint8)


def test_what_the_answer_hangs_on_is_bright_and_all_else_is_dark() -> None:
    heat = saliency()(pictures(2))
    assert heat.shape == (2, 48, 48) and heat.min() >= 0 and heat.max() == 1
    for frame in heat:
        assert frame[6:10, 6:10].min() > 0.7 and frame[32:36, 36:40].min() > 0.7
        assert frame[16:26, 16:26].max() < 0.01 and frame[:, 46:].max() < 0.05


def test_a_picture_that_nothing_hangs_on_is_dark() -> None:
    class Constant(nn.Module):
        def forward(self, clips: Tensor) -> Tensor:
            return clips.mean(dim=(1, 2, 3, 4), keepdim=False)[:, None] * torch.zeros(1, 2)

    card = Card("tiny3d", {}, EMOTIONS, Preprocessing(frames=1, size=48).to_dict())
    assert not Saliency(Constant(), card)(pictures()).any()


def test_the_same_seed_gives_the_same_map_and_an_unknown_emotion_is_refused() -> None:
    assert np.array_equal(saliency()(pictures()), saliency()(pictures()))
    with pytest.raises(DferError, match="the model knows no emotion 'hapy'"):
        saliency("hapy")


def test_the_colour_lies_where_the_landmarks_say() -> None:
    picture, heat = np.zeros((200, 200, 3), np.uint8), np.zeros((48, 48), np.float32)
    heat[20:28, 20:28] = 1  # the middle of the crop, which is the middle of the face
    face = _Face(TEMPLATE * 96 + [60, 40], heat)
    bright = _coloured(picture, face).sum(axis=2) > 150
    rows, columns = np.nonzero(bright)
    assert abs(rows.mean() - (40 + 48)) < 2 and abs(columns.mean() - (60 + 48)) < 2 and 150 < bright.sum() < 400
    assert not picture.any(), "the input is not touched"


def test_a_film_is_written_with_all_its_frames(tmp_path: Path) -> None:
    span = Span(0.0, 0.4)
    wanted = list(stream(CLIP, span=span))
    count = explain("faces", CLIP, tmp_path / "a.mp4", span=span)
    written = list(Film(tmp_path / "a.mp4"))
    assert len(written) == len(wanted) == count
    changed = np.abs(written[3].pixels.astype(int) - wanted[3].pixels).mean(axis=2)
    assert changed.max() > 60 and np.median(changed) < 12, "the face alone is coloured"


def test_the_verb_explains_the_emotion_and_the_part_that_were_asked_for(tmp_path: Path) -> None:
    films = {emotion: tmp_path / f"{emotion}.mp4" for emotion in ("fear", "happy")}
    for emotion, out in films.items():
        done = here("explain", "default", CLIP, "-o", out, "--emotion", emotion, "--start", "0.2", "--end", "0:00.4")
        assert done.code == 0 and re.search(rf"\d faces coloured -> {re.escape(str(out))}", done.out), done.err
    fear, happy = ([frame.pixels.astype(int) for frame in Film(out)] for out in films.values())
    assert len(fear) == len(happy) == len(list(stream(CLIP, span=Span(0.2, 0.4))))
    assert np.abs(fear[0] - happy[0]).max() > 60, "another part of the face"
    assert here("explain", "default", CLIP, "-o", films["fear"], "--emotion", "feer").is_refusal("no emotion 'feer'")


def test_the_film_that_is_explained_is_not_written_over(tmp_path: Path) -> None:
    film = shutil.copy(CLIP, tmp_path / "a.mp4")
    (tmp_path / "b.mp4").symlink_to("a.mp4")
    for out in ("a.mp4", "b.mp4"):
        with pytest.raises(DferError, match=rf"{out} is read, and would be written over"):
            explain("faces", film, tmp_path / out)
    assert film.read_bytes() == CLIP.read_bytes()


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"expected a file \.mp4"):
        explain("faces", CLIP, tmp_path / "a.gif")
