"""The doctor's rounds: what is looked at, in which order, and whether training on the data set is sound."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from dfer.datasets import Manifest
from dfer.datasets.published import PUBLISHED
from dfer.doctor import answers, counts, media, parts
from dfer.doctor.disk import survey
from dfer.doctor.duplicates import exact
from dfer.doctor.findings import Case, Finding
from dfer.doctor.pictures import view
from dfer.errors import require_known

Watch = Callable[[str], Callable[[int, int], None]]
"""Told what is done next; gives a callback of how much of it is done and how much there is."""

CHECKS: dict[str, Callable[[Case], Finding]] = {
    "left out": counts.left_out,
    "clips": counts.clips,
    "class counts": counts.classes,
    "label order": counts.order,
    "votes and labels": answers.votes_and_labels,
    "votes": answers.panels,
    "other votes": answers.other_votes,
    "soft labels": answers.soft_labels,
    "names": parts.spellings,
    "files": media.files,
    "frames": media.frames,
    "clip lengths": counts.lengths,
    "pictures": media.pictures,
    "faces": media.faces,
    "doubles": parts.doubles,
    "near doubles": parts.near_doubles,
    "train and test": parts.parts,
    "classes in parts": parts.classes_in_parts,
    "groups": parts.groups,
    "validation": parts.validation,
}
"""All checks by name, in the order in which they are told: counts, answers, files, parts."""


@dataclass(frozen=True)
class Examination:
    """What was looked at, and what every check found."""

    case: Case
    findings: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        """Whether training and testing on the data set does not mislead: no check found a fault."""
        return all(finding.verdict != "fault" for finding in self.findings)


def examine(
    manifest: Manifest, *, published: str = "", looks: Collection[str] = (), watch: Watch | None = None
) -> Examination:
    """Examine a data set.

    Args:
        manifest: its clips.
        published: the data set whose published figures hold, a key of `PUBLISHED`; by default that of the reader.
        looks: what to decode for, of `pictures.LOOKS`; without, files are looked at but not decoded.
        watch: is told how far it is.

    Raises:
        DferError: no figures are known of that data set, or another look.
    """
    if published:
        require_known("no published figures of", published, PUBLISHED)
    watched = watch or (lambda _: lambda _done, _total: None)
    disk = survey(manifest, watched("looking at files"))
    case = Case(
        manifest,
        PUBLISHED.get(published or manifest.source),
        disk,
        exact(manifest, disk, watched("reading clips of the same size")),
        view(manifest, looks, progress=watched("decoding clips")) if looks else None,
    )
    return Examination(case, tuple(replace(check(case), check=name) for name, check in CHECKS.items()))
