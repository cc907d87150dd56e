"""Tables of millions of rows: the same answers as a loop over the rows gives, in memory that is bounded by the row."""

from __future__ import annotations

import multiprocessing
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy

from dfer.datasets import Manifest
from dfer.datasets.columns import texts
from dfer.datasets.spelling import near, near_names
from dfer.datasets.splits import Plan, members_of, split_manifest, stratum_names
from dfer.doctor.disk import survey
from dfer.doctor.duplicates import exact
from dfer.doctor.findings import Case
from dfer.doctor.media import files
from dfer.labels import EmotionSet, agreement, blocks, entropy, fleiss_kappa, krippendorff_alpha

TOY = EmotionSet("toy", ("happy", "sad", "neutral"))
ROWS = 20_000
WORDS = st.sampled_from(
    ["", " ", "P1", "p01", "P1.mp4", "anna", "Anna ", "ö", "Ö", "v0.5", "v0.05", "Straße", "STRASSE"]
)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 3)


def rows(count: int) -> pd.DataFrame:
    """Clips that are not there, with five votes each, two a person."""
    generator = np.random.default_rng(0)
    votes = generator.multinomial(5, [0.5, 0.3, 0.2], count)
    table = pd.DataFrame({"id": [f"clip_{row:09d}" for row in range(count)], "kind": "video"})
    table["path"] = table["id"] + ".mp4"
    table["group"] = [f"person {row // 2}" for row in range(count)]
    return table.join(pd.DataFrame(votes, columns=[f"votes_{name}" for name in TOY]))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("count", [0, 1, 3, 7, 9])
def test_a_table_in_blocks_gives_what_each_row_gives_alone(count: int) -> None:
    votes = np.random.default_rng(count).integers(0, 6, (count, 4)) + np.eye(4, dtype=np.int64)[[0] * count]
    expected = [scipy_entropy(row) / np.log(4) for row in votes]
    assert entropy(votes) == pytest.approx(expected)
    assert agreement(votes) == pytest.approx([max(row) / sum(row) for row in votes.tolist()])
    assert entropy(np.asfortranarray(votes)).tolist() == entropy(votes).tolist()


@pytest.mark.usefixtures("small_blocks")
def test_agreement_over_many_blocks_is_the_one_worked_by_hand() -> None:
    # Fleiss, 1971, as Wikipedia works it: 10 subjects, 14 raters, 5 categories
    votes = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    assert fleiss_kappa(votes) == pytest.approx(0.210, abs=0.0005)
    pairs = sum(count * (count - 1) for row in votes for count in row) / 13
    totals = np.sum(votes, axis=0)
    chance = (totals * (totals - 1)).sum() / (140 * 139)
    assert krippendorff_alpha(votes) == pytest.approx((pairs / 140 - chance) / (1 - chance))


@given(st.lists(WORDS, max_size=20))
def test_near_names_are_those_that_a_comparison_of_all_pairs_finds(names: list[str]) -> None:
    different = [name for name in dict.fromkeys(names) if name]
    groups = [[other for other in different if near(other) == near(name)] for name in different]
    expected = list(map(list, dict.fromkeys(tuple(group) for group in groups if len(group) > 1)))
    assert near_names(names) == expected
    assert near_names(pd.Series(names, dtype="str").unique()) == expected


@given(st.lists(WORDS, min_size=1, max_size=20))
def test_members_are_those_of_near_names_and_clips_of_no_name_are_alone(names: list[str]) -> None:
    members = members_of(np.array(names, dtype=object))
    for a, first in enumerate(names):
        for b, second in enumerate(names):
            together = a == b or ("" not in (first, second) and near(first) == near(second))
            assert (members[a] == members[b]) == together


def test_cells_of_any_kind_become_texts_and_empty_ones_empty() -> None:
    column = pd.Series([1, None, 3], dtype="Int64")
    assert texts(column).tolist() == ["1", "", "3"]
    assert texts(pd.Series([0.5, np.nan])).tolist() == ["0.5", ""]
    assert texts(pd.Series([True, False])).tolist() == ["True", "False"]


def test_strata_are_labels_and_else_the_emotion_with_most_votes(tmp_path: Path) -> None:
    table = pd.DataFrame({"id": list("abc"), "path": list("abc"), "kind": "image", "label": ["sad", "", ""]})
    table = table.join(pd.DataFrame([[9, 0, 0], [1, 2, 3], [4, 4, 0]], columns=[f"votes_{name}" for name in TOY]))
    manifest = Manifest.build(table, emotions=TOY, root=tmp_path)
    assert stratum_names(manifest).tolist() == ["sad", "neutral", "happy"]
    assert manifest.labels.tolist() == [1, -1, -1]


def peak(work: Callable[[], object]) -> float:
    """The largest memory that `work` took on the way, bytes a row."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / ROWS
    finally:
        tracemalloc.stop()


def peaks(folder: Path) -> dict[str, float]:
    """What each kind of work takes, bytes a row, in a process that does nothing else."""
    manifest = Manifest.build(rows(ROWS), emotions=TOY, root=folder)
    manifest.write(folder / "clips.parquet")
    names, disk = manifest.table["id"].unique(), survey(manifest)
    return {
        "names": peak(lambda: near_names(names)),
        "survey": peak(lambda: survey(manifest)),
        "doubles": peak(lambda: exact(manifest, disk)),
        "files": peak(lambda: files(Case(manifest, disk=disk))),
        "read": peak(lambda: Manifest.read(folder / "clips.parquet")),
        "split": peak(lambda: split_manifest(manifest, Plan(test=0.2, val=0.2))),
    }


def test_memory_is_bounded_by_the_row(tmp_path: Path) -> None:
    # a name alone is 60 bytes to Python, and a path 400
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(peaks, (tmp_path,))
    bounds = {"names": 100, "survey": 200, "doubles": 100, "files": 150, "read": 300, "split": 800}
    assert {work: found[work] for work, bound in bounds.items() if found[work] >= bound} == {}
