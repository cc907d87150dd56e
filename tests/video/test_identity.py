"""Whose face it is: looks of real people, cuts and absences, and the file that is missing."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfer.errors import DferError
from dfer.video import FaceFrame, Span, find_faces
from dfer.video.identity import MOST_LOOKS, OTHER, SAME, SIDE, TEMPLATE, Embedder, Gallery
from dfer.video.mtcnn import Mtcnn
from dfer.video.stream import TimedFrame, stream

PEOPLE = {
    "A": ["videos/single_face.mp4", "videos/noface_face.mov"],
    "B": ["videos/head-pose-face-detection-male.gif"],
    "actor": ["crema_d/VideoFlash/1001_DFA_ANG_XX.flv", "crema_d/VideoFlash/1001_DFA_HAP_XX.flv"],
    "d10": ["annotated_videos/d10.mp4"],
    "d13": ["annotated_videos/d13.mp4"],
    "d14": ["annotated_videos/d14.mp4"],
    "d18": ["annotated_videos/d18.mp4"],
}
"""Who is in which of the real videos; each has one person."""


def some(path: Path, count: int, every_s: float = 0.4, start_s: float = 0.0) -> list[np.ndarray]:
    frames = stream(path, span=Span(start_s=start_s, every_s=every_s))
    return [frame.pixels for frame in itertools.islice(frames, count)]


def looks(path: Path, count: int = 4, start_s: float = 0.0) -> list[np.ndarray]:
    detector, embed = Mtcnn(), Embedder()
    found = []
    for frame in some(path, count, start_s=start_s):
        (face,) = detector(frame)
        assert face.landmarks is not None
        (look,) = embed(frame, [face.landmarks])
        found.append(look)
    return found


def test_two_pictures_of_one_person_are_nearer_than_those_of_two(shared_data: Path) -> None:
    start_s = {"videos/noface_face.mov": 4.2}
    known = {
        who: [look for name in names for look in looks(shared_data / name, start_s=start_s.get(name, 0))]
        for who, names in PEOPLE.items()
    }
    same = [np.linalg.norm(a - b) for each in known.values() for a, b in itertools.combinations(each, 2)]
    other = [
        np.linalg.norm(a - b)
        for one, two in itertools.combinations(known, 2)
        for a, b in itertools.product(known[one], known[two])
    ]
    assert max(same) < SAME < min(other), "no pair of these is wrong"
    assert np.mean(np.array(other) > OTHER) > 0.9


def test_the_network_computes_what_its_weights_say_by_hand(shared_data: Path) -> None:
    """The first convolution, from the published weights with NumPy, against what OpenCV gives for it."""
    import json

    folder = shared_data / "weights"
    (group,) = json.loads((folder / "face_recognition_model-weights_manifest.json").read_text())
    data, offset, weights = (folder / "face_recognition_model.bin").read_bytes(), 0, {}
    for entry in group["weights"][:4]:
        count, packed = int(np.prod(entry["shape"])), entry["quantization"]
        values = np.frombuffer(data, np.uint8, count, offset).astype(float) * packed["scale"] + packed["min"]
        weights[entry["name"].removeprefix("conv32_down/")] = values.reshape(entry["shape"])
        offset += count
    network = cv2.dnn.readNetFromONNX(str(Embedder().path))
    face = np.random.default_rng(0).normal(0, 0.3, (3, SIDE, SIDE))
    network.setInput(face[None].astype(np.float32))
    first = next(name for name in network.getLayerNames() if "conv" in name.lower())
    ours = network.forward(first)[0]
    for y, x in ((0, 0), (10, 31), (71, 71)):
        patch = face[:, 2 * y : 2 * y + 7, 2 * x : 2 * x + 7]
        plain = np.einsum("chw,hwco->o", patch, weights["conv/filters"]) + weights["conv/bias"]
        expected = np.maximum(plain * weights["scale/weights"] + weights["scale/biases"], 0)
        found = np.maximum(ours[:, y, x], 0)
        assert found == pytest.approx(expected, abs=0.02 * max(expected.max(), 1))


def test_blurred_and_dark_faces_tell_nothing() -> None:
    embed = Embedder()
    sharp = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    landmarks = TEMPLATE * 150 + 20
    for frame, clear in ((sharp, True), (cv2.GaussianBlur(sharp, (0, 0), 15), False), (sharp // 64, False)):
        (look,) = embed(frame, [landmarks])
        assert (look is not None) == clear
    assert embed(sharp, []) == []


def test_a_gallery_keeps_what_differs() -> None:
    gallery = Gallery()
    assert np.isnan(gallery.distance(np.zeros(2, np.float32)))
    for x in (0.0, 1.0, *np.linspace(2, 2.001, 30)):
        gallery.add(np.array([x, 0], np.float32))
    assert len(gallery.looks) == MOST_LOOKS and gallery.distance(np.zeros(2, np.float32)) == 0
    assert gallery.distance(np.array([1, 0.25], np.float32)) == pytest.approx(0.25) and np.isnan(gallery.distance(None))


def test_a_missing_and_a_damaged_file_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"gone\.onnx: expected the network that tells people apart, found nothing"):
        Embedder(tmp_path / "gone.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no network")
    with pytest.raises(DferError, match=r"bad\.onnx: the network that tells people apart is damaged"):
        Embedder(tmp_path / "bad.onnx")


def test_it_can_be_pickled() -> None:
    again = pickle.loads(pickle.dumps(Embedder()))
    frame = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    assert np.array_equal(again(frame, [TEMPLATE * 150])[0], Embedder()(frame, [TEMPLATE * 150])[0])


# --- cuts and absences in real videos


def shots(folder: Path, names: list[str], *, frames: int = 12, gap_s: float = 0.0) -> Iterator[TimedFrame]:
    """Shots in one size, one after the other, 30 frames a second, with nobody in between for `gap_s`."""
    time_s = 0.0
    for index, name in enumerate(names):
        if index and gap_s:
            for k in range(8):
                yield TimedFrame(time_s + gap_s * k / 8, np.full((360, 480, 3), 40, np.uint8))
            time_s += gap_s
        start_s = 4.2 if "noface" in name else 0.3 * index
        for pixels in some(folder / name, frames, every_s=0, start_s=start_s):
            height = min(pixels.shape[0], pixels.shape[1] * 3 // 4)
            yield TimedFrame(time_s, cv2.resize(pixels[:height], (480, 360), interpolation=cv2.INTER_AREA))
            time_s += 1 / 30


def ids_of(found: list[FaceFrame], frames: int) -> list[set[int]]:
    """The ids in each shot of so many frames."""
    return [
        {face.id for frame in found[start : start + frames] for face in frame.faces}
        for start in range(0, len(found), frames)
    ]


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["A", "actor", "A"], [0, 1, 0]),
        (["d10", "d14", "d10", "d14"], [0, 1, 0, 1]),
        (["d18", "d13", "A", "d18"], [0, 1, 2, 0]),
        (["actor", "B", "actor"], [0, 1, 0]),
    ],
)
def test_a_cut_joins_nobody_and_who_comes_back_has_the_same_number(
    shared_data: Path, names: list[str], ids: list[int]
) -> None:
    paths = [PEOPLE[name][-1 if index else 0] for index, name in enumerate(names)]
    found = list(find_faces(shots(shared_data, paths)))
    assert ids_of(found, 12) == [{id_} for id_ in ids]
    assert [index for index, frame in enumerate(found) if frame.cut] == list(range(12, 12 * len(names), 12))
    assert all(frame.faces for frame in found), "also in the first frame of each shot"


def test_someone_who_was_away_for_a_minute_has_the_same_number(shared_data: Path) -> None:
    names = [PEOPLE[name][0] for name in ("actor", "d18", "actor")]
    found = [frame for frame in find_faces(shots(shared_data, names, gap_s=60)) if frame.faces]
    assert ids_of(found, 12) == [{0}, {1}, {0}]
