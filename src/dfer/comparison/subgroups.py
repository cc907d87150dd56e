"""Where a model is good and where it is not: its scores by a property of the clip or of the person, and the gaps.

Conventions: an attribute gives each clip a value. Numbers are cut into terciles of the test clips, texts are
categories; categories of few clips are pooled as "others", clips without a value are a group of their own, "not known".
A group has all main scores, but is compared with others only where it can say something: `FEWEST_CLIPS` labelled clips,
of `FEWEST_PERSONS` persons where these are known, and a value.

The gap of an attribute is the largest difference of WAR between two of its groups. Its interval and p value take into
account that it was looked for: they hold for all pairs of groups at once. Both are the more cautious of two:

- drawing test clips anew, whole persons or films where known: clips of five people say little about a group, however
  many they are. This allows that groups differ in how much their clips vary, but a small group that is all right shows
  no variation at all, and would count as certain.
- dealing the groups out anew, as if they made no difference: persons who are in one group change places with each
  other, and the clips of one who is in several groups with each other. This is exact for few clips, and for all right,
  too.

All tests of a page are one family in Holm's correction.

A gap does not say why: groups may differ in what they show, in how clearly, and in how they were filmed and judged.

References:
    Hothorn, Bretz and Westfall, "Simultaneous inference in general parametric models", Biometrical Journal 2008, and
    Romano and Wolf, Econometrica 2005: the largest of studentised differences, by bootstrap.
    Hesterberg, "What teachers should know about the bootstrap", The American Statistician 2015: what the bootstrap
    lacks in small samples.
    Pesarin and Salmaso, "Permutation tests for complex data", 2010: permutation within and between blocks.
    Wilson, "Probable inference", JASA 1927: the interval of a share, for as many clips as the spread speaks of.
    Buolamwini and Gebru, "Gender shades", FAT* 2018; Xu et al., "Investigating bias and fairness in facial expression
    recognition", ECCV workshops 2020: why accuracy is to be told by group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from dfer.comparison.alignment import group_names
from dfer.comparison.paired import Tested
from dfer.comparison.sign_flips import Interval
from dfer.comparison.significance import CONFIDENCE, bootstrap, holm
from dfer.errors import DferError, listed
from dfer.metrics.predictions import Predictions
from dfer.metrics.protocol import Scores, measure

Floats = NDArray[np.float64]

FEWEST_CLIPS = 20
"""A category with fewer is pooled with others like it, and no group with fewer labelled clips is compared."""
FEWEST_PERSONS = 5
"""A group of fewer persons is not compared: their clips tell of them, not of the group."""
MOST_CATEGORIES = 12
"""Of an attribute; the smallest are pooled beyond it."""
MOST_CODES = 3
"""Numbers with so few values are codes, not amounts: each is a category."""
DRAWS = 2_000
LENGTH = "frames"
"""The attribute that is a clip's length."""
OTHERS, UNKNOWN = "others", "not known"


class Groups(NamedTuple):
    """An attribute's groups: what they are called, and which one each clip is in (N,).

    `meant` is false for "others" and "not known", which are no group of people.
    """

    names: list[str]
    members: NDArray[np.int64]
    meant: list[bool]


@dataclass(frozen=True)
class GroupScores(Scores):
    """The scores of a group of clips.

    Attributes:
        name: of the group.
        persons: whom the labelled clips show; None where persons are unknown.
        interval: of WAR, 0 to 1; None where the group is not compared.
    """

    name: str
    persons: int | None
    interval: Interval | None


@dataclass(frozen=True)
class Gap(Tested):
    """The largest difference of WAR between two groups, called `high` and `low`, 0 to 1."""

    high: str
    low: str


@dataclass(frozen=True)
class Subgroups:
    """The scores by an attribute, and the largest gap; None with less than two groups to compare."""

    attribute: str
    groups: list[GroupScores]
    gap: Gap | None


