"""Checks of files and pictures: are they there, whole, in order, readable, and is there a face in them?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from dfer.doctor.findings import Case, Finding, count, named
from dfer.errors import listed

UNSEEN = "nobody looked at the files"
AGAIN = "get these files again, or prepare anew to leave the clips out"


def files(case: Case) -> Finding:
    """Whether every clip is on disk and whole, as far as its ends show."""
    if case.disk is None:
        return Finding("unchecked", UNSEEN)
    ids, faults = _faulty(case, [lying.fault for lying in case.disk])
    if not ids:
        return Finding("ok", f"all {count(len(case.disk), 'clip')} are on disk, with a beginning and an end")
    reasons = Counter(fault.partition(": ")[2] if fault.startswith("frame ") else fault for fault in faults)
    told = f"{len(ids):,} of {count(len(case.disk), 'clip')} cannot be used: "
    told += "; ".join(f"{number:,} {reason}" for reason, number in reasons.most_common(5))
    shown = (f"{name}: {why}" if why.startswith("frame ") else name for name, why in zip(ids, faults, strict=True))
    return Finding("fault", f"{told} ({listed(shown)})", AGAIN, ids)


def frames(case: Case) -> Finding:
    """Whether folders have as many frames as the manifest says, numbered without gaps and in order."""
    if case.disk is None:
        return Finding("unchecked", UNSEEN)
    if not (case.manifest.table["kind"] == "frames").any():
        return Finding("unchecked", "no clip is a folder of frames")
    told = case.manifest.table["frames"].fillna(0).to_numpy(dtype=np.int64)
    here = np.array([lying.frames for lying in case.disk])
    changed = case.ids((told > 0) & (here > 0) & (told != here))
    if changed:
        text = f"another number of frames than when it was prepared: {named(changed)}"
        return Finding("fault", text, "get the frames again, or prepare anew", changed)
    ids, odd = _faulty(case, [lying.numbering for lying in case.disk])
    if not ids:
        return Finding("ok", "folders of frames are numbered without gaps, and read in the order of the numbers")
    reasons = Counter(odd)
    text = "; ".join(f"{reason}: {count(number, 'clip')}" for reason, number in reasons.most_common())
    text = f"{text} ({listed(ids)})"
    if set(reasons) == {"a gap in the numbers"}:
        advice = "where a detector found no face this is usual; else get the frames again"
        return Finding("note", text, advice, ids)
    return Finding("fault", text, "number the frames in the order of time", ids)


def pictures(case: Case) -> Finding:
    """Whether every clip can be decoded."""
    if case.pictures is None:
        return Finding("unchecked", "nothing was decoded; --decode decodes a frame of every clip")
    ids, faults = _faulty(case, [look.fault for look in case.pictures.looks])
    if not ids:
        return Finding("ok", f"all {count(len(case.manifest), 'clip')} can be decoded")
    shown = listed(f"{name}: {why}" for name, why in zip(ids, faults, strict=True))
    return Finding("fault", f"{count(len(ids), 'clip')} cannot be decoded: {shown}", AGAIN, ids)


def faces(case: Case) -> Finding:
    """Whether there is a face in every clip."""
    if case.pictures is None or "faces" not in case.pictures.asked:
        return Finding("unchecked", "nobody looked for faces; --faces does, in three frames of every clip")
    without = case.ids([not look.fault and not look.faces for look in case.pictures.looks])
    if not without:
        return Finding("ok", "a face was found in every clip that can be read")
    told = f"no face found in {named(without)} of {len(case.manifest):,}"
    return Finding("note", told, "look at these: a detector also misses faces that are turned, dark or cut", without)


def _faulty(case: Case, faults: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """The ids of the clips with which something is wrong, and what that is."""
    return case.ids([fault != "" for fault in faults]), [fault for fault in faults if fault]
