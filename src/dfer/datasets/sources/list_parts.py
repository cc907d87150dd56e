"""Which clip of the lists is in which part: doubles, copied validation lists, overlaps, clips that a fold passes over.

Rows have the columns part (train, val, test or ""), fold (empty where there are none), label, and one with the clip.
"""

from __future__ import annotations

import logging

import pandas as pd

from dfer.errors import DferError, listed

logger = logging.getLogger(__name__)


def settle_parts(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Rows of which each clip (`id`) is in one part, or in one of each fold; and reason -> rows that were left out.

    A validation list that is the test list once more is left out, so that validation is cut from the training part.
    Where there is no test list the validation list is the test part. Validation lists of folds are training: a
    manifest has one for all folds, and training cuts its own.

    Raises:
        DferError: parts that overlap, or a clip with two labels.
    """
    again = rows.duplicated(["part", "fold", "id", "label"])
    settled = rows[~again]
    if (settled["part"] == "val").any():
        settled = _settle_validation(settled)
    check_folds(settled, "id")
    copied = int((~again).sum()) - len(settled)
    return settled, {
        "second row of a clip in a list": int(again.sum()),
        "row of a validation list that is the test list": copied,
    }


def check_folds(rows: pd.DataFrame, clip: str) -> None:
    """Raises a DferError when a clip has two labels, is tested twice, or is in two parts of a fold (empty: none).

    Args:
        rows: of all lists.
        clip: the column that names the clip.
    """
    labels = rows.groupby(clip)["label"].nunique()
    if (labels > 1).any():
        wrong = labels.index[labels > 1]
        raise DferError(f"{len(wrong)} clips have different labels in different lists: {listed(wrong)}")
    tested = rows[clip][rows["part"] == "test"]
    twice = sorted(set(tested[tested.duplicated()]))
    if twice:
        raise DferError(f"test folds overlap: {len(twice)} clips are in the test lists of two folds: {listed(twice)}")
    both = rows[rows.duplicated(["fold", clip], keep=False)]
    if len(both):
        clips, folds = sorted(set(both[clip])), sorted(set(both["fold"].dropna()))
        parts = " and the ".join(sorted(set(both["part"]), reverse=True))
        of_fold = f" of one fold (fold {listed(folds)})" if folds else ""
        raise DferError(f"{len(clips)} clips are in the {parts} list{of_fold}: {listed(clips)}")


def passed_over(labels: pd.Series[str], rows: pd.DataFrame, clip: str) -> dict[str, int]:
    """Notes of single-labelled clips that are trained on though a fold's lists do not name them, and how many.

    Args:
        labels: by clip, "" for none, of all clips that are kept.
        rows: of all lists.
        clip: the column that names the clip.
    """
    single = labels != ""
    notes = {}
    for fold, part in rows.groupby("fold"):
        # a fold that has only a test list leaves it open who is trained on
        if (part["part"] == "train").any():
            reason = f"single label but in neither list of fold {fold} (not left out: trained on)"
            notes[reason] = int((single & ~labels.index.isin(part[clip])).sum())
    return notes


def _settle_validation(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the part val only where it is apart from the test part, and there are no folds."""
    if not (rows["part"] == "test").any():
        logger.warning("no test list: the validation list is the test part, validation is cut from the training part")
        return rows.assign(part=rows["part"].replace("val", "test"))
    copies = pd.Series(False, index=rows.index)
    for _, own in rows.groupby("fold", dropna=False):
        val, test = (set(own["id"][own["part"] == part]) for part in ("val", "test"))
        if val == test:
            copies |= rows.index.isin(own.index[own["part"] == "val"])
        elif val & test:
            raise DferError(
                f"{len(val & test)} of {len(val)} clips of a validation list are in the test list too: "
                f"{listed(sorted(val & test))}; what is tested must be apart"
            )
    if copies.any():
        logger.warning("the validation list is the test list: left out, validation is cut from the training part")
    rows = rows[~copies]
    if rows["fold"].notna().any() and (rows["part"] == "val").any():
        logger.warning("validation lists of folds are read as training, from which validation is cut anew")
        rows = rows.assign(part=rows["part"].replace("val", "train"))
    return rows
