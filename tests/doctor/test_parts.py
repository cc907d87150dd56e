"""What is trained on and tested on: parts, classes, groups and doubles across them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dfer.datasets.published import Published
from dfer.doctor import Case
from dfer.doctor.disk import OnDisk
from dfer.doctor.duplicates import same
from dfer.doctor.parts import classes_in_parts, doubles, groups, leaked, near_doubles, parts, spellings, validation
from dfer.doctor.pictures import Look, Pictures

from .toy import lying, toy

SPLIT = ["train", "train", "test", "test"]
BOTH = ["happy", "sad", "happy", "sad"]


def copied(copies: list[int], **columns: object) -> Case:
    """A case whose clips have the same content where they have the same number."""
    return replace(lying(toy(**columns)), copies=copies)


def test_folds_and_splits_are_counted() -> None:
    assert parts(Case(toy(split=SPLIT))).found == "the split: 2 to train on, 2 to test"
    folds = parts(Case(toy(fold=[1, 1, 2, None])))
    assert folds.found == "fold 1: 2 to train on, 2 to test; fold 2: 3 to train on, 1 to test"
    assert folds.verdict == "ok"


def test_nothing_to_test_on_is_to_be_known_and_nothing_to_train_on_a_fault() -> None:
    assert parts(Case(toy(label=["happy"]))).verdict == "note"
    assert parts(Case(toy(fold=[1, 1]))).verdict == "fault"


def test_a_class_that_is_tested_but_not_trained_on_is_a_fault() -> None:
    found = classes_in_parts(Case(toy(label=["happy", "happy", "happy", "sad"], split=SPLIT)))
    assert found.verdict == "fault" and "the split train has no clip of sad" in found.found


def test_a_class_that_is_not_tested_or_nowhere_is_to_be_known() -> None:
    found = classes_in_parts(Case(toy(label=["happy", "sad", "happy", "happy"], split=SPLIT)))
    assert found.verdict == "note"
    assert found.found == "the split test has no clip of sad; no clip at all of neutral"


def test_classes_are_those_of_the_votes_where_there_is_no_label() -> None:
    votes = [[9, 1, 0], [1, 9, 0], [0, 1, 9], [9, 0, 1], [0, 9, 1], [1, 0, 9]]
    case = Case(toy(votes=votes, split=["train"] * 3 + ["test"] * 3))
    assert classes_in_parts(case).verdict == "ok"
    assert classes_in_parts(Case(toy(votes=votes))).verdict == "unchecked"


def test_a_person_in_train_and_test_is_a_fault_and_in_published_parts_to_be_known() -> None:
    case = Case(toy(group=["ann", "ben", "ann", "cem"], split=SPLIT))
    found = groups(case)
    assert (found.verdict, found.clips) == ("fault", ("c2",))
    assert found.found == "both trained on and tested: 1 group (ann), 1 test clip of them"
    assert groups(replace(case, published=Published(clips=4, splits={"train": 2}))).verdict == "note"


def test_persons_who_keep_to_their_part_are_sound() -> None:
    assert groups(Case(toy(group=["ann", "ann", "ben", "cem"], split=SPLIT))).verdict == "ok"
    assert groups(Case(toy(group=["ann", "ann", "ben", ""], fold=[1, 1, 2, 3]))).found.endswith("unknown of 1 clip")
    assert groups(Case(toy(split=SPLIT))).verdict == "unchecked"
    assert groups(Case(toy(group=["ann"]))).verdict == "unchecked"


def test_every_clip_of_a_person_in_two_folds_is_tested_after_training_on_the_person() -> None:
    manifest = toy(group=["ann", "ben", "ann", "ben", "cem", ""], fold=[1, 1, 2, 1, None, 2])
    assert leaked(manifest, same(manifest.table["group"].tolist())).tolist() == [True, False, True] + [False] * 3


def test_clips_of_no_fold_are_trained_on_in_every_fold() -> None:
    manifest = toy(group=["ann", "ann", "ben"], fold=[1, None, 2])
    assert leaked(manifest, same(manifest.table["group"].tolist())).tolist() == [True, False, False]


def test_doubles_in_one_part_are_to_be_known_with_their_contradicting_labels() -> None:
    found = doubles(copied([0, 0, -1, -1], label=BOTH, split=SPLIT))
    assert (found.verdict, found.clips) == ("note", ("c0", "c1"))
    assert "2 of them with another label" in found.found


def test_doubles_across_parts_are_a_fault_and_the_clips_to_leave_out_are_named() -> None:
    found = doubles(copied([0, -1, -1, 0], label=BOTH, split=SPLIT))
    assert (found.verdict, found.clips) == ("fault", ("c0",))
    assert "1 test clip (c3), 50.0% of them" in found.found
    case = copied([0, 0, 0, -1], label=BOTH, fold=[1, 2, 1, 2])
    kept = case.manifest.select(~case.manifest.table["id"].isin(doubles(case).clips).to_numpy())
    assert not leaked(kept, np.array([0, 0, -1])).any(), "without the clips that are named nothing is shared"


def test_one_double_among_many_test_clips_moves_no_score() -> None:
    split = ["train"] * 50 + ["test"] * 150
    copies = [0, *[-1] * 198, 0]
    found = doubles(copied(copies, label=["happy"] * 200, split=split))
    assert found.verdict == "note" and "0.7% of them" in found.found


def test_one_path_in_two_rows_is_a_double_even_where_there_is_no_file() -> None:
    case = copied([-1, -1, -1], path=["a.mp4", "b.mp4", "a.mp4"])
    assert doubles(case).clips == ("c0", "c2")
    assert doubles(copied([-1, -1], label=["happy", "sad"])).verdict == "ok"


def test_doubles_of_clips_that_nobody_could_read_are_not_called_absent() -> None:
    gone = lying(toy(label=["happy"]), c0=OnDisk(fault="missing"))
    assert doubles(gone).verdict == doubles(Case(toy(label=["happy"]))).verdict == "unchecked"
    half = lying(toy(label=["happy", "sad"]), c0=OnDisk(fault="missing"))
    assert doubles(half).found == "no two clips have the same content; not read: 1 clip"


def test_near_doubles_are_clips_that_look_the_same() -> None:
    generator = np.random.default_rng(0)
    bits, small = generator.random((2, 384)) < 0.5, generator.normal(size=(2, 768)).astype(np.float16)
    looks = [Look(bits=bits[k], small=small[k]) for k in (0, 1, 0)] + [Look(fault="damaged")]
    case = Case(toy(label=BOTH, split=SPLIT), pictures=Pictures(tuple(looks), frozenset({"near"})))
    found = near_doubles(case)
    assert (found.verdict, found.clips) == ("fault", ("c0",)) and "2 clips (c0, c2)" in found.found
    other = replace(case, pictures=Pictures((looks[0], looks[1], looks[3], looks[3]), frozenset({"near"})))
    assert near_doubles(other).verdict == "ok"
    assert near_doubles(replace(case, pictures=None)).verdict == "unchecked"
    plain = Pictures((Look(),) * 4, frozenset({"near"}))
    assert near_doubles(replace(case, pictures=plain)).verdict == "unchecked"


@pytest.mark.parametrize("copies", [[-1, 0, 0], [-1, -1, -1]])
def test_validation_on_the_test_part_is_a_fault(copies: list[int]) -> None:
    found = validation(copied(copies, label=["happy"] * 3, split=["train", "val", "test"]))
    assert (found.verdict, found.clips) == (("fault", ("c1",)) if 0 in copies else ("ok", ()))


def test_validation_is_found_out_by_the_path_as_well() -> None:
    case = copied([-1] * 3, path=["a.mp4", "b.mp4", "b.mp4"], split=["train", "val", "test"])
    assert validation(case).verdict == "fault"
    assert validation(copied([-1, -1], label=["happy"] * 2, split=["train", "test"])).verdict == "unchecked"
    assert validation(Case(toy(split=["train", "val", "test"]))).verdict == "unchecked"


def test_one_person_under_two_names_is_still_one_person() -> None:
    manifest = toy(group=["P1", "P01", "ben", "Ben"], split=["train", "test", "test", "test"])
    found = groups(Case(manifest))
    assert (found.verdict, found.clips) == ("fault", ("c1",))
    names = spellings(Case(manifest))
    assert names.verdict == "note" and "groups with nearly the same name: P1 and P01; ben and Ben" in names.found
    assert spellings(Case(toy(group=["P1", "P2", "", ""]))).verdict == "ok"
    assert "clips with nearly the same name: 001.mp4 and 1" in spellings(Case(toy(id=["001.mp4", "1"]))).found
