"""Who is who: people whose places are known, and real ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfer.video.alignment import landmarks_in
from dfer.video.detection import Face, Frames, Points, distinct, overlaps
from dfer.video.flow import colours
from dfer.video.matching import NEVER, cheapest_pairs, memory_cost
from dfer.video.people import Sighting, Track
from dfer.video.tracking import FORGET_S, HOLD_S, MOST_GONE, Tracker

from .people import ColourDetector, colour_looks, picture

Places = Mapping[str, tuple[float, float]]
FPS = 25
HERE = (40.0, 60.0)


def follow(scenes: Iterable[Places], tracker: Tracker | None = None, *, seed: int = 0) -> list[dict[int, np.ndarray]]:
    """The ids and boxes after each scene, 25 a second."""
    tracker = tracker or Tracker(ColourDetector(), embed=colour_looks)
    seen = []
    for index, places in enumerate(scenes):
        seen.append({one.id: one.box.copy() for one in tracker.step(picture(places, seed=seed), index / FPS)})
    return seen


def test_a_face_that_moves_keeps_its_number_and_its_box_stays_on_it() -> None:
    scenes = [{"red": (20 + 2 * k, 40 + k)} for k in range(60)]
    for scene, seen in zip(scenes, follow(scenes), strict=True):
        assert list(seen) == [0]
        assert seen[0] == pytest.approx([*scene["red"], 60, 60], abs=2)


def test_faces_are_detected_five_times_a_second_and_followed_in_between() -> None:
    detector = ColourDetector()
    follow([{"red": (20 + k, 40)} for k in range(50)], Tracker(detector, embed=colour_looks))
    assert detector.calls == 10


def test_following_trembles_less_than_the_detector() -> None:
    boxes = follow([{"red": HERE}] * 100, Tracker(ColourDetector(tremble=3), embed=colour_looks))
    path = np.array([seen[0][:2] for seen in boxes])
    assert np.abs(np.diff(path, axis=0)).max() < 1.5, "detections are up to 9 pixels apart"
    assert path[25:].mean(axis=0) == pytest.approx(HERE, abs=1.5)


def test_numbers_are_given_once_in_the_order_of_appearance_from_left_to_right() -> None:
    late = [{"blue": (120, 60)}] * 10 + [{"blue": (120, 60), "red": (220, 60), "green": (20, 60)}] * 10
    seen = follow(late)
    assert [list(one) for one in (seen[0], seen[-1])] == [[0], [0, 1, 2]]
    assert [round(seen[-1][number][0], -1) for number in range(3)] == [120, 20, 220]


def test_people_who_cross_keep_their_numbers() -> None:
    scenes = [{"red": (20 + 3 * k, 60), "blue": (230 - 3 * k, 65)} for k in range(70)]
    seen = follow(scenes)
    for k in (0, 69):
        assert seen[k][0][0] == pytest.approx(scenes[k]["blue" if seen[0][0][0] > 100 else "red"][0], abs=4)
        assert set(seen[k]) == {0, 1}
    assert set().union(*seen) == {0, 1}


def test_a_face_that_is_hidden_is_not_shown_and_found_again_by_its_number() -> None:
    both, hidden = {"red": HERE, "blue": (200, 60)}, {"blue": (200, 60)}
    seen = follow([both] * 10 + [hidden] * 30 + [both] * 10)
    red = next(number for number, box in seen[0].items() if box[0] < 100)
    assert all(red not in one for one in seen[17:40]), "gone at the latest when detection is due"
    assert red in seen[-1] and set().union(*seen) == {0, 1}


def test_someone_else_in_the_same_place_is_someone_else() -> None:
    seen = follow([{"red": HERE}] * 10 + [{}] * 10 + [{"blue": HERE}] * 10)
    assert list(seen[0]) == [0] and list(seen[-1]) == [1]


def test_someone_who_comes_back_after_a_long_time_is_known_by_the_face_wherever_that_is() -> None:
    away = round(FPS * (FORGET_S + 0.5))
    back = {"blue": (20, 20), "red": (240, 100)}
    seen = follow([{"red": HERE}] * 5 + [{}] * away + [back] * 8)
    assert list(seen[-1]) == [0, 1] and seen[-1][0][0] == pytest.approx(240, abs=3)


def nobody_clear(_frame: Frames, landmarks: list[Points]) -> list[None]:
    return [None] * len(landmarks)


def test_someone_whose_face_is_not_clear_is_known_by_place_and_colours_for_some_seconds_only() -> None:
    for away_s, number in ((FORGET_S - 1, 0), (FORGET_S + 0.5, 1)):
        scenes = [{"red": HERE}] * 5 + [{}] * round(FPS * away_s) + [{"red": HERE}] * 8
        assert list(follow(scenes, Tracker(ColourDetector(), embed=nobody_clear))[-1]) == [number]


def test_a_face_that_leaves_the_picture_is_gone_within_a_fifth_of_a_second() -> None:
    seen = follow([{"red": (220 + 4 * k, 60)} for k in range(40)])
    assert all(not one for one in seen[25 + 6 :])


def test_after_a_cut_the_face_decides_who_it_is_not_the_place() -> None:
    for places, ids in (({"red": (220, 30)}, [0]), ({"blue": HERE}, [1]), ({"blue": HERE, "red": (220, 30)}, [0, 1])):
        tracker = Tracker(ColourDetector(), embed=colour_looks)
        follow([{"red": HERE}] * 5, tracker)
        assert not tracker.cut
        after = tracker.step(picture(places, seed=99), 0.2)
        assert [person.id for person in after] == ids and not tracker.lost and tracker.cut
        tracker.step(picture(places, seed=99), 0.24)
        assert not tracker.cut


def test_after_a_cut_a_face_that_is_not_clear_is_someone_new() -> None:
    tracker = Tracker(ColourDetector(), embed=nobody_clear)
    follow([{"red": HERE}] * 5, tracker)
    assert [person.id for person in tracker.step(picture({"red": HERE}, seed=99), 0.2)] == [1]


def test_a_cut_to_someone_else_in_the_same_place_before_the_same_wall_is_seen_by_the_face() -> None:
    tracker, wall = Tracker(ColourDetector(), embed=colour_looks), picture({"red": HERE})
    seen, cuts = [], []
    for k in range(20):
        frame = wall if k < 7 else picture({"blue": HERE})
        seen.append([person.id for person in tracker.step(frame, k / FPS)])
        cuts.append(tracker.cut)
    assert seen[:7] == [[0]] * 7 and seen[8:] == [[1]] * 12 and seen[7] in ([], [1]), "so little changes: seen twice"
    assert sum(cuts) == 1 and any(cuts[7:9])


class Late:
    """Looks of colours, but that nobody is clear until `after` of them were asked for."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, frame: Frames, landmarks: list[Points]) -> list[np.ndarray | None]:
        self.left -= len(landmarks)
        return colour_looks(frame, landmarks) if self.left < 0 else [None] * len(landmarks)


