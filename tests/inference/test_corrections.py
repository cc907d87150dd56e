"""Corrections: people divided, stretches marked anew, and the machine's answer left as it was."""

from __future__ import annotations

import pytest

from dfer import DferError
from dfer.inference.corrections import Mark, Merge, Name, Split, corrected, from_plain, to_plain
from dfer.inference.people import divided, merged

from .test_people import ANGRY, SAD, recorded, seen


def test_a_person_who_is_divided_becomes_what_two_would_have_been() -> None:
    whole = recorded(seen(0, range(0, 15), ANGRY), seen(0, range(15, 30), SAD))
    two = recorded(seen(0, range(0, 15), ANGRY), seen(1, range(15, 30), SAD))
    assert divided(whole, 0, 1.5).to_dict() == two.to_dict()
    assert merged(divided(whole, 0, 1.5), [0, 1]).to_dict() == whole.to_dict()


def test_a_person_with_gaps_is_divided_in_a_gap() -> None:
    whole = recorded(seen(0, range(2, 8), ANGRY), seen(0, range(18, 25), SAD), seen(3, range(0, 30), SAD, x=90))
    two = recorded(seen(0, range(2, 8), ANGRY), seen(3, range(0, 30), SAD, x=90), seen(4, range(18, 25), SAD))
    found = divided(whole, 0, 1.2)
    assert [person.id for person in found.people] == [0, 3, 4]
    assert found.people[1].seen.sum() == 30
    for person, wanted in zip(found.people, two.people, strict=True):
        assert person.times[person.seen].tolist() == wanted.times[wanted.seen].tolist()
        assert person.segments == wanted.segments
        assert person.overall == pytest.approx(wanted.overall)


@pytest.mark.parametrize("at_s", [0.0, 0.1, 2.6, 99.0])
def test_nobody_is_divided_where_they_are_not_seen_on_both_sides(at_s: float) -> None:
    with pytest.raises(DferError, match="cannot be divided"):
        divided(recorded(seen(0, range(2, 25), ANGRY)), 0, at_s)


def test_a_stretch_that_is_marked_takes_the_place_of_what_was_found_there() -> None:
    timeline = recorded(seen(0, range(0, 30), ANGRY))
    (found,) = timeline.people[0].segments
    assert (found.start_s, found.end_s) == pytest.approx((0.0, 3.0))
    marked = corrected(timeline, [Mark(0, 1.0, 2.0, timeline.emotions[2])]).people[0].segments
    assert [(segment.start_s, segment.end_s, segment.emotion) for segment in marked] == [
        (0.0, 1.0, timeline.emotions[0]),
        (1.0, 2.0, timeline.emotions[2]),
        (2.0, pytest.approx(3.0), timeline.emotions[0]),
    ]
    assert marked[1].score == pytest.approx(0.1)
    assert all(segment.start_s <= segment.apex_s <= segment.end_s for segment in marked)
    cleared = corrected(timeline, [Mark(0, 0.0, 3.0, "")]).people[0].segments
    assert cleared == () and timeline.people[0].segments == (found,)


def test_corrections_are_applied_in_their_order_and_come_back_from_plain_values() -> None:
    timeline = recorded(seen(0, range(0, 10), ANGRY), seen(1, range(15, 30), SAD))
    made = [Merge((0, 1)), Name(0, "Anna"), Split(0, 1.2), Name(2, "Bo"), Mark(2, 1.5, 2.0, "")]
    with pytest.raises(DferError, match="no person 2"):
        corrected(timeline, made)
    made = [Merge((0, 1)), Name(0, "Anna"), Split(0, 1.2), Name(1, "Bo"), Mark(1, 1.5, 2.0, "")]
    found = corrected(timeline, from_plain(to_plain(made)))
    assert [person.name for person in found.people] == ["Anna", "Bo"]
    assert from_plain(to_plain(made)) == made


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (Mark(0, 2.0, 1.0, ""), "a stretch within the film"),
        (Mark(0, 0.0, 99.0, ""), "a stretch within the film"),
        (Mark(0, 0.0, 1.0, "joyless"), "no emotion 'joyless'"),
        (Mark(7, 0.0, 1.0, ""), "no person 7"),
        (Name(7, "x"), "no person 7"),
    ],
)
def test_what_cannot_be_is_one_sentence(made: Mark | Name, told: str) -> None:
    with pytest.raises(DferError, match=told):
        corrected(recorded(seen(0, range(0, 30), ANGRY)), [made])


@pytest.mark.parametrize("values", [[{"kind": "shout"}], [{"kind": "name", "person": -1, "name": ""}], {}, [1]])
def test_plain_values_that_are_no_corrections_are_refused(values: object) -> None:
    with pytest.raises(DferError):
        from_plain(values)
