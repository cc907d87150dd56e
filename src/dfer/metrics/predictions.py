"""The predictions table: one row a test clip, from which every figure can be computed again without a model.

    id, fold, label, prob_<emotion> ..., votes_<emotion> ..., map_x, map_y, frames

The order of the prob_ columns is the order of the emotions. `label` is a name, empty where the clip has no
single label; votes are empty where there are none; `frames` lists the indices that the model saw ("0 4 9"); `map_x`
and `map_y`, which may be missing, say where the fold's network puts the clip (`dfer.training.features`). Fold 0
stands for the test part of a split. CSV, or Parquet by suffix. A table of somebody else needs id, prob_, and label or
votes_; without a fold it is that of a split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from dfer.errors import DferError, listed, refuse, shortened
from dfer.files import replacing
from dfer.labels import EmotionSet, check_votes
from dfer.metrics.functional import SUM_TOLERANCE, as_numbers
from dfer.tables import is_text, read_csv, read_parquet, release, write_csv

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOST_FOLDS = 10**6
"""The largest number of a fold."""
PLACES = ["map_x", "map_y"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model said of test clips, beside what people said.

    Attributes:
        ids: (N,) names of the clips, each once.
        fold: (N,) int64, the fold in whose test part the clip is; 0 with a split.
        labels: (N,) int64 positions of the clips' single labels, -1 = none.
        probs: (N, K) rows that sum to one.
        votes: (N, K) counts, rows of NaN where a clip has none.
        frames: N texts, the indices of the frames that were read.
        emotions: the K emotions in order; names alone will do.
        places: (N, 2) where the fold's network puts the clips; NaN or None where that is not known.

    Raises:
        DferError: columns of different length, an id twice or empty, probabilities that are none, a label
            outside the emotions, votes that cannot be; the message names the clips.
    """

    ids: NDArray[Any]
    fold: NDArray[np.int64]
    labels: NDArray[np.int64]
    probs: Floats
    votes: Floats
    frames: list[str]
    emotions: EmotionSet
    places: Floats | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.emotions, EmotionSet):
            object.__setattr__(self, "emotions", EmotionSet("predictions", tuple(self.emotions)))
        object.__setattr__(self, "ids", np.array([str(name) for name in self.ids], dtype=object))
        object.__setattr__(self, "frames", [str(text) for text in self.frames])
        for name in ("fold", "labels"):
            object.__setattr__(self, name, _whole(getattr(self, name), name))
        for name in ("probs", "votes"):
            object.__setattr__(self, name, as_numbers(getattr(self, name), name))
        self._check_shapes()
        self._check_values()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labelled(self) -> Mask:
        """(N,) whether the clip has a single label."""
        return self.labels >= 0

    @property
    def voted(self) -> Mask:
        """(N,) whether anybody voted for one of the emotions."""
        return np.asarray(self.votes.sum(axis=1) > 0)

    @property
    def shares(self) -> Floats:
        """(N, K) votes divided by their number; NaN where nobody voted for one of the emotions."""
        return self.votes / np.where(self.voted, self.votes.sum(axis=1), np.nan)[:, None]

    @property
    def right(self) -> Mask:
        """(N,) whether the most probable emotion is the clip's single label; false where it has none."""
        return np.asarray(self.labelled & (self.probs.argmax(axis=1) == self.labels))

    def select(self, rows: Mask | NDArray[np.int64]) -> Predictions:
        """The clips for which `rows` (N,) is true, in the same order; or those at these positions, in their order."""
        return replace(
            self,
            ids=self.ids[rows],
            fold=self.fold[rows],
            labels=self.labels[rows],
            probs=self.probs[rows],
            votes=self.votes[rows],
            frames=np.array(self.frames, dtype=object)[rows].tolist(),
            places=None if self.places is None else self.places[rows],
        )

    def write(self, path: str | Path) -> None:
        """Write the table; a broken-off write leaves what was there before.

        Raises:
            DferError: another suffix than .csv or .parquet, or a place that cannot be written.
        """
        path = Path(path)
        _check_suffix(path)
        for what, texts in (("id", self.ids), ("frames", self.frames)):
            self._refuse([not is_text(text) for text in texts], f"have what is no valid Unicode in {what}")
        with replacing(path) as written:
            if path.suffix == ".parquet":
                self._table().to_parquet(written, index=False)
            else:
                write_csv(self._table(), written)

    @classmethod
    def read(cls, path: str | Path, *, frames: bool = True) -> Predictions:
        """Read a table that `write` wrote, or one of that form.

        Args:
            path: the table.
            frames: whether to keep their indices; no score needs them.

        Raises:
            DferError: no such file, columns that are missing or in doubt, or values that cannot be.
        """
        path = Path(path)
        _check_suffix(path)
        names: dict[str, None] = {}

        def kinds(name: str) -> str:
            names[name] = None
            return _kind(name, frames=frames)

        table = read_parquet(path, kinds) if path.suffix == ".parquet" else read_csv(path, kinds)[1]
        try:
            found = _from_table(table, list(names))
        except DferError as error:
            raise DferError(f"{path}: {error}") from error
        del table
        release()
        return found

    def _table(self) -> pd.DataFrame:
        names = np.array([*self.emotions, ""], dtype=object)  # position -1 is the empty name
        columns: dict[str, Any] = {"id": self.ids, "fold": self.fold, "label": names[self.labels]}
        columns |= {f"prob_{name}": self.probs[:, k] for k, name in enumerate(self.emotions)}
        columns |= {f"votes_{name}": self.votes[:, k] for k, name in enumerate(self.emotions)}
        if self.places is not None:
            columns |= dict(zip(PLACES, self.places.T, strict=True))
        return pd.DataFrame(columns | {"frames": np.array(self.frames, dtype=object)})

    def _check_shapes(self) -> None:
        rows, square = (len(self),), (len(self), len(self.emotions))
        for name, shape in (("fold", rows), ("labels", rows), ("probs", square), ("votes", square)):
            found = getattr(self, name).shape
            if found != shape:
                raise DferError(f"expected {name} of shape {shape} for {len(self)} clips, got {found}")
        if self.places is not None and self.places.shape != (len(self), 2):
            raise DferError(f"expected places of shape {(len(self), 2)} for {len(self)} clips, got {self.places.shape}")
        if len(self.frames) != len(self):
            raise DferError(f"expected the frames of {len(self)} clips, got {len(self.frames)}")

    def _check_values(self) -> None:
        self._refuse(self.ids == "", "have no id", "give each clip one")
        self._refuse(["\0" in name for name in self.ids], "have a null character in id")
        self._refuse((self.fold < 0) | (self.fold > MOST_FOLDS), f"have a fold outside 0 ... {MOST_FOLDS:,}")
        self._refuse(
            pd.Series(self.ids, dtype=object).duplicated().to_numpy(),
            "repeat an earlier one",
            "expected a row a clip",
        )
        self._refuse(~np.isfinite(self.probs).all(axis=1), "have probabilities that are NaN or infinite")
        self._refuse((self.probs < 0).any(axis=1), "have negative probabilities", "expected softmax's")
        sums = self.probs.sum(axis=1)
        wrong = np.abs(sums - 1) > SUM_TOLERANCE
        advice = (
            f"the first ones sum to {listed(f'{total:.6g}' for total in sums[wrong][:3])}; divide each row by its sum"
        )
        self._refuse(wrong, "have probabilities that do not sum to 1", advice)
        outside = (self.labels < -1) | (self.labels >= len(self.emotions))
        self._refuse(outside, f"have a label outside -1 ... {len(self.emotions) - 1}")
        without = np.isnan(self.votes).all(axis=1)
        check_votes(self.votes[~without], self.ids[~without], allow_fractional=True)

    def _refuse(self, wrong: ArrayLike, fault: str, advice: str = "") -> None:
        refuse(wrong, self.ids, fault, of=f"of {len(self)} predictions", advice=advice)