def divide(values: Sequence[object]) -> Groups:
    """Terciles of numbers or categories of texts; see the module's text.

    Args:
        values: (N,) of any kind; None, NaN and blank texts are not known.

    >>> divide([20, 25, 31, 44, 50, 72, None]).names
    ['20–25', '31–44', '50–72', 'not known']
    """
    texts = np.array([_text(value) for value in values], dtype=object)
    known = texts != ""
    numbers = _numbers(texts[known])
    if numbers is not None and len(set(numbers.tolist())) > MOST_CODES:
        names, inside = _terciles(numbers)
        meant = [True] * len(names)
    else:
        names, inside, meant = _categories(texts[known])
    members = np.full(len(texts), len(names))
    members[known] = inside
    missing = [UNKNOWN] if not known.all() else []
    return Groups(names + missing, members, meant + [False] * len(missing))


def by_groups(
    runs: Mapping[str, Predictions],
    attributes: Mapping[str, Mapping[str, object]],
    *,
    persons: Mapping[str, str] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, list[Subgroups]]:
    """The scores of runs by group.

    Args:
        runs: name -> predictions.
        attributes: name -> {clip: value}.
        persons: clip -> person or film, "" unknown; whole ones are drawn then.
        draws: samples of the bootstrap.
        seed: of the bootstrap.

    Returns:
        {run: one entry an attribute}.

    Raises:
        DferError: an attribute that says nothing of some clips (give None for what is not known).
    """
    told: dict[str, list[Subgroups]] = {name: [] for name in runs}
    clips = list(dict.fromkeys(clip for run in runs.values() for clip in run.ids))
    for attribute, values in attributes.items():
        groups = divide(_values(attribute, values, clips))
        place = dict(zip(clips, groups.members, strict=True))
        for name, run in runs.items():
            own = groups._replace(members=np.array([place[clip] for clip in run.ids], dtype=np.int64))
            told[name].append(Subgroups(attribute, *_scored(run, own, persons, draws=draws, seed=seed)))
    corrected = iter(holm([part.gap.p for parts in told.values() for part in parts if part.gap]))
    return {
        name: [replace(part, gap=part.gap and replace(part.gap, holm=next(corrected))) for part in parts]
        for name, parts in told.items()
    }


def _values(attribute: str, values: Mapping[str, object], clips: Sequence[str]) -> list[object]:
    missing = [clip for clip in clips if clip not in values]
    if missing:
        raise DferError(
            f"expected a value of '{attribute}' for every clip, None where it is not known; "
            f"{len(missing)} of {len(clips)} clips have no entry: {listed(missing)}"
        )
    return [values[clip] for clip in clips]


def _scored(
    run: Predictions, groups: Groups, persons: Mapping[str, str] | None, *, draws: int, seed: int
) -> tuple[list[GroupScores], Gap | None]:
    """The groups of one run and the gap, its p value not corrected yet."""
    names = None if persons is None else group_names(run.ids, persons)
    inside = [groups.members == place for place in range(len(groups.names))]
    parts = [
        GroupScores(
            **vars(measure(run.select(rows))), name=name, persons=_persons(names, rows & run.labelled), interval=None
        )
        for name, rows in zip(groups.names, inside, strict=True)
    ]
    compared = [place for place, part in enumerate(parts) if groups.meant[place] and _speaks(part)]
    if not compared:
        return parts, None
    rows = np.stack([inside[place] for place in compared], axis=1) & run.labelled[:, None]
    chosen = [parts[place] for place in compared]
    wars = np.array([part["war"] for part in chosen], dtype=np.float64)
    drawn = _expanded(_sampled(run, rows, names, draws=draws, seed=seed), chosen, wars)
    for place, war, sample in zip(compared, wars, drawn.T, strict=True):
        parts[place] = replace(parts[place], interval=_interval(float(war), _size(parts[place]), sample))
    if len(chosen) < 2:
        return parts, None
    right = run.probs.argmax(axis=1) == run.labels
    dealt = _dealt(rows, right, names, draws=draws, seed=seed)
    return parts, _gap([part.name for part in chosen], wars, drawn - wars, dealt)


def _persons(names: NDArray[np.object_] | None, rows: NDArray[np.bool_]) -> int | None:
    """How many persons the clips show; a clip of an unknown one counts as one."""
    if names is None:
        return None
    shown = names[rows]
    return len(set(shown[shown != ""])) + int((shown == "").sum())


