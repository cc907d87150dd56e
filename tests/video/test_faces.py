"""From a video to aligned faces: real people, counted and told apart, and the places where there is nobody."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfer.errors import DferError
from dfer.video import FaceFrame, Span, find_faces, open_clip, open_faces
from dfer.video.alignment import TEMPLATE
from dfer.video.mtcnn import Mtcnn
from dfer.video.stream import TimedFrame

from .films import noise, write_video
from .people import ColourDetector, colour_looks, picture

SIX = [f"1001_DFA_{emotion}_XX.flv" for emotion in ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")]


def ids_of(frames: list[FaceFrame]) -> list[list[int]]:
    return [[face.id for face in frame.faces] for frame in frames]


# --- made-up people


def made_up(frames: int = 20) -> list[TimedFrame]:
    return [TimedFrame(k / 25, picture({"red": (40 + k, 60)})) for k in range(frames)]


def test_every_frame_is_given_with_its_time_and_its_faces() -> None:
    shown = made_up()
    found = list(find_faces(shown, detector=ColourDetector(), embed=colour_looks, size=64))
    assert [frame.index for frame in found] == list(range(20)) and ids_of(found) == [[0]] * 20
    assert [frame.time_s for frame in found] == [frame.time_s for frame in shown]
    assert all(one.frame is other.pixels for one, other in zip(found, shown, strict=True))
    assert [frame.faces[0].detected for frame in found] == [k % 5 == 0 for k in range(20)]


def test_a_crop_shows_the_face_where_the_template_has_it() -> None:
    (frame,) = find_faces(made_up(1), detector=ColourDetector(), embed=colour_looks, size=64)
    (face,) = frame.faces
    assert face.crop.shape == (64, 64, 3) and face.quality.size == pytest.approx(60, abs=1)
    inside = face.crop[20:45, 20:45].astype(int)
    assert (inside[..., 0] - inside[..., 1:].max(axis=2) > 80).all(), "red all over"


def test_faces_come_one_by_one_as_the_frames_do() -> None:
    asked: list[int] = []

    def frames() -> object:
        for index, frame in enumerate(made_up()):
            asked.append(index)
            yield frame

    found = find_faces(frames(), detector=ColourDetector(), embed=colour_looks)  # type: ignore[arg-type]
    next(found)
    assert asked == [0]


def test_what_was_given_does_not_change_later() -> None:
    found = find_faces(made_up(), detector=ColourDetector(), embed=colour_looks)
    first = next(found)
    before = first.faces[0].box.copy(), first.faces[0].landmarks.copy(), first.faces[0].crop.copy()
    list(found)
    for given, copy in zip((first.faces[0].box, first.faces[0].landmarks, first.faces[0].crop), before, strict=True):
        assert np.array_equal(given, copy)


@pytest.mark.parametrize(("size", "people"), [(7, None), (112, 0)])
def test_impossible_wishes_are_refused_at_once(size: int, people: int | None) -> None:
    with pytest.raises(DferError, match="expected crops of at least 8 pixels and at least one person"):
        find_faces([], size=size, people=people)


def test_a_video_without_a_face_has_frames_without_faces(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", noise(12, 60, 80))
    assert ids_of(list(open_faces(path))) == [[]] * 12


def test_a_missing_file_is_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"gone\.mp4 cannot be read: No such file"):
        open_faces(tmp_path / "gone.mp4")


def test_frames_of_different_sizes_are_different_scenes() -> None:
    small, large = made_up(2), [TimedFrame(1.0, picture({"red": (40, 60)}, height=240))]
    found = list(find_faces(small + large, detector=ColourDetector(), embed=colour_looks))
    assert ids_of(found) == [[0]] * 3 and [frame.cut for frame in found] == [False, False, True]


# --- real people


@pytest.mark.parametrize(
    ("name", "people"),
    [
        ("single_face.mp4", 1),
        ("head-pose-face-detection-male.gif", 1),
        ("head-pose-face-detection-female-and-male.gif", 2),
        ("face-demographics-walking-and-pause.gif", 3),
    ],
)
def test_real_people_are_counted_and_keep_their_numbers_in_every_frame(
    shared_data: Path, name: str, people: int
) -> None:
    frames = list(open_faces(shared_data / "videos" / name))
    assert len(frames) == len(open_clip(shared_data / "videos" / name, "video"))
    assert ids_of(frames) == [list(range(people))] * len(frames)
    for one, other in pairwise(frames):
        for face, next_face in zip(one.faces, other.faces, strict=True):
            middles = [sides[:2] + sides[2:] / 2 for sides in (face.box, next_face.box)]
            assert np.hypot(*(middles[1] - middles[0])) < 0.35 * face.quality.size


def test_nobody_is_seen_before_the_face_appears_nor_in_the_black_frame_after_it(shared_data: Path) -> None:
    frames = list(open_faces(shared_data / "videos/noface_face.mov"))
    seen = [bool(frame.faces) for frame in frames]
    times = [frame.time_s for frame in frames]
    first, last = seen.index(True), len(seen) - 1 - seen[::-1].index(True)
    assert times[first] == pytest.approx(3.95, abs=0.1) and last == len(frames) - 2
    assert all(seen[first : last + 1]) and {face.id for frame in frames for face in frame.faces} == {0}


@pytest.mark.parametrize("name", SIX)
def test_an_actor_is_seen_upright_and_ahead_in_every_frame(shared_data: Path, name: str) -> None:
    frames = list(open_faces(shared_data / "crema_d/VideoFlash" / name))
    assert ids_of(frames) == [[0]] * len(frames)
    for frame in frames:
        quality = frame.faces[0].quality
        assert abs(quality.roll) < 15 and abs(quality.yaw) < 0.3
        assert 90 < quality.size < 140 and quality.sharpness > 30 and 100 < quality.brightness < 200


def test_eyes_and_mouth_of_real_crops_lie_where_the_template_has_them(shared_data: Path) -> None:
    detector, misses = Mtcnn(), []
    span = Span(every_s=0.3)
    for name in SIX:
        for frame in open_faces(shared_data / "crema_d/VideoFlash" / name, size=200, span=span):
            (again,) = detector(cv2.copyMakeBorder(frame.faces[0].crop, 60, 60, 60, 60, cv2.BORDER_REPLICATE))
            assert again.landmarks is not None
            misses.append((again.landmarks - 60) / 200 - TEMPLATE)
    assert np.abs(np.median(misses, axis=0)).max() < 0.04


def test_landmarks_tremble_less_than_detection_in_every_frame(shared_data: Path) -> None:
    path = shared_data / "crema_d/VideoFlash/1001_DFA_SAD_XX.flv"
    clip, detector = open_clip(path, "video"), Mtcnn()
    detected = [detector(frame)[0].landmarks for frame in clip.read(np.arange(len(clip)))]
    followed = [frame.faces[0].landmarks for frame in open_faces(path)]
    trembling = [np.diff(np.array(points, dtype=float), n=2, axis=0).std() for points in (detected, followed)]
    assert trembling[1] < trembling[0] / 2
    assert np.abs(np.array(followed) - np.array(detected, dtype=float)).mean() < 2, "pixels"


def test_a_part_of_a_video_read_thinly_has_the_same_person(shared_data: Path) -> None:
    span = Span(start_s=1, end_s=2, every_s=0.25)
    frames = list(open_faces(shared_data / "videos/single_face.mp4", span=span))
    assert [frame.time_s for frame in frames] == pytest.approx([1, 1.267, 1.5, 1.767], abs=0.02)
    assert ids_of(frames) == [[0]] * 4


def test_only_so_many_people_are_followed_and_the_largest_first(shared_data: Path) -> None:
    path = shared_data / "videos/face-demographics-walking-and-pause.gif"
    largest = max(next(iter(open_faces(path))).faces, key=lambda face: face.quality.size)
    frames = list(open_faces(path, people=1))
    assert ids_of(frames) == [[0]] * len(frames)
    assert frames[0].faces[0].box == pytest.approx(largest.box)


def test_thirty_faces_are_thirty_people(shared_data: Path) -> None:
    heads = []
    for name in SIX:
        clip = open_clip(shared_data / "crema_d/VideoFlash" / name, "video")
        heads += list(clip.read(np.linspace(5, len(clip) - 6, 5).astype(np.int64))[:, 60:300, 120:360])
    small = [cv2.resize(head, (160, 160), interpolation=cv2.INTER_AREA) for head in heads]
    mosaic = np.vstack([np.hstack(small[row : row + 6]) for row in range(0, 30, 6)])
    frames = [TimedFrame(k / 25, np.roll(mosaic, k, axis=1)) for k in range(12)]
    found = ids_of(list(find_faces(frames, detector=Mtcnn())))
    assert found == [list(range(30))] * 12


def test_a_still_image_and_a_grey_video_show_their_face(shared_data: Path, tmp_path: Path) -> None:
    clip = open_clip(shared_data / "videos/single_face.mp4", "video")
    frame = clip.read(np.array([0]))[0]
    cv2.imwrite(str(tmp_path / "a.png"), frame[..., ::-1])
    assert ids_of(list(open_faces(tmp_path / "a.png"))) == [[0]]
    grey = np.repeat(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    assert ids_of(list(open_faces(write_video(tmp_path / "a.mkv", np.stack([grey] * 3))))) == [[0]] * 3


def test_a_real_face_that_is_covered_is_not_shown_and_keeps_its_number(shared_data: Path) -> None:
    clip = open_clip(shared_data / "videos/single_face.mp4", "video")
    frames = clip.read(np.arange(0, 60))
    frames[15:45, :, 150:450] = 120  # a wall, for a second
    shown = ids_of(list(find_faces(TimedFrame(k / 30, frame) for k, frame in enumerate(frames))))
    assert shown[:15] == [[0]] * 15 and shown[15:45] == [[]] * 30
    assert shown[52:] == [[0]] * 8, "seen again a fifth of a second later at most"


def test_another_scene_has_other_people(shared_data: Path) -> None:
    frames = [
        frame
        for name in ("videos/single_face.mp4", "crema_d/VideoFlash/1001_DFA_HAP_XX.flv")
        for frame in open_clip(shared_data / name, "video").read(np.arange(12))[:, :360, :480]
    ]
    assert (
        ids_of(list(find_faces(TimedFrame(k / 30, frame) for k, frame in enumerate(frames)))) == [[0]] * 12 + [[1]] * 12
    )


@pytest.mark.parametrize(("brighter", "hidden"), [(1.4, 0), (3.0, 2)])
def test_a_flash_of_light_and_a_shaken_camera_change_nobody(shared_data: Path, brighter: float, hidden: int) -> None:
    frames = open_clip(shared_data / "videos/single_face.mp4", "video").read(np.arange(30))
    frames[10:12] = np.minimum(frames[10:12] * brighter, 255)
    shaken = np.random.default_rng(0).integers(-6, 7, (30, 2))
    frames = np.stack([np.roll(frame, shift, axis=(0, 1)) for frame, shift in zip(frames, shaken, strict=True)])
    shown = ids_of(list(find_faces(TimedFrame(k / 30, frame) for k, frame in enumerate(frames))))
    assert shown[:10] + shown[12:] == [[0]] * 28
    assert shown[10:12].count([]) <= hidden and [1] not in shown, "too bright to be seen, but the same afterwards"
