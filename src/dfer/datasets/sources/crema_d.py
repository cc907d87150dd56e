"""CREMA-D: 7,442 clips of 91 actors who play six emotions, with the votes of some ten people on face, voice and both.

    processedResults/tabulatedVotes.csv    a row a clip and modality: votes A D F H N S, clip, sum, winner, mean levels
    VideoFlash/1001_DFA_ANG_XX.flv ...     clips: actor, sentence, acted emotion, acted level; or converted, anywhere
    VideoDemographics.csv                  actor, age, sex, race, ethnicity; optional

The first digit of a row's name is the modality: 1 voice alone, 2 face alone, 3 both. Only the votes on the face say
what can be seen, so they are the default; in a third of the clips they do not name the emotion that was acted.
`weight_X` is the mean level (1 to 100) that those who voted for X gave.

References: Cao, Cooper, Keutmann, Gur, Nenkova and Verma, "CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset",
IEEE TAFFC 2014.
"""

from __future__ import annotations

import logging
import re
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from dfer.datasets.manifest import Manifest
from dfer.datasets.sources.named_clips import NamedClips, find_named_clips, is_pointer
from dfer.datasets.sources.sheets import read_table
from dfer.errors import DferError, listed, refuse
from dfer.labels import CREMA_D, hard_labels
from dfer.video.folders import walk

logger = logging.getLogger(__name__)

EXPECTED = "processedResults/tabulatedVotes.csv and the clips of VideoFlash/"
VOTE_TABLE = "tabulatedVotes.csv"
NAME = re.compile(r"(?P<actor>\d{4})_(?P<sentence>[A-Z]{3})_(?P<acted>ANG|DIS|FEA|HAP|NEU|SAD)_(?P<level>LO|MD|HI|XX?)")
MODALITIES = {"voice": 1, "video": 2, "both": 3}
"""What people heard or saw -> first digit of the row's name."""
LETTERS = ("A", "D", "F", "H", "N", "S")
VOTES = [f"votes_{CREMA_D.canonical(letter)}" for letter in LETTERS]
LEVELS = {
    f"mean{name}Resp": f"weight_{CREMA_D.canonical(name)}"
    for name in ("Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad")
}
BAD_CLIPS = ("1064_IEO_DIS_MD", "1064_TIE_SAD_XX", "1076_MTI_NEU_XX", "1076_MTI_SAD_XX")
"""Named in the data set's README: the first runs for a minute and holds all emotions, the others have no sound."""
DEMOGRAPHICS = {"ActorID": "actor", "Age": "age", "Sex": "sex", "Race": "race", "Ethnicity": "ethnicity"}
FIRST_ACTOR, ACTORS_A_FOLD, FOLDS = 1001, 18, 5


def recognise(root: Path) -> bool:
    """Whether `root` looks like CREMA-D."""
    return root.is_dir() and _vote_table(root) is not None


