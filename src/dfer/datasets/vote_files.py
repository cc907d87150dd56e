"""Votes of known raters as files: a table, a Manifest with counts, Label Studio's JSON and ELAN's .eaf.

`dfer.datasets.answers` reads the table and both tools' files back: `read_answers` for models of raters, `read_votes` as
votes. A vote names one emotion, several, or none where the rater could not tell. What becomes of it:

                   several emotions                           strengths   when, and how long it took
    table          a row for each, the strongest last         kept        kept
    Label Studio   a list of choices, which is not read back  lost        kept
    ELAN           the clip's time is divided among them; the read back   lost
                   longest one is read back                   is none
    Manifest       each gets a count, and weight_X the mean   mean        lost
                   strength; other_unknown: "cannot tell"

"Cannot tell" is written as the answer "can not tell", and read back, everywhere but in a Manifest, which counts it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from dfer.datasets.manifest import Manifest
from dfer.errors import DferError, listed
from dfer.files import replacing, write_text
from dfer.labels import EmotionSet
from dfer.tables import write_csv

CANNOT_TELL = "can not tell"
"""How a vote that names no emotion is written: readers of answers know the word."""
FULL = 1.0
"""The strength of an emotion whose strength was not asked for."""
LENGTH_S = 1.0
"""Of a clip whose length is not known, in an .eaf."""


@dataclass(frozen=True)
class Vote:
    """What one rater chose for one clip.

    Attributes:
        rater: name.
        clip: name.
        emotions: emotion -> how strongly it shows, 0..1, or None where that was not asked; empty: cannot tell.
        voted_at: the server's time, ISO 8601, UTC; "" unknown.
        seconds: that the rater needed; None: unknown.
    """

    rater: str
    clip: str
    emotions: Mapping[str, float | None]
    voted_at: str = ""
    seconds: float | None = None

    @property
    def by_strength(self) -> list[str]:
        """The emotions, the strongest last."""
        return sorted(self.emotions, key=lambda name: _strength(self.emotions[name]))


@dataclass(frozen=True)
class Clip:
    """A clip as a Manifest has it: name, path (relative to the root) and kind."""

    name: str
    path: str
    kind: str


def votes_table(votes: Iterable[Vote]) -> pd.DataFrame:
    """A row for each emotion of each vote: clip, rater, emotion, strength, voted_at, seconds."""
    rows = [
        {
            "clip": vote.clip, "rater": vote.rater, "emotion": name, "strength": vote.emotions.get(name),
            "voted_at": vote.voted_at, "seconds": vote.seconds,
        }
        for vote in votes
        for name in vote.by_strength or [CANNOT_TELL]
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["clip", "rater", "emotion", "strength", "voted_at", "seconds"])


def write_votes(votes: Sequence[Vote], path: Path) -> None:
    """Write the table as .csv.

    Raises:
        UnwritableError: the system refuses.
    """
    with replacing(path) as partial:
        write_csv(votes_table(votes), partial)


def counted(votes: Sequence[Vote], clips: Sequence[Clip], *, emotions: EmotionSet, root: Path) -> Manifest:
    """A Manifest of the clips that somebody voted on; those without a vote are counted in `left_out`.

    weight_X is the mean strength with which those who chose X saw it, where strengths were asked for.

    Raises:
        DferError: no vote, a vote on an unknown clip or for an unknown emotion.
    """
    rows = {clip.name: number for number, clip in enumerate(clips)}
    unknown = sorted({vote.clip for vote in votes} - set(rows))
    if unknown:
        raise DferError(f"votes on clips that are not there: {listed(unknown)}; export all clips of the study")
    counts, strengths = (np.zeros((len(clips), len(emotions))) for _ in range(2))
    other = np.zeros(len(clips))
    graded = any(value is not None for vote in votes for value in vote.emotions.values())
    for vote in votes:
        other[rows[vote.clip]] += not vote.emotions
        for name, value in vote.emotions.items():
            place = rows[vote.clip], emotions.index(name)
            counts[place] += 1
            strengths[place] += _strength(value)
    table = pd.DataFrame([vars(clip) for clip in clips]).rename(columns={"name": "id"})
    table[[f"votes_{name}" for name in emotions]] = counts
    table["other_unknown"] = other
    if graded:
        table[[f"weight_{name}" for name in emotions]] = np.divide(
            strengths, counts, out=np.full_like(counts, np.nan), where=counts > 0
        )
    voted = counts.sum(axis=1) > 0
    left_out = {"clip without a vote": int((~voted & (other == 0)).sum())}
    left_out["clip that nobody could tell"] = int((~voted & (other > 0)).sum())
    return Manifest.build(
        table[voted], emotions=emotions, root=root, source="studio",
        left_out={reason: count for reason, count in left_out.items() if count},
    )  # fmt: skip


def write_label_studio(votes: Sequence[Vote], path: Path) -> None:
    """Write Label Studio's JSON: a task a clip, an annotation a vote.

    Raises:
        UnwritableError: the system refuses.
    """
    of_clip: dict[str, list[Vote]] = {}
    for vote in votes:
        of_clip.setdefault(vote.clip, []).append(vote)
    tasks = [
        {"id": number, "data": {"video": clip}, "annotations": [_annotation(vote) for vote in cast]}
        for number, (clip, cast) in enumerate(of_clip.items(), 1)
    ]
    write_text(path, json.dumps(tasks, ensure_ascii=False, indent=1) + "\n")


def _annotation(vote: Vote) -> dict[str, Any]:
    choices = vote.by_strength or [CANNOT_TELL]
    result = {"from_name": "emotion", "to_name": "video", "type": "choices", "value": {"choices": choices}}
    told = {"completed_by": {"email": vote.rater}, "result": [result], "lead_time": vote.seconds}
    return told | ({"created_at": vote.voted_at} if vote.voted_at else {})


def write_elan(votes: Sequence[Vote], folder: Path, *, lengths_s: Mapping[str, float]) -> None:
    """Write a folder with an .eaf for each clip, which has a tier for each rater.

    Args:
        votes: on the clips.
        folder: new, or one that is replaced.
        lengths_s: clip -> seconds; a clip that is not there is taken to last for `LENGTH_S`.

    Raises:
        UnwritableError: the system refuses.
    """
    of_clip: dict[str, list[Vote]] = {}
    for vote in votes:
        of_clip.setdefault(vote.clip, []).append(vote)
    with replacing(folder, folder=True) as partial:
        for number, (clip, cast) in enumerate(of_clip.items(), 1):
            tree = ElementTree.ElementTree(_document(clip, cast, lengths_s.get(clip) or LENGTH_S))
            # a number in front: names of clips may differ in what no file system tells apart
            name = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in clip)[:80]
            tree.write(partial / f"{number:05}_{name}.eaf", encoding="utf-8", xml_declaration=True)


def _document(clip: str, votes: Sequence[Vote], length_s: float) -> ElementTree.Element:
    root = ElementTree.Element("ANNOTATION_DOCUMENT", AUTHOR="dfer", FORMAT="3.0", VERSION="3.0")
    header = ElementTree.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    ElementTree.SubElement(
        header, "MEDIA_DESCRIPTOR", MEDIA_URL="", RELATIVE_MEDIA_URL=_visible(clip), MIME_TYPE="video/mp4"
    )
    slots = ElementTree.SubElement(root, "TIME_ORDER")
    count = 0
    for number, vote in enumerate(votes, 1):
        names = vote.by_strength or [CANNOT_TELL]
        shares = np.array([max(_strength(vote.emotions.get(name)), 1e-3) for name in names])
        ends = np.rint(1000 * length_s * np.cumsum(shares) / shares.sum()).astype(int).tolist()
        tier = ElementTree.SubElement(
            root, "TIER", TIER_ID=f"{number} {_visible(vote.rater)}", ANNOTATOR=_visible(vote.rater),
            LINGUISTIC_TYPE_REF="emotion",
        )  # fmt: skip
        for name, start, end in zip(names, [0, *ends], ends, strict=False):
            for place, time in (("1", start), ("2", end)):
                ElementTree.SubElement(slots, "TIME_SLOT", TIME_SLOT_ID=f"ts{count}_{place}", TIME_VALUE=str(time))
            mark = ElementTree.SubElement(
                ElementTree.SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", ANNOTATION_ID=f"a{count}",
                TIME_SLOT_REF1=f"ts{count}_1", TIME_SLOT_REF2=f"ts{count}_2",
            )  # fmt: skip
            ElementTree.SubElement(mark, "ANNOTATION_VALUE").text = _visible(name)
            count += 1
    ElementTree.SubElement(root, "LINGUISTIC_TYPE", LINGUISTIC_TYPE_ID="emotion", TIME_ALIGNABLE="true")
    return root


def _visible(text: str) -> str:
    """Text without the control characters that XML has no way to write."""
    return "".join(letter for letter in text if letter >= " ")


def _strength(value: float | None) -> float:
    return FULL if value is None else value
