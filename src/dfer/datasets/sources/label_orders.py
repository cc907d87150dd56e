"""What the labels of list files mean: names as they stand, numbers by the order and base that their author counted in.

A number alone says nothing: four orders of eleven emotions and two of seven are in use, from 0 and from 1. A number is
read when the order is given, or when the paths hold the emotions' names, as FERV39k's and AFEW's do; else refused.

References: the list files and loaders of the named projects.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pandas as pd

from dfer.datasets.sources.label_space import choose_emotions
from dfer.errors import DferError, listed
from dfer.labels import CREMA_D, DFEW, KNOWN, MAFW, EmotionSet
from dfer.labels.emotions import SPELLINGS

logger = logging.getLogger(__name__)

ORDERS: dict[str, tuple[str, ...]] = {
    "DFEW from 1; Former-DFER, MAE-DFER, DFER-CLIP and M3DFEL on DFEW, FERV39k and AFEW from 0": DFEW.emotions,
    "S2D on FERV39k, alphabetical from 0": tuple(sorted(DFEW)),
    "MAFW from 1; MAE-DFER on MAFW from 0": MAFW.emotions,
    "DFER-CLIP on MAFW from 0": (*DFEW.emotions, *MAFW.emotions[7:]),
    "S2D on MAFW, alphabetical from 0": tuple(sorted(MAFW)),
    "MAE-DFER on CREMA-D from 0": CREMA_D.emotions,
}
"""Who counts so -> the emotions in that order."""
WORDS = {word for space in KNOWN.values() for word in space} | set(SPELLINGS)
"""What a folder must be called to hold an emotion's name; the aliases of single sets, such as "a", are too short."""


def name_labels(rows: pd.DataFrame, *, emotions: str = "", base: str = "") -> tuple[pd.Series[str], EmotionSet]:
    """The labels of all lists of a data set by name.

    Args:
        rows: columns clip (its path in the list) and label, as text.
        emotions: a known set or names in order, in which numbers count; "" to find it out.
        base: the number of the first emotion, "0" or "1"; "" to find it out.

    Returns:
        The labels, and their emotions: the known set of these names if there is one, whatever their order here.

    Raises:
        DferError: names and numbers mixed, an order or base that cannot be told, or labels that contradict the paths.
    """
    numbers = pd.to_numeric(rows["label"], errors="coerce")
    numeric = numbers.notna() & (numbers % 1 == 0)
    if numeric.any() and not numeric.all():
        others = rows["label"][~numeric].map(repr).unique()
        raise DferError(f"labels must all be whole numbers or all be names; beside numbers there are {listed(others)}")
    told = emotions_in_paths(rows)
    if not numeric.any():
        names = rows["label"]
    elif emotions:
        names = _by_order(numbers.astype(int), choose_emotions(emotions, []), base)
    elif told is not None:
        names = _by_paths(numbers.astype(int), told)
    else:
        raise DferError(_order_wanted(numbers.astype(int)))
    chosen = _known_set(choose_emotions(emotions, sorted(set(names))))
    names = names.map({name: chosen.canonical(name) for name in set(names)})
    if told is not None:
        _check_against_paths(names, told.map(lambda name: chosen.canonical(name) if name in chosen else name), rows)
    return names, chosen


def emotions_in_paths(rows: pd.DataFrame) -> pd.Series[str] | None:
    """The emotion that a folder in each clip's path is called; None unless all paths have one, at the same place."""
    folders = rows["clip"].str.replace("\\", "/", regex=False).str.lower().str.split("/").str[:-1]
    for place in range(1, int(folders.str.len().min()) + 1):
        names: pd.Series[str] = folders.str[-place]
        # a folder that is the same for all clips, whatever their labels, says nothing about them
        if set(names) <= WORDS and names.nunique() >= min(2, rows["label"].nunique()):
            return names.map(lambda name: SPELLINGS.get(name, name))
    return None


