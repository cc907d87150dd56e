"""Validation cuts, folds and splits: no group in two parts, each label's share, the same from the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfer.datasets import Manifest
from dfer.datasets.parts import Part, missing, overview, worst_imbalance
from dfer.datasets.splits import Plan, cut_folds, hold_out, split_manifest, stratum_names
from dfer.errors import DferError
from dfer.labels import EmotionSet

TOY = EmotionSet("toy", ("happy", "sad", "neutral"))


@given(st.integers(0, 2**32 - 1), st.integers(2, 200), st.floats(0.05, 0.9), st.integers(2, 30), st.booleans())
def test_no_group_is_split_and_both_sides_have_clips(
    seed: int, clips: int, share: float, groups: int, some_unknown: bool
) -> None:
    generator = np.random.default_rng(seed)
    names = np.array([f"film {number}" for number in generator.integers(0, groups, clips)], dtype=object)
    names[:2] = ["film a", "film b"]
    if some_unknown:
        names[generator.random(clips) < 0.3] = ""
        names[:2] = ["film a", ""]
    mask = hold_out(names, generator.integers(-1, 7, clips), share, generator)
    assert mask.dtype == bool and mask.shape == (clips,) and 0 < mask.sum() < clips
    assert not set(names[mask]) & set(names[~mask]) - {""}


@given(st.integers(0, 2**32 - 1), st.integers(2, 300), st.floats(0.01, 0.99), st.integers(1, 8))
def test_without_groups_every_label_gives_its_share_to_within_one_clip(
    seed: int, clips: int, share: float, labels: int
) -> None:
    generator = np.random.default_rng(seed)
    positions = generator.integers(-1, labels, clips)
    mask = hold_out([""] * clips, positions, share, generator)
    assert mask.sum() == np.clip(round(share * clips), 1, clips - 1)
    for label in np.unique(positions):
        of_label = positions == label
        assert abs(mask[of_label].sum() - of_label.sum() * mask.mean()) < 1 + 1e-9


@pytest.mark.parametrize("groups", [[""] * 60, [f"person {row % 20}" for row in range(60)]])
def test_the_cut_depends_on_the_generator_alone(groups: list[str]) -> None:
    labels = np.arange(60) % 7

    def cut(seed: int) -> list[bool]:
        return hold_out(groups, labels, 0.2, np.random.default_rng(seed)).tolist()

    assert cut(5) == cut(5)
    assert len({tuple(cut(seed)) for seed in range(10)}) > 5


def test_groups_of_very_different_size_still_give_about_the_share_of_each_label() -> None:
    generator = np.random.default_rng(0)
    sizes = generator.integers(1, 40, 100)
    groups = np.repeat([f"film {number}" for number in range(100)], sizes)
    labels = generator.choice(7, len(groups), p=[0.2, 0.15, 0.22, 0.18, 0.13, 0.02, 0.1])
    mask = hold_out(groups, labels, 0.2, generator)
    assert mask.mean() == pytest.approx(0.2, abs=0.02)
    shares = np.bincount(labels[mask], minlength=7) / np.bincount(labels)
    assert np.abs(shares - 0.2).max() < 0.12


def test_one_group_or_one_clip_cannot_be_cut() -> None:
    generator = np.random.default_rng(0)
    with pytest.raises(DferError, match=r"one group \('film a'\)"):
        hold_out(["film a"] * 5, [0, 1, 2, 0, 1], 0.2, generator)
    with pytest.raises(DferError, match=r"of 1 clip\(s\)"):
        hold_out([""], [0], 0.2, generator)
    with pytest.raises(DferError, match=r"of 0 clip\(s\)"):
        hold_out([], [], 0.2, generator)


@pytest.mark.parametrize("share", [0, 1, -0.1, np.nan])
def test_a_share_that_leaves_nothing_is_refused(share: float) -> None:
    with pytest.raises(DferError, match="share above 0 and below 1"):
        hold_out(["a", "b"], [0, 1], share, np.random.default_rng(0))


def test_groups_and_labels_must_belong_together() -> None:
    with pytest.raises(DferError, match="expected a label for each"):
        hold_out(["a", "b"], [0], 0.5, np.random.default_rng(0))


# -- folds --------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(6, 40), st.integers(20, 200), st.booleans())
def test_every_clip_is_tested_once_and_no_group_in_two_folds(
    seed: int, folds: int, groups: int, clips: int, some_unknown: bool
) -> None:
    generator = np.random.default_rng(seed)
    names = np.array([f"film {number}" for number in generator.integers(0, groups, clips)], dtype=object)
    names[:groups] = [f"film {number}" for number in range(groups)][: len(names[:groups])]
    if some_unknown:
        names[generator.random(clips) < 0.2] = ""
    cut = cut_folds(names, generator.integers(-1, 7, clips), folds, seed=seed)
    assert cut.shape == (clips,) and set(cut.tolist()) == set(range(1, folds + 1))
    assert all(len(set(cut[names == name])) == 1 for name in set(names) - {""})


@given(st.integers(0, 2**32 - 1), st.integers(2, 8), st.integers(1, 7))
def test_without_groups_every_stratum_gives_each_fold_its_share_to_within_one_clip(
    seed: int, folds: int, strata: int
) -> None:
    labels = np.random.default_rng(seed).integers(0, strata, 200)
    cut = cut_folds([""] * 200, labels, folds, seed=seed)
    for label in np.unique(labels):
        counts = np.bincount(cut[labels == label], minlength=folds + 1)[1:]
        assert np.abs(counts - (labels == label).sum() / folds).max() < 1 + 1e-9


def test_two_persons_of_each_of_two_kinds_give_each_fold_one_of_each() -> None:
    # worked by hand: the only even cut of happy, happy, sad, sad persons in two folds
    groups = np.repeat(["ann", "bob", "cy", "dee"], 5)
    labels = np.repeat(["happy", "happy", "sad", "sad"], 5)
    for seed in range(8):
        cut = cut_folds(groups, labels, 2, seed=seed)
        assert cut[0] != cut[5] and cut[10] != cut[15]


def test_strata_too_small_to_be_shared_out_are_still_cut() -> None:
    cut = cut_folds([""] * 6, list("abcdef"), 3, seed=0)
    assert np.bincount(cut).tolist() == [0, 2, 2, 2]


@pytest.mark.parametrize(
    ("groups", "folds", "message"),
    [
        (["a", "a", "b", "b"], 3, "3 folds need as many groups, and there are 2; ask for fewer folds"),
        ([""] * 4, 5, "5 folds need as many clips, and there are 4"),
        (["a", "b"], 1, "expected 2 folds or more, got 1"),
    ],
)
def test_more_folds_than_groups_are_refused(groups: list[str], folds: int, message: str) -> None:
    with pytest.raises(DferError, match=message):
        cut_folds(groups, ["happy"] * len(groups), folds, seed=0)


# -- a manifest's parts -------------------------------------------------------------------------------------------


def people(clips: int = 60, **columns: object) -> Manifest:
    """Clips of ten people in five films; every fifth clip has no single label, but six votes for sad."""
    rows = pd.DataFrame({"id": [f"{number:03d}" for number in range(clips)]})
    labels = [["happy", "sad", "neutral"][number % 3] if number % 5 else "" for number in range(clips)]
    person, film = [f"p{number % 10}" for number in range(clips)], [f"f{number % 5}" for number in range(clips)]
    rows = rows.assign(path=rows["id"], kind="video", group=person, film=film, label=labels)
    counts = [[0, 6, 4] if number % 5 == 0 else [np.nan] * 3 for number in range(clips)]
    votes = pd.DataFrame(counts, columns=[f"votes_{name}" for name in TOY])
    return Manifest.build(rows.join(votes).assign(**columns), emotions=TOY, root=Path("nowhere"), source="table")


def test_the_same_seed_gives_the_same_parts_in_whatever_order_the_clips_stand() -> None:
    manifest = people()
    order = np.random.default_rng(1).permutation(len(manifest))
    shuffled = Manifest.build(manifest.table.iloc[order], emotions=TOY, root=manifest.root)
    for plan in (Plan(folds=5), Plan(test=0.3, val=0.2), Plan(folds=3, by="film"), Plan(folds=4, stratify="film")):
        ours, theirs = split_manifest(manifest, plan).table, split_manifest(shuffled, plan).table
        columns = ["id", "fold", "split"]
        pd.testing.assert_frame_equal(ours[columns], theirs.sort_values("id", ignore_index=True)[columns])
    assert (
        len({str(split_manifest(manifest, Plan(folds=5, seed=seed)).table["fold"].tolist()) for seed in range(5)}) > 1
    )


def test_a_known_draw_is_the_same_on_every_machine() -> None:
    # fixed when they were first drawn: published folds must come out again from their seed
    assert cut_folds([""] * 10, list("aabbaabbab"), 2, seed=0).tolist() == [1, 2, 2, 2, 2, 1, 1, 1, 1, 2]
    groups, labels = list("aabbccddee"), list("xyxyxxyyxy")
    assert cut_folds(groups, labels, 2, seed=0).tolist() == [1, 1, 1, 1, 2, 2, 1, 1, 2, 2]
    held = hold_out(groups, labels, 0.4, np.random.default_rng(0))
    assert np.flatnonzero(held).tolist() == [4, 5, 6, 7]


def test_clips_without_a_label_are_in_a_part_too_and_former_parts_are_gone() -> None:
    manifest = people(fold=[number % 2 + 1 if number < 30 else None for number in range(60)])
    split = split_manifest(manifest, Plan(test=0.2, val=0.1))
    assert split.folds == [] and set(split.table["split"]) == {"train", "val", "test"}
    again = split_manifest(split, Plan(folds=5))
    assert again.folds == [1, 2, 3, 4, 5] and set(again.table["split"]) == {""} and again.table["fold"].notna().all()
    assert len(again) == len(manifest) and again.votes[0].tolist() == [0, 6, 4]


@pytest.mark.parametrize("plan", [Plan(folds=5, by="film"), Plan(test=0.2, val=0.2, by="film")])
def test_another_column_than_group_may_be_what_is_never_split(plan: Plan) -> None:
    split = split_manifest(people(), plan)
    parts = {film: set() for film in split.table["film"]}
    for film, fold, name in zip(split.table["film"], split.table["fold"], split.table["split"], strict=True):
        parts[film].add(f"{fold} {name}")
    assert all(len(names) == 1 for names in parts.values())
    assert split.table["group"].tolist() == split.table["film"].tolist()  # validation is cut by it as well
    assert split.table["group_before"].tolist() == people().table["group"].tolist()


@pytest.mark.parametrize("plan", [Plan(folds=2, by="take"), Plan(test=0.2, val=0.2, by="take")])
def test_persons_that_a_cut_by_another_column_divides_are_told(plan: Plan, caplog: pytest.LogCaptureFixture) -> None:
    takes = [f"t{number // 6}" for number in range(60)]  # six people in each, five or six takes of a person
    split = split_manifest(people(take=takes), plan).table
    parts: dict[str, set[object]] = {person: set() for person in split["group_before"]}
    for person, fold, name in zip(split["group_before"], split["fold"], split["split"], strict=True):
        parts[person].add((str(fold), name))
    divided = sum(len(names) > 1 for names in parts.values())
    assert divided and f"{divided} of 10 groups that the manifest had, such as persons, are in several" in caplog.text
    caplog.clear()
    split_manifest(people(), Plan(folds=5, by="film"))  # each person is in one film
    assert not caplog.text


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan(folds=5, by="flim"), r"no column 'flim' \(did you mean 'film'\?\)"),
        (Plan(folds=5, stratify="scene"), "no column 'scene'"),
        (Plan(folds=11), "11 folds need as many groups, and there are 10"),
        (Plan(folds=3, by="empty"), "the column 'empty' is empty"),
    ],
)
def test_a_split_that_cannot_be_is_refused(plan: Plan, message: str) -> None:
    with pytest.raises(DferError, match=message):
        split_manifest(people(empty=None), plan)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either a number of folds or the share"),
        ({"folds": 5, "test": 0.2}, "either a number of folds or the share"),
        ({"folds": 5, "val": 0.2}, "with folds, each training run cuts its own"),
        ({"test": 0.6, "val": 0.5}, "below 1 together"),
        ({"test": 0.2, "val": float("nan")}, "below 1 together"),
        ({"folds": 5, "seed": -1}, "a seed of 0 or more"),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(DferError, match=message):
        Plan(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("test", [1.0, 1.5, -0.1, float("nan")])
def test_a_test_share_that_leaves_nothing_is_refused(test: float) -> None:
    with pytest.raises(DferError, match="share above 0 and below 1"):
        split_manifest(people(), Plan(test=test))


def test_a_clip_without_a_label_counts_for_the_emotion_with_most_votes() -> None:
    assert stratum_names(people())[:6].tolist() == ["sad", "sad", "neutral", "happy", "sad", "sad"]


# -- what the parts hold ------------------------------------------------------------------------------------------


def test_the_overview_is_the_hand_counted_one() -> None:
    manifest = people(13, fold=[1] * 4 + [2] * 9, group=["a", "a", "b", "", "", "c", "c", "c", "d", "d", "", "", "d"])
    first, second = overview(manifest)
    # labels: none sad neutral happy | sad none happy sad neutral happy none neutral happy
    assert first == Part("fold 1", 4, 3, {"happy": 1, "sad": 1, "neutral": 1})
    assert second == Part("fold 2", 9, 5, {"happy": 3, "sad": 2, "neutral": 2})
    worst = worst_imbalance([first, second])
    # a quarter of happy is in fold 1, which has 3 of the 10 labelled clips; of the others it has a third
    assert (worst.emotion, worst.part) == ("happy", "fold 1")
    assert (worst.share, worst.expected) == (pytest.approx(1 / 4), pytest.approx(3 / 10))
    assert missing([first, second]) == {}


def test_an_emotion_that_a_part_lacks_is_named_and_one_that_nobody_has_is_not() -> None:
    parts = [
        Part("train", 3, 3, {"happy": 3, "sad": 0, "fear": 0}),
        Part("test", 2, 2, {"happy": 1, "sad": 1, "fear": 0}),
    ]
    assert missing(parts) == {"train": ["sad"]}
    assert worst_imbalance(parts).emotion == "sad"


def test_where_no_clip_has_a_label_the_most_voted_emotion_is_counted() -> None:
    manifest = people(10).select(np.arange(10) % 5 == 0)
    (part,) = overview(split_manifest(manifest, Plan(folds=2)))[:1]
    assert part.classes == {"happy": 0, "sad": 1, "neutral": 0}


def test_one_person_under_two_names_is_in_one_part(caplog: pytest.LogCaptureFixture) -> None:
    names = [name for person in range(1, 9) for name in (f"P{person}", f"p0{person}", f"P{person} ")]
    rows = pd.DataFrame(
        {"id": [f"c{k}" for k in range(24)], "path": "a", "kind": "video", "label": "sad", "group": names}
    )
    manifest = Manifest.build(rows, emotions=EmotionSet("one", ("sad",)), root=Path())
    cut = split_manifest(manifest, Plan(folds=4)).table
    assert cut["fold"].groupby(np.repeat(range(8), 3)).nunique().eq(1).all()
    assert cut["group"].nunique() == 8
    assert "taken for one: P1 and p01" in caplog.text
    held = hold_out(names, ["sad"] * 24, 0.25, np.random.default_rng(0))
    assert np.unique(held.reshape(8, 3), axis=1).shape == (8, 1)
