"""Checks by counting: clips, classes, their order and clip lengths, against what is published of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from dfer.datasets.published import DOUBLE
from dfer.doctor.findings import Case, Finding, count, named
from dfer.errors import listed
from dfer.labels import EmotionSet

Counts = NDArray[np.int64]

SHORT = 16
"""Frames that recipes take of a clip; one that has fewer shows some twice."""
LIKE = 0.02
"""How far a count may lie from a published one and still be told to be it: a copy may lack a few clips."""
INCOMPLETE = "get the missing clips, or say so beside every result"


def left_out(case: Case) -> Finding:
    """What the reader left out, and why."""
    reasons = case.manifest.left_out
    if not reasons:
        return Finding("ok", "nothing was left out when it was prepared")
    told = listed((f"{number:,}: {reason}" for reason, number in reasons.items()), 12)
    return Finding("note", told, "see that each is a good reason")


def clips(case: Case) -> Finding:
    """The number of clips."""
    here = count(len(case.manifest), "clip")
    if case.published is None:
        return Finding("unchecked", f"{here}; {_unpublished(case)}")
    doubles = sum(number for reason, number in case.manifest.left_out.items() if reason.startswith(DOUBLE))
    here += f" and {doubles:,} left out as doubles" if doubles else ""
    there, more = case.published.clips, len(case.manifest) + doubles - case.published.clips
    if not more:
        return Finding("ok", f"{here}, as published")
    if more < 0:
        return Finding("note", f"{here} of {there:,} published: {-more:,} are missing", INCOMPLETE)
    advice = "see what they are: results on them do not compare with published ones"
    return Finding("note", f"{here}, {more:,} more than the {there:,} published", advice)


def classes(case: Case) -> Finding:
    """The sizes of parts and of the classes in them."""
    rows = [] if case.published is None else list(_compared(case))
    if not rows:
        return Finding("unchecked", _unpublished(case))
    other = [f"{what} {here:,} (published {there:,})" for what, here, there in rows if here != there]
    if not other:
        return Finding("ok", f"all {len(rows)} counts of parts and classes are the published ones")
    told = f"{len(other)} of {len(rows)} counts of parts and classes differ: {listed(other)}"
    return Finding("note", told, INCOMPLETE)


def order(case: Case) -> Finding:
    """Whether labels have their names, by how many clips each has: another order or base gives other counts."""
    emotions = case.manifest.emotions
    if all(name.strip().isdecimal() for name in emotions):
        first = min(int(name) for name in emotions)
        told = f"the emotions are called {listed(emotions, 12)}: numbers that count from {first}, with no names"
        return Finding("fault", told, "give them their names, in order: -O emotions=happy,sad,...")
    counted = _class_counts(case)
    if counted is None:
        return Finding("unchecked", _unpublished(case))
    here, there = counted
    if _alike(here, there):
        return Finding("ok", "every class has about as many clips as published")
    base = _wrong_base(here, there)
    if base:
        return Finding("fault", base, "say the base: -O base=0 or -O base=1, or give the labels as names")
    taken = taken_for(emotions, _best_order(here, there))
    if taken:
        told = f"the counts are the published ones of other emotions: {taken}"
        return Finding("fault", told, "give the order of the labels (-O emotions=...), or names instead")
    return Finding("unchecked", "the class counts fit the published ones in no order: see class counts")


def lengths(case: Case) -> Finding:
    """Least, median and greatest number of frames, and the clips that are short."""
    frames = clip_frames(case)
    known = frames > 0
    if not known.any():
        return Finding("unchecked", "numbers of frames are not known: --near and --faces decode all of a video")
    least, middle, most = (int(value) for value in np.percentile(frames[known], [0, 50, 100]))
    told = f"{least} to {most} frames, median {middle}" if most > 1 else "stills of one frame"
    told += f"; unknown of {count(int((~known).sum()), 'clip')}" if not known.all() else ""
    usual = case.published.frames if case.published is not None else None
    if usual is not None and abs(middle - usual[1]) > 0.1 * usual[1]:
        told += f"; published {usual[0]} to {usual[2]}, median {usual[1]}"
        return Finding("note", told, "these are other extracts of the clips: results do not compare")
    short = case.ids((frames < SHORT) & known)
    if short and most > 1:
        told += f"; fewer than {SHORT}: {named(short)}"
        return Finding("note", told, "keep them: frames are repeated; do not leave them out of tests", short)
    return Finding("ok", told)


def clip_frames(case: Case) -> Counts:
    """(N,) frames of each clip, as the manifest says, as they lie there or as they were decoded; 0 unknown."""
    frames = case.manifest.table["frames"].fillna(0).to_numpy(dtype=np.int64)
    for looked in (case.disk, None if case.pictures is None else case.pictures.looks):
        if looked is not None:
            frames = np.where(frames > 0, frames, [clip.frames for clip in looked])
    return frames


def taken_for(emotions: EmotionSet, place: Mapping[int, int]) -> str:
    """In words, which emotion (a key) carries the name of which (its value); "" where all have their own."""
    return ", ".join(f"{emotions[true]} is called {emotions[name]}" for name, true in place.items() if name != true)


def _best_order(here: Counts, there: Counts) -> dict[int, int]:
    """Position here -> position in the published counts that fits it, if all fit; else nothing."""
    cost = np.abs(here[:, None] - there[None, :])
    rows, columns = linear_sum_assignment(cost)
    return dict(zip(rows.tolist(), columns.tolist(), strict=True)) if _alike(here[rows], there[columns]) else {}


def _wrong_base(here: Counts, there: Counts) -> str:
    """In words, whether every class has the published count of its neighbour."""
    if len(here) > 2 and _alike(here[:-1], there[1:]):
        return "every class has the published count of the next one: labels that count from 0 were read as from 1"
    if len(here) > 2 and _alike(here[1:], there[:-1]):
        return "every class has the published count of the one before: labels that count from 1 were read as from 0"
    return ""


def _alike(here: Counts, there: Counts) -> bool:
    return bool((np.abs(here - there) <= np.maximum(LIKE * there, 2)).all())


def _class_counts(case: Case) -> tuple[Counts, Counts] | None:
    """(K,) clips of each class here and as published, in all or in the parts of which it is known."""
    if case.published is None:
        return None
    manifest, labels = case.manifest, case.manifest.labels
    by_split = case.published.split_per_class
    tables = [case.published.per_class] if case.published.per_class else list(by_split.values())
    names = {name for table in tables for name in table}
    if not names or not names <= set(manifest.emotions):
        return None
    if not case.published.per_class:
        labels = labels[manifest.table["split"].isin(list(by_split)).to_numpy()]
    here = np.bincount(labels[labels >= 0], minlength=len(manifest.emotions))
    there = np.array([sum(table.get(name, 0) for table in tables) for name in manifest.emotions])
    return here, there


def _compared(case: Case) -> Iterator[tuple[str, int, int]]:
    """What is counted, how many there are here, and how many as published."""
    manifest, published = case.manifest, case.published
    if published is None:
        return
    label, fold, split = (manifest.table[name] for name in ("label", "fold", "split"))
    if published.single is not None:
        yield "single labels", int((label != "").sum()), published.single
    for name, number in published.per_class.items():
        yield name, int((label == name).sum()), number
    for name, number in published.per_scene.items() if "scene" in manifest.table else ():
        yield f"scene {name}", int((manifest.table["scene"] == name).sum()), number
    if manifest.folds:
        for number, (train, test) in published.folds.items():
            tested = (fold == number).fillna(False)
            yield f"fold {number} train", int(((label != "") & ~tested).sum()), train
            yield f"fold {number} test", int(tested.sum()), test
            for name, clips in published.tested_per_class.get(number, {}).items():
                yield f"fold {number} test {name}", int((tested & (label == name)).sum()), clips
    for part, number in published.splits.items():
        yield f"split {part}", int((split == part).sum()), number
        for name, clips in published.split_per_class.get(part, {}).items():
            yield f"split {part} {name}", int(((split == part) & (label == name)).sum()), clips


def _unpublished(case: Case) -> str:
    source = case.manifest.source
    return f"no such figures are known of {source}" if source else "it is not known which data set this is"
