"""The least confidence against exact binomial bounds, and against a simulated truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from dfer.errors import DferError
from dfer.models import Card, create_model, load_checkpoint, save_checkpoint
from dfer.models.abstention import FAILURE, LEVELS, confidence, held_out, least_confidence
from dfer.models.checkpoint import read_card

TABLE = {"confidence": (-1.0, 0.5, 0.9), "named": (200, 100, 5), "wrong": (60, 5, 0)}


def test_the_confidence_is_how_far_the_named_emotion_is_ahead() -> None:
    probs = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [1.0, 0.0, 0.0]])
    shown = np.array([[0.4, 0.35, 0.25], [0.2, 0.5, 0.3], [1.0, 0.0, 0.0]])
    assert confidence(probs, shown).tolist() == pytest.approx([0.2, -0.2, 1.0])
    assert confidence(probs).tolist() == pytest.approx([0.2, 0.2, 1.0])


def test_counts_are_of_those_that_reach_a_level() -> None:
    table = held_out(np.array([-0.4, 0.5, 0.51, 0.98]), np.array([True, True, False, False]))
    at = dict(zip(table["confidence"], zip(table["named"], table["wrong"], strict=True), strict=True))
    assert (at[-1.0], at[0.0], at[0.5], at[0.52], at[0.98]) == ((4, 2), (3, 1), (3, 1), (1, 0), (1, 0))
    assert tuple(table["confidence"]) == LEVELS


def test_a_level_passes_where_so_few_errors_would_be_a_surprise() -> None:
    # of 100 with 5 errors: the risk at which 5 or fewer happen in one of thirty (three starts share the failures)
    bound = next(risk for risk in np.arange(0.05, 0.2, 1e-4) if binom.cdf(5, 100, risk) < FAILURE / 3)
    assert least_confidence(TABLE, bound + 1e-3) == 0.5
    with pytest.raises(
        DferError, match="cannot be proved with the 200 held-out clips of this model; ask for a higher one"
    ):
        least_confidence(TABLE, bound - 1e-3)
    assert least_confidence(TABLE, 0.4) == -1.0, "60 of 200 pass"


def test_one_error_among_the_surest_does_not_end_it() -> None:
    table = {"confidence": (0.0, 0.5, 0.9), "named": (2000, 1000, 40), "wrong": (400, 20, 2)}
    assert least_confidence(table, 0.1) == 0.5


def test_the_risk_is_kept_as_often_as_promised_whatever_the_truth() -> None:
    generator, risk, broken, refused = np.random.default_rng(3), 0.1, 0, 0
    truth = np.linspace(0.6, 0.0, 20000)  # how likely an error is, from the least sure to the surest
    sure = np.linspace(0, 0.98, 20000)
    for _ in range(300):
        rows = generator.integers(0, 20000, 2000)
        table = held_out(sure[rows], generator.random(2000) < truth[rows])
        try:
            broken += truth[sure >= least_confidence(table, risk)].mean() > risk
        except DferError:  # nothing is named
            refused += 1
    assert refused < 30
    assert broken <= binom.ppf(0.999, 300, FAILURE)


@pytest.mark.parametrize("risk", [0.0, 1.0, -0.1, 1.5, float("nan"), float("inf")])
def test_a_risk_that_is_none_is_refused(risk: float) -> None:
    with pytest.raises(DferError, match="above 0 and below 1"):
        least_confidence(TABLE, risk)


def test_a_card_keeps_the_table_and_refuses_one_that_cannot_be(tmp_path: Path) -> None:
    shipped = load_checkpoint("faces")[1]
    model = create_model("tiny3d", 8, in_channels=1)
    card = Card("tiny3d", {"in_channels": 1}, shipped.emotions, shipped.preprocessing, abstention=TABLE)
    save_checkpoint(tmp_path / "model", model, card)
    assert read_card(tmp_path / "model").abstention == TABLE
    for key, values in (("wrong", (60, 5)), ("named", (100, 200, 5)), ("wrong", (60, 5, 6)), ("confidence", (0, 0, 1))):
        wrong = Card(
            "tiny3d", {"in_channels": 1}, shipped.emotions, shipped.preprocessing, abstention=TABLE | {key: values}
        )
        with pytest.raises(DferError, match="abstention: expected levels"):
            save_checkpoint(tmp_path / "other", model, wrong)


def test_the_shipped_model_keeps_to_a_tenth() -> None:
    card = read_card(Path(__file__).parents[2] / "src" / "dfer" / "models" / "shipped" / "faces")
    least = least_confidence(card.abstention, 0.1)
    assert 0 < least < least_confidence(card.abstention, 0.05)
