"""The Manifest: what it refuses, what it keeps on disk in both formats, and how it is cut into parts."""

from __future__ import annotations

import csv
import errno
import json
import tempfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfer.datasets import Manifest, manifest
from dfer.errors import DferError
from dfer.labels import DFEW, EmotionSet

TWO = EmotionSet("two", ("happy", "sad"))
ROWS: dict[str, list[Any]] = {
    "id": ["00001", "00002", "00003", "00004"],
    "path": ["a/00001.mp4", "a/00002.mp4", "faces.zip/3.png", "/elsewhere/4"],
    "kind": ["video", "array", "image", "frames"],
    "group": ["NA", "", "Alien, part \"2\"", "émigré"],
    "fold": [1, 2, None, 1],
    "split": ["", "train", "val", "test"],
    "label": ["happy", "", "sad", "sad"],
    "frames": [16, None, 1, 144],
    "votes_happy": [6, 5, None, 0],
    "votes_sad": [4, 5, None, 10],
    "other_unknown": [0, 1, None, 2],
}  # fmt: skip
names = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=12)
odd = st.sampled_from(
    [
        "a\rb",
        "c\r\nd",
        "NA",
        "nan",
        "None",
        "null",
        "007",
        "1e3",
        "True",
        "a,b",
        'say "no"',
        "'",
        "#",
        " x ",
        "=1+1",
        "'=1",
        "''@x",
        "\tx",
        "-1",
        "+x",
        "\rx",
        "\u202eabc",
        "\U0001f600",
        "y" * 9999,
    ]
)
ids = st.lists(st.one_of(names, odd), min_size=1, max_size=6, unique=True)
suffixes = pytest.mark.parametrize("suffix", [".csv", ".parquet"])


def build(root: Path = Path("/data"), *, drop: tuple[str, ...] = (), **changes: list[Any]) -> Manifest:
    """Four clips with everything that a manifest can hold, with columns changed or dropped."""
    rows = {name: column for name, column in (ROWS | changes).items() if name not in drop}
    return Manifest.build(pd.DataFrame(rows), emotions=TWO, root=root, source="table", left_out={"torn, in two": 3})


def assert_same(read: Manifest, written: Manifest) -> None:
    pd.testing.assert_frame_equal(read.table, written.table)
    assert read.emotions == written.emotions and read.emotions.name == written.emotions.name
    assert (read.root, read.source, read.left_out) == (written.root, written.source, written.left_out)


def test_columns_come_in_order_with_their_types_and_missing_ones_are_empty() -> None:
    rows = pd.DataFrame(
        {"own": [1.5], "votes_sad": [3], "kind": ["video"], "votes_happy": ["7"], "path": ["x"], "id": [5]}
    )
    table = Manifest.build(pd.DataFrame(rows), emotions=TWO, root=Path("/data")).table
    assert table.columns.tolist() == [
        *("id", "path", "kind", "group", "fold", "split", "label", "frames"),
        *("votes_happy", "votes_sad", "own"),
    ]
    assert table.iloc[0].tolist() == ["5", "x", "video", "", pd.NA, "", "", pd.NA, 7.0, 3.0, 1.5]
    assert table["fold"].dtype == "Int64" and table["votes_happy"].dtype == np.float64


def test_votes_labels_and_folds_are_arrays_in_the_order_of_the_emotions() -> None:
    built = build()
    assert np.array_equal(built.votes, [[6, 4], [5, 5], [np.nan, np.nan], [0, 10]], equal_nan=True)
    assert built.labels.tolist() == [0, -1, 1, 1] and built.folds == [1, 2] and len(built) == 4


@suffixes
def test_everything_survives_the_disk(tmp_path: Path, suffix: str) -> None:
    written = build(tmp_path)
    written.write(str(tmp_path / f"m{suffix}"))
    assert_same(Manifest.read(tmp_path / f"m{suffix}"), written)
    assert [path.name for path in tmp_path.iterdir()] == [f"m{suffix}"]


