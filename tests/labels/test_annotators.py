"""Rater models: hand-worked toys, an independent Dawid-Skene, known raters from simulation, and odd tables."""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
import pytest
from scipy import optimize, special
from scipy.special import rel_entr

from dfer.errors import DferError
from dfer.labels import EmotionSet, soft_labels
from dfer.labels.annotators import MODELS, ROUNDS, consensus
from dfer.labels.answers import Answers

NAMES = EmotionSet("four", ("happy", "sad", "neutral", "angry"))
FITTED = ("dawid_skene", "one_coin", "mace", "glad")


@pytest.fixture(autouse=True)
def _two_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """MACE takes seconds a start, whatever the table; its ten are for real ones."""
    from crowdkit import aggregation

    monkeypatch.setattr(aggregation, "MACE", partial(aggregation.MACE, n_restarts=2, n_iter=20))


def build(rows: list[tuple[object, object, str]]) -> Answers:
    return Answers.build(*zip(*rows, strict=True), NAMES)


def simulated(skills: list[float], clips: int, seed: int) -> tuple[Answers, np.ndarray]:
    """Raters who say the truth with their skill, else any other emotion; all answer all clips."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, len(NAMES), clips)
    rows = []
    for rater, skill in enumerate(skills):
        wrong = (truth + generator.integers(1, len(NAMES), clips)) % len(NAMES)
        said = np.where(generator.random(clips) < skill, truth, wrong)
        rows += [(f"{clip:04d}", f"r{rater}", NAMES[int(k)]) for clip, k in enumerate(said)]
    return build(rows), truth


def dawid_skene(answers: Answers, rounds: int) -> np.ndarray:
    """The algorithm of the paper, written down anew: (N, K) probabilities after so many rounds."""
    said = np.zeros((len(answers.clips), len(answers.raters), len(answers.emotions)))
    said[answers.clip, answers.rater, answers.emotion] = 1
    probs = said.sum(axis=1) / said.sum(axis=(1, 2))[:, None]
    for _ in range(rounds):
        shares = probs.mean(axis=0)
        errors = np.einsum("nt,nrk->rtk", probs, said)
        errors /= np.maximum(errors.sum(axis=2, keepdims=True), 1e-300)
        joint = np.einsum("nrk,rtk->nt", said, np.log(np.maximum(errors, 1e-10))) + np.log(np.maximum(shares, 1e-300))
        probs = np.exp(joint - joint.max(axis=1, keepdims=True))
        probs /= probs.sum(axis=1, keepdims=True)
    return probs


def test_majority_is_the_most_given_answer_divided_among_equals() -> None:
    told = build([("a", "x", "sad"), ("a", "y", "sad"), ("a", "z", "happy"), ("b", "x", "sad"), ("b", "y", "angry")])
    found = consensus(told, "majority")
    assert found.probs.tolist() == [[0, 1, 0, 0], [0, 0.5, 0, 0.5]]
    assert found.raters["skill"].tolist() == [0.75, 0.75, 0.0]


def test_dawid_skene_is_that_of_an_independent_implementation() -> None:
    answers, _ = simulated([0.9, 0.8, 0.7, 0.6, 0.3], 150, seed=0)
    assert np.allclose(consensus(answers).probs, dawid_skene(answers, ROUNDS), atol=1e-8)


def one_coin(answers: Answers, rounds: int) -> np.ndarray:
    """By the paper's equations: each rater is right with one probability, else any of the others is as likely."""
    clips, raters, kinds = len(answers.clips), len(answers.raters), len(answers.emotions)
    said = np.full((clips, raters), -1)
    said[answers.clip, answers.rater] = answers.emotion
    probs = answers.votes / answers.votes.sum(axis=1, keepdims=True)
    for _ in range(rounds):
        right = [np.mean([probs[n, said[n, r]] for n in np.flatnonzero(said[:, r] >= 0)]) for r in range(raters)]
        logs = np.tile(np.log(probs.mean(axis=0)), (clips, 1))
        for n, r in np.argwhere(said >= 0):
            logs[n] += np.log([right[r] if k == said[n, r] else (1 - right[r]) / (kinds - 1) for k in range(kinds)])
        probs = np.exp(logs - logs.max(axis=1, keepdims=True))
        probs /= probs.sum(axis=1, keepdims=True)
    return probs


def test_one_coin_is_where_an_independent_implementation_tends_to() -> None:
    answers, _ = simulated([0.8, 0.6, 0.5, 0.3], 30, seed=6)  # such raters take it more than fifty rounds
    assert np.allclose(consensus(answers, "one_coin").probs, one_coin(answers, 250), atol=1e-3)


def test_one_coin_makes_the_answers_as_likely_as_a_general_optimiser_can() -> None:
    answers, _ = simulated([0.7, 0.6, 0.55, 0.4], 60, seed=2)

    def surprise(numbers: np.ndarray) -> float:
        right, prior = special.expit(numbers[:4]), special.softmax(numbers[4:])
        logs = np.tile(np.log(prior), (60, 1))
        for clip, rater, said in zip(answers.clip, answers.rater, answers.emotion, strict=True):
            logs[clip] += np.log(np.where(np.arange(4) == said, right[rater], (1 - right[rater]) / 3))
        return float(-special.logsumexp(logs, axis=1).sum())

    found = consensus(answers, "one_coin")
    here = np.concatenate([special.logit(found.raters["skill"]), np.log(found.probs.mean(axis=0))])
    assert surprise(here) == pytest.approx(optimize.minimize(surprise, here, method="BFGS").fun, abs=1e-3)


