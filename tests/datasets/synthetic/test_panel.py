"""Who plays what, and how the raters vote on it: ambiguity must come from what there is to see. Nothing is drawn."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dfer.datasets.synthetic.expressions import PATTERNS, UNITS, Performance, activations, perform
from dfer.datasets.synthetic.head import Pose
from dfer.datasets.synthetic.scripts import FLAWS, FOLDS, NEIGHBOURS, SHARES, Role, Script, cast, write_script
from dfer.datasets.synthetic.simulated_raters import FADE, RATERS, long_run, panel, vote
from dfer.datasets.synthetic.write import Take, prepare_clip
from dfer.labels import DFEW


class Prepared(NamedTuple):
    role: Role
    clip: Take

    @property
    def agreement(self) -> float:
        """The share that the whole panel gives the clip's first emotion."""
        return float(self.clip.truth.max())


@pytest.fixture(scope="module")
def prepared() -> list[Prepared]:
    return [Prepared(role, prepare_clip(role, 3)) for role in cast(220, 3)]


def agreements(prepared: list[Prepared], wanted: Callable[[Script], bool]) -> list[float]:
    return [each.agreement for each in prepared if wanted(each.clip.script)]


def still(pattern: dict[int, float]) -> Performance:
    """A face that holds one expression for 20 frames."""
    units = np.tile(activations(pattern), (20, 1))
    return Performance(units, np.zeros_like(units), [Pose()] * 20)


# -- roles ----------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(clips=st.integers(35, 900), seed=st.integers(0, 10**6))
def test_every_fold_has_its_own_people_and_a_clear_clip_of_every_emotion(clips: int, seed: int) -> None:
    roles = cast(clips, seed)
    assert [role.number for role in roles] == list(range(1, clips + 1))
    homes = defaultdict(set)
    for role in roles:
        homes[role.identity].add(role.fold)
    assert all(len(folds) == 1 for folds in homes.values())
    sizes = Counter(role.fold for role in roles)
    assert set(sizes) == set(range(1, FOLDS + 1)) and max(sizes.values()) - min(sizes.values()) <= 1
    for fold in sizes:
        clear = sorted(role.emotion for role in roles if role.fold == fold and role.clear)
        assert clear == sorted(DFEW)


def test_emotions_have_their_shares_of_a_large_data_set() -> None:
    counts = Counter(role.emotion for role in cast(5000, 0))
    assert sum(SHARES.values()) == pytest.approx(1)
    for emotion, share in SHARES.items():
        assert counts[emotion] / 5000 == pytest.approx(share, abs=0.01)


def test_a_clear_role_is_played_plainly_and_other_roles_in_every_way() -> None:
    scripts = [each.clip.script for each in _many()]
    clear = [script for script in scripts if script.kind == "clear"]
    assert clear and all(script.strength == 1 and not script.flaws and not script.second for script in clear)
    assert {script.kind for script in scripts} == {"clear", "single", "weak", "blend", "change", "neutral"}
    assert {flaw for script in scripts for flaw in script.flaws} == set(FLAWS)
    for script in scripts:
        assert bool(script.second) == (script.kind in ("blend", "change"))
        assert not script.second or script.second in NEIGHBOURS[script.first]
        assert 16 <= script.frames <= 32 and all(0.3 <= strength <= 1 for strength in script.flaws.values())


def _many() -> list[Prepared]:
    rng = np.random.default_rng(0)
    nothing = np.zeros(0)
    roles = cast(400, 1)
    return [
        Prepared(role, Take(write_script(role, rng), still({}), np.zeros(7, np.int64), nothing, rng)) for role in roles
    ]


