"""Real faces, the default detector and the model that comes with dfer. What is shown when was seen by eye; the bounds
are wide, for they are there to find a model or a pipeline that is broken, not to score one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dfer import Predictor, Timeline
from dfer.datasets import read_source
from dfer.inference import Person
from dfer.labels import CREMA_D, FERPLUS, map_columns
from dfer.metrics import kl_divergence
from dfer.video.stream import Span

SELDOM_S = 0.1
"""Between two frames, where it does not matter at which frame something begins."""


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.from_pretrained()


@pytest.fixture(scope="module")
def of_a_gif(predictor: Predictor) -> Callable[[Path], Timeline]:
    """The timeline of one; each is read once."""
    return cache(predictor)


def shown(person: Person, column: int, times: tuple[float, float]) -> float:
    """The mean probability of an emotion between two times."""
    part = person.seen & (person.times >= times[0]) & (person.times <= times[1])
    return float(person.probs[part, column].mean())


def only_person(timeline: Timeline) -> Person:
    (person,) = (person for person in timeline.people if person.seen.sum() > 10)
    return person


def test_a_smile_that_begins_at_0_7_s_and_ends_at_2_3_s(predictor: Predictor, shared_data: Path) -> None:
    person = only_person(predictor(shared_data / "videos" / "single_face.mp4"))
    neutral, happy = FERPLUS.index("neutral"), FERPLUS.index("happy")
    assert shown(person, neutral, (0, 0.4)) > 0.6 and shown(person, happy, (0, 0.4)) < 0.2
    assert shown(person, happy, (0.9, 2.0)) > 0.8
    (smile,) = (segment for segment in person.segments if segment.emotion == "happy")
    assert 0.4 < smile.start_s < 0.9 and 0.8 < smile.apex_s < 2.3 and smile.end_s > 2.1


def test_a_face_that_appears_after_3_9_s_neutral_first_and_then_with_a_smile(
    predictor: Predictor, shared_data: Path
) -> None:
    timeline = predictor(shared_data / "videos" / "noface_face.mov")
    person = only_person(timeline)
    seen = person.times[person.seen]
    assert 3.8 < seen[0] < 4.1 and 6.1 < seen[-1] < 6.5 and np.isnan(person.probs[person.times < 3.8]).all()
    neutral, happy = FERPLUS.index("neutral"), FERPLUS.index("happy")
    assert shown(person, neutral, (4.0, 4.3)) > 0.6 and shown(person, happy, (4.8, 6.0)) > 0.8
    (smile,) = (segment for segment in person.segments if segment.emotion == "happy")
    assert 4.3 < smile.start_s < 4.8 and 4.7 < smile.apex_s < 6.2 and smile.end_s > 6.0


@pytest.mark.parametrize(
    ("name", "people"),
    [
        ("head-pose-face-detection-male.gif", 1),
        ("head-pose-face-detection-female-and-male.gif", 2),
        ("face-demographics-walking-and-pause.gif", 3),
    ],
)
def test_people_are_counted(of_a_gif: Callable[[Path], Timeline], shared_data: Path, name: str, people: int) -> None:
    timeline = of_a_gif(shared_data / "videos" / name)
    assert len(timeline.people) == people
    assert all(person.seen.mean() > 0.8 for person in timeline.people)


def test_a_man_who_smiles_all_the_time_and_people_who_do_not(
    of_a_gif: Callable[[Path], Timeline], shared_data: Path
) -> None:
    smiling = of_a_gif(shared_data / "videos" / "head-pose-face-detection-male.gif")
    others = of_a_gif(shared_data / "videos" / "face-demographics-walking-and-pause.gif")
    happy = FERPLUS.index("happy")
    assert only_person(smiling).overall[happy] > 0.7
    assert all(person.overall[happy] < 0.4 for person in others.people)


def test_six_acted_clips_are_read_more_as_their_voters_did_than_by_chance(
    predictor: Predictor, shared_data: Path
) -> None:
    manifest = read_source("crema_d", shared_data / "crema_d")
    films = [manifest.resolve(path) for path in manifest.table["path"]]
    people = [only_person(predictor(film, span=Span(every_s=SELDOM_S))) for film in films]
    probs, _ = map_columns([person.overall for person in people], FERPLUS, CREMA_D, missing="drop")
    probs /= probs.sum(axis=1, keepdims=True)
    shares = manifest.votes / manifest.votes.sum(axis=1, keepdims=True)
    assert len(shares) == 6
    assert kl_divergence(probs, shares).mean() < kl_divergence(np.full((6, 6), 1 / 6), shares).mean()
    told = dict(zip(manifest.table["acted"], probs.argmax(axis=1), strict=True))
    assert CREMA_D[told["happy"]] == "happy" and CREMA_D[told["neutral"]] == "neutral"
    saw = dict(zip(manifest.table["acted"], probs[:, CREMA_D.index("happy")], strict=True))
    assert saw["happy"] == max(saw.values())


@pytest.mark.parametrize(
    ("video", "times", "emotions"),
    [
        ("d10.mp4", (2.5, 3.4), {"surprise"}), ("d10.mp4", (4.2, 7.2), {"happy", "neutral"}),
        ("d10.mp4", (13.1, 13.9), {"surprise", "fear"}), ("d13.mp4", (6.6, 8.3), {"happy"}),
        ("d13.mp4", (3.6, 6.1), {"neutral"}), ("d14.mp4", (15.6, 17.8), {"neutral"}),
    ],
)  # fmt: skip
def test_expressive_faces_show_what_somebody_noted(
    predictor: Predictor, shared_data: Path, video: str, times: tuple[float, float], emotions: set[str]
) -> None:
    place = shared_data / "annotated_videos" / video
    if not place.is_file():
        pytest.skip(f"no {place}")
    timeline = predictor(place, span=Span(max(0.0, times[0] - 1), times[1] + 1, SELDOM_S))
    person = max(timeline.people, key=lambda person: int(person.seen.sum()))
    part = person.seen & (person.times >= times[0]) & (person.times <= times[1])
    told = [FERPLUS[k] for k in person.probs[part].argmax(axis=1)]
    assert sum(name in emotions for name in told) > len(told) / 2, told
