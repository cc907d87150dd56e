"""Checks of files and pictures: are they there, whole, in order, readable, and is there a face in them?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from dfer.doctor.findings import Case, Finding, count, named
from dfer.errors import listed

UNSEEN = "nobody looked at the files"


def files(case: Case) -> Finding:
    """Whether every clip is on disk and whole, as far as its ends show."""
    if case.disk is None:
        return Finding("unchecked", UNSEEN)
    faults = _by_id(case, [lying.fault for lying in case.disk])
    if not faults:
        return Finding("ok", f"all {count(len(case.disk), 'clip')} are on disk, with a beginning and an end")
    reasons = Counter(fault.partition(": ")[2] if fault.startswith("frame ") else fault for fault in faults.values())
    told = f"{len(faults):,} of {count(len(case.disk), 'clip')} cannot be used: "
    told += "; ".join(f"{number:,} {reason}" for reason, number in reasons.most_common(5))
    told += f" ({listed(f'{name}: {fault}' if fault.startswith('frame ') else name for name, fault in faults.items())})"
    return Finding("fault", told, "get these files again, or prepare anew to leave the clips out", tuple(faults))


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
    odd = _by_id(case, [lying.numbering for lying in case.disk])
    if not odd:
        return Finding("ok", "folders of frames are numbered without gaps, and read in the order of the numbers")
    reasons = Counter(odd.values())
    text = "; ".join(f"{reason}: {count(number, 'clip')}" for reason, number in reasons.most_common())
    text = f"{text} ({listed(odd)})"
    if set(reasons) == {"a gap in the numbers"}:
        advice = "where a detector found no face this is usual; else get the frames again"
        return Finding("note", text, advice, tuple(odd))
    return Finding("fault", text, "number the frames in the order of time", tuple(odd))


def pictures(case: Case) -> Finding:
    """Whether every clip can be decoded."""
    if case.pictures is None:
        return Finding("unchecked", "nothing was decoded; --decode decodes a frame of every clip")
    faults = _by_id(case, [look.fault for look in case.pictures.looks])
    if not faults:
        return Finding("ok", f"all {count(len(case.manifest), 'clip')} can be decoded")
    told = f"{count(len(faults), 'clip')} cannot be decoded: {listed(f'{name}: {why}' for name, why in faults.items())}"
    return Finding("fault", told, "get these files again, or prepare anew to leave the clips out", tuple(faults))


def faces(case: Case) -> Finding:
    """Whether there is a face in every clip."""
    if case.pictures is None or "faces" not in case.pictures.asked:
        return Finding("unchecked", "nobody looked for faces; --faces does, in three frames of every clip")
    without = case.ids([not look.fault and not look.faces for look in case.pictures.looks])
    if not without:
        return Finding("ok", "a face was found in every clip that can be read")
    told = f"no face found in {named(without)} of {len(case.manifest):,}"
    return Finding("note", told, "look at these: a detector also misses faces that are turned, dark or cut", without)


def _by_id(case: Case, faults: Sequence[str]) -> dict[str, str]:
    """Id -> what is wrong, of the clips with which something is."""
    return {name: fault for name, fault in zip(case.manifest.table["id"], faults, strict=True) if fault}