def test_someone_whose_face_becomes_clear_later_gets_the_old_number_and_it_is_told() -> None:
    looks = Late(-1)
    tracker = Tracker(ColourDetector(), embed=looks)
    follow([{"red": HERE}] * 5, tracker)
    looks.left = 2
    told, ids = [], []
    for k in range(40):
        shown = tracker.step(picture({"red": (220, 30)}, seed=99), 1 + k / FPS)
        ids.append([person.id for person in shown])
        told += list(tracker.renamed.items())
    assert ids[0] == [1] and ids[-1] == [0] and told == [(1, 0)]
    assert all(len(each) == 1 for each in ids) and len(tracker.gone) == 0


def test_only_so_many_who_left_are_remembered() -> None:
    tracker = Tracker(ColourDetector(), embed=colour_looks)
    for k in range(MOST_GONE + 20):
        one = Sighting(np.array([0.0, 0, 9, 9]), np.zeros((5, 2)), 1.0, np.ones(1))
        tracker.gone.append(Track.of(one, 0.0, confirmed=True))
        tracker._forget(k / FPS)
    assert len(tracker.gone) == MOST_GONE


def test_of_two_faces_one_inside_the_other_the_surer_one_is_kept() -> None:
    large, inside, beside = (
        Face(np.array(box, float), score)
        for box, score in (((0, 0, 100, 130), 0.9), ((40, 60, 40, 40), 0.99), ((90, 0, 100, 130), 0.85))
    )
    assert distinct([large, beside, inside]) == [inside, beside] and distinct([large, beside]) == [large, beside]


def test_a_black_frame_shows_nobody() -> None:
    tracker = Tracker(ColourDetector(), embed=colour_looks)
    follow([{"red": HERE}] * 4, tracker)
    assert tracker.step(np.zeros((180, 320, 3), np.uint8), 0.16) == []


def test_places_are_limited_and_kept_by_whoever_is_there_first() -> None:
    scenes = [{"red": HERE}] * 10 + [{"red": HERE, "blue": (200, 60)}] * 10 + [{"blue": (200, 60)}] * 20
    seen = follow(scenes, Tracker(ColourDetector(), embed=colour_looks, people=1))
    assert set().union(*seen) == {0}
    assert all(box[0] < 100 for one in seen for box in one.values())


def test_frames_that_lie_far_apart_are_detected_each_and_still_matched() -> None:
    detector = ColourDetector()
    tracker = Tracker(detector, embed=colour_looks)
    ids = [[person.id for person in tracker.step(picture({"red": (20 + 15 * k, 60)}), k * 1.0)] for k in range(8)]
    assert ids == [[0]] * 8 and detector.calls == 8