def _by_order(numbers: pd.Series[int], order: EmotionSet, base: str) -> pd.Series[str]:
    """Names of numbers that count in a given order, from a base that is given or plain."""
    least, most, count = int(numbers.min()), int(numbers.max()), len(order)
    fitting = [first for first in (0, 1) if base in ("", str(first)) and first <= least and most < count + first]
    if not fitting:
        what = f"from {base}" if base else "all from 0 or all from 1"
        raise DferError(
            f"expected labels of the {count} emotions {listed(order, 12)} that count {what}; found {least} to {most}: "
            "another set of emotions, or lists of two bases"
        )
    if len(fitting) > 1:
        raise DferError(
            f"labels from {least} to {most} of {count} emotions may count from 0 or from 1; say which: -O base=0 or 1"
        )
    logger.warning("labels count from %d: %s", fitting[0], _spelt(dict(enumerate(order, fitting[0]))))
    return numbers.map(dict(enumerate(order, fitting[0])))


def _by_paths(numbers: pd.Series[int], told: pd.Series[str]) -> pd.Series[str]:
    """Names of numbers as the paths tell them."""
    pairs = pd.crosstab(numbers, told)
    meaning: dict[Any, Any] = pairs.idxmax(axis=1).to_dict()
    agreeing = pairs.max(axis=1).sum() / len(numbers)
    if agreeing < 0.9 or len(set(meaning.values())) < len(meaning):
        several = "; ".join(f"{n} stands for {listed(row.index[row > 0])}" for n, row in list(pairs.iterrows())[:3])
        raise DferError(
            f"labels and the emotions in the paths do not go together: {several}; the labels seem to be of other rows, "
            "or the lists to be mixed from two orders"
        )
    who = next(
        (who for who, order in ORDERS.items() for base in (0, 1) if _fits(meaning, order, base)), "no known order"
    )
    logger.warning("the numbers of the labels mean, by the paths, %s (%s)", _spelt(meaning), who)
    return numbers.map(meaning)


def _check_against_paths(names: pd.Series[str], told: pd.Series[str], rows: pd.DataFrame) -> None:
    """Raises when labels contradict the emotions in the paths, and says which order the labels smell like."""
    wrong = names != told
    if not wrong.any():
        return
    hint = "correct these"
    if wrong.mean() > 0.1:
        meaning = pd.crosstab(rows["label"], told).idxmax(axis=1).to_dict()
        hint = f"by the paths, the labels mean {_spelt(meaning)}"
    raise DferError(
        f"the label of {wrong.sum()} of {len(names)} clips is not the emotion in their path: "
        f"{listed(rows['clip'][wrong])}; {hint}"
    )


def _order_wanted(numbers: pd.Series[int]) -> str:
    """The sentence that asks for the order, with those in use that the numbers may be of."""
    least, most = int(numbers.min()), int(numbers.max())
    sizes = (most + 1,) if least == 0 else (most, most + 1)
    fitting = {who: order for who, order in ORDERS.items() if len(order) in sizes} or ORDERS
    told = "; ".join(f"{', '.join(order)} ({who})" for who, order in fitting.items())
    return (
        f"labels are the numbers {least} to {most}, and nothing says what they mean; say it: -O emotions=dfew, or "
        f"names in order. In use are: {told}"
    )


def _known_set(chosen: EmotionSet) -> EmotionSet:
    """The known set of just these emotions, or else the given one."""
    same = (s for s in KNOWN.values() if len(s) == len(chosen) and all(name in s for name in chosen))
    return next(same, chosen)


def _fits(meaning: Mapping[Any, Any], order: tuple[str, ...], base: int) -> bool:
    """Whether numbers mean what they mean in an order."""
    known = dict(enumerate(order, base))
    return all(known.get(number) == name for number, name in meaning.items())


def _spelt(meaning: Mapping[Any, Any]) -> str:
    """What numbers mean, in words."""
    return ", ".join(f"{number} {name}" for number, name in sorted(meaning.items()))
