"""The Manifest: one table, one row a clip, with all that is known about it. The EmotionSet and the root travel with it.

Columns, always all there:
    id        unique name of the clip
    path      relative to the root ("/" on every system), or absolute; `faces.zip/dir/0001.png` lies in an archive
    kind      video | frames (a folder of images) | image | array (a packed clip)
    group     person or film, "" unknown: what validation and folds must not split
    fold      the fold in whose TEST part the clip is, empty: never tested
    split     train | val | test | ""
    label     the one emotion that the source itself gives, "" none (such as DFEW's non-single-labelled clips)
    frames    number of frames, empty: unknown
    votes_X   how many people voted for emotion X; all empty: no votes
Other columns are kept behind them; `other_X` are ballots that name no emotion, such as FER+'s "unknown".

On disk: CSV whose first line is a comment with the emotions and the root as JSON (`pandas.read_csv(path, skiprows=1)`
reads the rest), or Parquet with the same JSON in its metadata. Counts are kept: a soft label is made from them at the
last moment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from dfer.errors import DferError, listed
from dfer.labels import EmotionSet, check_votes

FORMAT = "dfer.manifest/1"
KINDS = ("video", "frames", "image", "array")
SPLITS = ("train", "val", "test", "")
TEXT = ("id", "path", "kind", "group", "split", "label")
NUMBERS = ("fold", "frames")
COLUMNS = ("id", "path", "kind", "group", "fold", "split", "label", "frames")


@dataclass(frozen=True)
class Manifest:
    """Clips as a table; see the module's text for its columns.

    Attributes:
        table: one row a clip, index 0..N-1.
        emotions: the K emotions of `label` and `votes_*`.
        root: what relative paths are relative to.
        source: the reader that made it, such as "dfew".
        left_out: reason -> how many clips of the source are not in the table.
    """

    table: pd.DataFrame
    emotions: EmotionSet
    root: Path
    source: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def build(
        cls,
        rows: pd.DataFrame,
        *,
        emotions: EmotionSet,
        root: Path,
        source: str = "",
        left_out: Mapping[str, int] | None = None,
    ) -> Manifest:
        """A valid manifest from a table that may lack columns.

        Args:
            rows: at least `id`, `path` and `kind`, and for each clip a `label` or `votes_*`.
            emotions: their emotions, in order.
            root: what relative paths are relative to.
            source: the reader's name.
            left_out: reason -> count of clips that are not in `rows`.

        Raises:
            DferError: what is wrong, and the clips in which.
        """
        manifest = cls(_completed(rows, emotions), emotions, Path(root), source, dict(left_out or {}))
        manifest.validate()
        return manifest

    def __len__(self) -> int:
        return len(self.table)

    @property
    def votes(self) -> npt.NDArray[np.float64]:
        """(N, K) counts; a row of NaN has none."""
        return self.table[[f"votes_{name}" for name in self.emotions]].to_numpy(dtype=np.float64)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """(N,) positions in `emotions`, -1 where the source gives no single label."""
        positions = {name: index for index, name in enumerate(self.emotions)}
        return np.array([positions.get(name, -1) for name in self.table["label"]], dtype=np.int64)

    @property
    def folds(self) -> list[int]:
        """The numbers of the folds, in order; empty where there are none."""
        return sorted(self.table["fold"].dropna().astype(int).unique().tolist())

    def resolve(self, path: str) -> Path:
        """Where a clip lies."""
        return self.root / path

    def select(self, mask: npt.NDArray[np.bool_]) -> Manifest:
        """The rows where `mask` (N,) is true."""
        return replace(self, table=self.table[mask].reset_index(drop=True))

    def partition(self, fold: int | None) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Masks (N,) of the training part and the test part of a fold, or of the split where `fold` is None.

        With folds, the training part is everything that is not in this fold's test part, so also the clips that are
        never tested (DFEW's non-single-labelled ones).

        Raises:
            DferError: no such fold, or neither folds nor splits.
        """
        if self.folds:
            if fold not in self.folds:
                raise DferError(f"expected one of the folds {listed(self.folds, 20)}, got {fold}")
            test = (self.table["fold"] == fold).fillna(False).to_numpy(dtype=bool)
            return ~test, test
        if fold is not None:
            raise DferError(f"this manifest has no folds, so there is no fold {fold}")
        parts = tuple((self.table["split"] == name).to_numpy(dtype=bool) for name in ("train", "test"))
        if not all(part.any() for part in parts):
            raise DferError(
                "expected folds, or clips with split train and split test; fill the manifest's fold or split column"
            )
        return parts[0], parts[1]

    def validate(self) -> None:
        """Raise a DferError that says what is wrong and in which clips, or do nothing."""
        table, ids = self.table, self.table["id"]
        if not len(table):
            raise DferError(f"no clip in this manifest{self._left_out_text()}")
        _refuse(ids, ids == "", "without an id; give each clip a name")
        _refuse(ids, ids.duplicated(keep=False).to_numpy(), "with an id that occurs twice; ids must be unique")
        _refuse(ids, ~table["kind"].isin(KINDS), f"of a kind that is none of {', '.join(KINDS)}")
        _refuse(ids, ~table["split"].isin(SPLITS), "in a split that is none of train, val, test")
        _refuse(ids, (table["fold"] < 1).fillna(False), "in a fold below 1; folds are counted from 1")
        _refuse(
            ids,
            ~table["label"].isin(["", *self.emotions]),
            f"whose label is none of {', '.join(self.emotions)}",
        )
        empty = np.isnan(self.votes).all(axis=1)
        check_votes(self.votes[~empty], ids.to_numpy()[~empty].tolist())
        others = table.filter(regex="^other_").sum(axis=1).to_numpy(dtype=float)
        _refuse(ids, ~empty & (self.votes.sum(axis=1) + others == 0), "with votes that are all zero")
        _refuse(ids, empty & (self.labels < 0), "with neither a label nor votes")

    def _left_out_text(self) -> str:
        return "".join(f"; left out {count}: {reason}" for reason, count in self.left_out.items())

    def write(self, path: Path) -> None:
        """Write as .csv or .parquet, in one go: a killed process leaves no half a file.

        Raises:
            DferError: another suffix, or a folder that cannot be written.
        """
        folder = path.absolute().parent
        partial = path.with_name(path.name + ".partial")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            head = json.dumps(self._head(folder))
            if path.suffix == ".parquet":
                _write_parquet(self.table, partial, head)
            elif path.suffix == ".csv":
                with partial.open("w", encoding="utf-8", newline="") as file:
                    file.write(f"# {FORMAT} {head}\n")
                    self.table.to_csv(file, index=False)
            else:
                raise DferError(f"expected a manifest to end in .csv or .parquet, got {path}")
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise DferError(f"cannot write {path}: {error.strerror or error}") from error

    def _head(self, folder: Path) -> dict[str, Any]:
        root = self.root.absolute()
        emotions = {"name": self.emotions.name, "emotions": list(self.emotions)}
        relative = os.path.relpath(root, folder)
        portable = root == folder or folder in root.parents
        return {
            "emotions": emotions, "root": Path(relative).as_posix() if portable else str(root), "source": self.source,
            "left_out": dict(self.left_out),
        }  # fmt: skip

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read what `write` wrote.

        Raises:
            DferError: no such file, not a manifest, or something wrong in it.
        """
        path = Path(path)
        if not path.is_file():
            raise DferError(f"no manifest at {path}; `dfer prepare` writes one")
        try:
            head, table = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
            emotions = EmotionSet(head["emotions"]["name"], tuple(head["emotions"]["emotions"]))
            root = Path(os.path.normpath(path.absolute().parent / head["root"]))
            return cls.build(table, emotions=emotions, root=root, source=head["source"], left_out=head["left_out"])
        except (
            OSError,
            KeyError,
            TypeError,
            UnicodeDecodeError,
            json.JSONDecodeError,
            pd.errors.ParserError,
        ) as error:
            raise DferError(
                f"{path} is damaged or not a manifest: {error}; write it anew with `dfer prepare`"
            ) from error
        except DferError as error:
            raise DferError(f"{path}: {error}") from error


def _completed(rows: pd.DataFrame, emotions: EmotionSet) -> pd.DataFrame:
    """All columns, in order, each of its type."""
    table = rows.reset_index(drop=True)
    missing = [name for name in ("id", "path", "kind") if name not in table]
    if missing:
        raise DferError(f"expected the columns id, path and kind, {listed(missing)} not there")
    votes = [f"votes_{name}" for name in emotions]
    strangers = [name for name in table if str(name).startswith("votes_") and name not in votes]
    if strangers:
        raise DferError(f"expected votes for {', '.join(emotions)}, found the columns {listed(strangers)}")
    wanted = [*COLUMNS, *votes]
    table = table.reindex(columns=[*wanted, *(name for name in table if name not in wanted)])
    for name in TEXT:
        table[name] = table[name].astype(object).where(table[name].notna(), "").astype(str)
    try:
        for name in NUMBERS:
            table[name] = pd.to_numeric(table[name]).astype("Int64")
        table[votes] = table[votes].astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DferError(f"expected whole numbers in fold and frames and numbers in votes: {error}") from error
    return table


def _refuse(ids: pd.Series[str], wrong: Any, what: str) -> None:
    culprits = ids[np.asarray(wrong, dtype=bool)]
    if len(culprits):
        raise DferError(f"{len(culprits)} clips {what}: {listed(culprits.map(repr))}")


def _read_csv(path: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    with path.open(encoding="utf-8", newline="") as file:
        first = file.readline()
        if not first.startswith(f"# {FORMAT} "):
            raise DferError(
                f"not a manifest (its first line does not say {FORMAT}); "
                f"for a table of your own: dfer prepare table {path}"
            )
        text = dict.fromkeys(TEXT, str)
        return json.loads(first.split(" ", 2)[2]), pd.read_csv(file, dtype=text, keep_default_na=False, na_values=[""])


def _write_parquet(table: pd.DataFrame, path: Path, head: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = pa.Table.from_pandas(table, preserve_index=False)
    pq.write_table(
        arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), FORMAT.encode(): head.encode()}), path
    )


def _read_parquet(path: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        arrow = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise DferError(f"not a Parquet file: {error}") from error
    head = (arrow.schema.metadata or {}).get(FORMAT.encode())
    if head is None:
        raise DferError(f"a Parquet file but not a manifest (no {FORMAT} in its metadata)")
    return json.loads(head), arrow.to_pandas()
