"""From a video to a timeline: who, when, what, on videos whose every answer is known; and every kind of bad input."""

from __future__ import annotations

import itertools
import json
import logging
import os
import pickle
import struct
import threading
import time
import wave
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from dfer import DferError, Predictor, Timeline
from dfer.datasets import read_source
from dfer.inference import predictor as module
from dfer.inference.ahead import THREAD
from dfer.inference.network import torch_network
from dfer.inference.recording import with_absences
from dfer.inference.timeline_writing import write_json
from dfer.labels import DFEW
from dfer.models import Card, create_model, save_checkpoint
from dfer.training.clips import ClipDataset
from dfer.training.predict import predict_probs
from dfer.video import Preprocessing
from dfer.video.detection import Face
from dfer.video.faces import find_faces
from dfer.video.stream import Span, TimedFrame, stream

from ..video.films import noise, write_video
from ..video.people import ColourDetector, colour_looks, picture
from .toy import EMOTIONS, colour_network, film, toy_predictor

RED, BLUE = {"red": (20.0, 40.0)}, {"blue": (200.0, 80.0)}
NOBODY: dict[str, tuple[float, float]] = {}


def no_thread_stays() -> bool:
    return THREAD not in {thread.name for thread in threading.enumerate()}


def moved(place: dict[str, tuple[float, float]], by: float) -> dict[str, tuple[float, float]]:
    return {colour: (x + by, y) for colour, (x, y) in place.items()}


# --- who, when, what


