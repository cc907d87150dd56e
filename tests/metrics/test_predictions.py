"""The predictions table: round trips, folds put together, and every bad table named with its clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfer.errors import DferError
from dfer.labels import DFEW, EmotionSet
from dfer.metrics import Predictions, apply_temperature, concatenate, kl_divergence, war

NAMES = ("happy", "sad", "neutral")
NO_VOTES = [np.nan] * 3


def toy(**columns: Any) -> Predictions:
    """Three clips: a label and votes, votes alone, a label alone."""
    table: dict[str, Any] = {
        "ids": ["007", "NA", "clip, \"three\""],
        "fold": [1, 1, 1],
        "labels": [0, -1, 2],
        "probs": [[0.7, 0.2, 0.1], [1 / 3, 1 / 3, 1 / 3], [0.0, 1.0, 0.0]],
        "votes": [[8, 2, 0], [4, 3, 3], NO_VOTES],
        "frames": ["0 4 9", "0 0 0", "3"],
        "emotions": NAMES,
    }  # fmt: skip
    return Predictions(**(table | columns))


def assert_same(one: Predictions, other: Predictions) -> None:
    """Bit for bit the same table."""
    assert one.emotions == other.emotions and one.frames == other.frames
    for name in ("ids", "fold", "labels", "probs", "votes"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_comes_back_bit_for_bit(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new folder" / f"predictions{suffix}"
    toy().write(path)
    assert_same(Predictions.read(path), toy())
    toy().write(str(path))
    assert_same(Predictions.read(str(path)), toy())
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_places_on_the_map_stay_with_their_clips(tmp_path: Path, suffix: str) -> None:
    placed = toy(places=np.array([[0.25, -1], [np.nan, np.nan], [1, 0.125]]))
    placed.select(np.array([2, 0])).write(tmp_path / f"p{suffix}")
    read = Predictions.read(tmp_path / f"p{suffix}")
    assert read.places is not None and read.places.tolist() == [[1, 0.125], [0.25, -1]]
    both = concatenate([placed, toy(ids=["a", "b", "c"])])
    assert both.places is not None and np.isnan(both.places[3:]).all() and both.places[2].tolist() == [1, 0.125]
    assert toy().places is None and concatenate([toy()]).places is None
    with pytest.raises(DferError, match=r"expected places of shape \(3, 2\) for 3 clips, got \(3, 3\)"):
        toy(places=np.zeros((3, 3)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(
    ids=st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1),
            st.sampled_from(["=1+1", "'=1", "@x", "-1", "+1", "\tx", "\rx", "a\r\nb", 'a"b', "\x1b[31m", "x" * 9999]),
        ),
        max_size=8,
        unique=True,
    ),
    seed=st.integers(0, 2**32 - 1),
    suffix=st.sampled_from([".csv", ".parquet"]),
)
def test_any_table_comes_back(tmp_path: Path, ids: list[str], seed: int, suffix: str) -> None:
    generator, rows = np.random.default_rng(seed), len(ids)
    votes = generator.integers(0, 10, (rows, 7)).astype(float)
    votes[generator.random(rows) < 0.3] = np.nan
    table = Predictions(
        ids=np.array(ids, dtype=object),
        fold=generator.integers(0, 5, rows),
        labels=generator.integers(-1, 7, rows),
        probs=generator.dirichlet(np.full(7, 0.1), rows).reshape(rows, 7),
        votes=votes,
        frames=[" ".join(map(str, generator.integers(0, 99, 4))) for _ in ids],
        emotions=DFEW,
    )
    table.write(tmp_path / f"p{suffix}")
    assert_same(Predictions.read(tmp_path / f"p{suffix}"), table)


def test_the_columns_are_those_that_others_read(tmp_path: Path) -> None:
    toy().write(tmp_path / "p.csv")
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0] == ("id,fold,label,prob_happy,prob_sad,prob_neutral,votes_happy,votes_sad,votes_neutral,frames")
    assert lines[1] == "007,1,happy,0.7,0.2,0.1,8.0,2.0,0.0,0 4 9"
    assert lines[2].startswith("NA,1,,") and lines[3].endswith(",,,,3")


def test_masks_and_shares_say_which_clips_count_where() -> None:
    table = toy(votes=[[8, 2, 0], [0, 0, 0], NO_VOTES])
    assert table.labelled.tolist() == [True, False, True]
    assert table.voted.tolist() == [True, False, False]
    np.testing.assert_array_equal(table.shares, [[0.8, 0.2, 0], NO_VOTES, NO_VOTES])


def test_a_selection_keeps_rows_together() -> None:
    chosen = toy().select(np.array([True, False, True]))
    assert chosen.ids.tolist() == ["007", 'clip, "three"'] and chosen.frames == ["0 4 9", "3"]
    assert chosen.labels.tolist() == [0, 2] and chosen.probs[1].tolist() == [0, 1, 0]
    assert len(toy().select(np.zeros(3, dtype=bool))) == 0


def test_folds_are_put_together_in_order() -> None:
    second = toy(ids=["a", "b", "c"], fold=[2, 2, 2])
    both = concatenate([toy(), second])
    assert both.fold.tolist() == [1, 1, 1, 2, 2, 2] and both.ids[3:].tolist() == ["a", "b", "c"]
    assert_same(both.select(both.fold == 2), second)


def test_a_clip_in_two_folds_is_refused_by_name() -> None:
    with pytest.raises(DferError, match=r"1 of 6 predictions repeat an earlier one: 'NA'; expected a row a clip$"):
        concatenate([toy(), toy(ids=["a", "NA", "c"], fold=[2, 2, 2])])


def test_folds_with_other_emotions_or_another_order_are_refused() -> None:
    for emotions in (("sad", "happy", "neutral"), ("happy", "sad", "fear")):
        with pytest.raises(DferError, match="happy, sad, neutral, in this order"):
            concatenate([toy(), toy(ids=["a", "b", "c"], emotions=emotions)])
    with pytest.raises(DferError, match="at least one fold"):
        concatenate([])
    renamed = toy(ids=["a", "b", "c"], emotions=EmotionSet("another name", NAMES))
    assert len(concatenate([toy(), renamed])) == 6


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"ids": ["a", "b", "a"]}, "1 of 3 predictions repeat an earlier one: 'a'; expected a row a clip$"),
        ({"ids": ["a", "", "c"]}, "no id"),
        ({"probs": [[0.7, 0.2, np.nan], [1, 0, 0], [1, 0, 0]]}, "NaN or infinite: '007'$"),
        ({"probs": [[0.7, 0.2, 0.1], [1, 0, 0.001], [1, 0, 0]]}, "do not sum to 1: 'NA'; "),
        ({"probs": [[1.1, -0.1, 0], [1, 0, 0], [1, 0, 0]]}, "negative probabilities: '007'; "),
        ({"probs": [[1.0, 0], [1, 0], [1, 0]]}, r"probs of shape \(3, 3\) for 3 clips, got \(3, 2\)"),
        ({"labels": [0, 3, -2]}, "2 of 3 predictions have a label outside -1 ... 2: 'NA', 'clip"),
        ({"labels": [0, 1]}, "labels of shape"),
        ({"votes": [[8, np.nan, 0], NO_VOTES, NO_VOTES]}, "votes that are NaN.*007"),
        ({"votes": [[8, 2, 0], [-1, 3, 3], NO_VOTES]}, "votes that are negative.*NA"),
        ({"frames": ["0"]}, "frames of 3 clips, got 1"),
        ({"labels": [0, 1.5, 2]}, "whole numbers in 'labels', got others in rows 1"),
        ({"labels": [np.nan, 1.0, 2]}, "whole numbers in 'labels', got others in rows 0"),
        ({"labels": ["happy", "sad", ""]}, "whole numbers in 'labels'"),
        ({"fold": [1, 1, 0.5]}, "whole numbers in 'fold', got others in rows 2"),
        ({"fold": [1, -1, 10**6 + 1]}, "2 of 3 predictions have a fold outside 0 ... 1,000,000: 'NA', 'clip"),
        ({"votes": [[8, 2, 0], [10**9 + 1, 3, 3], NO_VOTES]}, "1 of 2 clips have more than 1,000,000,000 votes: 'NA'"),
        ({"ids": ["a", "b\0", "c"]}, "1 of 3 predictions have a null character in id"),
    ],
)
def test_values_that_cannot_be_are_refused_by_clip(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(DferError, match=message):
        toy(**columns)


def test_names_that_are_no_unicode_cannot_be_written(tmp_path: Path) -> None:
    for columns in ({"ids": ["a", "\ud800", "c"]}, {"frames": ["1", "\udcff", "2"]}):
        with pytest.raises(DferError, match="1 of 3 predictions have what is no valid Unicode"):
            toy(**columns).write(tmp_path / "p.csv")


def test_a_table_may_lack_the_frames(tmp_path: Path) -> None:
    toy().write(tmp_path / "all.csv")
    table = pd.read_csv(tmp_path / "all.csv", dtype=str, keep_default_na=False)
    table.drop(columns="frames").to_csv(tmp_path / "few.csv", index=False)
    found = Predictions.read(tmp_path / "few.csv")
    assert found.frames == [""] * 3 and found.probs.tolist() == toy().probs.tolist()


def test_rows_may_miss_one_by_what_printing_costs() -> None:
    rounded = np.array([[0.3333, 0.3333, 0.3333]] * 3)
    assert toy(probs=rounded).probs[0].tolist() == [0.3333] * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns=["votes_sad", "label"]), "missing: votes_sad"),
        (lambda t: t.filter(regex="^(?!prob_)"), "columns prob_<emotion>, found id, fold, label, votes_happy"),
        (lambda t: t.assign(label=["happy", "angry", "sad"]), r"unknown: clips NA \('angry'\)"),
        (lambda t: t.assign(fold=["1", "1.5", ""]), "whole numbers in 'fold'.*clips NA, clip"),
        (lambda t: t.assign(prob_sad=["0.2", "x", "1"]), "numbers in column 'prob_sad'"),
        (lambda t: t.assign(prob_sad=["0.2", "", "1"]), "NaN or infinite: 'NA'$"),
        (lambda t: t.assign(votes_sad=["2", "", ""]), "votes that are NaN.*NA"),
    ],
)
def test_a_table_that_somebody_edited_is_refused_with_its_name(
    tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    path = tmp_path / "edited.csv"
    toy().write(path)
    change(pd.read_csv(path, dtype=str, keep_default_na=False)).to_csv(path, index=False)
    with pytest.raises(DferError, match=f"edited.csv: .*{message}"):
        Predictions.read(path)


def test_other_spellings_of_a_label_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    toy().write(path)
    path.write_text(path.read_text().replace(",happy,0.7", ",Happiness,0.7"))
    assert_same(Predictions.read(path), toy())


@pytest.mark.parametrize("name", ["missing.csv", "missing.parquet", "empty.csv", "broken.parquet"])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str) -> None:
    if not name.startswith("missing"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DferError, match=f"{name}"):
        Predictions.read(tmp_path / name)


def test_only_csv_and_parquet_are_known(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"\.csv or \.parquet"):
        toy().write(tmp_path / "p.json")
    with pytest.raises(DferError, match=r"\.csv or \.parquet"):
        Predictions.read(tmp_path / "p.json")


def test_a_broken_off_write_leaves_the_former_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.csv"
    toy().write(path)

    def full(_: pd.DataFrame, target: Path, **__: Any) -> None:
        Path(target).write_text("id,fold")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(DferError, match=r"cannot write .*p\.csv: No space left"):
        replace(toy(), frames=["1", "2", "3"]).write(path)
    assert_same(Predictions.read(path), toy())
    assert [file.name for file in tmp_path.iterdir()] == ["p.csv"]


def test_a_folder_that_is_a_file_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(DferError, match="cannot write"):
        toy().write(tmp_path / "taken" / "p.csv")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("fold", [np.inf, -np.inf, np.nan, 0.5])
def test_a_fold_that_is_no_whole_number_is_refused_without_a_warning(tmp_path: Path, fold: float) -> None:
    toy().write(tmp_path / "p.csv")
    table = pd.read_csv(tmp_path / "p.csv")
    table["fold"] = table["fold"].astype(float).where(table.index != 1, fold)
    for name, write in (("q.csv", table.to_csv), ("q.parquet", table.to_parquet)):
        write(tmp_path / name, index=False)
        with pytest.raises(DferError, match=r"whole numbers in 'fold'"):
            Predictions.read(tmp_path / name)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_tensors_of_a_loop_are_taken_with_gradients_and_in_half_precision(dtype: torch.dtype) -> None:
    probs = torch.tensor([[0.25, 0.75], [0.5, 0.5]], dtype=dtype).requires_grad_()
    labels, votes = torch.tensor([1, 0]), torch.tensor([[1, 3], [2, 2]])
    found = Predictions(["a", "b"], [0, 0], labels, probs, votes, ["", ""], ["happy", "sad"])
    assert found.probs.tolist() == [[0.25, 0.75], [0.5, 0.5]] and found.votes.tolist() == [[1, 3], [2, 2]]
    assert war(probs, labels) == 1 and kl_divergence(probs, found.shares).tolist() == [0, 0]
    assert apply_temperature(probs, 1.0).shape == (2, 2)