@suffixes
@settings(deadline=None, max_examples=50)
@given(ids=ids, group=st.one_of(st.just(""), names, odd), count=st.integers(1, 10**9))
def test_odd_names_survive_the_disk(suffix: str, ids: list[str], group: str, count: int) -> None:
    rows = {"id": ids, "path": ids, "kind": "video", "group": group, "votes_happy": count, "votes_sad": 0, "own": ids}
    with tempfile.TemporaryDirectory() as folder:
        written = Manifest.build(pd.DataFrame(rows), emotions=TWO, root=Path(folder), left_out={group: count})
        written.write(Path(folder, f"m{suffix}"))
        assert_same(Manifest.read(Path(folder, f"m{suffix}")), written)


def test_what_is_unknown_is_kept_as_it_was_written(tmp_path: Path) -> None:
    build(tmp_path, actor=["007", "NA", "", "x"], age=[1, 2, 3, 4]).write(tmp_path / "m.csv")
    table = Manifest.read(tmp_path / "m.csv").table
    assert table["actor"].fillna("").tolist() == ["007", "NA", "", "x"] and table["age"].tolist() == list("1234")
    build(tmp_path, age=[1, 2, 3, 4]).write(tmp_path / "m.parquet")
    assert Manifest.read(tmp_path / "m.parquet").table["age"].tolist() == [1, 2, 3, 4]


def test_a_column_of_numbers_and_text_can_be_written_in_both_formats(tmp_path: Path) -> None:
    mixed = build(tmp_path, remark=[1, "two", None, 3.5])
    mixed.write(tmp_path / "m.csv")
    mixed.write(tmp_path / "m.parquet")
    for name in ("m.csv", "m.parquet"):
        assert Manifest.read(tmp_path / name).table["remark"].fillna("").tolist() == ["1", "two", "", "3.5"]


def test_a_csv_is_a_table_to_anybody_behind_its_first_line(tmp_path: Path) -> None:
    build(tmp_path).write(tmp_path / "m.csv")
    text = (tmp_path / "m.csv").read_text(encoding="utf-8")
    mark, _, head = text.partition("\n")[0].partition(" {")
    assert mark == "# dfer.manifest/1"
    assert json.loads("{" + head) == {
        "emotions": {"name": "two", "emotions": ["happy", "sad"]},
        "root": ".",
        "source": "table",
        "left_out": {"torn, in two": 3},
        "clips": 4,
    }
    table = pd.read_csv(tmp_path / "m.csv", skiprows=1, dtype={"id": str})
    assert table["id"].tolist() == ROWS["id"] and table["votes_sad"].fillna(-1).tolist() == [4, 5, -1, 10]


def test_parquet_is_a_table_to_anybody_with_the_head_in_its_metadata(tmp_path: Path) -> None:
    build(tmp_path).write(tmp_path / "m.parquet")
    assert pd.read_parquet(tmp_path / "m.parquet")["group"].tolist() == ROWS["group"]
    head = json.loads(pq.read_schema(tmp_path / "m.parquet").metadata[b"dfer.manifest/1"])
    assert head["emotions"]["emotions"] == ["happy", "sad"]


def test_a_csv_that_went_through_a_spreadsheet_still_reads(tmp_path: Path) -> None:
    built = build(tmp_path)
    built.write(tmp_path / "m.csv")
    text = (tmp_path / "m.csv").read_text(encoding="utf-8")
    (tmp_path / "m.csv").write_text(text.replace("\n", "\r\n"), encoding="utf-8-sig", newline="")
    assert_same(Manifest.read(tmp_path / "m.csv"), built)


@suffixes
@pytest.mark.parametrize(("place", "root"), [("m", "."), ("m", "clips"), ("lists/m", "clips"), ("lists/m", ".")])
def test_a_manifest_and_its_clips_can_be_moved_together(tmp_path: Path, suffix: str, place: str, root: str) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    (here / root).mkdir(parents=True)
    build(here / root).write(here / f"{place}{suffix}")
    here.rename(there)
    moved = Manifest.read(there / f"{place}{suffix}")
    assert moved.root == there / root
    assert moved.resolve("a/00001.mp4") == there / root / "a/00001.mp4"
    assert moved.resolve("/elsewhere/4") == Path("/elsewhere/4")