def _speaks(part: GroupScores) -> bool:
    """Whether a group is large enough to be compared."""
    return part.n >= FEWEST_CLIPS and (part.persons is None or part.persons >= FEWEST_PERSONS)


def _sampled(
    run: Predictions, inside: NDArray[np.bool_], names: NDArray[np.object_] | None, *, draws: int, seed: int
) -> Floats:
    """WAR of each group, (draws, G), of `inside` (N, G); NaN where a sample has none of its clips."""
    right = inside & (run.probs.argmax(axis=1) == run.labels)[:, None]
    table = np.hstack([inside, right]).astype(np.float64)[run.labelled]
    drawn = None if names is None else names[run.labelled]
    clips, hits = np.split(bootstrap(table, np.random.default_rng(seed), draws=draws, groups=drawn), 2, axis=1)
    return hits / np.where(clips > 0, clips, np.nan)


def _expanded(samples: Floats, parts: Sequence[GroupScores], wars: Floats) -> Floats:
    """The samples (draws, G) of small groups moved away from the group's own WAR.

    With n persons (or clips) the bootstrap's spread is that of a variance over n where n - 1 is due, and its tails are
    normal where Student's are due. The samples move by as much: at 100 that is 1.7 %, at 8 it is 29 %.
    """
    size = np.array([_size(part) for part in parts])
    factor = (
        np.sqrt(size / (size - 1)) * stats.t.ppf((1 + CONFIDENCE) / 2, size - 1) / stats.norm.ppf((1 + CONFIDENCE) / 2)
    )
    return np.asarray(wars + factor * (samples - wars))


def _size(part: GroupScores) -> int:
    """Persons of a group, or clips where they are not known."""
    return part.n if part.persons is None else part.persons


def _dealt(
    inside: NDArray[np.bool_], right: NDArray[np.bool_], names: NDArray[np.object_] | None, *, draws: int, seed: int
) -> Floats:
    """How far WAR of each group lies from that of all, (draws, G), if the groups (N, G) are dealt out anew."""
    rows = np.flatnonzero(inside.any(axis=1))
    generator, inside, right = np.random.default_rng(seed), inside[rows], right[rows]
    # clips of unknown persons may all change places with each other: they are one block, as all are without names
    persons, block = np.unique(np.full(len(rows), "") if names is None else names[rows], return_inverse=True)
    clips = np.stack([np.bincount(block, column) for column in inside.T], axis=1).astype(np.int64)
    hits = np.bincount(block, right).astype(np.int64)
    several = ((clips > 0).sum(axis=1) > 1) | (persons == "")
    found = np.zeros((draws, inside.shape[1]))
    for members, wanted in zip(clips[several], hits[several], strict=True):
        found += generator.multivariate_hypergeometric(members, wanted, size=draws)
    size = np.tile(clips[several].sum(axis=0), (draws, 1)).astype(np.float64)
    group, whole = clips[~several].argmax(axis=1), clips[~several].sum(axis=1)
    for draw in range(draws if len(group) else 0):
        anew = generator.permutation(group)
        found[draw] += np.bincount(anew, hits[~several], inside.shape[1])
        size[draw] += np.bincount(anew, whole, inside.shape[1])
    return np.asarray(found / np.where(size > 0, size, np.nan) - right.mean())


def _gap(names: Sequence[str], scores: Floats, *chances: Floats) -> Gap:
    """The largest difference of WAR between two groups, its interval and p value, which hold for all pairs at once.

    Args:
        names: of the groups.
        scores: their WAR, (G,).
        chances: ways in which chance may move WAR of the groups, (draws, G) each; the most cautious one counts.
    """
    pairs = np.array(list(combinations(range(len(names)), 2)))
    differences = scores[pairs[:, 0]] - scores[pairs[:, 1]]
    chosen = int(np.argmax(np.abs(differences)))
    high, low = pairs[chosen] if differences[chosen] >= 0 else pairs[chosen][::-1]
    size = float(abs(differences[chosen]))
    found = [_chance(moved[:, pairs[:, 0]] - moved[:, pairs[:, 1]], chosen, size) for moved in chances]
    margin, p = (max(values) for values in zip(*found, strict=True))
    interval = (max(-1.0, size - margin), min(1.0, size + margin))
    return Gap(difference=size, interval=interval, p=p, holm=None, high=names[high], low=names[low])


