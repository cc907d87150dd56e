"""A user's own table, CSV or XLSX, in one of two shapes:

    wide    a row a clip: clip, [path, group, fold, split, label], and a column of counts for each emotion
    long    a row a response: clip, rater, emotion; the counts are added up

Columns are found by their usual names, whatever their case. Paths are relative to the table's folder; without a path
column the clip's name is the path.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dfer.datasets.manifest import Manifest
from dfer.datasets.sources.folder import choose_emotions, kind_of
from dfer.errors import DferError, listed
from dfer.labels import KNOWN, EmotionSet

EXPECTED = "a .csv or .xlsx with a row a clip (counts of votes) or a row a response (clip, rater, emotion)"
NAMES = {
    "id": (
        "id",
        "clip",
        "clip_id",
        "clip_name",
        "clipname",
        "video",
        "video_name",
        "name",
        "file",
        "filename",
    ),
    "path": ("path", "file", "filename", "video"),
    "rater": ("rater", "annotator", "worker", "participant", "rater_id", "annotator_id"),
    "emotion": ("emotion", "response", "vote", "label", "answer"),
    "label": ("label", "single_label"),
    "group": ("group", "person", "actor", "identity", "subject", "film", "movie"),
    "fold": ("fold", "test_fold"),
    "split": ("split", "usage", "subset"),
}
"""Column of the manifest -> names under which it is looked for, in this order."""


def recognise(root: Path) -> bool:
    """Whether `root` is a table."""
    return root.is_file() and root.suffix.lower() in (".csv", ".xlsx")


def read(root: Path, *, emotions: str = "", clips: str = "") -> Manifest:
    """Read a table.

    Args:
        root: the file.
        emotions: a known set ("dfew") or names in order ("happy,sad,other"); by default the smallest known set that has
            all that are in the table.
        clips: the folder that paths are relative to; by default the table's own.

    Returns:
        A manifest; clips that are not on disk are left out and counted.
    """
    table = _open(root)
    base = Path(clips) if clips else root.parent
    columns = {target: _find(table, names) for target, names in NAMES.items()}
    if columns["id"] is None:
        raise DferError(
            f"{root} has no column that names the clip: expected one of {listed(NAMES['id'], 12)}, "
            f"found {listed(table, 12)}"
        )
    if columns["rater"] is not None and columns["emotion"] is not None:
        rows, chosen = _from_responses(table, columns, emotions)
    else:
        rows, chosen = _from_counts(table, columns, emotions, root)
    rows["path"] = rows["path"] if "path" in rows else rows["id"]
    rows["kind"] = [kind_of(base / path) if (base / path).exists() else "" for path in rows["path"]]
    there = rows[rows["kind"] != ""]
    if not len(there):
        raise DferError(
            f"none of the {len(rows)} clips of {root} is in {base}: {listed(rows['path'])}; "
            "say where: --option clips=FOLDER"
        )
    left_out = {"clip not on disk": len(rows) - len(there)} if len(there) < len(rows) else {}
    return Manifest.build(there, emotions=chosen, root=base, source="table", left_out=left_out)


def _open(path: Path) -> pd.DataFrame:
    try:
        return (
            pd.read_excel(path, dtype=object)
            if path.suffix.lower() == ".xlsx"
            else pd.read_csv(path, dtype=object, sep=None, engine="python")
        )
    except Exception as error:  # openpyxl raises whatever a damaged archive makes it stumble over
        raise DferError(
            f"{path} cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
        ) from error


def _find(table: pd.DataFrame, names: tuple[str, ...]) -> str | None:
    own = {str(name).strip().lower(): str(name) for name in table}
    return next((own[name] for name in names if name in own), None)


def _described(table: pd.DataFrame, columns: dict[str, str | None]) -> pd.DataFrame:
    """The columns that describe clips, under the manifest's names."""
    wanted = [name for name in ("id", "path", "group", "fold", "split") if columns[name] is not None]
    rows = pd.DataFrame({name: table[columns[name]] for name in wanted})
    rows["id"] = rows["id"].astype(str).str.strip()
    return rows


def _from_responses(
    table: pd.DataFrame, columns: dict[str, str | None], emotions: str
) -> tuple[pd.DataFrame, EmotionSet]:
    said = table[columns["emotion"]].astype(str).str.strip()
    chosen = choose_emotions(emotions, sorted(said.unique()))
    rows = _described(table, columns)
    votes = pd.crosstab(rows["id"], said.map(chosen.canonical)).reindex(columns=list(chosen), fill_value=0)
    described = rows.drop_duplicates("id").set_index("id")
    return described.join(votes.add_prefix("votes_").astype(float)).reset_index(), chosen


def _from_counts(
    table: pd.DataFrame, columns: dict[str, str | None], emotions: str, root: Path
) -> tuple[pd.DataFrame, EmotionSet]:
    named = {name: str(name).strip().lower().removeprefix("votes_").removeprefix("vote_") for name in table}
    taken = {column for column in columns.values() if column is not None}
    if emotions:
        chosen = choose_emotions(emotions, [])
        counts = {name: text for name, text in named.items() if name not in taken and text in chosen}
    else:
        counts = {
            name: text
            for name, text in named.items()
            if name not in taken and any(text in known for known in KNOWN.values())
        }
        labels = (
            []
            if columns["label"] is None
            else sorted({str(value) for value in table[columns["label"]].dropna()} - {""})
        )
        if not counts and not labels:
            raise DferError(
                f"{root} has neither counts of emotions nor labels; expected {EXPECTED}, "
                f"found the columns {listed(table, 12)}"
            )
        chosen = choose_emotions("", [*counts.values(), *labels])
    rows = _described(table, columns)
    for name, text in counts.items():
        rows[f"votes_{chosen.canonical(text)}"] = pd.to_numeric(table[name], errors="coerce").astype(float)
    for name in chosen:
        if counts and f"votes_{name}" not in rows:
            rows[f"votes_{name}"] = 0.0
    if columns["label"] is not None:
        rows["label"] = [
            chosen.canonical(str(value)) if pd.notna(value) and str(value) else "" for value in table[columns["label"]]
        ]
    return rows, chosen
