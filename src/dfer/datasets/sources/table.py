"""A user's own table, CSV or XLSX, in one of two shapes:

    wide    a row a clip: clip, [path, group, fold, split, label], and a column of counts for each emotion; or
            a column of shares, soft_happy ..., of a distribution that is no count of votes (and soft_from: whose)
    long    a row an answer: clip, rater, emotion; the answers are counted

Columns are found by the names in `NAMES`, whatever their case; emotions by name. Paths are relative to the table's
folder. Where there is no path the clip's name is the path, with a suffix or without.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dfer.datasets.columns import COLUMNS
from dfer.datasets.manifest import Manifest
from dfer.datasets.sources.folder import SPLIT_NAMES, choose_emotions, known
from dfer.datasets.sources.options import check_option
from dfer.datasets.sources.sheets import cell_text, find_column, open_table
from dfer.errors import DferError, listed, nearest
from dfer.labels import EmotionSet
from dfer.video.folders import kind_of

logger = logging.getLogger(__name__)

EXPECTED = "a .csv or .xlsx with a row a clip (counts of votes) or a row an answer (clip, rater, emotion)"
NAMES = {
    "id": ("id", "clip", "clip_id", "clip_name", "video_name", "video", "name", "filename", "file", "path"),
    "path": ("path", "file", "filename", "video"),
    "rater": ("rater", "annotator", "rater_id", "annotator_id", "worker", "participant"),
    "emotion": ("emotion", "response", "answer", "vote", "label"),
    "label": ("label", "single_label", "emotion"),
    "group": ("group", "person", "actor", "identity", "subject", "film", "movie"),
    "fold": ("fold", "test_fold"),
    "split": ("split", "subset", "usage"),
}
"""What a column is -> names under which it is looked for, in this order."""
FAMILIES = ("soft_", "weight_", "other_")
"""How columns begin that the manifest knows beside the votes."""
OWN_SHARES = "distribution in the user's own table"
"""`soft_from` of shares of which the table does not say whose they are."""
ABOUT = ("path", "group", "fold", "split", "label")
"""What the rows of one clip must agree on."""


def recognise(root: Path) -> bool:
    """Whether `root` is a table."""
    return root.is_file() and root.suffix.lower() in (".csv", ".xlsx")


def read(root: Path, *, emotions: str = "", clips: str = "", label: str = "majority") -> Manifest:
    """Read a table.

    Args:
        root: the file.
        emotions: a known set ("dfew") or names in order ("happy,sad,bored"); by default the smallest known set that
            has all that are in the table.
        clips: the folder that paths are relative to; by default the table's own.
        label: where the table has no column of labels: "majority" gives a clip the emotion that more than half of its
            voters chose, "none" none.

    Returns:
        A manifest; columns that mean nothing here are kept behind the others. Clips that are not on disk and answers
        without an emotion are left out and counted.

    Raises:
        DferError: a table that cannot be read or has neither shape, an unknown emotion, rows of one clip that
            contradict each other, or no clip on disk.
    """
    check_option("label", label, ("majority", "none"))
    if root.is_dir():
        raise DferError(f"expected {EXPECTED}; got the folder {root}")
    folder = Path(clips) if clips else root.parent
    if not folder.exists():
        raise DferError(f"expected clips to be the folder that paths are relative to; there is no folder {folder}")
    table = open_table(root, EXPECTED)
    found = {what: find_column(table, names) for what, names in NAMES.items()}
    if found["id"] is None:
        names = listed(NAMES["id"], 12)
        raise DferError(f"{root}: expected a column that names the clip ({names}); found {listed(table, 12)}")
    ids = table[found["id"]].map(cell_text)
    if found["emotion"] is not None and (found["rater"] is not None or _is_anonymous(table, ids, found)):
        rows, chosen, silent = _from_answers(table, ids, found, emotions)
    else:
        rows, chosen, silent = *_from_counts(table, ids, found, emotions), 0
    rows = _labelled(rows, chosen, label)
    rows[["path", "kind"]] = _locate(rows["path"] if "path" in rows else rows["id"], folder)
    absent = rows["kind"] == ""
    if absent.all():
        told = f"{listed(rows['path'])}; say where they are: --option clips=FOLDER"
        raise DferError(f"none of the {len(rows)} clips of {root} is in {folder}: {told}")
    if absent.any():
        logger.warning("left out %d clips that are not in %s: %s", absent.sum(), folder, listed(rows["id"][absent]))
    left_out = {"no clip on disk": int(absent.sum()), "answer without an emotion": silent}
    left_out = {reason: count for reason, count in left_out.items() if count}
    return Manifest.build(rows[~absent], emotions=chosen, root=folder, source="table", left_out=left_out)


def _labelled(rows: pd.DataFrame, emotions: EmotionSet, rule: str) -> pd.DataFrame:
    """With the emotion of the majority as the label, where the table gives none."""
    columns = [f"votes_{emotion}" for emotion in emotions]
    if rule == "none" or "label" in rows or not set(columns) <= set(rows):
        return rows
    counts = rows[columns].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)  # others are refused later
    most, ballots = counts.max(axis=1), counts.sum(axis=1)
    names = [emotions[k] if more else "" for k, more in zip(counts.argmax(axis=1), most > ballots / 2, strict=True)]
    return rows.assign(label=names)


def _about(table: pd.DataFrame, ids: pd.Series[str], found: dict[str, Any]) -> pd.DataFrame:
    """The columns id, path, group, fold, split and label, as far as they are there."""
    rows = pd.DataFrame({"id": ids})
    for what in ABOUT:
        if found[what] is not None:
            rows[what] = table[found[what]].map(cell_text)
    if "split" in rows:
        rows["split"] = rows["split"].map(lambda name: SPLIT_NAMES.get(name.lower(), name))
    return rows


def _is_anonymous(table: pd.DataFrame, ids: pd.Series[str], found: dict[str, Any]) -> bool:
    """Whether rows are answers without a rater: clips repeat, and no column counts votes or is called a label."""
    counted = any(known(str(name)) for name in table)
    return bool(ids.duplicated().any()) and not counted and "label" not in str(found["emotion"]).lower()


def _from_answers(
    table: pd.DataFrame, ids: pd.Series[str], found: dict[str, Any], emotions: str
) -> tuple[pd.DataFrame, EmotionSet, int]:
    """One row a clip with its answers counted, and how many answers name no emotion."""
    said = table[found["emotion"]].map(cell_text)
    chosen = choose_emotions(emotions, sorted(set(said) - {""}))
    if found["label"] == found["emotion"]:
        found = found | {"label": None}
    rows = _about(table, ids, found)
    differing = rows.groupby("id", sort=False).nunique().gt(1)
    for what in differing.columns[differing.any()]:
        wrong = differing.index[differing[what]]
        raise DferError(f"rows of one clip differ in their {what}, in {len(wrong)} clips: {listed(wrong)}")
    if found["rater"] is not None:
        twice = pd.DataFrame({"clip": ids, "rater": table[found["rater"]].map(cell_text)})[said != ""]
        twice = twice[twice.duplicated()]
        if len(twice):
            clips = listed(dict.fromkeys(twice["clip"]))
            logger.warning("%d answers are a rater's second to a clip; all count: %s", len(twice), clips)
    answered = said != ""
    named = said[answered].map({name: chosen.canonical(name) for name in set(said[answered])})
    votes = pd.crosstab(ids[answered], named).reindex(columns=list(chosen), fill_value=0).add_prefix("votes_")
    about = rows.drop_duplicates("id").set_index("id")
    return _canonical(about.join(votes).reset_index(), chosen), chosen, int((~answered).sum())


def _from_counts(
    table: pd.DataFrame, ids: pd.Series[str], found: dict[str, Any], emotions: str
) -> tuple[pd.DataFrame, EmotionSet]:
    """One row a clip as it stands, counts and distributions under their emotions' names."""
    rest = [name for name in table if name not in [found[what] for what in ("id", *ABOUT)]]
    rows = _about(table, ids, found)
    labels = sorted(set(rows["label"]) - {""}) if "label" in rows else []
    chosen, counted, shared = _columns(rest, labels, emotions)
    own = {name: str(name) for name in rest}
    own |= {name: f"votes_{chosen.canonical(_spelt(name))}" for name in counted}
    own |= {name: f"soft_{chosen.canonical(_spelt(name))}" for name in shared}
    taken = [*rows, *own.values()]
    twice = [str(name) for name in rest if taken.count(own[name]) > 1]
    if twice:
        raise DferError(f"columns that mean the same: {listed(twice)}; keep one of them")
    rows = rows.join(table[rest].rename(columns=own))
    for prefix, columns in (("votes", counted), ("soft", shared)):
        if columns:
            # an emotion that nobody was offered has none; a clip without any number stays without
            offered = rows[[own[name] for name in columns]].notna().any(axis=1)
            missing = [f"{prefix}_{emotion}" for emotion in chosen if f"{prefix}_{emotion}" not in rows]
            rows = rows.assign(**{name: np.where(offered, 0.0, np.nan) for name in missing})
    if shared and "soft_from" not in rows:
        given = rows.filter(regex="^soft_").notna().any(axis=1)
        rows["soft_from"] = np.where(given, OWN_SHARES, "")
    if counted:
        _warn_of_others([name for name in rest if name not in [*counted, *shared]], table, chosen)
    return _canonical(rows, chosen), chosen


