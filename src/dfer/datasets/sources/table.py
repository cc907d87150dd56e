"""A user's own table, CSV or XLSX, in one of two shapes:

    wide    a row a clip: clip, [path, group, fold, split, label], and a column of counts for each emotion
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

from dfer.datasets.manifest import Manifest
from dfer.datasets.sources.folder import SPLIT_NAMES, choose_emotions, kind_of, known
from dfer.errors import DferError, listed, nearest
from dfer.labels import EmotionSet

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
    table = open_table(root)
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
    folder = Path(clips) if clips else root.parent
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
    if rule not in ("majority", "none"):
        raise DferError(f"expected label to be majority or none, got '{rule}'")
    columns = [f"votes_{emotion}" for emotion in emotions]
    if rule == "none" or "label" in rows or not set(columns) <= set(rows):
        return rows
    counts = rows[columns].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)  # others are refused later
    most, ballots = counts.max(axis=1), counts.sum(axis=1)
    names = [emotions[k] if more else "" for k, more in zip(counts.argmax(axis=1), most > ballots / 2, strict=True)]
    return rows.assign(label=names)


def open_table(path: Path) -> pd.DataFrame:
    """The table, every cell as it was typed."""
    try:
        if path.suffix.lower() == ".xlsx":
            return pd.read_excel(path, dtype=object, keep_default_na=False, na_values=[""])
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
        separator = max(",;\t", key=header.count)
        table = pd.read_csv(path, dtype=str, sep=separator, encoding="utf-8-sig", keep_default_na=False, na_values=[""])
    except Exception as error:  # openpyxl raises whatever a damaged archive makes it stumble over
        raise DferError(f"{path} cannot be read as a table ({error!r:.200}); expected {EXPECTED}, in UTF-8") from error
    if not isinstance(table.index, pd.RangeIndex):  # pandas took the first column for names of rows
        raise DferError(f"{path} has more cells in its rows than names in its header; is there a delimiter too many?")
    return table


def cell_text(value: object) -> str:
    """A cell as text, "" if it is empty."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    return str(value).strip()


def find_column(table: pd.DataFrame, names: tuple[str, ...]) -> Any:
    """The table's own name of the first column that is called one of `names`, or None."""
    own = {str(name).strip().lower(): name for name in reversed(table.columns)}
    return next((own[name] for name in names if name in own), None)


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
    """One row a clip as it stands, counts under their emotions' names."""
    rest = [name for name in table if name not in [found[what] for what in ("id", *ABOUT)]]
    spelt = {name: str(name).strip().lower().removeprefix("votes_").removeprefix("vote_") for name in rest}
    rows = _about(table, ids, found)
    if emotions:
        chosen = choose_emotions(emotions, [])
        counted = [name for name in rest if spelt[name] in chosen]
    else:
        counted = [name for name in rest if known(spelt[name]) or str(name).lower().startswith("votes_")]
        if any(len(spelt[name]) > 1 for name in counted):  # then an "n" beside "happy" is no "neutral"
            counted = [name for name in counted if len(spelt[name]) > 1]
        labels = sorted(set(rows["label"]) - {""}) if "label" in rows else []
        if not counted and not labels:
            raise DferError(f"expected {EXPECTED}; found neither counts nor labels in the columns {listed(table, 12)}")
        chosen = choose_emotions("", [*(spelt[name] for name in counted), *labels])
    own = {name: f"votes_{chosen.canonical(spelt[name])}" if name in counted else str(name) for name in rest}
    taken = [*rows, *own.values()]
    twice = [str(name) for name in rest if taken.count(own[name]) > 1]
    if twice:
        raise DferError(f"columns that mean the same: {listed(twice)}; keep one of them")
    rows = rows.join(table[rest].rename(columns=own))
    if counted:
        # an emotion that nobody was offered has no votes; a clip without any count stays without
        offered = rows[[own[name] for name in counted]].notna().any(axis=1)
        missing = [emotion for emotion in chosen if f"votes_{emotion}" not in rows]
        rows = rows.assign(**{f"votes_{emotion}": np.where(offered, 0.0, np.nan) for emotion in missing})
        near = [f"'{name}'{hint}" for name in rest if name not in counted and (hint := nearest(spelt[name], missing))]
        if near:
            logger.warning("columns that are not counted as votes: %s", listed(near))
    return _canonical(rows, chosen), chosen


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