def test_a_root_far_from_the_file_is_absolute(tmp_path: Path) -> None:
    build(Path("/data/faces")).write(tmp_path / "m.csv")
    (tmp_path / "m.csv").rename(tmp_path.parent / "moved.csv")
    assert Manifest.read(tmp_path.parent / "moved.csv").root == Path("/data/faces")


def test_relative_roots_and_files_are_meant_from_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    build(Path("clips/../faces")).write(Path("lists/m.csv"))
    assert Manifest.read(Path("lists/m.csv")).root == tmp_path / "faces"


def test_the_training_part_of_a_fold_is_everything_that_it_does_not_test() -> None:
    train, test = build().partition(1)
    assert train.tolist() == [False, True, True, False] and test.tolist() == [True, False, False, True]
    train, test = build().partition(2)
    assert train.tolist() == [True, False, True, True] and test.tolist() == [False, True, False, False]


def test_without_folds_the_split_decides() -> None:
    train, test = build(drop=("fold",)).partition()
    assert train.tolist() == [False, True, False, False] and test.tolist() == [False, False, False, True]


def test_a_fold_that_is_not_there_or_not_named_is_refused() -> None:
    with pytest.raises(DferError, match=r"expected one of the folds 1, 2; none was named"):
        build().partition()
    with pytest.raises(DferError, match=r"expected one of the folds 1, 2; fold 3 has no clips"):
        build().partition(3)
    with pytest.raises(DferError, match=r"no folds, so there is no fold 1"):
        build(drop=("fold",)).partition(1)
    with pytest.raises(DferError, match=r"4 clips have split train, 0 have split test, none has a fold"):
        build(drop=("fold",), split=["train"] * 4).partition()


def test_selecting_keeps_the_rows_that_are_asked_for_and_all_else() -> None:
    part = build().select(np.array([False, True, False, True]))
    assert part.table["id"].tolist() == ["00002", "00004"] and part.table.index.tolist() == [0, 1]
    assert part.emotions == TWO and part.left_out == {"torn, in two": 3}


@pytest.mark.parametrize(
    ("column", "values", "fault"),
    [
        ("id", ["a", "b", "a", "c"], r"2 clips have an id that is not unique: 'a'; keep one row of each clip"),
        ("id", ["a", "", None, "c"], r"2 clips have no id"),
        ("id", ["a", "b\0", "c", "d"], "1 clips have a null character in id: 'b␀'"),
        ("path", ["a", "b", "", "c"], r"1 clips have no path: '00003'"),
        ("kind", ["video", "film", "image", ""], r"2 clips are of a kind that is none of .*: '00002', '00004'"),
        ("split", ["", "training", "", ""], r"1 clips are in a split that is none of train, val, test: '00002'"),
        ("fold", [0, 1, 2, 3], r"1 clips are in a fold below 1: '00001'"),
        ("fold", [1.5, 1, 2, 3], r"1 clips have a fold that is not a whole number: '00001'"),
        ("fold", ["one", 1, 2, 3], r"1 clips have something in fold that is not a number.*: '00001'"),
        ("frames", [0, 1, 2, 3], r"1 clips have no frames: '00001'; leave them out"),
        ("label", ["happy", "angry", "", ""], r"1 clips have a label that is none of happy, sad: '00002'"),
        ("label", ["happy", "", "", "sad"], r"1 clips have neither a label nor votes nor a soft label: '00003'"),
        ("votes_sad", [4, -5, None, 1], r"1 of 3 clips have votes that are negative: '00002'"),
        ("votes_sad", [4, 0.5, None, 1], r"1 of 3 clips have votes that are fractional: '00002'"),
        ("votes_sad", [4, None, None, 1], r"1 of 3 clips have votes that are NaN: '00002'"),
        ("votes_sad", [4, np.inf, None, 1], r"1 of 3 clips have votes that are infinite: '00002'"),
        ("votes_sad", [4, 5, None, 0], r"1 clips have not one vote for any of happy, sad: '00004'"),
        ("votes_sad", [4, "five", None, 1], r"1 clips have something in votes_sad that is not a number.*: '00002'"),
        ("other_unknown", [0, -1, None, 2], r"1 of 3 clips have votes that are negative: '00002'"),
        ("votes_angry", [1, 1, 1, 1], r"expected votes for happy, sad; found the columns votes_angry"),
    ],
)
def test_what_cannot_be_is_refused_with_its_clips(column: str, values: list[Any], fault: str) -> None:
    with pytest.raises(DferError, match=fault):
        build(**{column: values})