def test_dawid_skene_understands_a_rater_who_swaps_two_emotions() -> None:
    rows = []
    for clip in range(40):
        truth = NAMES[clip % 4]
        swapped = {"happy": "sad", "sad": "happy"}.get(truth, truth)
        rows += [(f"{clip:02d}", "x", truth), (f"{clip:02d}", "y", truth), (f"{clip:02d}", "z", swapped)]
    rows.append(("99", "z", "sad"))  # he alone saw it
    found = consensus(build(rows))
    assert found.probs[-1].round(3).tolist() == [1, 0, 0, 0], "sad from him means happy"
    assert found.raters.set_index("rater").loc["z", "takes"] == "happy for sad, 11 of 11"


@pytest.mark.parametrize("model", FITTED)
def test_known_skills_and_truths_are_recovered(model: str) -> None:
    skills = [0.95, 0.85, 0.75, 0.6, 0.25]
    answers, truth = simulated(skills, 150 if model == "glad" else 400, seed=1)
    found = consensus(answers, model)
    assert (found.probs.argmax(axis=1) == truth).mean() > 0.92
    assert found.raters["skill"].is_monotonic_decreasing
    if model in ("dawid_skene", "one_coin"):
        assert np.allclose(found.raters["skill"], skills, atol=0.06)
    if model == "mace":  # 0.25 is a pure guess; x says the truth when he knows it, and in a quarter of his guesses
        assert np.allclose(found.raters["skill"], (np.array(skills) - 0.25) / 0.75, atol=0.12)


@pytest.mark.parametrize("model", MODELS)
def test_the_names_and_the_order_of_the_rows_change_nothing(model: str) -> None:
    answers, _ = simulated([0.9, 0.7, 0.6], 60, seed=2)
    rows = [
        (answers.clips[c], answers.raters[r], answers.emotions[int(k)])
        for c, r, k in zip(answers.clip, answers.rater, answers.emotion, strict=True)
    ]
    order = np.random.default_rng(0).permutation(len(rows))
    again = build([rows[position] for position in order])
    renamed = build([(clip, {"r0": "zz", "r1": "b", "r2": "a"}[rater], said) for clip, rater, said in rows])
    here = consensus(answers, model)
    assert np.allclose(consensus(again, model).probs, here.probs)
    if model != "mace":  # it draws its starts in the raters' order
        assert np.allclose(consensus(renamed, model).probs, here.probs, atol=1e-3)


@pytest.mark.parametrize("model", MODELS)
def test_odd_tables_come_to_a_distribution(model: str) -> None:
    """A clip with one answer, a rater with one, an emotion that nobody says, and one answer for all."""
    told = build([("a", "x", "sad"), ("b", "x", "happy"), ("b", "y", "happy"), ("c", "z", "sad"), ("c", "x", "happy")])
    for answers in (told, build([("a", "x", "sad"), ("b", "y", "sad")]), build([("a", "x", "sad")])):
        if model == "distribution" and len(answers) < 3:
            continue  # the next test
        found = consensus(answers, model)
        assert np.allclose(found.probs.sum(axis=1), 1) and (found.probs >= 0).all()
        assert len(found.raters) == len(answers.raters)


def test_a_distribution_needs_a_clip_with_two_answers() -> None:
    with pytest.raises(DferError, match=r"none of 2 clips has two answers.*model majority"):
        consensus(build([("a", "x", "sad"), ("b", "y", "happy")]), "distribution")


def test_one_who_guesses_weighs_next_to_nothing_in_a_distribution() -> None:
    generator = np.random.default_rng(3)
    truth = generator.dirichlet([0.5] * 4, 600)
    said = [[generator.choice(4, p=row) for _ in range(6)] + list(generator.integers(0, 4, 4)) for row in truth]
    answers = build([(f"{c:03d}", f"r{r}", NAMES[int(k)]) for c, row in enumerate(said) for r, k in enumerate(row)])
    found = consensus(answers, "distribution")
    assert found.raters["skill"][6:].max() < 0.1 < found.raters["skill"][:6].min()

    def off(probs: np.ndarray) -> float:
        return float(rel_entr(truth, probs.clip(1e-12)).sum(axis=1).mean())

    plain = soft_labels(answers.votes, "dirichlet", prior="mixture")
    assert off(found.probs) < off(plain) < off(soft_labels(answers.votes))


def test_mace_draws_its_starts_from_the_seed_alone() -> None:
    answers, _ = simulated([0.8, 0.6, 0.4], 50, seed=4)
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    first, second, other = (consensus(answers, "mace", seed=seed).probs for seed in (5, 5, 6))
    assert np.array_equal(first, second) and not np.array_equal(first, other)
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002
    assert consensus(answers, "mace", seed=5).seed == 5 and consensus(answers).seed is None


def test_a_misspelt_model_is_refused_with_the_nearest_name() -> None:
    answers, _ = simulated([0.9], 3, seed=0)
    with pytest.raises(DferError, match=r"no rater model 'dawidskene' \(did you mean 'dawid_skene'\?\)"):
        consensus(answers, "dawidskene")


def test_without_crowd_kit_the_models_that_need_it_say_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "crowdkit.aggregation", None)
    answers, _ = simulated([0.9, 0.5], 30, seed=0)
    with pytest.raises(DferError, match=r"mace needs crowd-kit: pip install 'dfer\[raters\]'"):
        consensus(answers, "mace")
    assert consensus(answers, "distribution").probs.shape == (30, 4)
