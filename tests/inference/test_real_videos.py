"""Real faces, the default detector and the model that comes with dfer: invariants, not scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dfer import Predictor, Timeline
from dfer.inference.predictor import model_folder


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    if not (model_folder_or_none() / "card.json").is_file():
        pytest.skip("no model comes with this installation yet")
    return Predictor.from_pretrained()


def model_folder_or_none() -> Path:
    try:
        return model_folder("default")
    except ValueError:
        return Path("nowhere")


def shown(timeline: Timeline, emotion: str, times: tuple[float, float]) -> float:
    """The mean probability of an emotion in the first person between two times."""
    person = timeline.people[0]
    part = person.seen & (person.times >= times[0]) & (person.times <= times[1])
    return float(person.probs[part, timeline.emotions.index(emotion)].mean())


def test_a_smile_comes_and_is_seen(predictor: Predictor, shared_data: Path) -> None:
    timeline = predictor(shared_data / "videos" / "single_face.mp4")
    assert len(timeline.people) == 1
    assert shown(timeline, "neutral", (0, 0.4)) > 0.5 and shown(timeline, "happy", (0.9, 2.0)) > 0.7
    (smile,) = (segment for segment in timeline.people[0].segments if segment.emotion == "happy")
    assert 0.3 < smile.start_s < 0.9 and 0.9 < smile.apex_s < 2.3


def test_before_the_face_appears_there_is_nothing(predictor: Predictor, shared_data: Path) -> None:
    timeline = predictor(shared_data / "videos" / "noface_face.mov")
    (person,) = (person for person in timeline.people if person.seen.sum() > 10)
    assert 3.7 < person.times[person.seen][0] < 4.2 and np.isnan(person.probs[person.times < 3.7]).all()
    assert shown(timeline, "neutral", (4.0, 4.3)) > 0.5 and shown(timeline, "happy", (4.8, 6.0)) > 0.7


@pytest.mark.parametrize(
    ("name", "people"),
    [
        ("head-pose-face-detection-male.gif", 1),
        ("head-pose-face-detection-female-and-male.gif", 2),
        ("face-demographics-walking-and-pause.gif", 3),
    ],
)
def test_people_are_counted(predictor: Predictor, shared_data: Path, name: str, people: int) -> None:
    timeline = predictor(shared_data / "videos" / name)
    assert len(timeline.people) == people
    assert all(person.seen.mean() > 0.8 for person in timeline.people)


def test_an_actor_who_is_neutral_and_one_who_is_happy(predictor: Predictor, shared_data: Path) -> None:
    folder = shared_data / "crema_d" / "VideoFlash"
    for name, emotion in (("NEU", "neutral"), ("HAP", "happy")):
        timeline = predictor(folder / f"1001_DFA_{name}_XX.flv")
        assert timeline.emotions[int(timeline.people[0].overall.argmax())] == emotion