def test_only_the_first_five_culprits_are_named() -> None:
    rows = pd.DataFrame({"id": range(9), "path": "x", "kind": "film", "label": "happy"})
    with pytest.raises(DferError, match=r"9 clips are of a kind .*: '0', '1', '2', '3', '4' and 4 more$"):
        Manifest.build(rows, emotions=TWO, root=Path("/data"))


def test_missing_and_repeated_columns_are_named() -> None:
    rows = pd.DataFrame([["a", "x", "y"]], columns=["id", "path", "path"])
    with pytest.raises(DferError, match=r"missing: kind, twice: path"):
        Manifest.build(rows, emotions=TWO, root=Path("/data"))


def test_an_empty_manifest_says_what_was_left_out() -> None:
    rows = pd.DataFrame({"id": [], "path": [], "kind": []})
    with pytest.raises(DferError, match=r"no clip in this manifest; left out 7: torn in two"):
        Manifest.build(rows, emotions=TWO, root=Path("/data"), left_out={"torn in two": 7})


@suffixes
@pytest.mark.parametrize("place", ["file/m", "file/deeper/m"])
def test_a_place_that_cannot_be_written_is_told_in_one_sentence(tmp_path: Path, suffix: str, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DferError, match=r"cannot write .*m\.(csv|parquet): .*; choose another place"):
        build(tmp_path).write(tmp_path / f"{place}{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@suffixes
def test_a_folder_in_the_place_of_the_file_is_left_alone(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"m{suffix}").mkdir()
    with pytest.raises(DferError, match=r"cannot write"):
        build(tmp_path).write(tmp_path / f"m{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == [f"m{suffix}"]


@suffixes
def test_a_full_disk_leaves_the_former_file_and_no_half_of_the_new_one(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = build(tmp_path)
    former.write(tmp_path / f"m{suffix}")

    def fill(_table: object, target: Path | IO[str], *_: object, **__: object) -> None:
        if isinstance(target, Path):
            target.write_text("half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fill)
    monkeypatch.setattr(pq, "write_table", fill)
    with pytest.raises(DferError, match=r"cannot write .*: No space left on device; choose another place"):
        build(tmp_path, label=["sad"] * 4).write(tmp_path / f"m{suffix}")
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == [f"m{suffix}"]
    assert_same(Manifest.read(tmp_path / f"m{suffix}"), former)


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"end in \.csv or \.parquet, got .*m\.xlsx"):
        build(tmp_path).write(tmp_path / "m.xlsx")


def test_a_file_that_is_missing_or_none_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"no manifest at .*m\.csv; `dfer prepare` writes one"):
        Manifest.read(tmp_path / "m.csv")
    (tmp_path / "own.csv").write_text("clip,happy\na,3\n")
    with pytest.raises(DferError, match=r"own\.csv: not a manifest .*`dfer prepare table "):
        Manifest.read(tmp_path / "own.csv")
    pd.DataFrame({"clip": ["a"]}).to_parquet(tmp_path / "own.parquet")
    with pytest.raises(DferError, match=r"own\.parquet: a Parquet file but not a manifest"):
        Manifest.read(tmp_path / "own.parquet")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('{"emotions"', '{"emotion"'),
        ('"emotions": ["happy", "sad"]', '"emotions": [1, 2]'),
        ('"root": "."', '"root": null'),
        ('"left_out": {', '"left_out": [{'),
        ("# dfer.manifest/1 {", "# dfer.manifest/1 ["),
        ('"00001","a/00001.mp4"', '"00001,a/00001.mp4"'),
        ('"00002"', '"00002",1,1,1,1,1,1'),
    ],
)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, old: str, new: str) -> None:
    build(tmp_path).write(tmp_path / "m.csv")
    text = (tmp_path / "m.csv").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "m.csv").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DferError, match=r"m\.csv"):
        Manifest.read(tmp_path / "m.csv")


