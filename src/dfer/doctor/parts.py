"""Checks of what is trained on and tested on: nobody and nothing in both, every class in each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dfer.datasets import Manifest
from dfer.datasets.columns import SPLITS, texts
from dfer.datasets.spelling import near as near_name
from dfer.datasets.spelling import near_names, told
from dfer.doctor.duplicates import Codes, near, same
from dfer.doctor.findings import Case, Finding, count, named
from dfer.errors import DferError, listed
from dfer.labels import hard_labels

Mask = NDArray[np.bool_]

TOLERATED = 0.01
"""Share of a test part that may be trained on before it is a fault: it moves accuracy by a point at most."""
NO_PARTS = "neither folds nor a train and a test split"
SPLIT = "`dfer split` cuts folds or parts by group"
UNSEEN = "nobody looked at the files"


def training_parts(manifest: Manifest) -> list[tuple[str, Mask, Mask]]:
    """Name, training part (N,) and test part (N,) of every fold or of the split; none where nothing is tested."""
    try:
        if manifest.folds:
            return [(f"fold {fold}", *manifest.partition(fold)) for fold in manifest.folds]
        return [("the split", *manifest.partition())]
    except DferError:
        return []


def parts(case: Case) -> Finding:
    """Whether there is something to train and to test on."""
    found = training_parts(case.manifest)
    if not found:
        return Finding("note", NO_PARTS, SPLIT)
    told = "; ".join(f"{name}: {train.sum():,} to train on, {test.sum():,} to test" for name, train, test in found)
    empty = [name for name, train, test in found if not (train.any() and test.any())]
    if empty:
        return Finding("fault", told, f"nothing to train on or to test in {listed(empty)}: {SPLIT}")
    return Finding("ok", told)


def classes_in_parts(case: Case) -> Finding:
    """Whether every class is in every part."""
    found, emotions = training_parts(case.manifest), case.manifest.emotions
    if not found:
        return Finding("unchecked", NO_PARTS)
    labels = _labels(case.manifest)
    nowhere = [name for k, name in enumerate(emotions) if not (labels == k).any()]
    lacking = {
        part: [name for k, name in enumerate(emotions) if name not in nowhere and not (labels[mask] == k).any()]
        for fold, train, test in found
        for part, mask in ((f"{fold} train", train), (f"{fold} test", test))
    }
    told = [f"{part} has no clip of {listed(names, 12)}" for part, names in lacking.items() if names]
    told += [f"no clip at all of {listed(nowhere, 12)}"] if nowhere else []
    if not told:
        return Finding("ok", "every class is trained on and tested in every part")
    if any(names for part, names in lacking.items() if part.endswith("train")):
        return Finding("fault", "; ".join(told), f"what is not trained on cannot be found: {SPLIT}")
    return Finding("note", "; ".join(told), "UAR is the mean over the classes that are tested")


def groups(case: Case) -> Finding:
    """Whether a person or film is both trained on and tested."""
    names = texts(case.manifest.table["group"])
    if not (names != "").any():
        return Finding("unchecked", "no person or film is known (column group)")
    if not training_parts(case.manifest):
        return Finding("unchecked", NO_PARTS)
    wrong = leaked(case.manifest, same(_near(names)))
    if not wrong.any():
        unknown = int((names == "").sum())
        told = "no group is both trained on and tested" + (f"; unknown of {count(unknown, 'clip')}" if unknown else "")
        return Finding("ok", told)
    shared = dict.fromkeys(case.manifest.table["group"][wrong])
    told = f"both trained on and tested: {named(shared, 'group')}, {count(int(wrong.sum()), 'test clip')} of them"
    if case.published is not None and (case.published.folds or case.published.splits):
        advice = f"the published parts are so: say it beside results, or {SPLIT}"
        return Finding("note", told, advice, case.ids(wrong))
    return Finding("fault", told, SPLIT, case.ids(wrong))


def spellings(case: Case) -> Finding:
    """Whether ids or groups differ only in case, in padding or in a suffix: one clip or person under two names."""
    table = case.manifest.table
    found = {what: near_names(table[column].unique()) for what, column in (("clips", "id"), ("groups", "group"))}
    found = {what: groups for what, groups in found.items() if groups}
    if not found:
        return Finding("ok", "no two clips and no two groups have nearly the same name")
    text = "; ".join(f"{what} with nearly the same name: {told(groups)}" for what, groups in found.items())
    wrong = {name for groups in found.values() for several in groups for name in several}
    clips = case.ids(table["id"].isin(wrong) | table["group"].isin(wrong))
    advice = "`dfer split` takes such groups for one; give a clip or person one name in the source, and prepare it anew"
    return Finding("note", text, advice, clips)


def doubles(case: Case) -> Finding:
    """Clips that are there twice: one path in two rows, or the same content."""
    if case.copies is None:
        return Finding("unchecked", UNSEEN)
    unread = sum(bool(lying.fault) for lying in case.disk or ())
    if unread == len(case.manifest):
        return Finding("unchecked", "no clip can be read")
    found = _judge_doubles(case, _copies(case), "the same content")
    return replace(found, found=f"{found.found}; not read: {count(unread, 'clip')}") if unread else found


def near_doubles(case: Case) -> Finding:
    """Clips that look the same."""
    if case.pictures is None or "near" not in case.pictures.asked:
        return Finding("unchecked", "nobody compared pictures; --near does, three frames of every clip")
    rows, bits, small = case.pictures.hashed()
    if not len(rows):
        return Finding("unchecked", "no clip shows anything to compare: plain, or not to be read")
    return _judge_doubles(case, near(rows, bits, small, len(case.manifest)), "the same look")


def validation(case: Case) -> Finding:
    """Whether validation is the test part under another name."""
    split = case.manifest.table["split"].to_numpy()
    if not (split == "val").any() or not (split == "test").any():
        return Finding("unchecked", "no split val: training cuts it from the training part")
    if case.copies is None:
        return Finding("unchecked", UNSEEN)
    copies = _copies(case)
    wrong = (split == "val") & (copies >= 0) & np.isin(copies, copies[split == "test"])
    share = wrong.sum() / (split == "val").sum()
    if not wrong.any():
        return Finding("ok", "no clip of split val is in split test")
    told = f"{named(case.ids(wrong))} of split val are also in split test, {share:.1%} of it"
    advice = "choosing by these clips is choosing by the test part: cut validation from the training part"
    return Finding("fault" if share > TOLERATED else "note", told, advice, case.ids(wrong))


def leaked(manifest: Manifest, codes: Codes) -> Mask:
    """(N,) test clips of whose number (not -1) there is a clip in the training part of their fold."""
    found = np.zeros(len(manifest), dtype=np.bool_)
    for _, train, test in training_parts(manifest):
        found |= test & (codes >= 0) & np.isin(codes, codes[train])
    return found


def _judge_doubles(case: Case, codes: Codes, what: str) -> Finding:
    doubled = codes >= 0
    if not doubled.any():
        return Finding("ok", f"no two clips have {what}")
    labels = _labels(case.manifest)
    told = f"{named(case.ids(doubled))} have {what} as another"
    differing = _differing(codes, labels)
    told += f", {differing:,} of them with another label" if differing else ""
    wrong = leaked(case.manifest, codes)
    if not wrong.any():
        return Finding("note", told, "they count twice; leave the second out", case.ids(doubled))
    tested = np.any([test for _, _, test in training_parts(case.manifest)], axis=0).sum()
    told += f"; {named(case.ids(wrong), 'test clip')}, {wrong.sum() / tested:.1%} of them, are trained on"
    verdict = "fault" if wrong.sum() > TOLERATED * tested else "note"
    leave = case.ids(_in_other_parts(case.manifest, codes, wrong))
    advice = f"leave out their doubles in other parts, {count(len(leave), 'clip')}: --json names them"
    return Finding(verdict, told, advice, leave)


def _in_other_parts(manifest: Manifest, codes: Codes, wrong: Mask) -> Mask:
    """(N,) clips that are not in the part of the first `wrong` clip of their number: without them nothing is shared."""
    folds = manifest.table["fold"].fillna(0).to_numpy(dtype=np.int64)
    part = folds * len(SPLITS) + pd.Index(SPLITS).get_indexer(pd.Index(manifest.table["split"]))
    numbers, rows = np.unique(codes[wrong], return_index=True)
    first = np.full(int(codes.max(initial=0)) + 1, -1, dtype=np.int64)
    first[numbers] = part[wrong][rows]
    return np.asarray((codes >= 0) & (first[codes] >= 0) & (part != first[codes]))


def _near(names: NDArray[np.object_]) -> NDArray[np.object_]:
    """(N,) what near names have in common."""
    codes, different = pd.factorize(names)
    return np.array([near_name(name) for name in different], dtype=object)[codes]


def _differing(codes: Codes, labels: NDArray[np.int64]) -> int:
    """Clips whose doubles have another label, -1 aside."""
    known = (codes >= 0) & (labels >= 0)
    pairs = np.unique(np.stack([codes[known], labels[known]]), axis=1)
    torn = np.unique(pairs[0])[np.unique(pairs[0], return_counts=True)[1] > 1]
    return int((known & np.isin(codes, torn)).sum())


def _copies(case: Case) -> Codes:
    """Doubles by content, or by their path where the content cannot be read."""
    paths = same(case.manifest.table["path"])
    copies = np.asarray(case.copies, dtype=np.int64)
    return np.where(copies >= 0, copies, np.where(paths >= 0, paths + len(copies), -1))


def _labels(manifest: Manifest) -> NDArray[np.int64]:
    """(N,) the source's label, else the most voted emotion; -1 for neither."""
    labels, votes = manifest.labels.copy(), manifest.votes
    rows = (labels < 0) & ~np.isnan(votes).any(axis=1)
    if rows.any():
        labels[rows] = hard_labels(votes[rows], "drop")
    return labels
