"""Which clip of the lists is in which part: doubles, copied validation lists, overlaps.

Rows have the columns part (train, val, test or ""), fold (empty where there are none), id and label.
"""

from __future__ import annotations

import logging

import pandas as pd

from dfer.datasets.sources.dfew_lists import check_folds
from dfer.errors import DferError, listed

logger = logging.getLogger(__name__)


def settle_parts(rows: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Rows of which each clip is in one part, or in one part of each fold; and reason -> rows that were left out.

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
    check_folds(settled.rename(columns={"id": "number"}))
    copied = int((~again).sum()) - len(settled)
    return settled, {
        "second row of a clip in a list": int(again.sum()),
        "row of a validation list that is the test list": copied,
    }


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