def _columns(rest: list[Any], labels: list[str], emotions: str) -> tuple[EmotionSet, list[Any], list[Any]]:
    """The emotions, the columns that count votes for one of them, and those that hold its share."""
    shared = [name for name in rest if _lower(name).startswith("soft_") and _lower(name) != "soft_from"]
    others = [name for name in rest if name not in shared]
    if emotions:
        chosen = choose_emotions(emotions, [])
        return chosen, [name for name in others if _spelt(name) in chosen], shared
    counted = [name for name in others if known(_spelt(name)) or _lower(name).startswith("votes_")]
    words = [name for name in counted if len(_spelt(name)) > 1]
    if words or shared or labels:  # then an "n" beside "happy" is no "neutral"
        counted = words
    if not (counted or shared or labels):
        raise DferError(f"expected {EXPECTED}; found neither counts nor labels in the columns {listed(rest, 12)}")
    chosen = choose_emotions("", [*map(_spelt, [*counted, *shared]), *labels])
    if not (words or shared or labels) and len(counted) < len(chosen):
        raise DferError(
            f"expected {EXPECTED}; the columns {listed(counted)} may be letters of emotions ({listed(chosen, 12)}), of "
            "which some are missing; give them their names"
        )
    return chosen, counted, shared


def _warn_of_others(rest: list[Any], table: pd.DataFrame, chosen: EmotionSet) -> None:
    """Say which columns may have been meant as votes: emotions that are not in the set, near names, whole numbers."""
    told = []
    for name in rest:
        numbers = pd.to_numeric(table[name], errors="coerce")
        hint = nearest(_spelt(name), chosen)
        reserved = _lower(name) in COLUMNS or _lower(name).startswith(FAMILIES)
        if not reserved and (hint or known(_spelt(name)) or bool((numbers % 1 == 0).all())):
            told.append(f"'{name}'{hint}")
    if told:
        logger.warning("columns that are not counted as votes: %s", listed(told))


