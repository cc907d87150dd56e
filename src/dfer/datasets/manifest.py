"""The Manifest: one table, one row a clip, with all that is known about it; its emotions and root travel with it.

Columns, always all there and in this order (their types, and what is refused, are in `columns`):
    id        unique name of the clip
    path      relative to the root ("/" on every system), or absolute; `faces.zip/dir/0001.png` lies in an archive
    kind      video | frames (a folder of images) | image | array (a packed clip: .npy, or a
              place in a shard, `shard-00003.arrow#00017`, see `dfer.shards`)
    group     person or film, "" unknown: what validation must not split
    fold      the fold in whose TEST part the clip is, empty: never tested
    split     train | val | test | ""
    label     the one emotion that the source itself gives, "" none (such as DFEW's non-single-labelled clips)
    frames    number of frames, empty: unknown
    votes_X   how many people voted for emotion X; all empty: no votes

Two families follow where a source gives them, for all of its emotions or for none:
    soft_X    how much of the clip belongs to emotion X: a distribution that is no count of votes; sums to one, or is
              empty; `soft_from` says where it comes from ("published distribution")
    weight_X  how strongly those who voted for X saw it, in the source's own unit; empty: unknown

Others are kept behind them (CSV gives them back as text); `other_X` are votes that name no emotion, such as FER+'s
"unknown".

On disk: CSV whose first line is a comment, `# dfer.manifest/1 {"emotions": ...}`, with emotions, root, source, counts
of clips left out and the number of those written as JSON (`pandas.read_csv(path, skiprows=1)` reads the rest), or
Parquet with the same JSON in its metadata. `dfer.tables` says how text that a spreadsheet would run is written to CSV,
and what is too large to be read. Counts are kept as they are: a soft label is made from them at the last
moment. A distribution that somebody else made stays in its own columns, so that it can never pass for votes.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel

from dfer.datasets.columns import ESTIMATED, STRING, TEXT, WHOLE, check, completed, family
from dfer.documents import checked, parse_json
from dfer.errors import DferError, listed
from dfer.files import replacing
from dfer.labels import EmotionSet
from dfer.tables import is_text, read_csv, read_parquet, release, write_csv

logger = logging.getLogger(__name__)

FORMAT = "dfer.manifest/1"
SUFFIXES = (".csv", ".parquet")

BEGINS = f"# {FORMAT} "
NUMBERS = ("votes_", "soft_", "weight_", "other_")
"""How columns of numbers begin; soft_from is none."""

Mask = NDArray[np.bool_]


class _Emotions(BaseModel):
    name: str
    emotions: list[str]


class _Head(BaseModel):
    """What is said once, of all clips."""

    emotions: _Emotions
    root: str
    source: str
    left_out: dict[str, int]
    clips: int | None = None


@dataclass(frozen=True)
class Manifest:
    """Clips as a table; see the module's text for its columns. Made by `build` or `read`, which validate.

    Attributes:
        table: one row a clip, index 0..N-1.
        emotions: the K emotions of `label`, `votes_*`, `soft_*` and `weight_*`.
        root: what relative paths are relative to, absolute.
        source: the reader that made it, such as "dfew".
        left_out: reason -> how many clips of the source are not in the table.
        file: where `read` found it; None for one that was made or changed since.
    """

    table: pd.DataFrame
    emotions: EmotionSet
    root: Path
    source: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)
    file: Path | None = None

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
            rows: at least `id`, `path` and `kind`, and for each clip a `label`, `votes_*` or `soft_*`.
            emotions: their emotions, in order.
            root: what relative paths are relative to.
            source: the reader's name.
            left_out: reason -> count of clips that are not in `rows`.

        Raises:
            DferError: what is wrong, and in which clips.
        """
        table = completed(rows, emotions)
        if not len(table):
            told = "".join(f"; left out {count}: {reason}" for reason, count in (left_out or {}).items())
            raise DferError(f"there is no clip in this manifest{told}")
        check(table, emotions)
        return cls(table, emotions, _absolute(root), source, dict(left_out or {}))

    def __len__(self) -> int:
        return len(self.table)

    @property
    def votes(self) -> NDArray[np.float64]:
        """(N, K) counts; the row of a clip without votes is all NaN."""
        return family(self.table, "votes", self.emotions)

    @property
    def soft(self) -> NDArray[np.float64]:
        """(N, K) distributions that are no counts, of origin `soft_from`; all NaN where a clip has none."""
        return family(self.table, "soft", self.emotions)

    @property
    def estimated(self) -> Mask:
        """(N,) whether the distribution in `soft` is what models made of the clip, and nobody's answer."""
        origin = self.table.get("soft_from", pd.Series("", index=self.table.index))
        return origin.str.startswith(ESTIMATED).to_numpy(dtype=bool)

    @property
    def weights(self) -> NDArray[np.float64]:
        """(N, K) how strongly those who voted for an emotion saw it, in the source's unit; NaN where unknown."""
        return family(self.table, "weight", self.emotions)

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) positions in `emotions`, -1 where the source gives no single label."""
        codes, names = pd.factorize(self.table["label"])
        known = list(self.emotions)
        positions = [known.index(name) if name in known else -1 for name in names]
        return np.array([*positions, -1], dtype=np.int64)[codes]

    @property
    def folds(self) -> list[int]:
        """The numbers of the folds, in order; empty where there are none."""
        return sorted(self.table["fold"].dropna().astype(int).unique().tolist())

    def resolve(self, path: str) -> Path:
        """Where a clip lies; `path` as in the column."""
        return self.root / path

    def select(self, mask: Mask) -> Manifest:
        """The rows where `mask` (N,) is true."""
        return self.with_table(self.table[mask].reset_index(drop=True))

    def with_table(self, table: pd.DataFrame) -> Manifest:
        """The same with other rows or columns; `table` is not checked."""
        return replace(self, table=table, file=None)

    def partition(self, fold: int | None = None) -> tuple[Mask, Mask]:
        """The training part and the test part of a fold, or of the split where there are no folds.

        With folds, the training part is everything that is not in this fold's test part, so also the clips that are
        never tested (DFEW's non-single-labelled ones), but for those of split "test" in no fold. With splits it is the
        clips of split "train".

        Returns:
            Two masks (N,).

        Raises:
            DferError: a fold that does not exist, none named where there are folds, or neither folds nor splits.
        """
        if self.folds:
            if fold not in self.folds:
                came = "none was named" if fold is None else f"fold {fold} has no clips"
                raise DferError(f"expected one of the folds {listed(self.folds, 20)}; {came}")
            test = (self.table["fold"] == fold).fillna(False).to_numpy(dtype=bool)
            kept_away = (self.table["split"] == "test").to_numpy() & self.table["fold"].isna().to_numpy()
            return ~test & ~kept_away, test
        if fold is not None:
            raise DferError(f"this manifest has no folds, so there is no fold {fold}")
        train, test = ((self.table["split"] == name).to_numpy(dtype=bool) for name in ("train", "test"))
        if not (train.any() and test.any()):
            raise DferError(
                f"nothing to train on apart from something to test on: {train.sum()} clips have split train, "
                f"{test.sum()} have split test, none has a fold; `dfer split` cuts folds or a split"
            )
        return train, test

    def write(self, path: str | Path) -> None:
        """Write as .csv or .parquet, in one go: what goes wrong on the way leaves no half a file.

        The root is written relative to the file's folder when it lies in it or beside it, so that both can be moved
        together, else absolute.

        Raises:
            DferError: another suffix, or a place that cannot be written (read-only, full).
        """
        path = _absolute(path)
        check_suffix(path)
        head = json.dumps(self._head(path.parent), ensure_ascii=False)
        if not is_text(head):
            raise DferError(f"{path}: the root or an emotion is no valid Unicode, {head!a:.80}...; rename it")
        with replacing(path) as partial:
            (_write_parquet if path.suffix == ".parquet" else _write_csv)(self.table, partial, head)

    def _head(self, folder: Path) -> dict[str, Any]:
        """What the first line holds."""
        beside = folder.parent != Path(folder.anchor) and self.root.is_relative_to(folder.parent)
        portable = beside or self.root.is_relative_to(folder)
        return {
            "emotions": {"name": self.emotions.name, "emotions": list(self.emotions)},
            "root": Path(os.path.relpath(self.root, folder) if portable else self.root).as_posix(),
            "source": self.source,
            "left_out": dict(self.left_out),
            "clips": len(self),
        }

    @classmethod
    def read(cls, path: str | Path) -> Manifest:
        """Read what `write` wrote.

        Raises:
            DferError: no such file, not a manifest, or something wrong in it.
        """
        path = _absolute(path)
        if not path.exists():
            raise DferError(f"no manifest at {path}; `dfer prepare` writes one")
        try:
            text, table = (_read_parquet if path.suffix == ".parquet" else _read_csv)(path)
            release()
            head = checked(_Head, parse_json(text, "its head"), "its head")
            if head.clips is not None and head.clips != len(table):  # cut off at the end of a line, or edited by hand
                logger.warning("%s was written with %d clips and has %d now", path, head.clips, len(table))
            emotions = EmotionSet(head.emotions.name, tuple(head.emotions.emotions))
            root = path.parent / head.root
            built = cls.build(table, emotions=emotions, root=root, source=head.source, left_out=head.left_out)
            return replace(built, file=path)
        except DferError as error:
            told = str(error)
            raise DferError(told if told.startswith(str(path)) else f"{path}: {told}") from error


def check_suffix(path: Path) -> None:
    """Raises when no manifest can be written under this name."""
    if path.suffix not in SUFFIXES:
        raise DferError(f"expected the name of a manifest to end in .csv or .parquet, got {path}")


def _absolute(path: str | Path) -> Path:
    """Without "..", and links as they are: a linked folder moves with its link."""
    return Path(os.path.normpath(Path(path).absolute()))


def _write_csv(table: pd.DataFrame, path: Path, head: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"{BEGINS}{head}\n")
        write_csv(table, file, marked=True)


def _read_csv(path: Path) -> tuple[str, pd.DataFrame]:
    head, table = read_csv(path, _kind, begins=BEGINS)
    if not head:
        raise DferError(
            f"not a manifest (its first line does not begin with '# {FORMAT}'); "
            f"a table of your own becomes one with `dfer prepare table {path}`"
        )
    return head.removeprefix(BEGINS), table.to_pandas(types_mapper=_as_text)


def _as_text(kind: Any) -> Any:
    """What pandas makes of a column of Arrow, where that is text."""
    return STRING if str(kind) == "string" else None


def _write_parquet(table: pd.DataFrame, path: Path, head: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = pa.Table.from_pandas(table, preserve_index=False)
    metadata = {**(arrow.schema.metadata or {}), FORMAT.encode(): head.encode()}
    pq.write_table(arrow.replace_schema_metadata(metadata), path)


def _read_parquet(path: Path) -> tuple[str, pd.DataFrame]:
    arrow = read_parquet(path, _kind)
    head = (arrow.schema.metadata or {}).get(FORMAT.encode())
    if head is None:
        raise DferError(
            f"a Parquet file but not a manifest (no {FORMAT} in its metadata); "
            "a table of your own becomes one with `dfer prepare table`, as .csv or .xlsx"
        )
    # the metadata of pandas may say anything
    text, arrow = head.decode(errors="replace"), arrow.replace_schema_metadata(None)
    return text, arrow.to_pandas(split_blocks=True, self_destruct=True, types_mapper=_as_text)


def _kind(name: str) -> str:
    """What a column holds: text, numbers, or whatever it is."""
    if name in (*TEXT, "soft_from"):
        return "text"
    return "number" if name in WHOLE or name.startswith(NUMBERS) else "any"