def read(
    root: Path,
    *,
    modality: Literal["voice", "video", "both"] = "video",
    label: Literal["votes", "acted"] = "votes",
    folds: Literal["", "actors"] = "",
    votes_only: bool = False,
) -> Manifest:
    """Read CREMA-D.

    Args:
        root: its folder.
        modality: whose votes: "video" of those who saw the face alone, "voice" of those who heard the voice alone, or
            "both".
        label: "votes" is the one emotion with most votes, none where several have; "acted" the one that was played.
        folds: "actors" tests on actors 1-18, 19-36, 37-54, 55-72 and 73-91 in turn, the subject-independent folds of
            published code; by default there are none (`dfer split` makes them).
        votes_only: keep every row of the vote table, also of clips that are bad or not on disk, whose path is
            where they would be: for statistics, not for training.

    Returns:
        A manifest with the actors as groups, and the columns actor, sentence, acted, level, modality, age, sex, race
        and ethnicity. Left out and counted: clips that are not on disk or not downloaded, and the four bad ones.

    Raises:
        DferError: an unknown option, a vote table that contradicts itself, or no clip on disk.
    """
    path = _vote_table(root)
    if path is None:
        raise DferError(f"no {VOTE_TABLE} under {root}: expected {EXPECTED}; it is in the repository of CREMA-D")
    clips = find_named_clips(root, NAME)
    rows = _votes(path, modality)
    rows = rows.join(rows.index.str.extract(NAME).set_index(rows.index)).join(clips.table)
    rows["acted"] = rows["acted"].map(CREMA_D.canonical)
    rows["label"] = rows["acted"] if label == "acted" else _most_voted(rows)
    if folds:
        rows["fold"] = ((rows["actor"].astype(int) - FIRST_ACTOR) // ACTORS_A_FOLD + 1).clip(1, FOLDS)
    rows = rows.join(_demographics(root, path), on="actor").assign(
        id=rows.index, group=rows["actor"], modality=modality
    )
    left_out: dict[str, int] = {}
    if votes_only:
        rows = _with_places(rows, root, path)
    else:
        rows, left_out = _on_disk(rows, clips, root)
    return Manifest.build(rows, emotions=CREMA_D, root=root, source="crema_d", left_out=left_out)


def _vote_table(root: Path) -> Path | None:
    """The vote table, at most two folders down."""
    return next((folder / VOTE_TABLE for folder, _, files in walk(root, depth=2) if VOTE_TABLE in files), None)


def _votes(path: Path, modality: str) -> pd.DataFrame:
    """Votes and mean levels of one modality by the clip's name."""
    if is_pointer(path):
        raise DferError(f"{path} is a git-LFS pointer, not a table: download it with `git lfs pull`")
    table = read_table(path)
    missing = [name for name in (*LETTERS, "fileName", "numResponses", "emoVote") if name not in table]
    twice = listed(map(repr, table.columns[table.columns.duplicated()]))
    if missing or twice:
        raise DferError(
            f"{path}: expected the columns of CREMA-D's {VOTE_TABLE}; missing: {listed(missing)}, twice: {twice}"
        )
    row = table.iloc[:, 0].str.strip()
    refused = partial(refuse, of=f"rows of {path}", advice="get the table again")
    refused(~row.str.fullmatch(r"[123]\d{5}"), row, "have no name from 100001 to 399999, which tells the modality")
    refused(~table["fileName"].str.fullmatch(NAME), row, "name no clip of CREMA-D")
    table = table.set_index(row)[(row.str[0] == str(MODALITIES[modality])).to_numpy()]
    if table.empty:
        raise DferError(f"{path} has no row of modality {modality} ({MODALITIES[modality]}xxxxx); get the table again")
    refused(table["fileName"].duplicated(keep=False), table.index, "name a clip that another row names")
    counts = table[[*LETTERS, "numResponses"]].apply(pd.to_numeric, errors="coerce")
    votes = counts[list(LETTERS)].to_numpy()
    wrong = ~(votes.sum(axis=1) == counts["numResponses"])
    refused(wrong, table.index, "have votes that do not sum to numResponses")
    top = votes == votes.max(axis=1, keepdims=True)
    won = [":".join(letter for letter, most in zip(LETTERS, row, strict=True) if most) for row in top]
    told = table["emoVote"].map(lambda letters: ":".join(sorted(letters.split(":"))))
    refused(told != won, table.index, "have an emoVote that is not the emotion with most votes")
    levels = table.reindex(columns=list(LEVELS)).apply(pd.to_numeric, errors="coerce")
    levels = levels.where(levels >= 0)  # -1: nobody voted so
    columns = [*VOTES, *LEVELS.values()]
    return pd.DataFrame(np.hstack([votes, levels]), index=table["fileName"].rename(None), columns=columns)


def _most_voted(rows: pd.DataFrame) -> list[str]:
    """The one emotion with most votes, "" where several have."""
    return ["" if k < 0 else CREMA_D[k] for k in hard_labels(rows[VOTES], ties="drop", ids=rows.index.tolist())]


def _demographics(root: Path, votes: Path) -> pd.DataFrame:
    """Age, sex, race and ethnicity by actor, from beside the vote table or above it."""
    places = [folder / "VideoDemographics.csv" for folder in (votes.parent.parent, votes.parent, root)]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        logger.warning("no VideoDemographics.csv under %s: age, sex, race and ethnicity stay unknown", root)
        return pd.DataFrame()
    table = read_table(path)
    missing = [name for name in DEMOGRAPHICS if name not in table]
    if missing or table["ActorID"].duplicated().any():
        raise DferError(f"{path}: expected a row an actor with {listed(DEMOGRAPHICS)}; missing: {listed(missing)}")
    return table.set_index("ActorID")[list(DEMOGRAPHICS)[1:]].rename(columns=DEMOGRAPHICS)


def _with_places(rows: pd.DataFrame, root: Path, votes: Path) -> pd.DataFrame:
    """Every row with a path: where its clip is, or where it would be."""
    home = votes.parent.parent if votes.parent.name == "processedResults" and votes.parent != root else votes.parent
    prefix = (home.relative_to(root) / "VideoFlash").as_posix()
    would_be = pd.Series([f"{prefix}/{name}.flv" for name in rows.index], index=rows.index)
    return rows.assign(path=rows["path"].fillna(would_be), kind=rows["kind"].fillna("video"))


def _on_disk(rows: pd.DataFrame, clips: NamedClips, root: Path) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows that have a good clip, and reason -> count of the others."""
    reasons = pd.Series("", index=rows.index)
    absent = reasons.index[rows["path"].isna()]
    reasons.update(pd.Series({name: clips.reasons.get(name, "no clip on disk") for name in absent}))
    if len(absent) == len(rows):
        causes = ", ".join(f"{count}: {reason}" for reason, count in reasons.value_counts().items())
        raise DferError(
            f"none of the {len(rows)} clips is under {root} ({causes}); get VideoFlash (from its repository: "
            "`git lfs pull`), or look at the votes alone: --option votes_only=true"
        )
    reasons[reasons.index.isin(BAD_CLIPS)] = "bad clip, named in the data set's README"
    for reason, names in reasons[reasons != ""].groupby(reasons):
        logger.warning("left out %d clips, %s: %s", len(names), reason, listed(names.index))
    left_out = {str(reason): int(count) for reason, count in reasons[reasons != ""].value_counts().items()}
    left_out |= {
        "clip on disk without votes": len(clips.table.index.difference(rows.index)),
        "second copy of a clip": clips.copies,
    }
    return rows[reasons == ""], {reason: count for reason, count in left_out.items() if count}