def _chance(errors: Floats, chosen: int, size: float) -> tuple[float, float]:
    """Margin and p value of the chosen pair's difference, given the errors (draws, pairs) of all pairs."""
    spread = np.nanstd(errors, axis=0, ddof=1).clip(1e-12)  # of groups that are all right or all wrong, 0
    # what chance alone does to the pair that it moves most; a sample without a group's clips does not move it
    largest = np.nan_to_num(np.abs(errors) / spread).max(axis=1)
    extreme = int((largest >= size / spread[chosen] - 1e-9).sum())  # ties count, whatever the rounding
    return float(np.quantile(largest, CONFIDENCE) * spread[chosen]), (extreme + 1) / (len(largest) + 1)


def _interval(war: float, size: int, sample: Floats) -> Interval:
    """Wilson's interval of a group's WAR, for as many clips alike as would vary as much as its sample does.

    Where all are right or all wrong nothing varies: each person (or clip), `size` of them, counts as one then.
    """
    spread = np.nanvar(sample, ddof=1)
    clips = war * (1 - war) / spread if spread > 1e-12 else size
    square = stats.norm.ppf((1 + CONFIDENCE) / 2) ** 2 / clips
    middle, half = (war + square / 2) / (1 + square), np.sqrt(square * (war * (1 - war) + square / 4)) / (1 + square)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def _text(value: object) -> str:
    """A value as text, "" where it is not known."""
    return "" if pd.isna(value) else str(value).strip()  # type: ignore[call-overload]


def _numbers(texts: NDArray[np.object_]) -> Floats | None:
    """The texts as numbers; None where one is none."""
    try:
        numbers = texts.astype(np.float64)
    except ValueError:
        return None
    return numbers if len(numbers) and np.isfinite(numbers).all() else None


def _terciles(numbers: Floats) -> tuple[list[str], NDArray[np.int64]]:
    """Three groups of about as many clips; equal numbers are never parted, so that there may be fewer."""
    edges = np.quantile(numbers, [1 / 3, 2 / 3])
    place = np.searchsorted(edges, numbers, side="left")
    found, members = np.unique(place, return_inverse=True)
    ends = [(numbers[place == third].min(), numbers[place == third].max()) for third in found]
    digits = next((some for some in range(6, 17) if _told_apart(ends, some)), 17)
    texts = [[f"{end:.{digits}g}" for end in (low, high)] for low, high in ends]
    return ["–".join(dict.fromkeys(text)) for text in texts], members.astype(np.int64)


def _told_apart(ends: Sequence[tuple[float, float]], digits: int) -> bool:
    """Whether no end of a group reads like one of another group."""
    texts = [{f"{end:.{digits}g}" for end in pair} for pair in ends]
    return sum(map(len, texts)) == len(set().union(*texts))


def _categories(texts: NDArray[np.object_]) -> tuple[list[str], NDArray[np.int64], list[bool]]:
    """Categories by name, the small ones pooled behind them."""
    found, members, counts = np.unique(texts.astype(str), return_inverse=True, return_counts=True)
    by_size = sorted(range(len(found)), key=lambda place: (-counts[place], found[place]))
    kept = sorted(place for place in by_size[:MOST_CATEGORIES] if counts[place] >= FEWEST_CLIPS)
    small = [place for place in range(len(found)) if place not in kept]
    new = np.full(len(found), len(kept))
    new[kept] = np.arange(len(kept))
    # one small category alone keeps its name: nothing is gained by hiding it
    rest = [] if not small else [found[small[0]] if len(small) == 1 else f"{OTHERS} ({len(small)} categories)"]
    names = [str(name) for name in [*found[kept], *rest]]
    return names, new[members].astype(np.int64), [True] * len(kept) + [False] * len(rest)