def test_a_file_that_was_cut_off_at_the_end_of_a_line_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "clips.csv"
    build().write(path)
    assert len(Manifest.read(path)) == 4 and not caplog.text
    path.write_bytes(path.read_bytes().rpartition(b'"00004"')[0])
    assert len(Manifest.read(path)) == 3
    assert "was written with 4 clips and has 3 now" in caplog.text


@suffixes
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.95])
def test_a_file_that_was_cut_off_is_refused_by_name(tmp_path: Path, suffix: str, part: float) -> None:
    path = tmp_path / f"m{suffix}"
    build(tmp_path, drop=("other_unknown",)).write(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(DferError, match=rf"m\{suffix}"):
        Manifest.read(path)


def test_a_file_in_another_encoding_is_refused_by_name(tmp_path: Path) -> None:
    build(tmp_path).write(tmp_path / "m.csv")
    text = (tmp_path / "m.csv").read_text(encoding="utf-8")
    (tmp_path / "m.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DferError, match=r"m\.csv cannot be read as a table: .*UTF8.*write it anew"):
        Manifest.read(tmp_path / "m.csv")


def test_an_error_in_a_file_names_the_file_and_the_clip(tmp_path: Path) -> None:
    build(tmp_path).write(tmp_path / "m.csv")
    text = (tmp_path / "m.csv").read_text(encoding="utf-8")
    (tmp_path / "m.csv").write_text(text.replace('"video"', '"film"'), encoding="utf-8")
    with pytest.raises(DferError, match=r"m\.csv: 1 clips are of a kind that is none of .*: '00001'"):
        Manifest.read(tmp_path / "m.csv")


def test_the_table_that_is_handed_in_is_not_touched() -> None:
    rows = pd.DataFrame(ROWS)
    before = rows.copy()
    Manifest.build(rows, emotions=TWO, root=Path("/data"))
    pd.testing.assert_frame_equal(rows, before)


def test_dfew_emotions_keep_their_name_and_order(tmp_path: Path) -> None:
    rows = pd.DataFrame({"id": ["a"], "path": ["a"], "kind": ["video"], "label": ["fear"]})
    Manifest.build(rows, emotions=DFEW, root=tmp_path).write(tmp_path / "m.parquet")
    read = Manifest.read(tmp_path / "m.parquet")
    assert list(read.emotions) == list(DFEW) and read.emotions.name == "dfew" and read.labels.tolist() == [6]
    assert manifest.FORMAT == "dfer.manifest/1"


def test_a_clip_of_split_test_that_is_in_no_fold_is_never_trained_on() -> None:
    rows = pd.DataFrame({
        "id": ["a", "b", "c"], "path": ["a", "b", "c"], "kind": "video", "label": "happy",
        "fold": [1, 2, None], "split": ["", "", "test"],
    })  # fmt: skip
    train, test = Manifest.build(rows, emotions=DFEW, root=Path()).partition(1)
    assert train.tolist() == [False, True, False] and test.tolist() == [True, False, False]


SOFT: dict[str, list[Any]] = {
    "soft_happy": [None, 0.25, 1, None],
    "soft_sad": [None, 0.75, 0, None],
    "soft_from": [None, "published distribution", "an ensemble", ""],
    "weight_happy": [71.5, 0, None, None],
    "weight_sad": [40, 1e3, None, 88.25],
}


def test_distributions_and_weights_are_arrays_of_their_own_and_no_votes() -> None:
    nothing = [np.nan, np.nan]
    built = build(**SOFT)
    assert np.array_equal(built.soft, [nothing, [0.25, 0.75], [1, 0], nothing], equal_nan=True)
    assert np.array_equal(built.weights, [[71.5, 40], [0, 1000], nothing, [np.nan, 88.25]], equal_nan=True)
    assert np.array_equal(built.votes, build().votes, equal_nan=True)
    assert built.table["soft_from"].tolist() == ["", "published distribution", "an ensemble", ""]


def test_without_such_columns_there_is_no_distribution_and_no_weight() -> None:
    built = build()
    assert built.soft.shape == built.weights.shape == (4, 2)
    assert np.isnan(built.soft).all() and np.isnan(built.weights).all() and "soft_from" not in built.table


def test_distributions_and_weights_come_behind_the_votes_in_the_order_of_the_emotions() -> None:
    shuffled = {name: SOFT[name] for name in ("weight_sad", "soft_from", "soft_sad", "weight_happy", "soft_happy")}
    columns = build(**shuffled).table.columns.tolist()
    assert columns[8:] == ["votes_happy", "votes_sad", *SOFT, "other_unknown"]


@suffixes
def test_distributions_and_weights_survive_the_disk_to_the_last_digit(tmp_path: Path, suffix: str) -> None:
    rows = np.random.default_rng(0).dirichlet([0.2] * len(DFEW), 500)
    table = pd.DataFrame(rows, columns=[f"soft_{name}" for name in DFEW])
    table[[f"weight_{name}" for name in DFEW]] = rows[::-1] * 100
    table = table.assign(id=[str(k) for k in range(500)], path="x", kind="video", soft_from="an ensemble")
    written = Manifest.build(table, emotions=DFEW, root=tmp_path)
    written.write(tmp_path / f"m{suffix}")
    read = Manifest.read(tmp_path / f"m{suffix}")
    assert_same(read, written)
    assert np.array_equal(read.soft, rows) and np.array_equal(read.weights, rows[::-1] * 100)


@suffixes
def test_clips_of_which_none_has_a_distribution_keep_the_empty_columns(tmp_path: Path, suffix: str) -> None:
    written = build(tmp_path, **SOFT).select(np.array([True, False, False, True]))
    written.write(tmp_path / f"m{suffix}")
    assert_same(Manifest.read(tmp_path / f"m{suffix}"), written)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"soft_sad": [None, None, 0, None]}, r"1 clips have a soft label for some emotions only: '00002'"),
        ({"soft_happy": [None, -0.25, 1, None], "soft_sad": [None, 1.25, 0, None]}, r"soft label below 0: '00002'"),
        ({"soft_sad": [None, 0.75001, 0, None]}, r"1 clips have a soft label that does not sum to one: '00002'"),
        ({"soft_sad": [None, 6, 4, None]}, r"2 clips have a soft label that does not sum to one: '00002', '00003'"),
        ({"soft_sad": [None, np.inf, 0, None]}, r"1 clips have a soft label that does not sum to one"),
        ({"soft_sad": [None, "most", 0, None]}, r"1 clips have something in soft_sad that is not a number.*: '00002'"),
        ({"soft_from": ["", " ", "x", ""]}, r"1 clips have a soft label of unknown origin: '00002'"),
        ({"soft_from": ["x", "x", "x", ""]}, r"1 clips have something in soft_from but no soft label: '00001'"),
        ({"soft_angry": [None, 0, 0, None]}, r"expected soft for happy, sad; found the columns soft_angry"),
        ({"weight_sad": [40, -1, None, 2]}, r"1 clips have a weight below 0 or above 1,000,000,000: '00002'"),
        ({"weight_sad": [np.inf, 1, None, 2]}, r"1 clips have a weight below 0 or above 1,000,000,000: '00001'"),
        ({"weight_angry": [1, 1, 1, 1]}, r"expected weight for happy, sad; found the columns weight_angry"),
    ],
)
def test_distributions_and_weights_that_cannot_be_are_refused(changes: dict[str, list[Any]], fault: str) -> None:
    with pytest.raises(DferError, match=fault):
        build(**(SOFT | changes))


