"""Runs side by side: on common clips, with emotions by name, and only where people said the same of a clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dfer.comparison import aligned, read_run
from dfer.comparison.alignment import group_names
from dfer.errors import DferError
from dfer.labels import DFEW
from dfer.metrics import Predictions, concatenate
from tests.metrics.toy import toy_predictions


def renamed(run: Predictions, emotions: list[str], order: Any = None) -> Predictions:
    """The run with its columns in another order, under other names."""
    places = np.arange(len(run.emotions)) if order is None else np.asarray(order)
    labels = np.append(np.argsort(places), -1)[run.labels]
    return Predictions(run.ids, run.fold, labels, run.probs[:, places], run.votes[:, places], run.frames, emotions)  # type: ignore[arg-type]


def test_clips_are_put_in_the_order_of_the_first_run_and_those_that_one_lacks_are_named() -> None:
    one, other = toy_predictions(1, clips=12).select(np.arange(10)), toy_predictions(2, clips=12)
    shuffled = other.select(np.array([11, 3, 2, 1, 0, 9, 8, 7, 10]))
    found, alone = aligned({"a": one, "b": shuffled})
    assert found["a"].ids.tolist() == found["b"].ids.tolist() == [f"clip {k}" for k in (0, 1, 2, 3, 7, 8, 9)]
    assert np.array_equal(found["b"].probs, other.probs[[0, 1, 2, 3, 7, 8, 9]])
    assert alone == {"a": ["clip 4", "clip 5", "clip 6"], "b": ["clip 11", "clip 10"]}


def test_runs_on_the_same_clips_leave_nothing_out() -> None:
    one, other = toy_predictions(1), toy_predictions(2)
    found, alone = aligned({"a": one, "b": other})
    assert alone == {} and np.array_equal(found["b"].probs, other.probs)


def test_emotions_in_another_order_and_spelling_are_moved_by_name() -> None:
    one, other = toy_predictions(1), toy_predictions(2)
    order = [3, 0, 6, 5, 4, 1, 2]
    spelt = ["anger", "Happiness", "fear", "disgust", "surprise", "sadness", "neutral"]
    found, _ = aligned({"a": one, "b": renamed(other, spelt, order)})
    assert found["b"].emotions == one.emotions
    assert np.array_equal(found["b"].probs, other.probs) and np.array_equal(found["b"].votes, other.votes)
    assert np.array_equal(found["b"].labels, other.labels)


@pytest.mark.parametrize(
    "emotions",
    [
        ["happy", "sad", "neutral", "angry", "surprise", "disgust", "contempt"],
        ["happy", "joy", "neutral", "angry", "surprise", "disgust", "fear"],
    ],
)
def test_other_emotions_are_refused(emotions: list[str]) -> None:
    with pytest.raises(DferError, match=r"same emotions; a has happy, sad.* b has happy"):
        aligned({"a": toy_predictions(1), "b": renamed(toy_predictions(2), emotions)})


def test_fewer_emotions_are_refused() -> None:
    few = toy_predictions(1, emotions=tuple(DFEW)[:5])
    with pytest.raises(DferError, match="same emotions"):
        aligned({"a": few, "b": toy_predictions(1)})


def test_no_common_clip_is_refused() -> None:
    with pytest.raises(DferError, match="no clip was predicted by every one of a, b"):
        aligned({"a": toy_predictions(1), "b": toy_predictions(2, ids="other {}")})


def test_clips_that_were_judged_otherwise_are_named() -> None:
    one, labels, votes = toy_predictions(1), toy_predictions(2), toy_predictions(2)
    labels.labels[4] = 0 if labels.labels[4] else 1
    votes.votes[7] = np.nan
    with pytest.raises(DferError, match=r"same label .* b differs from a in 1 of 90 clips: clip 4; evaluate both"):
        aligned({"a": one, "b": labels})
    with pytest.raises(DferError, match=r"same votes .* b differs from a in 1 of 90 clips: clip 7"):
        aligned({"a": one, "b": votes})


def test_clips_without_votes_in_every_run_are_the_same() -> None:
    one, other = toy_predictions(1), toy_predictions(2)
    one.votes[3] = other.votes[3] = np.nan
    assert aligned({"a": one, "b": other})[1] == {}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_run_is_read_from_its_folder_its_folds_or_a_table(suffix: str, tmp_path: Path) -> None:
    whole = toy_predictions(1, folds=2)
    for fold in (1, 2):
        whole.select(whole.fold == fold).write(tmp_path / "run" / f"fold{fold}" / f"predictions.{suffix}")
    by_fold = read_run(tmp_path / "run")
    assert by_fold.ids.tolist() == concatenate([whole.select(whole.fold == fold) for fold in (1, 2)]).ids.tolist()
    whole.write(tmp_path / f"table.{suffix}")
    assert read_run(tmp_path / f"table.{suffix}").probs == pytest.approx(whole.probs)
    assert len(read_run(tmp_path / "run" / "fold1")) == 45


def test_a_run_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(DferError, match="found nothing at"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(DferError, match="holds no predictions; make them with `dfer evaluate"):
        read_run(tmp_path)
    part = toy_predictions(1)
    for fold in (1, 2):  # the same clips in both
        part.write(tmp_path / f"fold{fold}" / "predictions.csv")
    with pytest.raises(DferError, match=r"repeat an earlier one: 'clip 0', 'clip 1'"):
        read_run(tmp_path)


def test_rows_that_are_no_probabilities_are_refused_with_their_clips(tmp_path: Path) -> None:
    part = toy_predictions(1, clips=9)
    part.write(tmp_path / "good.csv")
    text = (tmp_path / "good.csv").read_text().splitlines()
    for fault, said in (("nan", "NaN or infinite"), ("0.9999", "do not sum to 1"), ("-0.5", "negative")):
        cells = text[4].split(",")
        cells[3] = fault
        lines = [*text[:4], ",".join(cells), *text[5:]]
        (tmp_path / "bad.csv").write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
        with pytest.raises(DferError, match=rf"bad\.csv: 1 of 9 predictions have .*{said}.*clip 3"):
            read_run(tmp_path / "bad.csv")
    for cut in ("", "\n".join(text[:1]), "id,prob_happy\n1"):
        (tmp_path / "bad.csv").write_text(cut)
        if cut.count(",") > 2:
            with pytest.raises(DferError, match="no clip was predicted"):
                aligned({"a": part, "b": read_run(tmp_path / "bad.csv")})
        else:
            with pytest.raises(DferError, match=r"bad\.csv"):
                read_run(tmp_path / "bad.csv")


def test_groups_are_found_by_id_and_every_clip_must_be_listed() -> None:
    ids = np.array(["b", "a", "c"], dtype=object)
    assert group_names(ids, {"a": "ann", "b": "bob", "c": "", "d": "dan"}).tolist() == ["bob", "ann", ""]
    unknown: dict[str, Any] = {"a": "ann", "b": np.nan, "c": None}
    assert group_names(ids, unknown).tolist() == ["", "ann", ""]
    with pytest.raises(DferError, match="lacks 2 of 3 predicted clips: b, c"):
        group_names(ids, {"a": "ann"})
    with pytest.raises(DferError, match="knows no group"):
        group_names(ids, dict.fromkeys("abc", ""))
