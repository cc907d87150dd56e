"""The rules on real votes: CREMA-D's faces and FER+, against figures counted elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfer.labels import (
    CREMA_D,
    DFEW,
    FERPLUS,
    agreement,
    entropy,
    hard_labels,
    single_label,
    soft_labels,
    strata,
    without_lone_votes,
)


@pytest.fixture
def crema_d(shared_data: Path) -> pd.DataFrame:
    """The 7,442 rows on the face alone; their row numbers begin with 2."""
    table = pd.read_csv(shared_data / "crema_d/processedResults/tabulatedVotes.csv", index_col=0)
    return table[table.index // 100000 == 2]


@pytest.fixture
def ferplus(shared_data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Votes, and the votes that name no emotion, of all 35,887 images."""
    table = pd.read_csv(shared_data / "ferplus/fer2013new.csv")
    names = [FERPLUS.index(column) for column in table.columns[2:10]]
    assert names == list(range(8))
    return table.iloc[:, 2:10].to_numpy(), table.iloc[:, 10:12].to_numpy()


def test_crema_d_faces_have_the_statistics_counted_elsewhere(crema_d: pd.DataFrame) -> None:
    votes = crema_d[list("ADFHNS")].to_numpy()
    assert len(votes) == 7442 and votes.sum() == 71654
    assert agreement(votes).mean() == pytest.approx(0.701, abs=5e-4)
    assert entropy(votes).mean() == pytest.approx(0.390, abs=5e-4)
    assert (agreement(votes) == 1).sum() == 1008
    assert (single_label(votes, share=0.5, inclusive=False) >= 0).sum() == 5523
    assert (hard_labels(votes, "drop") == -1).sum() == 470
    assert np.bincount(strata(votes)).tolist() == [1837, 2200, 3405]


def test_crema_d_own_majorities_and_agreements_are_ours(crema_d: pd.DataFrame) -> None:
    votes = crema_d[list("ADFHNS")].to_numpy()
    tied = crema_d["emoVote"].str.contains(":").to_numpy()
    named = [-1 if tie else CREMA_D.index(vote) for vote, tie in zip(crema_d["emoVote"], tied, strict=True)]
    assert np.array_equal(hard_labels(votes, "drop"), named)
    assert np.allclose(agreement(votes), crema_d["agreement"])
    soft = soft_labels(votes, "dirichlet", prior="class")
    assert np.allclose(soft.sum(axis=1), 1) and (soft > 0).all()


def test_the_ferplus_rules_are_their_published_steps_row_by_row(ferplus: tuple) -> None:
    votes, other = ferplus
    labels, targets = [], []
    for row in np.hstack([votes, other]).tolist():
        kept = [count if count > 1 else 0 for count in row]
        top, named = kept.index(max(kept)), sum(kept[:8])
        labels.append(top if top < 8 and max(kept) > 0.5 * sum(kept) else -1)
        targets.append([count / named for count in kept[:8]] if named and top < 8 else [np.nan] * 8)
    kept_votes, kept_other = without_lone_votes(votes, other)
    assert np.array_equal(single_label(kept_votes, share=0.5, inclusive=False, other=kept_other), labels)
    soft = soft_labels(votes, "ferplus", other=other)
    assert np.allclose(soft, targets, equal_nan=True)
    assert np.isnan(soft[other[:, 1] == 10]).all(), "an image without a face is left"


def test_dfews_rule_is_the_label_column_of_a_dfew_shaped_annotation(shared_data: Path) -> None:
    table = pd.read_excel(shared_data / "sim_dfew/Annotation/annotation.xlsx")
    columns = [column for column in table.columns if column in DFEW]
    assert DFEW.mapping_to(DFEW).tolist() == [DFEW.index(column) for column in columns]
    assert np.array_equal(single_label(table[columns].to_numpy()) + 1, table["label"])