# -- performances ---------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["clear", "single", "weak", "blend", "change"]),
    first=st.sampled_from(sorted(NEIGHBOURS)),
    frames=st.integers(16, 32),
    seed=st.integers(0, 10**6),
)
def test_a_performance_has_a_pose_and_units_in_range_for_every_frame(
    kind: str, first: str, frames: int, seed: int
) -> None:
    second = NEIGHBOURS[first][0] if kind in ("blend", "change") else ""
    script = Script(kind, first, second, strength=1.05, speech=0.7, frames=frames, flaws={"turned": 1.0})
    played = perform(script, np.random.default_rng(seed))
    assert played.units.shape == played.speech.shape == (frames, len(UNITS)) and len(played.poses) == frames
    assert (played.units >= 0).all() and (played.units <= 1.15).all() and (played.speech >= 0).all()
    poses = np.array(played.poses)
    assert np.isfinite(poses).all() and (np.abs(poses[:, :3]) < 1).all()
    assert ((poses[:, 8] >= 0) & (poses[:, 8] <= 1)).all(), "blink"


def test_an_emotion_moves_its_own_units_and_no_others() -> None:
    played = perform(Script("clear", "happy"), np.random.default_rng(0))
    own = np.isin(UNITS, [6, 12, 25, 26])
    assert played.units[:, UNITS.index(12)].max() > 0.7
    assert played.units[:, ~own].max() < 0.25, "idle movement only"


def test_a_change_begins_with_the_first_emotion_and_ends_with_the_second() -> None:
    smiles, brows = UNITS.index(12), UNITS.index(2)
    for seed in range(10):
        played = perform(Script("change", "happy", "surprise", frames=32), np.random.default_rng(seed))
        assert played.units[0, smiles] > 0.6 and played.units[-1, smiles] < 0.2
        assert played.units[0, brows] < 0.2 and played.units[-1, brows] > 0.6


# -- votes ----------------------------------------------------------------------------------------------------------


def test_ten_raters_cast_ten_votes_and_the_long_run_sums_to_one(prepared: list[Prepared]) -> None:
    assert all(each.clip.votes.sum() == 10 and each.clip.votes.shape == (7,) for each in prepared)
    assert np.allclose([each.clip.truth.sum() for each in prepared], 1)


@pytest.mark.parametrize("emotion", list(DFEW))
def test_a_plain_face_is_named_by_nearly_everybody(emotion: str) -> None:
    for pattern in PATTERNS[emotion]:
        shares = long_run(panel(0), still(pattern), {}, np.random.default_rng(0))
        assert DFEW[int(shares.argmax())] == emotion and shares.max() > 0.75


def test_every_clear_clip_gets_a_single_label_of_its_emotion() -> None:
    for seed in (0, 5, 16, 32, 45):  # in each of these one clip's first take does not
        for role in (role for role in cast(35, seed) if role.clear):
            assert prepare_clip(role, seed).votes[DFEW.index(role.emotion)] >= 6


def test_clear_clips_are_agreed_on_more_than_weak_blended_and_changing_ones(prepared: list[Prepared]) -> None:
    clear = agreements(prepared, lambda script: script.kind == "clear")
    single = agreements(prepared, lambda script: script.kind == "single" and not script.flaws)
    for kind in ("weak", "blend", "change"):
        other = agreements(prepared, lambda script, kind=kind: script.kind == kind)  # type: ignore[misc]
        assert len(other) >= 10
        assert stats.mannwhitneyu(clear, other, alternative="greater").pvalue < 1e-4
        assert stats.mannwhitneyu(single, other, alternative="greater").pvalue < 1e-2


def test_spoilt_clips_are_agreed_on_less(prepared: list[Prepared]) -> None:
    good = agreements(prepared, lambda script: script.kind == "single" and not script.flaws)
    spoilt = agreements(prepared, lambda script: script.kind == "single" and bool(script.flaws))
    assert min(len(good), len(spoilt)) >= 20
    assert stats.mannwhitneyu(good, spoilt, alternative="greater").pvalue < 1e-3