class Script:
    """A detector that plays what it is told, the last entry for ever."""

    def __init__(self, *shows: list[Face]) -> None:
        self.shows = list(shows)

    def __call__(self, frame: Frames) -> list[Face]:
        return self.shows.pop(0) if len(self.shows) > 1 else self.shows[0]


def face(score: float, x: float = 40) -> Face:
    return Face(np.array([x, 60.0, 60.0, 60.0]), score)


def ids_of(detector: Script, frames: int) -> list[list[int]]:
    tracker = Tracker(detector, embed=colour_looks)
    return [[one.id for one in tracker.step(picture({"red": HERE}), k / FPS)] for k in range(frames)]


def test_a_doubtful_face_is_shown_when_it_is_found_twice() -> None:
    assert ids_of(Script([], [face(0.92)]), 8) == [[]] * 6 + [[0]] * 2, "found at 0.2 s, confirmed one frame later"
    assert ids_of(Script([], [face(0.92)], []), 8) == [[]] * 8, "a flicker"
    assert ids_of(Script([], [face(0.99)]), 8) == [[]] * 5 + [[0]] * 3, "sure enough at once"
    assert ids_of(Script([face(0.92)]), 1) == [[0]], "the one frame of an image"
    assert ids_of(Script([face(0.5)]), 8) == [[]] * 8


def test_a_face_that_flow_still_sees_but_the_detector_does_not_is_held_for_a_moment() -> None:
    shown = ids_of(Script([face(0.99)], []), 25)
    last = max(k for k, ids in enumerate(shown) if ids)
    assert shown[: last + 1] == [[0]] * (last + 1) and HOLD_S - 0.21 <= last / FPS <= HOLD_S + 0.21


def test_two_detections_of_one_followed_face_are_two_people_never_one_twice() -> None:
    tracker = Tracker(Script([face(0.99)], [face(0.99), face(0.98, x=200)]), embed=colour_looks)
    shown: list[Track] = []
    for k in range(10):
        shown = tracker.step(picture({"red": HERE, "blue": (200, 60)}), k / FPS)
    assert [one.id for one in shown] == [0, 1]


def test_someone_lost_is_found_far_away_only_when_very_alike() -> None:
    tracker = Tracker(Script([face(0.99)]), embed=colour_looks)
    (person,) = tracker.step(picture({"red": HERE}), 0.0)
    person.colours, alike = np.array([1.0, 0.0]), np.array([0.9, np.sqrt(1 - 0.9**2)])
    for sides, found in ((0, True), (3, True), (4, False), (10, False)):
        x = 40.0 + 60 * sides
        sighting = Sighting(np.array([x, 60.0, 60.0, 60.0]), landmarks_in(np.array([x, 60.0, 60.0, 60.0])), 0.99, alike)
        assert (memory_cost(person, sighting) < NEVER) == found, f"0.9 - 0.03 x {sides} against 0.8"


def test_colours_of_one_picture_are_fully_alike_and_of_different_colours_not_at_all() -> None:
    red, blue = (np.full((8, 8, 3), value, np.uint8) for value in ((200, 30, 30), (30, 30, 200)))
    assert colours(red) @ colours(red) == pytest.approx(1)
    assert colours(red) @ colours(blue) == 0


def test_the_overlap_of_boxes_is_that_of_their_pixels() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        one, other = (np.concatenate([generator.integers(0, 20, 2), generator.integers(1, 20, 2)]) for _ in range(2))
        masks = []
        for x, y, width, height in (one, other):
            mask = np.zeros((40, 40), bool)
            mask[y : y + height, x : x + width] = True
            masks.append(mask)
        assert overlaps([one], [other])[0, 0] == pytest.approx(
            (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
        )


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_pairs_cost_as_little_as_the_best_of_all_ways_to_pair(rows: int, columns: int, seed: int) -> None:
    table = np.random.default_rng(seed).uniform(0, 9, (rows, columns))
    small = table if rows <= columns else table.T
    least = min(
        sum(small[row, column] for row, column in enumerate(order))
        for order in itertools.permutations(range(small.shape[1]), len(small))
    )
    pairs = cheapest_pairs(table)
    assert sum(table[pair] for pair in pairs) == pytest.approx(least) and len(pairs) == len(small)


def test_someone_whose_look_changes_while_flow_holds_stays_the_same_person() -> None:
    """A mouth wide open, a head that turns: what flow follows without a break is one face."""

    def fickle(frame: Frames, landmarks: list[Points]) -> list[np.ndarray]:
        fickle.calls += 1  # type: ignore[attr-defined]
        return [np.eye(3, dtype=np.float32)[fickle.calls // 2 % 3]] * len(landmarks)  # type: ignore[attr-defined]

    fickle.calls = 0  # type: ignore[attr-defined]
    seen = follow([{"red": (20 + k, 40)} for k in range(100)], Tracker(ColourDetector(), embed=fickle))
    assert [list(one) for one in seen] == [[0]] * 100 and fickle.calls > 5  # type: ignore[attr-defined]
