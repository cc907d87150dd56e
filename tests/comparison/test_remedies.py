"""What is fitted after training: on validation alone, fold by fold, and what it does to the test scores."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, recall_score

from dfer.comparison import adjust, choose_tau
from dfer.comparison import remedies as own
from dfer.comparison.remedies import MENDED, RISKS, TAUS, Fold, Remedied, posthoc
from dfer.documents import jsonable
from dfer.errors import DferError
from dfer.metrics import Predictions, calibration, concatenate, ece, kl_divergence, uar, vote_ece
from tests.metrics.toy import toy_predictions


def sharpened(run: Predictions, power: float = 3.0) -> Predictions:
    """The run, surer than it ought to be."""
    probs = run.probs**power
    return replace(run, probs=probs / probs.sum(axis=1, keepdims=True))


def halves(seed: int = 1, clips: int = 800) -> tuple[Predictions, Predictions]:
    """A validation and a test part."""
    run = toy_predictions(seed, clips=clips)
    first = np.arange(clips) < clips // 2
    return run.select(first), run.select(~first)


def rows_of(folds: list[Fold]) -> dict[str, Remedied]:
    return {row.method: row for row in posthoc(folds).rows}


def test_adjusting_is_bayes_rule_with_another_prior() -> None:
    # one feature of three values; p(feature | emotion) by hand
    likelihood = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    prior = np.array([0.9, 0.1])
    taught = (prior[:, None] * likelihood / (prior @ likelihood)).T
    balanced = (likelihood / likelihood.sum(axis=0)).T
    assert adjust(taught, prior) == pytest.approx(balanced)
    assert adjust(taught, prior, 0.0) == pytest.approx(taught)
    assert adjust(taught, [0.5, 0.5]) == pytest.approx(taught)


@pytest.mark.parametrize("prior", [[0.5, 0.5, 0.0], [0.5], [1.0, 0.0], [np.nan, 1.0], [[0.5, 0.5]]])
def test_a_prior_that_is_none_is_refused(prior: object) -> None:
    with pytest.raises(DferError, match="expected a prior above 0 for each of 2 emotions"):
        adjust([[0.4, 0.6]], prior)


def test_the_chosen_strength_has_the_best_validation_uar_and_is_the_least_of_these() -> None:
    validation, _ = halves()
    prior = np.array([0.6, 0.2, 0.1, 0.04, 0.03, 0.02, 0.01])
    rows = validation.labelled
    reached = [
        recall_score(
            validation.labels[rows],
            (validation.probs[rows] / prior**tau).argmax(axis=1),
            average="macro", labels=np.unique(validation.labels[rows]),
        )
        for tau in TAUS
    ]  # fmt: skip
    assert choose_tau(validation, prior) == pytest.approx(
        TAUS[int(np.flatnonzero(np.isclose(reached, max(reached)))[0])]
    )
    assert choose_tau(validation, np.full(7, 1 / 7)) == 0.0  # nothing to gain
    with pytest.raises(DferError, match=r"expected 50 validation clips or more to fit the strength of .*, got 0"):
        choose_tau(validation.select(~rows), prior)


def test_each_row_is_what_independent_code_says_of_the_mended_predictions() -> None:
    validation, test = (sharpened(part) for part in halves())
    prior = np.array([0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1])
    told = rows_of([Fold(validation, test, prior)])
    assert list(told) == ["none", "temperature", "temperature_labels", "vector", "prior", "prior_chosen"]
    assert told["none"]["kl"] == pytest.approx(kl_divergence(test.probs, test.shares).mean())
    (temperature,) = told["temperature"].setting
    cooled = test.probs ** (1 / temperature)
    cooled /= cooled.sum(axis=1, keepdims=True)
    assert told["temperature"]["vote_ece"] == pytest.approx(vote_ece(cooled, test.shares), abs=1e-5)
    assert told["temperature"]["ece"] == pytest.approx(ece(cooled[test.labelled], test.labels[test.labelled]), abs=1e-5)
    divided = (test.probs / prior)[test.labelled].argmax(axis=1)
    assert told["prior"]["war"] == pytest.approx(accuracy_score(test.labels[test.labelled], divided))
    assert told["prior_chosen"].setting == [choose_tau(validation, prior)]
    assert set(MENDED) == set(told["vector"].values) and told["vector"].n == int(test.labelled.sum())


def test_the_temperature_by_labels_has_the_least_log_loss_of_a_grid() -> None:
    validation, test = halves(clips=600)
    rows = validation.labelled
    grid = np.linspace(0.3, 3.0, 541)
    losses = []
    for temperature in grid:
        probs = validation.probs[rows] ** (1 / temperature)
        losses.append(log_loss(validation.labels[rows], probs / probs.sum(axis=1, keepdims=True), labels=range(7)))
    assert rows_of([Fold(validation, test)])["temperature_labels"].setting == pytest.approx(
        [grid[int(np.argmin(losses))]], abs=0.0051
    )


def test_the_temperature_goes_by_votes_where_there_are_some_and_by_labels_elsewhere() -> None:
    validation, test = halves(clips=600)
    votes = validation.votes.copy()
    votes[::2] = np.nan
    half = replace(validation, votes=votes)
    wanted = np.where(np.isnan(votes), np.eye(8)[validation.labels][:, :7], validation.shares)
    rows = (validation.labels >= 0) | ~np.isnan(votes).any(axis=1)
    grid = np.linspace(0.3, 3.0, 541)
    losses = []
    for temperature in grid:
        probs = validation.probs[rows] ** (1 / temperature)
        losses.append(-(wanted[rows] * np.log(probs / probs.sum(axis=1, keepdims=True))).sum())
    told = rows_of([Fold(half, test)])
    assert told["temperature"].setting == pytest.approx([grid[int(np.argmin(losses))]], abs=0.0051)


def test_vector_scaling_mends_an_emotion_that_is_named_too_often() -> None:
    parts = []
    for part in halves():
        probs = part.probs * np.array([8, 1, 1, 1, 1, 1, 1])
        parts.append(replace(part, probs=probs / probs.sum(axis=1, keepdims=True)))
    told = rows_of([Fold(*parts)])
    unspoilt = rows_of([Fold(*halves())])["temperature"]["kl"]
    assert told["temperature"]["kl"] > unspoilt * 1.1
    assert told["vector"]["kl"] == pytest.approx(unspoilt, rel=0.05)


def test_a_model_that_is_too_sure_is_mended_and_keeps_its_answers() -> None:
    validation, test = (sharpened(part) for part in halves())
    told = rows_of([Fold(validation, test)])
    assert told["temperature"]["kl"] < told["none"]["kl"] and told["temperature"]["vote_ece"] < told["none"]["vote_ece"]
    assert told["temperature"]["war"] == told["none"]["war"] and told["temperature"]["uar"] == told["none"]["uar"]
    assert "prior" not in told  # none was given


def test_nothing_of_the_test_part_is_fitted_on() -> None:
    validation, test = halves()
    spoilt = replace(test, labels=np.roll(test.labels, 1), votes=np.roll(test.votes, 1, axis=0))
    prior = np.full(7, 1 / 7)
    mine, other = posthoc([Fold(validation, test, prior)]), posthoc([Fold(validation, spoilt, prior)])
    assert [row.setting for row in mine.rows] == [row.setting for row in other.rows]
    assert [rule.thresholds for rule in mine.reject] == [rule.thresholds for rule in other.reject]


def test_every_fold_has_its_own_setting_and_the_test_parts_are_pooled() -> None:
    (one, first), (two, second) = halves(1), halves(2)
    second = replace(second, ids=np.array([f"other {name}" for name in second.ids], dtype=object))
    folds = [Fold(one, first), Fold(sharpened(two), sharpened(second))]
    told = rows_of(folds)
    alone = [rows_of([fold])["temperature"].setting[0] for fold in folds]
    assert told["temperature"].setting == alone and alone[1] == pytest.approx(3 * alone[0], rel=0.3)
    whole = concatenate([first, sharpened(second)])
    assert told["none"]["uar"] == pytest.approx(uar(whole.probs[whole.labelled], whole.labels[whole.labelled]))
    assert posthoc(folds).clips == 800


def hand_made(confidence: list[float], right: list[bool]) -> Predictions:
    """Clips of two emotions with these confidences."""
    probs = np.array([[sure, 1 - sure] for sure in confidence])
    size = len(confidence)
    return Predictions(
        np.array([f"c{k}" for k in range(size)]), np.zeros(size, int), np.where(right, 0, 1), probs,
        np.full((size, 2), np.nan), [""] * size, ("a", "b"),
    )  # fmt: skip


@pytest.fixture
def few_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables that can be worked by hand are small."""
    for module, names in (
        (own, ("FEWEST_FOR_TAU", "FEWEST_FOR_REJECT")),
        (calibration, ("FEWEST_FOR_TEMPERATURE", "FEWEST_FOR_VECTOR")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, 1)


@pytest.mark.usefixtures("few_will_do")
def test_the_reject_rule_is_that_of_a_table_worked_by_hand() -> None:
    # validation: .9 right, .8 right, .7 wrong, .6 right, .55 wrong; errors so far 0, 0, 1/3, 1/4, 2/5
    validation = hand_made([0.9, 0.8, 0.7, 0.6, 0.55], [True, True, False, True, False])
    test = hand_made([0.95, 0.85, 0.8, 0.6], [True, False, True, False])
    rules = {rule.risk: rule for rule in posthoc([Fold(validation, test)]).reject}
    assert tuple(rules) == RISKS
    assert rules[0.2].thresholds == [0.8]
    assert vars(rules[0.2].validation) == {"coverage": pytest.approx(0.4), "risk": 0.0}
    assert vars(rules[0.2].test) == {"coverage": pytest.approx(0.75), "risk": pytest.approx(1 / 3)}


@pytest.mark.usefixtures("few_will_do")
def test_a_model_that_is_always_wrong_rejects_all_and_is_ready_for_json() -> None:
    part = hand_made([0.9, 0.8], [False, False])
    told = jsonable(posthoc([Fold(part, part)]))
    assert told["reject"][0]["thresholds"] == [None]
    assert told["reject"][0]["test"] == {"coverage": 0.0, "risk": None}
    assert json.loads(json.dumps(told, allow_nan=False)) == told


@pytest.mark.usefixtures("few_will_do")
def test_without_labels_votes_alone_are_fitted_and_without_votes_labels() -> None:
    validation, test = halves()
    unlabelled = replace(validation, labels=np.full(len(validation), -1))
    told = posthoc([Fold(unlabelled, test, np.full(7, 1 / 7))])
    assert [row.method for row in told.rows] == ["none", "temperature", "vector", "prior"]
    assert told.reject == []
    without = [replace(part, votes=np.full_like(part.votes, np.nan)) for part in (validation, test)]
    told = posthoc([Fold(*without)])
    assert [row.method for row in told.rows] == ["none", "temperature", "vector"]
    assert told.rows[0]["kl"] is None and told.rows[1].setting == pytest.approx(
        rows_of([Fold(validation, test)])["temperature_labels"].setting
    )


def test_a_fold_that_nobody_judged_is_refused() -> None:
    validation, test = halves()
    silent = replace(validation, labels=np.full(400, -1), votes=np.full((400, 7), np.nan))
    with pytest.raises(DferError, match="votes or a label in every fold"):
        posthoc([Fold(validation, test), Fold(silent, test)])


def test_where_labelled_clips_alone_are_tested_they_alone_are_fitted_on() -> None:
    validation, test = halves()
    clear = test.select(test.labelled)
    told, wanted = (posthoc([Fold(part, clear)]) for part in (validation, validation.select(validation.labelled)))
    assert told == wanted and told.clips == int(validation.labelled.sum()) < len(validation)
    assert told.rows[1].setting != posthoc([Fold(validation, test)]).rows[1].setting


@pytest.mark.parametrize(("clips", "fitted"), [(2, []), (5, []), (99, []), (120, ["temperature"])])
def test_what_too_few_clips_cannot_fit_is_refused_with_the_number_that_would_do(clips: int, fitted: list[str]) -> None:
    validation, test = halves()
    told = posthoc([Fold(validation.select(np.arange(400) < clips), test, np.full(7, 1 / 7))])
    methods = [row.method for row in told.rows if row.method not in ("prior_chosen", "temperature_labels")]
    assert methods == ["none", *fitted, "prior"]  # what the training part said is no matter of validation
    assert told.reject == [] and "expected 500 validation clips or more to fit a reject rule on, got" in " ".join(
        told.refused
    )
    assert f"expected 200 validation clips or more to fit vector scaling on, got {clips}" in " ".join(told.refused)
    assert any(
        f"expected 100 validation clips or more to fit a temperature on, got {clips};" in why for why in told.refused
    ) == (not fitted)


def test_one_small_fold_is_enough_to_refuse() -> None:
    (one, first), (two, second) = halves(1), halves(2)
    second = replace(second, ids=np.array([f"other {name}" for name in second.ids], dtype=object))
    told = posthoc([Fold(one, first), Fold(two.select(np.arange(400) < 30), second)])
    assert [row.method for row in told.rows] == ["none"] and told.standings is None
    assert "fit a temperature on, got 30" in " ".join(told.refused)


def test_remedies_that_the_test_clips_do_not_tell_apart_are_not_ranked() -> None:
    validation, test = halves(clips=1200)
    told = posthoc([Fold(validation, test)])
    war = told.standings["war"]  # a temperature changes no answer
    assert {check.p for check in war.tests if check.name.startswith("temperature")} <= {1.0, None} or war[
        "first"
    ] == "vector"
    sure = [sharpened(part) for part in (validation, test)]
    kl = posthoc([Fold(*sure)]).standings["kl"]
    assert kl.first in ("temperature", "vector")
    assert next(check for check in kl.tests if check.name == "none").holm < 0.05


def test_without_a_test_clip_nothing_is_judged() -> None:
    validation, test = halves()
    with pytest.raises(DferError, match="expected test clips to judge by, got none"):
        posthoc([Fold(validation, test.select(np.zeros(400, dtype=bool)))])