@pytest.mark.parametrize("name", SOFT)
def test_a_family_of_columns_that_lacks_one_is_refused(name: str) -> None:
    with pytest.raises(DferError, match=rf"of all emotions or of none; missing: {name}"):
        build(**{column: cells for column, cells in SOFT.items() if column != name})


def test_a_distribution_is_enough_for_a_clip_and_a_weight_is_not() -> None:
    rows = {"id": ["a"], "path": ["a"], "kind": ["video"]}
    soft = {"soft_happy": [0.5], "soft_sad": [0.5], "soft_from": ["an ensemble"]}
    built = Manifest.build(pd.DataFrame(rows | soft), emotions=TWO, root=Path())
    assert built.labels.tolist() == [-1] and np.isnan(built.votes).all()
    with pytest.raises(DferError, match=r"have neither a label nor votes nor a soft label: 'a'"):
        Manifest.build(pd.DataFrame(rows | {"weight_happy": [1], "weight_sad": [1]}), emotions=TWO, root=Path())


def test_a_sum_that_is_one_but_for_rounding_passes() -> None:
    build(**(SOFT | {"soft_sad": [None, 0.7500009, 0, None]}))


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("[" * 50_000, "its head: expected lists and objects inside each other up to 32 times"),
        ("{", "its head cannot be read as JSON"),
        ("[]", "its head: "),
        ('{"emotions": {"name": "two", "emotions": "happy"}}', "its head: emotions.emotions: it should be"),
        ('{"emotions": {"name": 1, "emotions": []}, "root": ".", "source": "", "left_out": {}}', "emotions.name"),
        ('{"emotions": {"name": "t", "emotions": ["happy","sad"]}, "root": ".", "source": "", "left_out": {"a": "b"}}',
         "its head: left_out.a: "),
        ('{"emotions": {"name": "t", "emotions": ["happy","\\ud800"]}, "root": ".", "source": "", "left_out": {}}',
         "is not valid Unicode text"),
    ],
)  # fmt: skip
def test_a_head_that_cannot_be_is_refused_by_key(tmp_path: Path, head: str, told: str) -> None:
    build(tmp_path).write(tmp_path / "m.csv")
    rows = (tmp_path / "m.csv").read_text(encoding="utf-8").partition("\n")[2]
    (tmp_path / "m.csv").write_text(f"# dfer.manifest/1 {head}\n{rows}", encoding="utf-8")
    with pytest.raises(DferError) as raised:
        Manifest.read(tmp_path / "m.csv")
    assert told in str(raised.value) and "m.csv" in str(raised.value) and len(str(raised.value)) <= 500


def test_no_clip_begins_as_a_formula_in_the_file(tmp_path: Path) -> None:
    build(tmp_path, id=["=1+1", "+a", "-b", "@c"], group=["'=x", "'tis", "", "\tx"]).write(tmp_path / "m.csv")
    with (tmp_path / "m.csv").open(newline="") as file:
        next(file)
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["'=1+1", "'+a", "'-b", "'@c"]
    assert [row["group"] for row in rows] == ["''=x", "'tis", "", "'\tx"]
    assert Manifest.read(tmp_path / "m.csv").table["group"].tolist() == ["'=x", "'tis", "", "\tx"]


def test_more_emotions_than_a_table_can_hold_are_refused() -> None:
    rows = pd.DataFrame({"id": ["a"], "path": ["a.png"], "kind": ["image"], "label": ["e7"]})
    many = EmotionSet("many", tuple(f"e{k}" for k in range(1001)))
    with pytest.raises(DferError, match="at most 1,000 emotions, got 1,001"):
        Manifest.build(rows, emotions=many, root=Path())
    most = EmotionSet("most", many.emotions[:-1])
    assert len(Manifest.build(rows, emotions=most, root=Path()).votes[0]) == 1000