@pytest.mark.parametrize("flaw", FLAWS)
def test_each_flaw_alone_costs_agreement_on_the_same_performances(flaw: str) -> None:
    raters, costs = panel(0), []
    for seed, emotion in enumerate(sorted(NEIGHBOURS)):
        played = perform(Script("single", emotion, strength=0.8), np.random.default_rng(seed))
        good, spoilt = (long_run(raters, played, flaws, np.random.default_rng(1)) for flaws in ({}, {flaw: 1.0}))
        costs.append(good[DFEW.index(emotion)] - spoilt[DFEW.index(emotion)])
    assert np.mean(costs) > 0.02


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flaw_makes_raters_err_more_than_a_face_that_is_as_faint_without_it(flaw: str) -> None:
    for emotion in NEIGHBOURS:
        played = still({unit: 1.3 * value for unit, value in PATTERNS[emotion][0].items()})
        faint = played._replace(units=played.units * (1 - FADE[flaw] / 1.5))
        spoilt, as_faint = (
            long_run(panel(0), each, flaws, np.random.default_rng(0))[DFEW.index(emotion)]
            for each, flaws in ((played, {flaw: 1.0}), (faint, {}))
        )
        assert spoilt < as_faint


def test_a_rater_who_leans_towards_an_emotion_names_it_more_often() -> None:
    def fear(leaning: float) -> float:
        raters = panel(0)._replace(leanings=np.tile(leaning * np.eye(7)[DFEW.index("fear")], (RATERS, 1)))
        played = still({unit: 0.9 * value for unit, value in PATTERNS["surprise"][0].items()})
        return float(long_run(raters, played, {}, np.random.default_rng(0))[DFEW.index("fear")])

    assert fear(-1.0) < fear(0.0) < fear(1.0)


def test_a_weaker_face_is_called_neutral_more_often() -> None:
    def neutral(strength: float) -> float:
        pattern = {unit: strength * value for unit, value in PATTERNS["sad"][0].items()}
        return float(long_run(panel(0), still(pattern), {}, np.random.default_rng(0))[DFEW.index("neutral")])

    shares = [neutral(strength) for strength in (0.0, 0.2, 0.4, 1.0)]
    assert shares == sorted(shares, reverse=True) and shares[0] > 0.8 and shares[-1] < 0.1


def test_a_blend_of_two_emotions_gets_votes_for_both_and_few_for_others() -> None:
    both = np.zeros(7)
    for seed in range(20):
        played = perform(Script("blend", "surprise", "fear"), np.random.default_rng(seed))
        both += long_run(panel(0), played, {}, np.random.default_rng(seed)) / 20
    first, second = both[DFEW.index("surprise")], both[DFEW.index("fear")]
    assert first > 0.1 and second > 0.1 and first + second > 0.8


def test_speech_is_the_part_of_the_units_that_talking_adds() -> None:
    for emotion in ("neutral", "sad"):
        quiet, talking = (
            perform(Script("single", emotion, speech=speech), np.random.default_rng(0)) for speech in (0.0, 1.0)
        )
        assert np.allclose(talking.units - quiet.units, talking.speech) and not quiet.speech.any()
        assert talking.speech.max() > 0.4


def test_talking_is_mostly_not_mistaken_for_an_emotion() -> None:
    played = perform(Script("neutral", "neutral", speech=1.0), np.random.default_rng(0))
    assert long_run(panel(0), played, {}, np.random.default_rng(0))[DFEW.index("neutral")] > 0.7


def test_ten_votes_are_a_sample_of_the_long_run() -> None:
    raters, played = panel(0), still({1: 0.5, 4: 0.3, 15: 0.4})
    shares = long_run(raters, played, {}, np.random.default_rng(0))
    votes = sum(vote(raters, played, {}, np.random.default_rng(seed)) for seed in range(400)) / 4000
    assert shares.max() < 0.9, "an ambiguous face"
    assert np.abs(votes - shares).max() < 0.04


def test_the_panel_is_the_seeds_own_and_has_a_few_careless_raters() -> None:
    first, again, other = panel(0), panel(0), panel(1)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.leanings, other.leanings)
    assert len(first.noise) == RATERS == 40 and 1 <= (first.careless > 0.2).sum() <= 4
