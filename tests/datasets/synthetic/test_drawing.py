"""What the drawing shows of units, poses and flaws, judged by the pixels; and its tools on hand-worked shapes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dfer.datasets.synthetic.expressions import UNITS
from dfer.datasets.synthetic.face import Scene, draw
from dfer.datasets.synthetic.hair import LINES
from dfer.datasets.synthetic.head import Pose
from dfer.datasets.synthetic.identity import STYLES, Identity, meet
from dfer.datasets.synthetic.picture import Camera, background
from dfer.datasets.synthetic.scripts import FLAWS, Script
from dfer.datasets.synthetic.sketch import Sheet, ellipse, mirrored, ribbon, smooth

Picture = NDArray[np.uint8]
SIZE = 128
PEOPLE = range(16)
BLACK = np.zeros(3)


def face(identity: int = 2, pose: Pose | None = None, **units: float) -> NDArray[np.int64]:
    """A face with some units, `au12=1.0`, before plain grey."""
    activations = [units.get(f"au{unit}", 0.0) for unit in UNITS]
    scene = Scene(np.full((SIZE, SIZE, 3), 200, np.uint8))
    return draw(meet(identity), activations, pose or Pose(), scene).astype(np.int64)


def changed_rows(one: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[float, float]:
    """First and last row that differ, as shares of the height."""
    rows = np.flatnonzero(np.abs(one - other).max(axis=(1, 2)) > 8)
    return rows[0] / SIZE, rows[-1] / SIZE


def balance(picture: NDArray[np.int64]) -> float:
    """The middle of mass, in x, of what is not background; 0 is the picture's middle."""
    mask = np.abs(picture[: SIZE // 2] - 200).max(axis=2) > 20
    return float(np.nonzero(mask)[1].mean() / SIZE - 0.5)


# -- units and poses ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_can_be_seen(unit: int) -> None:
    company = {"au25": 0.7} if unit in (20, 26) else {}
    assert (np.abs(face(**company) - face(**{**company, f"au{unit}": 1.0})).max(axis=2) > 16).sum() > 20


@pytest.mark.parametrize("unit", [1, 2, 4, 5, 7])
def test_units_of_the_upper_face_leave_the_mouth_alone(unit: int) -> None:
    _, low = changed_rows(face(), face(**{f"au{unit}": 1.0}))
    assert low < 0.58


@pytest.mark.parametrize("unit", [15, 17, 20, 24, 25, 26])
def test_units_of_the_lower_face_leave_the_brows_alone(unit: int) -> None:
    high, _ = changed_rows(face(au25=0.3), face(**{"au25": 0.3, f"au{unit}": 1.0}))
    assert high > 0.45


@pytest.mark.parametrize("identity", PEOPLE)
def test_a_dropped_jaw_opens_the_mouth_of_everybody(identity: int) -> None:
    def dark_red(picture: NDArray[np.int64]) -> int:
        red, green, blue = picture[SIZE // 2 :].transpose(2, 0, 1)
        return int(((red > 70) & (red < 130) & (green < 45) & (blue < 55)).sum())

    assert dark_red(face(identity, au25=1.0, au26=1.0)) > dark_red(face(identity)) + 60


@pytest.mark.parametrize("identity", PEOPLE)
def test_a_blink_hides_the_white_of_everybodys_eyes_and_a_raised_lid_shows_more_of_it(identity: int) -> None:
    def white(picture: NDArray[np.int64]) -> int:
        return int((picture[int(0.4 * SIZE) : int(0.55 * SIZE)].min(axis=2) > 205).sum())

    rest = white(face(identity))
    assert white(face(identity, Pose(blink=1.0))) < rest < white(face(identity, au5=1.0))


def test_a_smile_lifts_the_corners_of_the_mouth_and_a_frown_lowers_them() -> None:
    from dfer.datasets.synthetic.head import Head
    from dfer.datasets.synthetic.mouth import _edges

    def bend(**units: float) -> float:
        """By how much the corners are higher than the middle of the seam, in face units."""
        au = {unit: units.get(f"au{unit}", 0.0) for unit in UNITS}
        _, upper, _, _ = _edges(Head(meet(2), au, Pose(), SIZE))
        return float(upper[10] - upper[0])

    assert bend(au15=1.0) < bend() - 0.05 < bend() + 0.05 < bend(au12=1.0)


def test_a_head_that_turns_or_leans_to_one_side_is_the_mirror_of_one_that_does_to_the_other() -> None:
    for one, other in ((Pose(shift_x=0.2), Pose(shift_x=-0.2)), (Pose(roll=0.2), Pose(roll=-0.2))):
        left, right = balance(face(2, one)), balance(face(2, other))
        assert left == pytest.approx(-right, abs=0.02) and abs(left) > 0.03


def test_neighbours_look_different() -> None:
    people = [meet(identity) for identity in PEOPLE]
    assert len({who.style for who in people}) >= 6 and {who.style for who in people} <= set(STYLES) == set(LINES)
    looks = [(who.style, *who.skin.round(-1), *who.hair) for who in people]
    assert len(set(looks)) == len(looks)
    assert {who.glasses for who in people} == {True, False}


def test_a_person_is_the_same_each_time_and_another_one_in_another_town() -> None:
    def traits(who: Identity) -> tuple[object, ...]:
        return who.style, who.width, who.jaw, tuple(who.skin), tuple(who.hair)

    assert traits(meet(3)) == traits(meet(3)) != traits(meet(3, seed=1))
    for identity in range(60):
        who = meet(identity, 4)
        assert all(0 <= part <= 255 for colour in (who.skin, who.hair, who.shadow) for part in colour)


def test_drawing_leaves_the_background_array_alone_and_reaches_the_size_asked_for() -> None:
    for size in (32, 61, 200):
        plain = np.full((size, size, 3), 90, np.uint8)
        drawn = draw(meet(1), np.ones(len(UNITS)), Pose(yaw=0.5, pitch=-0.2, roll=0.3), Scene(plain))
        assert drawn.shape == (size, size, 3) and drawn.dtype == np.uint8
        assert (plain == 90).all() and (drawn != 90).any()


# -- the camera -----------------------------------------------------------------------------------------------------


def taken(*flaws: str, strength: float = 1.0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A face as it is and as the camera takes it with some flaws."""
    plain = face().astype(np.uint8)
    camera = Camera(Script("single", "happy", flaws=dict.fromkeys(flaws, strength)), np.random.default_rng(0))
    shot = camera.take(plain.copy())
    assert shot.shape == plain.shape and shot.dtype == np.uint8
    return plain.astype(np.int64), shot.astype(np.int64)


def detail(picture: NDArray[np.int64]) -> float:
    """Mean square of differences between neighbours."""
    return float((np.diff(picture, axis=0) ** 2).mean() + (np.diff(picture, axis=1) ** 2).mean())


def test_without_flaws_a_picture_keeps_its_detail_and_its_light() -> None:
    plain, shot = taken()
    assert detail(shot) == pytest.approx(detail(plain), rel=0.25)
    assert shot.mean() == pytest.approx(plain.mean(), rel=0.12)


@pytest.mark.parametrize("flaw", ["motion", "defocus", "low_res"])
def test_blur_takes_detail_away_the_more_the_stronger_it_is(flaw: str) -> None:
    none, some, much = detail(taken()[1]), detail(taken(flaw, strength=0.4)[1]), detail(taken(flaw)[1])
    assert much < some < 0.8 * none


def test_darkness_takes_light_and_noise_adds_grain() -> None:
    assert taken("dark")[1].mean() < 0.5 * taken()[1].mean()
    assert detail(taken("noise")[1]) > detail(taken()[1]) + 200


def test_what_covers_the_face_is_below_the_eyes() -> None:
    clean, covered = taken()[1], taken("covered")[1]
    high, low = changed_rows(clean, covered)
    assert 0.5 < high < 0.75 and low > 0.95
    assert (np.abs(clean - covered).max(axis=2) > 30).mean() > 0.05


def test_all_flaws_at_once_still_make_a_picture() -> None:
    assert taken(*FLAWS)[1].std() > 3


def test_a_background_is_soft_and_differs_from_clip_to_clip() -> None:
    one, other = (background(96, np.random.default_rng(seed)).astype(np.int64) for seed in (0, 1))
    assert one.shape == (96, 96, 3) and detail(one) < 10 and (one != other).any()


# -- tools ----------------------------------------------------------------------------------------------------------


def test_a_smooth_curve_passes_through_its_points() -> None:
    points = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0], [4.0, 4.0]])
    assert np.allclose(smooth(points, samples=5)[::5], points)
    assert np.allclose(smooth(points, closed=True, samples=5)[::5], points)
    assert len(smooth(points, samples=5)) == 16 and len(smooth(points, closed=True, samples=5)) == 20


def test_a_smooth_curve_through_points_on_a_line_stays_on_it() -> None:
    curve = smooth([(0, 1), (1, 3), (2, 5), (3, 7)])
    assert np.allclose(curve[:, 1], 2 * curve[:, 0] + 1) and (np.diff(curve[:, 0]) > 0).all()


def test_a_ribbon_is_as_wide_as_asked() -> None:
    outline = ribbon(np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]), np.array([2.0, 4.0, 2.0]))
    there, back = outline[:3], outline[:2:-1]
    assert np.allclose(np.hypot(*(there - back).T), [2, 4, 2])
    assert np.allclose((there + back) / 2, [[0, 0], [3, 4], [6, 8]])


def test_mirrored_turns_x_round_and_keeps_going_the_same_way_round() -> None:
    assert mirrored([(1, 2), (3, 4)]).tolist() == [[-3, 4], [-1, 2]]


def square(low: float, high: float) -> NDArray[np.float64]:
    return np.array([[low, low], [high, low], [high, high], [low, high]])


def test_a_filled_shape_covers_its_area_in_its_colour() -> None:
    plain = np.full((40, 40, 3), 255, np.uint8)
    sheet = Sheet(plain)
    sheet.fill(ellipse(20, 20, 10), np.array([200.0, 10.0, 60.0]))
    picture = sheet.finished()
    assert picture[20, 20].tolist() == [200, 10, 60] and picture[2, 2].tolist() == [255, 255, 255]
    covered = (255.0 - picture[..., 1]).sum() / 245
    assert covered == pytest.approx(np.pi * 10**2, rel=0.05) and (plain == 255).all()


def test_what_is_drawn_inside_a_shape_stays_inside_of_it() -> None:
    sheet = Sheet(np.full((40, 40, 3), 255, np.uint8))
    sheet.clipped(square(10, 20), lambda inside: inside.fill(square(0, 40), BLACK))
    picture = sheet.finished().astype(int)
    assert (picture[11:19, 11:19] == 0).all()
    picture[9:22, 9:22] = 255
    assert (picture == 255).all()


def test_a_clipping_shape_outside_of_the_picture_draws_nothing() -> None:
    sheet = Sheet(np.full((40, 40, 3), 255, np.uint8))
    sheet.clipped(square(50, 60), lambda inside: inside.fill(square(0, 60), BLACK))
    assert (sheet.finished() == 255).all()


def test_tints_multiply_what_is_inside_the_outline_and_are_forgotten_then() -> None:
    sheet = Sheet(np.full((40, 40, 3), 200, np.uint8))
    sheet.tint([(square(5, 35), 1.0)], (0.5, 1.0, 0.75), blur=0)
    sheet.shade(square(10, 30))
    sheet.shade()
    picture = sheet.finished()
    assert np.abs(picture[20, 20].astype(int) - [100, 200, 150]).max() <= 1
    assert picture[7, 7].tolist() == [200, 200, 200], "tinted, but outside of the outline"
