"""Where frames follow each other closely, faces are seen in turns, not in each frame; what comes of it."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dfer import Predictor, Timeline
from dfer.inference.network import torch_network
from dfer.models import Card
from dfer.video import Preprocessing
from dfer.video.detection import Face, Frames
from dfer.video.stream import Span

from ..test_cli import here
from ..video.films import write_video
from ..video.people import colour_looks
from .toy import EMOTIONS

FRAMES, SIZE = 8, 16
MIRRORED = Preprocessing(frames=1, size=SIZE, grey=True, mirror=True)


class Halves(nn.Module):
    """Logits: how bright the left half is, how bright the right half is, and 0; it notes how many clips it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[int] = []

    def forward(self, clips: Tensor) -> Tensor:
        self.shown.append(len(clips))
        left, right = (half.mean(dim=(1, 2, 3, 4)) for half in clips.split(SIZE // 2, dim=4))
        return 4 * torch.stack([left, right, torch.zeros_like(left)], dim=1)


def in_a_row(faces: int) -> list[Face]:
    return [Face(np.array([10.0 + 45 * k, 60.0, 40.0, 40.0]), 0.99) for k in range(faces)]


def shaded(frames: int = FRAMES) -> Frames:
    """Frames (T, 180, 320, 3) that are dark at the left and bright at the right of each face."""
    row = np.tile(np.linspace(20, 235, 45), 8)[:320].astype(np.uint8)
    return np.broadcast_to(np.roll(row, 10)[:, None], (frames, 180, 320, 3)).copy()


def predictor(faces: int, preprocessing: Preprocessing = MIRRORED, **options: object) -> tuple[Predictor, Halves]:
    module = Halves()
    card = Card("tiny3d", {}, EMOTIONS, preprocessing.to_dict())
    network = torch_network(module, card, "cpu")
    return Predictor(network, card, detector=lambda _: in_a_row(faces), embed=colour_looks, **options), module


def film(path: Path, step_s: float = 0.04) -> Path:
    return write_video(path, shaded(), [k * step_s for k in range(FRAMES)])


@pytest.mark.parametrize("faces", [1, 5])
def test_faces_are_seen_as_they_are_and_mirrored_in_turns(faces: int, tmp_path: Path) -> None:
    many, network = predictor(faces)
    moments = list(many.stream(film(tmp_path / "a.mkv", step_s=0.05)))
    assert [moment.once for moment in moments] == [False] + [True] * (FRAMES - 1), "the first may be a still"
    assert sum(network.shown) == faces * (FRAMES + 1), "once each but for the first"
    for person in range(faces):
        rows = [moment.faces[person].probs for moment in moments[1:]]
        assert all(row[1] > 2 * row[0] for row in rows[::2]) and all(row[0] > 2 * row[1] for row in rows[1::2])
        assert rows[0][[1, 0, 2]] == pytest.approx(rows[1], abs=1e-3), "the mirror image of one still picture"


@pytest.mark.parametrize(("step_s", "seen"), [(0.04, [0, 2, 4, 6]), (0.025, [0, 3, 6]), (0.01, [0, 7])])
def test_of_frames_close_to_each_other_some_are_seen(step_s: float, seen: list[int], tmp_path: Path) -> None:
    one, network = predictor(1)
    moments = list(one.stream(film(tmp_path / "a.mkv", step_s)))
    assert sum(network.shown) == 1 + len(seen), "the first both ways"
    probs = np.array([moment.faces[0].probs for moment in moments])
    between = np.stack([np.interp(range(FRAMES), seen, column) for column in probs[seen].T], axis=1)
    assert probs == pytest.approx(between, abs=1e-3)


def test_a_face_that_comes_in_a_frame_that_is_not_seen_is_seen_there(tmp_path: Path) -> None:
    one, network = predictor(1)
    frames = iter(range(FRAMES))
    one.detector = lambda _: in_a_row(1 if next(frames) < 3 else 2)
    moments = list(one.stream(film(tmp_path / "a.mkv", 0.01), rotate=0))
    assert [len(moment.faces) for moment in moments] == [1] * 3 + [2] * (FRAMES - 3)
    assert sum(network.shown) == 2 + 1 + 1, "the first both ways and again in the last frame, the second once"


def test_the_timeline_has_the_mean_of_both_and_says_when(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", shaded(50), [k * 0.04 for k in range(50)])
    timeline = predictor(5)[0](path)
    assert np.array(timeline.one_view_s) == pytest.approx(np.array([[0.04, 2.0]]), abs=1e-3)
    stated = timeline.to_dict()["one_view_s"]
    assert np.array(stated) == pytest.approx(np.array([[0.04, 2.0]]), abs=1e-3)
    moments = list(predictor(5)[0].stream(path))
    for number, person in enumerate(timeline.people):
        wanted = (moments[2].faces[number].probs + moments[4].faces[number].probs) / 2
        assert np.abs(person.probs[12:-12] - wanted).max() < 1e-3, "no trace of turns is left inside"


@pytest.mark.parametrize(
    ("options", "preprocessing", "step_s"),
    [
        ({"both_views": True}, MIRRORED, 0.04),
        ({"smoothing_s": 0.0}, MIRRORED, 0.04),
        ({"smoothing_s": 0.05}, MIRRORED, 0.04),
        ({}, MIRRORED, 0.1),
        ({}, Preprocessing(frames=1, size=SIZE, grey=True), 0.04),
        ({}, Preprocessing(frames=2, size=SIZE, grey=True, mirror=True), 0.04),
    ],
)
def test_turns_are_taken_only_where_smoothing_makes_one_of_them(
    options: dict[str, object], preprocessing: Preprocessing, step_s: float, tmp_path: Path
) -> None:
    many, _ = predictor(6, preprocessing, **options)
    moments = list(many.stream(film(tmp_path / "a.mkv", step_s)))
    assert len(moments) == FRAMES and not any(moment.once for moment in moments)


def test_frames_that_are_read_far_apart_are_seen_both_ways(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv")
    assert not any(moment.once for moment in predictor(6)[0].stream(path, span=Span(every_s=0.12)))
    assert any(moment.once for moment in predictor(6)[0].stream(path, span=Span(every_s=0.04)))


def test_what_comes_as_it_is_made_is_seen_both_ways() -> None:
    moments = predictor(6)[0].stream(iter(shaded()))
    assert not any(moment.once for moment in moments)


def test_both_views_are_kept_in_a_pickle() -> None:
    many = Predictor.from_pretrained(device="cpu", runtime="torch", both_views=True)
    assert pickle.loads(pickle.dumps(many)).both_views


def test_the_option_asks_for_both_views(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, asked = film(tmp_path / "a.mkv"), []

    def load(_model: str, *, both_views: bool, **_options: object) -> Predictor:
        asked.append(both_views)
        return predictor(5, both_views=both_views)[0]

    monkeypatch.setattr(Predictor, "from_pretrained", load)
    for name, options in (("turns", ()), ("both", ("--both-views",))):
        assert here("predict", path, "-o", tmp_path / f"{name}.json", *options).code == 0
    assert asked == [False, True]
    assert Timeline.load(tmp_path / "turns.json").one_view_s and not Timeline.load(tmp_path / "both.json").one_view_s
