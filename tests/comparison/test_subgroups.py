"""Scores by group: how clips are divided, what is compared with what, and that chance is not called a gap."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, recall_score

from dfer.comparison import by_groups, holm
from dfer.comparison.subgroups import FEWEST_CLIPS, FEWEST_PERSONS, MOST_CATEGORIES, divide
from dfer.datasets import read_source
from dfer.documents import json_text
from dfer.errors import DferError
from dfer.metrics import Predictions
from tests.metrics.toy import toy_predictions


def judged(right: Sequence[bool] | np.ndarray) -> Predictions:
    """Clips of three emotions, of which these are recognised."""
    hit = np.asarray(right, dtype=bool)
    labels = np.arange(len(hit)) % 3
    answers = np.where(hit, labels, (labels + 1) % 3)
    return Predictions(
        np.array([f"c{k}" for k in range(len(hit))], dtype=object), np.zeros(len(hit), int), labels,
        np.eye(3)[answers], np.full((len(hit), 3), np.nan), [""] * len(hit), ("a", "b", "c"),  # type: ignore[arg-type]
    )  # fmt: skip


def named(run: Predictions, values: Sequence[object] | np.ndarray) -> dict[str, object]:
    return dict(zip(run.ids, values, strict=True))


def shares(*groups: tuple[int, int]) -> tuple[Predictions, dict[str, object]]:
    """Groups "0", "1" ... of (right, clips)."""
    right = np.concatenate([np.arange(clips) < hits for hits, clips in groups])
    run = judged(right)
    return run, named(run, np.repeat([f"g{k}" for k in range(len(groups))], [clips for _, clips in groups]))


def of(run: Predictions, values: dict[str, object], **options: Any) -> dict[str, Any]:
    return by_groups({"run": run}, {"it": values}, **options)["run"][0]


# -- dividing -----------------------------------------------------------------------------------------------------


def test_numbers_are_cut_into_terciles_as_pandas_cuts_them() -> None:
    ages = np.random.default_rng(0).integers(20, 75, 500)
    groups = divide(ages.tolist())
    wanted = pd.qcut(ages, 3, labels=False)
    assert np.array_equal(groups.members, wanted)
    ends = [(ages[wanted == third].min(), ages[wanted == third].max()) for third in range(3)]
    assert groups.names == [f"{low}–{high}" for low, high in ends] and all(groups.meant)


def test_numbers_as_text_are_numbers_and_equal_numbers_are_not_parted() -> None:
    assert divide(["9", "10", "100", "1000"]).names == ["9–10", "100", "1000"]
    assert divide([5.0] * 50 + [1, 2, 3.5]).names == ["1–5"]  # both cuts fall on 5


def test_large_numbers_that_lie_close_keep_the_digits_that_tell_them_apart() -> None:
    assert divide([1_700_000_000 + k for k in range(9)]).names == [
        "1700000000–1700000002", "1700000003–1700000005", "1700000006–1700000008",
    ]  # fmt: skip
    assert divide([0.1, 0.25, 1 / 3, 0.5, 2 / 3, 0.75]).names == ["0.1–0.25", "0.333333–0.5", "0.666667–0.75"]


def test_a_few_numbers_are_codes() -> None:
    groups = divide(["0"] * 30 + ["1"] * 30 + ["2"] * 30)
    assert groups.names == ["0", "1", "2"] and groups.meant == [True] * 3


def test_small_categories_are_pooled_and_unknown_values_stand_by_themselves() -> None:
    values = ["x"] * 25 + ["y"] * 19 + ["z"] * 3 + [None, float("nan"), "", "  ", pd.NA]
    groups = divide(values)
    assert groups.names == ["x", "others (2 categories)", "not known"] and groups.meant == [True, False, False]
    assert np.bincount(groups.members).tolist() == [25, 22, 5]
    assert divide(["x"] * 25 + ["y"] * 19).names == ["x", "y"]  # nothing is gained by hiding one


def test_too_many_categories_leave_the_largest() -> None:
    values = [f"{k:02}" + "é" for k in range(40) for _ in range(20 + k)]
    groups = divide(values)
    assert groups.names == [*(f"{k}é" for k in range(40 - MOST_CATEGORIES, 40)), "others (28 categories)"]


@pytest.mark.parametrize("values", [[], [None, None], ["a"], [3], [True, False]])
def test_nearly_nothing_can_be_divided_too(values: list[object]) -> None:
    groups = divide(values)
    assert len(groups.members) == len(values) and len(groups.names) == len(groups.meant) == len(set(groups.members))


# -- scores and gaps ----------------------------------------------------------------------------------------------


def test_every_group_has_the_scores_of_its_clips() -> None:
    run = toy_predictions(1, clips=300)
    values = np.random.default_rng(0).choice(["young", "old"], 300)
    told = of(run, named(run, values))
    for group in told.groups:
        rows = (values == group.name) & run.labelled
        labels, guesses = run.labels[rows], run.probs[rows].argmax(axis=1)
        assert group.n == rows.sum() and group.n_votes == (values == group.name).sum()
        assert group["war"] == pytest.approx(accuracy_score(labels, guesses))
        uar = recall_score(labels, guesses, average="macro", labels=np.unique(labels), zero_division=0)
        assert group["uar"] == pytest.approx(uar)
        voted = values == group.name
        assert group["kl"] == pytest.approx(stats.entropy(run.shares[voted], run.probs[voted], axis=1).mean())
    assert json.loads(json_text(told))["groups"][0]["kl"] == told.groups[0]["kl"]


def test_two_groups_agree_with_the_textbook_test_of_two_proportions() -> None:
    run, values = shares((320, 400), (276, 400))
    gap = of(run, values, draws=8000).gap
    share, other = 0.8, 0.69
    error = np.sqrt(share * (1 - share) / 400 + other * (1 - other) / 400)
    assert (gap.high, gap.low) == ("g0", "g1") and gap.difference == pytest.approx(0.11)
    assert gap.interval == pytest.approx([0.11 - 1.96 * error, 0.11 + 1.96 * error], abs=0.004)
    exact = stats.fisher_exact([[320, 80], [276, 124]]).pvalue
    assert gap.p == pytest.approx(exact, abs=0.0006)


def test_an_interval_of_a_group_is_that_of_its_proportion() -> None:
    run, values = shares((320, 400), (276, 400))
    first = of(run, values, draws=8000).groups[0]
    half = stats.t.ppf(0.975, 399) * np.sqrt(0.8 * 0.2 / 399)
    assert first.interval == pytest.approx([0.8 - half, 0.8 + half], abs=0.004)


@pytest.mark.parametrize(("hits", "clips"), [(50, 50), (0, 50), (19, 20), (320, 400)])
def test_an_interval_of_a_group_is_wilsons_also_where_all_are_right(hits: int, clips: int) -> None:
    run, values = shares((hits, clips), (276, 400))
    wanted = stats.binomtest(hits, clips).proportion_ci(method="wilson")
    # Student's tails and n - 1 make it a little wider
    assert of(run, values, draws=8000).groups[0].interval == pytest.approx(tuple(wanted), abs=0.04)


@pytest.mark.parametrize(("right", "clips"), [((20, 190), (20, 200)), ((20, 18), (20, 20)), ((24, 385), (25, 400))])
def test_a_small_group_that_is_all_right_is_no_certainty(right: tuple[int, int], clips: tuple[int, int]) -> None:
    run, values = shares(*zip(right, clips, strict=True))
    gap = of(run, values).gap
    odds = [[right[0], clips[0] - right[0]], [right[1], clips[1] - right[1]]]
    assert gap.p >= stats.fisher_exact(odds).pvalue - 0.05 and gap.interval[0] < 0 < gap.interval[1]


def test_persons_change_places_as_a_whole_and_clips_within_a_person() -> None:
    whole = [True] * 40 + [False] * 40 + [True] * 40 + [False] * 40 + [True] * 40  # five persons of 40 clips a group
    run = judged([*whole, *([True] * 200)])
    persons = named(run, [f"p{k // 40}" for k in range(400)])
    gap = of(run, named(run, np.repeat(["x", "y"], 200)), persons=persons, draws=4000).gap
    # of ten persons two are wrong: both in one group in 2 * 10 of 45 ways
    assert gap.p >= 20 / 45 - 0.03
    # each person is in both groups, right in one of them only: a coin for each of ten persons
    run = judged([True, False] * 200)
    gap = of(run, named(run, np.tile(["x", "y"], 200)), persons=persons, draws=4000).gap
    assert gap.difference == 1 and gap.p < 0.001


def test_many_groups_pay_for_having_been_searched_as_in_tukeys_test() -> None:
    counts = [70, 62, 66, 64, 78, 65]
    run, values = shares(*((hits, 100) for hits in counts))
    gap = of(run, values, draws=8000).gap
    parts = [(np.arange(100) < hits).astype(float) for hits in counts]  # SciPy before 1.16 gives NaN for booleans
    tukey = stats.tukey_hsd(*parts)
    assert (gap.high, gap.low) == ("g4", "g1")
    assert gap.p == pytest.approx(tukey.pvalue[4, 1], abs=0.03)
    assert gap.p > 3 * stats.ttest_ind(parts[4], parts[1]).pvalue


def test_a_small_group_does_not_blur_the_gap_between_two_large_ones() -> None:
    run, values = shares((850, 1000), (700, 1000), (19, 25))
    gap = of(run, values, draws=8000).gap
    error = np.sqrt(0.85 * 0.15 / 1000 + 0.7 * 0.3 / 1000)
    margin = stats.studentized_range.ppf(0.95, 3, np.inf) / np.sqrt(2) * error  # Tukey and Kramer's
    assert (gap.high, gap.low) == ("g0", "g1")
    assert gap.interval == pytest.approx([0.15 - margin, 0.15 + margin], abs=0.003)


def test_clips_of_one_person_are_not_as_much_evidence_as_clips_of_as_many() -> None:
    generator = np.random.default_rng(0)
    right = np.repeat(generator.random(60) < 0.7, 8)  # a person is recognised always or never
    run = judged(right)
    values, persons = named(run, np.repeat(["x", "y"], 240)), named(run, np.repeat([f"p{k}" for k in range(60)], 8))
    alone, together = of(run, values), of(run, values, persons=persons)
    single = judged(right[::8])
    wanted = of(single, named(single, np.repeat(["x", "y"], 30)))
    width = [part.groups[0].interval[1] - part.groups[0].interval[0] for part in (alone, together, wanted)]
    assert width[1] == pytest.approx(width[2], rel=0.1) and width[1] > 2.3 * width[0]
    assert [group.persons for group in together.groups] == [30, 30]


def test_groups_that_say_too_little_are_shown_and_not_compared() -> None:
    run, values = shares((90, 100), (60, 100), (0, FEWEST_CLIPS - 1))
    told = of(run, values)
    assert told.gap.low == "g1" and told.groups[2].interval is None and told.groups[2]["war"] == 0
    persons = named(run, [f"p{k % 40}" for k in range(100)] + [f"q{k % (FEWEST_PERSONS - 1)}" for k in range(119)])
    told = of(run, values, persons=persons)
    assert told.gap is None and told.groups[1].persons == FEWEST_PERSONS - 1
    assert told.groups[0].interval and told.groups[1].interval is None


def test_unknown_values_and_others_are_no_group_to_compare() -> None:
    run = judged([True] * 60 + [False] * 60)
    told = of(run, named(run, ["x"] * 60 + [None] * 30 + [f"rare {k}" for k in range(30)]))
    assert [group.name for group in told.groups] == ["x", "others (30 categories)", "not known"]
    assert told.gap is None


def test_groups_that_are_all_right_or_all_wrong_do_not_break_the_arithmetic() -> None:
    run, values = shares((50, 50), (0, 50), (50, 50))
    gap = of(run, values).gap
    assert gap.difference == 1 and gap.p < 0.001
    assert 0.7 < gap.interval[0] < 0.93 and gap.interval[1] == 1  # Wilson's interval of 50 of 50 starts at 0.93
    same, values = shares((50, 50), (50, 50))
    assert of(same, values).gap.p == 1


@pytest.mark.filterwarnings("error")
def test_samples_that_lack_a_group_are_passed_over() -> None:
    right = np.random.default_rng(3).random(300) < np.repeat([0.9, 0.6], 150)
    run = judged(right)
    persons = named(run, [f"p{k // 30}" for k in range(300)])  # ten persons: one sample in a thousand has one sex only
    told = of(run, named(run, np.repeat(["f", "m"], 150)), persons=persons, draws=5000)
    low, high = told.gap.interval
    assert low < told.gap.difference < high and 0 < told.gap.p < 0.05
    assert all(group.interval for group in told.groups)


def test_all_gaps_of_all_runs_are_one_family() -> None:
    runs = {name: toy_predictions(seed, clips=300) for seed, name in enumerate("abc")}
    values = np.random.default_rng(1).integers(0, 9, 300)
    attributes = {"one": named(runs["a"], values), "two": named(runs["a"], values % 2)}
    told = by_groups(runs, attributes)
    gaps = [part.gap for parts in told.values() for part in parts]
    assert len(gaps) == 6 and [gap.holm for gap in gaps] == holm([gap.p for gap in gaps])


def test_runs_of_other_clips_are_divided_alike() -> None:
    run = toy_predictions(1, clips=200)
    values = named(run, np.arange(200))
    told = by_groups({"all": run, "some": run.select(np.arange(200) < 90)}, {"age": values})
    names = [[group.name for group in parts[0].groups] for parts in told.values()]
    assert names[0] == names[1] == ["0–66", "67–132", "133–199"]
    assert told["some"][0].groups[2].n == 0 and told["some"][0].groups[2]["war"] is None


def test_a_clip_without_an_entry_is_named() -> None:
    run = toy_predictions(1)
    with pytest.raises(DferError, match=r"value of 'age' for every clip.*1 of 90 clips have no entry: clip 7"):
        by_groups({"a": run}, {"age": {name: 3 for name in run.ids if name != "clip 7"}})


@pytest.mark.slow
@pytest.mark.parametrize("skill", [0.9, 0.95, 0.98])
def test_the_level_holds_where_a_small_group_is_often_all_right(skill: float) -> None:
    false_alarms, trials = 0, 300
    for seed in range(trials):
        run = judged(np.random.default_rng(seed).random(220) < skill)
        false_alarms += of(run, named(run, np.repeat(["x", "y"], (20, 200))), draws=300).gap.p < 0.05
    assert false_alarms < 0.09 * trials


@pytest.mark.slow
@pytest.mark.parametrize(("persons", "clips", "spread"), [((60, 60, 60), 1, 0.0), ((10, 20, 40), 8, 0.1)])
def test_the_level_holds_where_no_group_differs(persons: tuple[int, ...], clips: int, spread: float) -> None:
    false_alarms, trials = 0, 400
    for seed in range(trials):
        generator = np.random.default_rng(seed)
        people = np.repeat(np.arange(sum(persons)), clips)
        skill = 0.7 + generator.uniform(-spread, spread, sum(persons)) * np.sqrt(3)
        run = judged(generator.random(len(people)) < skill[people])
        values = named(run, np.repeat(["x", "y", "z"], np.array(persons) * clips))
        told = of(run, values, persons={name: f"p{k}" for name, k in zip(run.ids, people, strict=True)}, draws=300)
        false_alarms += told.gap.p < 0.05
    assert 0.01 * trials < false_alarms < 0.085 * trials  # 0.05, give or take three standard errors


# -- real people --------------------------------------------------------------------------------------------------


def test_the_actors_of_crema_d_are_grouped_as_their_table_says(shared_data: Path) -> None:
    root = shared_data / "crema_d"
    manifest = read_source("crema_d", root, votes_only=True)
    people = pd.read_csv(root / "VideoDemographics.csv")
    shares_of_votes = (manifest.votes + 0.1) / (manifest.votes + 0.1).sum(axis=1, keepdims=True)
    run = Predictions(
        manifest.table.id.to_numpy(), np.zeros(len(manifest), int), manifest.labels, shares_of_votes,
        manifest.votes, [""] * len(manifest), manifest.emotions,
    )  # fmt: skip
    attributes = {name: named(run, manifest.table[name]) for name in ("sex", "ethnicity", "age")}
    told = by_groups({"people": run}, attributes, persons=named(run, manifest.table["group"]))["people"]  # type: ignore[arg-type]
    for part, column in zip(told[:2], ("Sex", "Ethnicity"), strict=True):
        assert {group.name: group.persons for group in part.groups} == people[column].value_counts().to_dict()
    assert sum(group.persons for group in told[2].groups) == len(people) == 91
    assert all(group["war"] == 1 for part in told for group in part.groups)  # judged by themselves
    assert {part.gap.p for part in told} == {1.0}
