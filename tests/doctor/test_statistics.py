"""Figures of votes: those that are published of CREMA-D, and tables worked by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cosine, jensenshannon
from scipy.stats import entropy

from dfer.datasets import Manifest, read_source
from dfer.doctor.statistics import compared, most_ambiguous, statistics
from dfer.labels import FERPLUS

from .toy import THREE, toy

VOTES = [[10, 0, 0], [2, 8, 0], [5, 5, 0], [0, 4, 6]]
# Responses; least, mean, most of a clip; mean agreement; unanimous, more than half, ties; mean entropy over log 6;
# clips whose majority is the acted emotion: counted from the vote table by others.
CREMA_D_FIGURES = {
    "voice": (68_568, 4, 9.21, 12, 0.637, 383, 5012, 644, 0.463, 3099),
    "video": (71_654, 6, 9.63, 12, 0.701, 1008, 5523, 470, 0.390, 4931),
    "both": (71_778, 5, 9.64, 12, 0.726, 1119, 5913, 420, 0.357, 5374),
}


@pytest.mark.parametrize("modality", CREMA_D_FIGURES)
def test_crema_d_has_the_published_figures_to_the_digit(shared_data: Path, modality: str) -> None:
    manifest = read_source("crema_d", shared_data / "crema_d", modality=modality, votes_only=True)
    figures = statistics(manifest)
    votes, acted = figures["votes"], next(source for source in figures["sources"] if source["name"] == "acted")
    found = (
        *(votes["responses"], votes["least"], round(votes["mean"], 2), votes["most"], round(votes["agreement"], 3)),
        *(votes["unanimous"], votes["majority"], votes["ties"], round(votes["entropy"], 3), acted["same"]),
    )
    assert found == CREMA_D_FIGURES[modality]


def test_crema_d_faces_have_the_published_majorities(shared_data: Path) -> None:
    figures = statistics(read_source("crema_d", shared_data / "crema_d", votes_only=True))
    assert figures["votes"]["top"] == {
        "angry": 968, "disgust": 1057, "fear": 822, "happy": 1266, "neutral": 2076, "sad": 783,
    }  # fmt: skip


def test_ferplus_has_the_figures_that_a_loop_over_its_rows_counts(shared_data: Path) -> None:
    table = pd.read_csv(shared_data / "ferplus/fer2013new.csv").iloc[:, 2:10]
    rows = [row for row in table.to_numpy().tolist() if sum(row)]
    manifest = toy(FERPLUS, votes=np.array(rows))
    found = statistics(manifest)["votes"]
    assert found["clips"] == len(rows) == 35_887 - 176
    assert found["responses"] == sum(map(sum, rows))
    assert found["unanimous"] == sum(max(row) == sum(row) for row in rows)
    assert found["majority"] == sum(2 * max(row) > sum(row) for row in rows)
    assert found["ties"] == sum(row.count(max(row)) > 1 for row in rows)
    assert found["agreement"] == pytest.approx(np.mean([max(row) / sum(row) for row in rows]))
    assert found["entropy"] == pytest.approx(np.mean([entropy(row, base=8) for row in rows]))
    assert sum(found["histogram"]) == sum(part["clips"] for part in found["strata"]) == len(rows)


def test_figures_of_four_clips_are_those_worked_by_hand() -> None:
    figures = statistics(toy(votes=VOTES, fold=[1, 1, 2, None], label=["happy", "sad", "", "neutral"]))
    votes = figures["votes"]
    assert (votes["clips"], votes["responses"], votes["unanimous"], votes["majority"], votes["ties"]) == (
        4,
        40,
        1,
        3,
        1,
    )
    assert votes["top"] == {"happy": 1, "sad": 1, "neutral": 1}
    assert votes["agreement"] == pytest.approx((1 + 0.8 + 0.5 + 0.6) / 4)
    assert [part["clips"] for part in votes["strata"]] == [1, 1, 2]
    assert figures["confused"] == [[1.0, 0.0, 0.0], [0.2, 0.8, 0.0], [0.0, 0.4, 0.6]]
    assert [(part["name"], part["clips"], part["none"]) for part in figures["parts"]] == [
        ("all", 4, 1), ("tested in fold 1", 2, 0), ("tested in fold 2", 1, 1), ("never tested", 1, 0),
    ]  # fmt: skip
    assert figures["parts"][1]["classes"] == {"happy": 1, "sad": 1, "neutral": 0}


def test_parts_of_a_split_are_counted() -> None:
    parts = statistics(toy(label=["happy", "sad", "sad"], split=["train", "train", "test"]))["parts"]
    assert [(part["name"], part["clips"]) for part in parts] == [("all", 3), ("train", 2), ("test", 1)]


def test_the_clips_with_most_disagreement_come_first() -> None:
    votes = [[10, 0, 0], [1, 1, 1], [5, 5, 0], [4, 4, 4], [np.nan] * 3]
    found = most_ambiguous(toy(votes=votes, label=["happy"] * 5), 3)
    assert [clip["id"] for clip in found] == ["c3", "c1", "c2"]
    assert found[0]["entropy"] == pytest.approx(1.0)
    assert found[2]["votes"] == {"happy": 5, "sad": 5, "neutral": 0}


def test_labels_and_acted_emotions_are_compared_with_the_votes() -> None:
    label, acted = ["happy", "happy", "happy", "neutral"], ["happy", "sad", "sad", "nonsense"]
    by_label, by_acted = compared(toy(votes=VOTES, label=label, acted=acted))
    assert (by_label["clips"], by_label["same"], by_label["ties"]) == (4, 2, 1)
    assert by_label["table"] == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert (by_acted["clips"], by_acted["same"], by_acted["share"]) == (3, 2, pytest.approx(2 / 3))


def test_a_distribution_is_compared_with_the_votes_as_scipy_does() -> None:
    soft = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.4, 0.4, 0.2], [0.6, 0.3, 0.1]])
    columns = {f"soft_{name}": soft[:, k] for k, name in enumerate(THREE)}
    (found,) = compared(toy(votes=VOTES, soft_from=["estimated"] * 4, **columns))
    shares = np.array(VOTES) / 10
    assert found["name"] == "estimated" and (found["clips"], found["same"]) == (4, 2)
    assert found["kl"] == pytest.approx(np.mean(entropy(shares, soft, axis=1)))
    assert found["js"] == pytest.approx(np.mean(jensenshannon(shares, soft, axis=1) ** 2))
    assert found["cosine"] == pytest.approx(np.mean([1 - cosine(a, b) for a, b in zip(shares, soft, strict=True)]))


def test_without_votes_there_are_classes_only() -> None:
    figures = statistics(toy(label=["happy", "sad"]))
    assert figures["votes"] is None and figures["sources"] == figures["ambiguous"] == []


@pytest.mark.parametrize("manifest", [toy(votes=VOTES[:1]), toy(label=["happy"]), toy(votes=[[1, 1, 1]])])
def test_figures_are_ready_for_json(manifest: Manifest) -> None:
    assert json.loads(json.dumps(statistics(manifest), allow_nan=False))["clips"] == 1


def test_a_majority_is_of_all_voters_those_without_an_emotion_too() -> None:
    manifest = toy(votes=[[6, 4, 0], [6, 4, 0], [3, 1, 0]], other_unknown=[1, 2, 6])
    figures = statistics(manifest)["votes"]
    assert figures["majority"] == 1, "6 of 11, not 6 of 12, not 3 of 10"
