"""Counts against published figures: complete and incomplete copies, labels in another order or from another base."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dfer.datasets.published import PUBLISHED, Published
from dfer.doctor import Case
from dfer.doctor.counts import classes, clips, left_out, lengths, order
from dfer.doctor.disk import OnDisk
from dfer.doctor.pictures import Look, Pictures
from dfer.labels import DFEW, EmotionSet

from .toy import THREE, labelled, lying, toy

COUNTS = [2445, 1894, 2669, 2173, 1469, 145, 902]  # DFEW's single-labelled clips, in its order of emotions
TOY = Published(
    clips=6,
    per_class={"happy": 3, "sad": 2, "neutral": 1},
    folds={1: (3, 3), 2: (3, 3)},
    tested_per_class={1: {"happy": 2, "sad": 1}, 2: {"happy": 1, "sad": 1, "neutral": 1}},
)


def toy_case(**columns: object) -> Case:
    label = ["happy", "happy", "sad", "happy", "sad", "neutral"]
    return Case(toy(THREE, **({"label": label, "fold": [1, 1, 1, 2, 2, 2]} | columns)), TOY)


def test_a_complete_copy_has_the_published_counts() -> None:
    assert clips(toy_case()).verdict == classes(toy_case()).verdict == "ok"
    assert clips(toy_case()).found == "6 clips, as published"


def test_a_clip_too_few_or_too_many_is_counted() -> None:
    fewer = replace(toy_case(), published=replace(TOY, clips=8))
    more = replace(toy_case(), published=replace(TOY, clips=5))
    assert (clips(fewer).verdict, clips(more).verdict) == ("note", "note")
    assert "2 are missing" in clips(fewer).found and "1 more than the 5 published" in clips(more).found


def test_clips_that_were_left_out_as_doubles_are_not_missing() -> None:
    reasons = {"double of an image of the test part": 2, "no clip on disk": 5}
    case = replace(toy_case(), manifest=replace(toy_case().manifest, left_out=reasons))
    whole = replace(case, published=replace(TOY, clips=8))
    assert (clips(whole).verdict, clips(whole).found) == ("ok", "6 clips and 2 left out as doubles, as published")
    fewer = replace(case, published=replace(TOY, clips=9))
    assert clips(fewer).found == "6 clips and 2 left out as doubles of 9 published: 1 are missing"


def test_counts_of_classes_in_folds_that_differ_are_named() -> None:
    found = classes(toy_case(fold=[1, 1, 2, 2, 2, 1]))
    assert found.verdict == "note" and found.found.startswith("3 of 12 counts")
    assert "fold 1 test sad 0 (published 1)" in found.found


def test_counts_of_splits_and_scenes_are_compared_too() -> None:
    published = Published(
        clips=2,
        per_scene={"War": 1, "Crime": 1},
        splits={"train": 1, "test": 1},
        split_per_class={"train": {"happy": 1}},
    )
    case = Case(toy(label=["happy", "sad"], split=["train", "test"], scene=["War", "War"]), published)
    assert classes(case).found == (
        "2 of 5 counts of parts and classes differ: scene War 2 (published 1), scene Crime 0 (published 1)"
    )


@pytest.mark.parametrize("check", [clips, classes, order])
def test_without_published_figures_nothing_is_said_to_be_sound(check: object) -> None:
    assert check(Case(toy(label=["happy"]))).verdict == "unchecked"  # type: ignore[operator]


def test_dfews_labels_in_their_order_are_sound_even_where_some_clips_are_missing() -> None:
    assert order(Case(labelled(COUNTS), PUBLISHED["dfew"])).verdict == "ok"
    assert order(Case(labelled([count - count // 100 for count in COUNTS]), PUBLISHED["dfew"])).verdict == "ok"


def test_labels_in_the_alphabetical_order_are_recognised_by_their_counts() -> None:
    # numbers that mean angry disgust fear happy ... were read as happy sad neutral angry ...
    alphabetical = [COUNTS[DFEW.index(name)] for name in sorted(DFEW)]
    found = order(Case(labelled(alphabetical), PUBLISHED["dfew"]))
    assert found.verdict == "fault"
    for true, name in zip(sorted(DFEW), DFEW, strict=True):
        assert (f"{true} is called {name}" in found.found) == (true != name)


def test_labels_of_another_base_are_recognised_by_their_counts() -> None:
    late = order(Case(labelled([0, *COUNTS[:-1]]), PUBLISHED["dfew"]))
    early = order(Case(labelled([*COUNTS[1:], 0]), PUBLISHED["dfew"]))
    assert late.verdict == early.verdict == "fault"
    assert "from 1 were read as from 0" in late.found and "from 0 were read as from 1" in early.found


def test_counts_that_fit_in_no_order_are_not_called_sound() -> None:
    assert order(Case(labelled([count // 2 for count in COUNTS]), PUBLISHED["dfew"])).verdict == "unchecked"


def test_numbers_for_names_are_a_fault() -> None:
    found = order(Case(toy(EmotionSet("own", ("0", "1", "2")), label=["0", "1", "2"])))
    assert found.verdict == "fault" and "count from 0" in found.found


def test_short_clips_are_named_and_unknown_lengths_counted() -> None:
    found = lengths(Case(toy(frames=[20, 15, 40, None])))
    assert found.verdict == "note" and found.clips == ("c1",)
    assert found.found == "15 to 40 frames, median 20; unknown of 1 clip; fewer than 16: 1 clip (c1)"


def test_long_clips_and_stills_are_sound_and_videos_unknown() -> None:
    assert lengths(Case(toy(frames=[16, 40]))).verdict == "ok"
    assert lengths(Case(toy(kind=["image"], frames=[1]))).found == "stills of one frame"
    assert lengths(Case(toy(label=["happy"]))).verdict == "unchecked"
    counted = lying(toy(kind=["frames"]), c0=OnDisk(frames=30))
    assert lengths(counted).found == "30 to 30 frames, median 30"
    decoded = replace(lying(toy(label=["happy"])), pictures=Pictures((Look(frames=25),), frozenset({"near"})))
    assert lengths(decoded).found == "25 to 25 frames, median 25"


def test_other_extracts_of_the_clips_are_told_from_the_published_ones() -> None:
    sixteen = Case(toy(frames=[16] * 5), replace(TOY, frames=(11, 71, 847)))
    assert lengths(sixteen).verdict == "note" and "published 11 to 847, median 71" in lengths(sixteen).found
    assert lengths(Case(toy(frames=[20, 70, 800]), replace(TOY, frames=(11, 71, 847)))).verdict == "ok"


def test_what_was_left_out_is_told_with_its_reasons() -> None:
    assert left_out(Case(toy(label=["happy"], source="lossy"))).found == "3: no clip on disk"
    assert left_out(Case(toy(label=["happy"]))).verdict == "ok"


def test_published_figures_agree_with_themselves() -> None:
    for name, published in PUBLISHED.items():
        single = published.single or sum(published.per_class.values()) or None
        assert not published.per_class or sum(published.per_class.values()) == single, name
        for fold, counts in published.tested_per_class.items():
            assert sum(counts.values()) == published.folds[fold][1], (name, fold)
        assert not published.splits or sum(published.splits.values()) == published.clips, name
        assert np.isin([0, published.clips], [0, sum(published.per_scene.values()), published.clips]).all(), name