def test_each_persons_emotion_is_told_over_time(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", [RED | moved(BLUE, -k) for k in range(20)])
    timeline = toy_predictor()(path)
    red, blue = timeline.people
    assert timeline.emotions == EMOTIONS and timeline.video == str(path)
    assert timeline.duration_s == pytest.approx(20 / 25)
    for person, column in ((red, 0), (blue, 2)):
        assert person.times == pytest.approx(np.arange(20) / 25)
        assert person.probs.argmax(axis=1).tolist() == [column] * 20
        assert np.allclose(person.probs.sum(axis=1), 1) and person.overall.argmax() == column
    assert red.boxes[0] == pytest.approx([20, 40, 60, 60], abs=3)
    assert blue.boxes[-1] == pytest.approx([181, 80, 60, 60], abs=4)


def test_a_view_divides_by_the_prior_and_the_timeline_says_so(tmp_path: Path) -> None:
    video = film(tmp_path / "clip.mp4", [{"red": (50, 50)}] * 3)
    card = replace(toy_predictor().card, prior=(0.5, 0.25, 0.25), view="1")
    options = {"detector": ColourDetector(), "embed": colour_looks, "smoothing_s": 0}
    plain = Predictor(colour_network, card, prior="trained", **options)(video).people[0].probs
    shown = Predictor(colour_network, card, **options)(video)
    wanted = plain * [2, 4, 4]
    np.testing.assert_allclose(shown.people[0].probs, wanted / wanted.sum(axis=1, keepdims=True))
    assert shown.prior == "1"
    for suffix in ("json", "parquet"):
        shown.save(tmp_path / f"out.{suffix}")
        assert Timeline.load(tmp_path / f"out.{suffix}").prior == "1"
    shares = dict.fromkeys(card.emotions, 1 / 3)
    equal = Predictor(colour_network, card, prior=shares, **options)(video)
    np.testing.assert_allclose(equal.people[0].probs, shown.people[0].probs)
    equal.save(tmp_path / "equal.json")
    assert json.loads(Timeline.load(tmp_path / "equal.json").prior) == pytest.approx(shares, abs=1e-6)


def test_frames_without_the_face_are_nan_and_never_an_emotion(tmp_path: Path) -> None:
    (red,) = toy_predictor()(film(tmp_path / "a.mkv", [NOBODY] * 10 + [RED] * 20 + [NOBODY] * 30)).people
    gone_from = red.times[red.seen][-1]
    assert red.times[0] == 0 and red.times[-1] == pytest.approx(59 / 25)
    assert red.times[red.seen][0] == pytest.approx(10 / 25) and 29 / 25 <= gone_from + 0.001 < 29 / 25 + 0.3
    assert np.isnan(red.probs[~red.seen]).all() and np.isnan(red.boxes[~red.seen]).all()
    assert red.segments[0].start_s >= 10 / 25


def test_nobody_is_nobody(tmp_path: Path) -> None:
    timeline = toy_predictor()(film(tmp_path / "a.mkv", [NOBODY] * 5))
    assert timeline.people == () and timeline.duration_s == pytest.approx(0.2)


def test_times_are_those_of_the_decoder(tmp_path: Path) -> None:
    times = [0, 0.04, 0.5, 0.52, 1.7]
    (red,) = toy_predictor()(film(tmp_path / "a.mkv", [RED] * 5, times)).people
    assert red.times == pytest.approx(times)


def test_absences_are_told_by_their_first_and_last_frame() -> None:
    assert with_absences(np.array([0, 1]), 2).tolist() == [0, 1]
    assert with_absences(np.array([2]), 6).tolist() == [0, 1, 2, 3, 5]


def test_a_part_of_a_video_and_fewer_frames_of_it(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", [RED] * 50)
    (red,) = toy_predictor()(path, span=Span(0.4, 1.2, 0.2)).people
    assert red.times == pytest.approx([0.4, 0.6, 0.8, 1.0], abs=0.021)


def test_no_more_people_than_are_wanted(tmp_path: Path) -> None:
    timeline = toy_predictor()(film(tmp_path / "a.mkv", [RED | BLUE] * 5), people=1)
    assert len(timeline.people) == 1


def test_an_image_and_a_folder_of_frames_are_videos_too(tmp_path: Path) -> None:
    frame = cv2.cvtColor(picture(RED), cv2.COLOR_RGB2BGR)
    (tmp_path / "frames").mkdir()
    for name in ("a.png", "frames/1.png", "frames/2.png", "frames/10.png"):
        cv2.imwrite(str(tmp_path / name), frame)
    one, three = (toy_predictor()(tmp_path / name) for name in ("a.png", "frames"))
    assert (one.duration_s, one.people[0].probs.shape, one.people[0].probs.argmax()) == (0, (1, 3), 0)
    assert three.people[0].times == pytest.approx([0, 1 / 25, 9 / 25]), "a gap in the numbers is one in time"
    assert three.duration_s == pytest.approx(10 / 25) and three.people[0].files == ("1.png", "2.png", "10.png")


def test_a_camera_is_a_video_that_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.avi", [RED] * 6)
    real = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: real(str(path)))
    timeline = toy_predictor()(0)
    assert timeline.video == "camera 0" and len(timeline.people[0].times) == 6


# --- windows, batches and threads


def test_a_network_of_clips_tells_the_same_of_a_face_that_does_not_change(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", [RED] * 100)
    stills, clips = (toy_predictor(frames)(path).people[0] for frames in (1, 8))
    assert np.allclose(stills.probs, clips.probs, atol=0.02) and np.array_equal(stills.times, clips.times)


def test_the_batch_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.mkv", [RED | BLUE] * 12)
    many = toy_predictor()(path).to_dict()
    monkeypatch.setattr(module, "BATCH", 1)
    monkeypatch.setattr(module, "FACES_AHEAD", 1)
    assert toy_predictor()(path).to_dict() == many


class SlowDetector(ColourDetector):
    """One that keeps the others waiting."""

    def __call__(self, frame: np.ndarray) -> list[Face]:
        time.sleep(0.02)
        return super().__call__(frame)


@pytest.fixture(scope="module", params=[1, 8])
def unhurried(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path, Timeline]:
    """How many frames a network sees, a film, and what it shows when one step is made after the other."""
    path = film(tmp_path_factory.mktemp("film") / "a.mkv", [RED | BLUE] * 110)
    predictor = toy_predictor(request.param)
    predictor.network = of_the_batch
    return request.param, path, _without_threads(predictor, path)


def of_the_batch(pictures: np.ndarray) -> np.ndarray:
    """As arithmetic does: the answer depends a little on how many are asked about."""
    return colour_network(pictures) + len(pictures) / 1000


@pytest.mark.parametrize("slow", ["nobody", "detector", "network", "user"])
def test_neither_batches_nor_bytes_depend_on_which_thread_is_slow(
    slow: str, unhurried: tuple[int, Path, Timeline], tmp_path: Path
) -> None:
    frames, path, plain = unhurried
    predictor, sizes = toy_predictor(frames), list[int]()

    def network(pictures: np.ndarray) -> np.ndarray:
        sizes.append(len(pictures))
        time.sleep(0.05 * (slow == "network"))
        return of_the_batch(pictures)

    predictor.network = network
    if slow == "detector":
        predictor.detector = SlowDetector()
    recording = predictor.recording(path)
    for moment in predictor.stream(path):
        time.sleep(0.003 * (slow == "user"))
        recording.add(moment)
    write_json(recording.timeline(), tmp_path / "a.json")
    # Lists end at the frames 1, 3, 7, 15, 31, 63, 95 and 110. A person has a window a frame; those of 8 frames are
    # complete with the frames at 2.80, 3.52 and 4.24 s, which are the 71st, 89th and 107th, and at the end. 32 at most
    # are shown at once, so the two lists of 64 are divided.
    assert sizes == ([2, 4, 8, 16, 32, 32, 32, 32, 32, 30] if frames == 1 else [4, 2, 2])
    assert json.loads((tmp_path / "a.json").read_bytes()) == plain.to_dict()


def _without_threads(predictor: Predictor, path: Path) -> Timeline:
    """One step after the other, in lists of the same lengths."""
    reader, recording = module.Reader(predictor.preprocessing), predictor.recording(path)
    faces = find_faces(stream(path), detector=ColourDetector(), embed=colour_looks, size=96)
    crops = iter([module.Crops(f.index, f.time_s, f.faces, f.end_s, f.name, f.cut, f.renamed) for f in faces])
    for size in (1, 2, 4, 8, 16, 32, 32, 32):
        part = list(itertools.islice(crops, size))
        predictor._answer(reader, [window for frame in part for window in reader.push(frame)])
        for moment in reader.moments():
            recording.add(moment)
    predictor._answer(reader, list(reader.finish()))
    for moment in reader.moments():
        recording.add(moment)
    return recording.timeline()


@pytest.mark.parametrize("slow", ["network", "user"])
def test_frames_do_not_pile_up_before_who_is_slow(slow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made, told, most = 0, 0, 0

    def frames(_source: object, **_: object) -> Iterator[TimedFrame]:
        nonlocal made, most
        for index in range(400):
            made += 1
            most = max(most, made - told)
            yield TimedFrame(index / 25, picture(RED))

    predictor = toy_predictor()

    def network(pictures: np.ndarray) -> np.ndarray:
        time.sleep(0.05 * (slow == "network"))
        return colour_network(pictures)

    predictor.network = network
    monkeypatch.setattr(module, "open_source", frames)
    for moment in predictor.stream("a film"):
        assert moment.faces
        told += 1
        time.sleep(0.003 * (slow == "user"))
    # a list that is told of, one that waits, one on its way to the queue, and three frames at the front
    assert told == 400 and most <= 2 * module.FACES_AHEAD + 1 + 4


@pytest.mark.parametrize("frames", [1, 8])
def test_the_first_result_comes_before_the_video_is_read(tmp_path: Path, frames: int) -> None:
    path = film(tmp_path / "a.mkv", [RED] * 250)
    predictor = toy_predictor(frames)
    moments = predictor.stream(path)
    first = next(moments)
    assert first.time_s == 0 and first.faces[0].probs.argmax() == 0 and 0 <= first.faces[0].entropy < 1
    assert predictor.detector.calls < 40, "a detection takes place every 0.2 s, 50 in all"
    moments.close()
    assert no_thread_stays()


def test_few_frames_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    alive, most = set[int](), 0

    def frames(_source: object, **_: object) -> Iterator[TimedFrame]:
        nonlocal most
        for index in range(60):
            pixels = picture(RED)
            alive.add(index)
            weakref.finalize(pixels, alive.discard, index)
            most = max(most, len(alive))
            yield TimedFrame(index / 25, pixels)

    monkeypatch.setattr(module, "open_source", frames)
    assert len(list(toy_predictor().stream("a film of 8K"))) == 60
    assert most <= 4, "one of 7680 x 4320 pixels takes 100 MB"


@pytest.mark.parametrize("frames", [1, 4])
def test_every_frame_comes_once_and_in_order(tmp_path: Path, frames: int) -> None:
    path = film(tmp_path / "a.mkv", [RED] * 15 + [NOBODY] * 30 + [BLUE] * 40)
    times = [moment.time_s for moment in toy_predictor(frames).stream(path)]
    assert times == pytest.approx(np.arange(85) / 25)


def test_an_error_on_the_way_is_told_and_no_thread_stays(tmp_path: Path) -> None:
    predictor = toy_predictor()

    def broken(pictures: np.ndarray) -> np.ndarray:
        raise RuntimeError("no memory")

    predictor.network = broken
    with pytest.raises(RuntimeError, match="no memory"):
        predictor(film(tmp_path / "a.mkv", [RED] * 200))
    assert no_thread_stays()


# --- bad input, one sentence each


def sound(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(8000))


def cut_short(path: Path) -> None:
    film(path.with_suffix(".mkv"), [RED] * 30)
    path.write_bytes(path.with_suffix(".mkv").read_bytes()[:300])


BAD = {
    "an audio file": ("a.wav", sound, "no video stream"),
    "nothing": ("a.mp4", lambda _: None, "cannot be read: No such file"),
    "an empty file": ("a.mp4", lambda path: path.touch(), "the file is empty"),
    "text": ("a.mp4", lambda path: path.write_text("hello " * 100), "decoding failed, not a video"),
    "what is left of a video": ("a.mp4", cut_short, "a.mp4"),
    "an empty folder": ("a", lambda path: path.mkdir(), "the folder holds no frame"),
    "a pipe": ("a.mp4", os.mkfifo, "expected a file, got a named pipe"),
    "a damaged image": ("a.png", lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99)), "not an image"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_video_is_one_sentence(what: str, tmp_path: Path) -> None:
    name, make, told = BAD[what]
    make(tmp_path / name)
    with pytest.raises(DferError) as raised:
        toy_predictor()(tmp_path / name)
    assert told in str(raised.value) and str(tmp_path / name) in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1 and no_thread_stays()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_one_sentence(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", [RED] * 3)
    path.chmod(0)
    with pytest.raises(DferError, match=r"a\.mkv"):
        toy_predictor()(path)


def test_a_video_that_is_cut_off_gives_what_is_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = film(tmp_path / "a.avi", [RED] * 60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (red,) = toy_predictor()(path).people
    assert 10 < len(red.times) < 50 and "a.avi" in caplog.text


def test_a_video_that_is_damaged_in_the_middle_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    path = film(tmp_path / "a.ts", [RED] * 75)
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    data[third : third + 2000] = os.urandom(2000)
    path.write_bytes(data)
    (red, *_) = toy_predictor()(path).people
    assert red.times[-1] - red.times[0] > 1.5


def test_the_contents_decide_not_the_suffix(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", [RED] * 3).rename(tmp_path / "a.mp4")
    assert len(toy_predictor()(path).people) == 1


def test_a_video_of_one_frame_has_one_row(tmp_path: Path) -> None:
    for frames in (1, 8):
        (red,) = toy_predictor(frames)(film(tmp_path / "a.mkv", [RED])).people
        assert red.times.tolist() == [0] and red.segments == () and red.overall.argmax() == 0


def test_a_phones_video_is_turned_upright(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", np.stack([np.rot90(picture(RED), 1)] * 4))
    data = bytearray(path.read_bytes())
    quarter = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, *quarter)
    path.write_bytes(data)
    (red,) = toy_predictor()(path).people
    assert red.boxes[0] == pytest.approx([20, 40, 60, 60], abs=3)


def test_thirty_faces_are_thirty_people(tmp_path: Path) -> None:
    from dfer.video.detection import Face

    predictor = toy_predictor()
    corners = [(x, y) for x in range(10, 300, 50) for y in range(5, 170, 34)][:30]
    predictor.detector = lambda _: [Face(np.array([x, y, 30.0, 30.0]), 0.99) for x, y in corners]
    path = write_video(tmp_path / "a.mkv", np.stack([picture(NOBODY)] * 6))
    timeline = predictor(path)
    assert len(timeline.people) == 30 and all(len(person.times) == 6 for person in timeline.people)


def test_a_frame_of_8k_and_a_grey_one_are_frames(tmp_path: Path) -> None:
    large = cv2.resize(picture(RED), (7680, 4320), interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(tmp_path / "a.jpg"), cv2.cvtColor(large, cv2.COLOR_RGB2BGR))
    (red,) = toy_predictor()(tmp_path / "a.jpg").people
    assert red.boxes[0] == pytest.approx(np.array([20, 40, 60, 60]) * 24, abs=40)
    cv2.imwrite(str(tmp_path / "b.png"), picture(NOBODY)[:, :, 0])
    assert toy_predictor()(tmp_path / "b.png").people == ()


def test_alpha_is_dropped(tmp_path: Path) -> None:
    frame = np.dstack([cv2.cvtColor(picture(RED), cv2.COLOR_RGB2BGR), np.zeros((180, 320), np.uint8)])
    cv2.imwrite(str(tmp_path / "a.png"), frame)
    assert len(toy_predictor()(tmp_path / "a.png").people) == 1


# --- models


class Trap:
    """Says when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("name", ["model.pkl", "model/model.safetensors", "model/card.json"])
def test_a_model_file_that_is_not_ours_is_refused_unread(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_checkpoint(tmp_path / "model", create_model("tiny3d", 7, width=4), card("tiny3d", width=4))
    (tmp_path / name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DferError):
        Predictor.from_pretrained(tmp_path / name if name == "model.pkl" else tmp_path / "model")
    assert not (tmp_path / "executed").exists()


def card(name: str, **options: object) -> Card:
    preprocessing = Preprocessing(frames=4, size=32, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
    return Card(name, options, DFEW, preprocessing.to_dict(), calibration={"temperature": 2.0})


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(DferError, match=r"no model 'faces2' \(did you mean 'faces'\?\)"):
        Predictor.from_pretrained("faces2")


def test_an_unknown_runtime_or_device_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, create_model("tiny3d", 7, width=4), card("tiny3d", width=4))
    with pytest.raises(DferError, match="no runtime 'tensorrt'; expected one of auto, torch, onnx"):
        Predictor.from_pretrained(tmp_path, runtime="tensorrt")
    for device in ("abacus", "meta"):
        with pytest.raises(DferError, match=f"device '{device}' cannot be used"):
            Predictor.from_pretrained(tmp_path, device=device)
    with pytest.raises(DferError, match="temperature above 0"):
        bad = card("tiny3d", width=4)
        bad.calibration["temperature"] = 0.0
        torch_network(create_model("tiny3d", 7, width=4), bad)


def test_prediction_and_evaluation_show_a_network_the_same_pictures(tmp_path: Path) -> None:
    (tmp_path / "data" / "happy").mkdir(parents=True)
    frames = noise(4, 32, 32)
    np.save(tmp_path / "data" / "happy" / "a.npy", frames)
    manifest = read_source("folder", tmp_path / "data")
    torch.manual_seed(0)
    model = create_model("tiny3d", 7, width=4).eval()
    wanted, _ = predict_probs(
        model, ClipDataset(manifest, Preprocessing(**card("tiny3d").preprocessing), rule=None), np.array([0])
    )
    pictures = Preprocessing(**card("tiny3d").preprocessing).shown(frames)
    given = torch_network(model, card("tiny3d"))(pictures[None])
    softened = np.sqrt(wanted) / np.sqrt(wanted).sum(axis=1, keepdims=True)
    assert np.allclose(given, softened, atol=1e-5), "at a temperature of 2, probabilities to the power of 1/2"


@pytest.mark.parametrize("size", [48, 96, 112])
def test_crops_become_what_the_preprocessing_makes_of_frames(size: int) -> None:
    crop = noise(1, 112, 112)[0]
    want = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    grey = Preprocessing(size=size, grey=True)
    assert np.array_equal(grey.shown(crop[None])[0, ..., 0], cv2.cvtColor(want, cv2.COLOR_RGB2GRAY))


# --- what a program has in memory; cuts; and a predictor that is sent elsewhere


def test_frames_in_memory_are_read_as_their_file_is(tmp_path: Path) -> None:
    places = [RED | moved(BLUE, -k) for k in range(12)]
    frames = np.stack([picture(place) for place in places])
    expected = toy_predictor()(film(tmp_path / "a.mkv", places)).to_dict()
    for source in (frames, list(frames), iter(frames), torch.from_numpy(frames), (tmp_path / "a.mkv").read_bytes()):
        found = toy_predictor()(source).to_dict()
        assert found["people"] == expected["people"] and found["video"] in ("frames", "bytes")
    (one,) = toy_predictor()(frames[0], people=1).people
    assert one.times.tolist() == [0]
    slow = toy_predictor()(frames, fps=5).people[0].times
    assert slow == pytest.approx(np.arange(12) / 5)
    assert toy_predictor()(frames, times=np.arange(12) ** 2).people[0].times == pytest.approx(np.arange(12) ** 2)


def test_results_come_while_an_iterator_that_never_ends_still_waits() -> None:
    more, asked = threading.Event(), threading.Event()

    def endless() -> Iterator[np.ndarray]:
        for _ in range(5):
            yield picture(RED)
        asked.set()
        more.wait(30)
        yield picture(RED)

    moments = toy_predictor().stream(endless())
    first = [next(moments) for _ in range(5)]
    assert [moment.faces[0].id for moment in first] == [0] * 5 and asked.wait(30) and not more.is_set()
    begin = time.monotonic()
    moments.close()
    assert time.monotonic() - begin < 25, "nobody waits for the next frame"
    more.set()
    while not no_thread_stays() and time.monotonic() - begin < 60:
        time.sleep(0.05)
    assert no_thread_stays()


def test_what_is_no_source_is_one_sentence() -> None:
    for source in (None, True, {"a": 1}, [["no picture"]]):
        with pytest.raises(DferError, match="expected a"):
            toy_predictor()(source)
    assert no_thread_stays()


def test_a_cut_is_told_and_the_person_keeps_the_number_over_it() -> None:
    frames = [picture(RED)] * 10 + [picture(BLUE, seed=7)] * 10 + [picture(moved(RED, 90), seed=3)] * 10
    timeline = toy_predictor()(frames, fps=10)
    red, blue = timeline.people
    assert timeline.cuts_s == pytest.approx((1.0, 2.0))
    assert red.times[red.seen] == pytest.approx([*np.arange(10) / 10, *np.arange(20, 30) / 10])
    assert blue.times[blue.seen] == pytest.approx(np.arange(10, 20) / 10)
    table = timeline.to_dataframe()
    assert table[table["person"] == 0].groupby("shot")["time_s"].min().to_dict() == {0: 0.0, 1: 1.0, 2: 2.0}


def test_someone_recognised_late_has_one_number_in_the_timeline() -> None:
    clear = threading.Event()

    def looks(frame: np.ndarray, landmarks: list[np.ndarray]) -> list[np.ndarray | None]:
        return colour_looks(frame, landmarks) if clear.is_set() else [None] * len(landmarks)

    def frames() -> Iterator[np.ndarray]:
        for index in range(60):
            (clear.clear if 20 <= index < 35 else clear.set)()
            yield picture(RED if index < 20 else moved(RED, 90), seed=int(index >= 20))

    predictor = toy_predictor()
    predictor.embed = looks
    (red,) = predictor(frames(), fps=10).people
    assert red.id == 0 and red.times[red.seen] == pytest.approx(np.arange(60) / 10)


def test_a_predictor_that_is_pickled_is_loaded_again_from_its_folder(tmp_path: Path) -> None:
    card = Card("tiny3d", {}, DFEW, Preprocessing(frames=4, size=32).to_dict())
    save_checkpoint(tmp_path / "model", create_model("tiny3d", num_classes=7), card)
    predictor = Predictor.from_pretrained(tmp_path, device="cpu", runtime="torch", smoothing_s=0.3)
    data = pickle.dumps(predictor)
    assert len(data) < 10_000, "the folder, not the weights"
    again = pickle.loads(data)
    pictures = noise(4, 32, 32)[None]
    assert np.array_equal(again.network(pictures), predictor.network(pictures)) and again.smoothing_s == 0.3
    toy = pickle.loads(pickle.dumps(toy_predictor(smoothing_s=0.2, prior="trained")))
    assert (
        (toy.smoothing_s, toy.prior) == (0.2, "trained") and toy.embed is colour_looks and toy.network is colour_network
    )


@pytest.mark.slow
def test_a_pool_of_processes_gives_the_same_timeline(tmp_path: Path) -> None:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    clip = Path(__file__).resolve().parents[2] / "examples" / "crema_d" / "1001_DFA_HAP_XX.flv"
    predictor, span = Predictor.from_pretrained(device="cpu"), Span(end_s=0.4)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        theirs = pool.submit(predictor, clip, span=span).result()
    assert theirs.to_dict() == predictor(clip, span=span).to_dict() and len(theirs.people) == 1