def concatenate(parts: Sequence[Predictions]) -> Predictions:
    """The predictions of several folds as one table, in the order given.

    Raises:
        DferError: no parts, emotions that differ or stand in another order, a clip that is in two parts.
    """
    if not parts:
        raise DferError("expected the predictions of at least one fold, got none")
    emotions = parts[0].emotions
    for part in parts[1:]:
        if part.emotions != emotions:
            raise DferError(
                f"expected every fold's predictions for {listed(emotions, 12)}, in this order; "
                f"got {listed(part.emotions, 12)}"
            )
    return Predictions(
        ids=np.concatenate([part.ids for part in parts]),
        fold=np.concatenate([part.fold for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        probs=np.concatenate([part.probs for part in parts]),
        votes=np.concatenate([part.votes for part in parts]),
        frames=[text for part in parts for text in part.frames],
        emotions=emotions,
        places=_places(parts),
    )


def _places(parts: Sequence[Predictions]) -> Floats | None:
    """Those of all parts; NaN in parts that have none."""
    if all(part.places is None for part in parts):
        return None
    known = [np.full((len(part), 2), np.nan) if part.places is None else part.places for part in parts]
    return np.concatenate(known)


def _whole(values: ArrayLike, name: str) -> NDArray[np.int64]:
    """A column of whole numbers.

    Raises:
        DferError: fractions, NaN or texts: as integers they would be other numbers.
    """
    column = np.asarray(values)
    try:
        wrong = np.flatnonzero(~_are_whole(column.astype(np.float64)))
    except (TypeError, ValueError) as error:
        raise DferError(f"expected whole numbers in '{name}': {error}") from error
    if len(wrong):
        raise DferError(f"expected whole numbers in '{name}', got others in rows {listed(wrong)}")
    return column.astype(np.int64)


def _are_whole(numbers: Floats) -> Mask:
    """(N,) which numbers are whole; NaN and infinity are not."""
    return np.asarray(np.isfinite(numbers) & (np.trunc(numbers) == numbers))


def _check_suffix(path: Path) -> None:
    if path.suffix not in (".csv", ".parquet"):
        raise DferError(f"expected a predictions table .csv or .parquet, got {path}; save it as one of them")


def _kind(name: str, *, frames: bool) -> str:
    """What a column of the file holds, "" for what is not read."""
    if name == "frames":
        return "text" if frames else ""
    if name in ("id", "label"):
        return "text"
    return "number" if name in ("fold", *PLACES) or name.startswith(("prob_", "votes_")) else ""


def _from_table(table: Any, columns: list[str]) -> Predictions:
    """The predictions in a table of Arrow, of a file that has these columns."""
    names = [column[5:] for column in table.column_names if column.startswith("prob_")]
    if not names and columns and columns[0].startswith("# dfer.manifest"):
        raise DferError("it is a manifest; expected a table of predictions, as `dfer evaluate` writes")
    if not names:
        other = len(columns) == 1 and any(sign in columns[0] for sign in ";\t|")
        advice = (
            "separate them with commas, and write decimals with a point" if other else "rename those that hold them"
        )
        raise DferError(f"expected columns prob_<emotion>, found {listed(columns, 12) or 'none'}; {advice}")
    emotions = EmotionSet("predictions", tuple(names))
    there, votes = set(table.column_names), [f"votes_{name}" for name in names]
    voted = any(column in there for column in votes)
    wanted = ["id", *(votes if voted else ["label"])]
    missing = [column for column in wanted if column not in there]
    if missing:
        raise DferError(
            f"expected a column for each of {listed(wanted, 30)}; missing: {listed(missing, 30)}; found: "
            f"{listed(columns, 12)}"
        )
    ids = _texts(table, "id")
    fold = _numbers(table, ["fold"], ids)[:, 0] if "fold" in there else np.zeros(len(table))
    wrong = ~(_are_whole(fold) & (np.abs(fold) <= MOST_FOLDS))
    if wrong.any():
        found = listed(ids[wrong])
        raise DferError(f"expected whole numbers in 'fold', at most {MOST_FOLDS:,}, got others at clips {found}")
    return Predictions(
        ids=ids,
        fold=fold.astype(np.int64),
        labels=_positions(table, emotions, ids) if "label" in there else np.full(len(table), -1),
        probs=_numbers(table, [f"prob_{name}" for name in names], ids),
        votes=_numbers(table, votes, ids) if voted else np.full((len(table), len(names)), np.nan),
        frames=_texts(table, "frames").tolist() if "frames" in there else [""] * len(table),
        emotions=emotions,
        places=_numbers(table, PLACES, ids) if set(PLACES) <= there else None,
    )


def _texts(table: Any, column: str) -> NDArray[np.object_]:
    """A column (N,) as texts, "" for an empty cell."""
    return np.asarray(table[column].fill_null("").to_numpy(), dtype=object)


def _numbers(table: Any, columns: list[str], ids: NDArray[np.object_]) -> Floats:
    """The columns as float64 (N, n), exactly as written; an empty cell is NaN."""
    numbers = np.empty((len(table), len(columns)))
    for position, column in enumerate(columns):
        values = table[column].to_numpy()
        try:
            numbers[:, position] = values.astype(np.float64)
        except (TypeError, ValueError) as error:
            wrong = pd.to_numeric(pd.Series(values), errors="coerce").isna().to_numpy() & ~pd.isna(values)
            told = listed(f"{ids[row]} ({values[row]!r})" for row in np.flatnonzero(wrong)) or shortened(str(error))
            raise DferError(f"expected numbers in column '{column}', got others at clips {told}") from error
    return numbers


def _positions(table: Any, emotions: EmotionSet, ids: NDArray[np.object_]) -> NDArray[np.int64]:
    """The column `label` as positions, -1 where it is empty."""
    coded = table["label"].fill_null("").combine_chunks().dictionary_encode()
    names = coded.dictionary.to_pylist()
    known = np.array([emotions.index(name) if name in emotions else -1 for name in names], dtype=np.int64)
    codes = coded.indices.to_numpy()
    unknown = np.isin(codes, [code for code, name in enumerate(names) if name and name not in emotions])
    if unknown.any():
        found = [f"{clip} ('{names[code]}')" for clip, code in zip(ids[unknown], codes[unknown], strict=True)]
        raise DferError(f"expected labels among {listed(emotions, 12)}; unknown: clips {listed(found)}")
    return known[codes] if len(codes) else np.zeros(0, np.int64)
