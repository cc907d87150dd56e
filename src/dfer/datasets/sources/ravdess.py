"""RAVDESS: 24 actors who speak and sing two sentences in eight emotions; what a clip is stands in its name.

    Actor_12/02-01-06-01-02-01-12.mp4    modality, channel, emotion, intensity, statement, repetition, actor

    modality     01 with sound, 02 video only, 03 sound only     intensity    01 normal, 02 strong
    channel      01 speech, 02 song                              statement    01 kids, 02 dogs
    emotion      01 neutral ... 08 surprised                     repetition   01, 02

Folders may be nested in any way, and clips be converted or folders of frames. A clip with sound and the one without are
the same take: only one of them is ever read, for a take in both parts would be a leak. There are no votes; the label is
the emotion that was acted.

References: Livingstone and Russo, "The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS)", PLoS ONE
2018.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from dfer.datasets.manifest import Manifest
from dfer.datasets.sources.named_clips import NamedClips, find_named_clips
from dfer.errors import DferError, listed
from dfer.labels import RAVDESS
from dfer.video.folders import walk

logger = logging.getLogger(__name__)

EXPECTED = "folders Actor_01 ... Actor_24 with clips such as 02-01-06-01-02-01-12.mp4"
FIELDS = ("modality", "channel", "emotion", "level", "statement", "repetition", "actor")
NAME = re.compile("-".join(rf"(?P<{field}>\d\d)" for field in FIELDS))
MEANINGS = {
    "modality": {"01": "av", "02": "video", "03": "audio"},
    "channel": {"01": "speech", "02": "song"},
    "emotion": {f"{code:02d}": emotion for code, emotion in enumerate(RAVDESS, start=1)},
    "level": {"01": "normal", "02": "strong"},
    "statement": {"01": "kids", "02": "dogs"},
    "repetition": {"01": "1", "02": "2"},
    "actor": {f"{actor:02d}": f"{actor:02d}" for actor in range(1, 25)},
}
"""Field of a name -> its codes -> what they mean."""
TAKEN = {"av": "clip with sound", "video": "clip without sound", "speech": "speech", "song": "song"}
"""What is left out when something else is wanted, in words."""
SOUND = "sound only"
ACTORS_A_FOLD = 4


def recognise(root: Path) -> bool:
    """Whether `root` looks like RAVDESS."""
    if not root.is_dir():
        return False
    return any(
        NAME.fullmatch(Path(name).stem)
        for folder, folders, files in walk(root, depth=2)
        if folder == root or re.fullmatch(r"actor_\d\d", folder.name.lower())
        for name in [*folders, *files]
    )


def read(
    root: Path,
    *,
    modality: Literal["video", "av"] = "video",
    channel: Literal["speech", "song", "both"] = "speech",
    folds: Literal["", "actors"] = "",
) -> Manifest:
    """Read RAVDESS.

    Args:
        root: its folder.
        modality: "video" takes the clips without sound, "av" the same takes with sound.
        channel: "speech", "song" or "both".
        folds: "actors" tests on actors 1-4, 5-8, ... 21-24 in turn, six subject-independent folds as in published code;
            by default there are none (`dfer split` makes them).

    Returns:
        A manifest with the actors as groups, and the columns channel, level, statement, repetition, actor and sex.
        Left out and counted: sound files, takes of the other modality, the other channel, names with a code that does
        not exist, second copies.

    Raises:
        DferError: an unknown option, or no such clip on disk.
    """
    clips = find_named_clips(root, NAME)
    rows = _fields(clips.table)
    reasons = _reasons(rows, modality, channel)
    left_out = _counted(reasons, clips)
    rows = rows[reasons == ""]
    if rows.empty:
        told = ", ".join(f"{count}: {reason}" for reason, count in left_out.items()) or "nothing with such a name"
        raise DferError(
            f"no clip of modality {modality} and channel {channel} under {root}; found {told}{_hint(reasons)}"
        )
    actors = rows["actor"].astype(int)
    rows = rows.assign(label=rows["emotion"], group=rows["actor"], sex=np.where(actors % 2, "Male", "Female"))
    if folds:
        rows["fold"] = (actors - 1) // ACTORS_A_FOLD + 1
    rows = rows.drop(columns="emotion").rename_axis("id").reset_index()
    return Manifest.build(rows, emotions=RAVDESS, root=root, source="ravdess", left_out=left_out)


def _fields(clips: pd.DataFrame) -> pd.DataFrame:
    """Path, kind and what the name says; NaN for a code that does not exist."""
    codes = clips.index.to_series().str.extract(NAME) if len(clips) else pd.DataFrame(columns=list(FIELDS))
    return clips.join(codes.apply(lambda column: column.map(MEANINGS[str(column.name)])))


def _reasons(rows: pd.DataFrame, modality: str, channel: str) -> pd.Series[str]:
    """Why a clip is left out, "" if it is not."""
    reasons = pd.Series("", index=rows.index, dtype=object)
    if channel != "both":
        other = rows["channel"] != channel
        reasons[other] = rows["channel"][other].map(TAKEN)
    other = rows["modality"] != modality
    reasons[other] = rows["modality"][other].map(TAKEN | {"audio": SOUND})
    reasons[rows[list(FIELDS)].isna().any(axis=1)] = "name with a code that does not exist"
    return reasons


def _counted(reasons: pd.Series[str], clips: NamedClips) -> dict[str, int]:
    """Reason -> count, of everything that has a clip's name and is left out."""
    sound = {name: SOUND for name in clips.reasons if name.startswith("03-")}
    whole = pd.concat([reasons[reasons != ""], pd.Series({**clips.reasons, **sound}, dtype=object)])
    for reason, names in whole.groupby(whole):
        told = logging.INFO if reason in (*TAKEN.values(), SOUND) else logging.WARNING  # as the options say, or not
        logger.log(told, "left out %d clips, %s: %s", len(names), reason, listed(names.index))
    counts = {str(reason): int(count) for reason, count in whole.value_counts().items()}
    return counts | ({"second copy of a clip": clips.copies} if clips.copies else {})


def _hint(reasons: pd.Series[str]) -> str:
    """The option that would read what is there."""
    for option, value in {"modality": "av", "channel": "song"}.items():
        if (reasons == TAKEN[value]).any():
            return f"; read these with --option {option}={value}"
    return ""