def _lower(name: object) -> str:
    return str(name).strip().lower()


def _spelt(name: object) -> str:
    """The emotion that a column is called after, as it is spelt there."""
    return _lower(name).removeprefix("votes_").removeprefix("vote_").removeprefix("soft_")


def _canonical(rows: pd.DataFrame, chosen: EmotionSet) -> pd.DataFrame:
    """With labels under the set's own names."""
    if "label" in rows:
        rows["label"] = [chosen.canonical(label) if label else "" for label in rows["label"]]
    return rows


def _locate(paths: pd.Series[str], folder: Path) -> pd.DataFrame:
    """Path and kind ("" = not there) of each clip; a name without a suffix takes the one that its file has."""
    stems: dict[str, list[str]] = {}
    located = []
    for path in paths.str.replace("\\", "/", regex=False):
        whole = folder / path
        kind = kind_of(whole) if _exists(whole) else ""
        if not kind:
            if not stems:
                for entry in sorted(folder.iterdir()):
                    stems.setdefault(entry.stem, []).append(entry.name)
            names = [name for name in stems.get(path, []) if kind_of(folder / name)]
            if len(names) > 1:
                raise DferError(f"'{path}' may be one of {listed(names)} in {folder}; give the table a column path")
            path, kind = (names[0], kind_of(folder / names[0])) if names else (path, "")
        located.append((path, kind))
    return pd.DataFrame(located, columns=["path", "kind"], index=paths.index)


def _exists(path: Path) -> bool:
    """Whether a file or folder is there; of a member of an archive, whether the archive is."""
    return path.exists() or any(parent.suffix.lower() == ".zip" and parent.is_file() for parent in path.parents)
