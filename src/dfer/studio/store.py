"""Votes in an SQLite file: a study's definitions, clips, raters, and a row for each vote.

A vote is on the disk when `add` returns (WAL, synchronous FULL): a process that is killed loses none. Each vote has a
key of its own from the page, so one that is sent twice is stored once. A rater who votes again on a clip corrects
himself: the former row stays, the latest counts. Nothing is known of a rater but a name that the owner chose.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from dfer.datasets.vote_files import FULL, Clip, Vote
from dfer.documents import parse_json
from dfer.errors import DferError, UnwritableError, listed, shortened
from dfer.studio.study import Study, clean_vote, from_dict

VERSION = 1
"""Of the tables below."""
APPLICATION = 0x64666572
"""SQLite's application id: "dfer"."""
COUNTED, REPEATED, PRACTISED = 0, 1, 2
"""Occasions: a vote that counts, one on a clip that is shown again as a check, one on a practice clip."""
LONGEST_S = 86_400.0
"""A vote that took longer was left lying: its seconds are not kept."""

TABLES = """
CREATE TABLE definitions (version INTEGER PRIMARY KEY, made_at TEXT NOT NULL, study TEXT NOT NULL);
CREATE TABLE clips (
    clip INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, path TEXT NOT NULL, kind TEXT NOT NULL);
CREATE TABLE raters (
    rater INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, made_at TEXT NOT NULL);
CREATE TABLE votes (
    vote INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE,
    rater INTEGER NOT NULL REFERENCES raters, clip INTEGER NOT NULL REFERENCES clips,
    occasion INTEGER NOT NULL, version INTEGER NOT NULL REFERENCES definitions,
    voted_at TEXT NOT NULL, seconds REAL, emotions TEXT NOT NULL);
CREATE INDEX of_rater ON votes (rater, occasion, clip);
CREATE VIEW latest AS SELECT * FROM votes WHERE vote IN (SELECT max(vote) FROM votes GROUP BY rater, clip, occasion);
"""


@dataclass(frozen=True)
class Rater:
    """Someone who votes: the number that links carry, and the name that the owner chose."""

    number: int
    name: str


@dataclass(frozen=True)
class Cast:
    """A vote as a page sends it.

    Attributes:
        key: made up by the page, unlike any other vote's.
        clip: number of the clip.
        emotions: as in `Vote`.
        version: of the definition that the rater was shown.
        seconds: that the rater needed.
        occasion: `COUNTED`, `REPEATED` or `PRACTISED`.
    """

    key: str
    clip: int
    emotions: Mapping[str, float | None]
    version: int
    seconds: float | None = None
    occasion: int = COUNTED


@dataclass(eq=False)
class _Entry:
    """A vote that waits to be written, and what became of it."""

    rater: int
    cast: Cast
    emotions: str
    number: int | None = None
    error: DferError | None = None


class Store:
    """The file of a study. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._waiting: deque[_Entry] = deque()
        self._studies: dict[int, Study] = {}  # by version; a version never changes
        fresh = not path.exists()
        with self._told():
            if fresh:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
            self._db.execute("PRAGMA foreign_keys = ON")
            self._check(fresh)
            for setting in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
                self._db.execute(f"PRAGMA {setting}")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    # --- the definition

    @property
    def version(self) -> int:
        """Of the definition that holds now; 0: none yet."""
        return int(self._one("SELECT coalesce(max(version), 0) FROM definitions"))

    def study(self, version: int | None = None) -> Study:
        """The definition that holds now, or a former one.

        Raises:
            DferError: there is none.
        """
        wanted = version or self.version
        if wanted not in self._studies:
            found = self._rows("SELECT study FROM definitions WHERE version = ?", wanted)
            if not found:
                raise DferError(f"{self.path} has no definition of a study; define it first")
            self._studies[wanted] = from_dict(parse_json(found[0][0], str(self.path)), str(self.path))
        return self._studies[wanted]

    def define(self, study: Study) -> int:
        """Make this the definition, as a new version where it differs from the one that holds; returns the version.

        Raises:
            DferError: the emotions differ from those that raters chose from already, or a practice clip is unknown.
        """
        names = {clip.name for clip in self.clips.values()}
        unknown = [each.clip for each in study.practice if each.clip not in names]
        if unknown:
            raise DferError(f"practice clips that are not in the study: {listed(unknown)}")
        with self._writing():
            version = self.version
            if version and self.study() == study:
                return version
            count = int(self._one("SELECT count(*) FROM votes"))
            if version and count and self.study().emotions != study.emotions:
                raise DferError(
                    f"{count} votes were cast for {listed(self.study().emotions, 12)}, so the emotions of this study "
                    f"cannot become {listed(study.emotions, 12)}; make a new study for them"
                )
            self._db.execute(
                "INSERT INTO definitions VALUES (?, ?, ?)",
                (version + 1, _now(), json.dumps(study.to_dict(), ensure_ascii=False)),
            )
            return version + 1

    # --- clips and raters

    @property
    def clips(self) -> dict[int, Clip]:
        """Number -> clip, in the order in which they came."""
        return {row[0]: Clip(*row[1:]) for row in self._rows("SELECT * FROM clips ORDER BY clip")}

    def add_clips(self, clips: Sequence[Clip]) -> int:
        """Add the clips whose names are new; returns how many those were."""
        with self._writing():
            before = self._db.total_changes
            self._db.executemany(
                "INSERT OR IGNORE INTO clips (name, path, kind) VALUES (?, ?, ?)",
                [(clip.name, clip.path, clip.kind) for clip in clips],
            )
            return self._db.total_changes - before

    @property
    def raters(self) -> list[Rater]:
        """In the order in which they came."""
        return [Rater(*row) for row in self._rows("SELECT rater, name FROM raters ORDER BY rater")]

    def knows(self, rater: int) -> bool:
        """Whether there is a rater with this number."""
        return bool(self._rows("SELECT 1 FROM raters WHERE rater = ?", rater))

    def add_rater(self, name: str) -> Rater:
        """A new rater.

        Raises:
            DferError: no name, one that is too long, or one that is taken.
        """
        name = name.strip()
        if not name or len(name) > 80 or not name.isprintable():
            raise DferError(f"expected the name of a rater as 1 to 80 letters, got {shortened(name, 80)!r}")
        with self._writing():
            if self._rows("SELECT 1 FROM raters WHERE name = ?", name):
                raise DferError(f"there is a rater {name!r} already; choose another name")
            row = self._db.execute("INSERT INTO raters (name, made_at) VALUES (?, ?)", (name, _now()))
            return Rater(int(row.lastrowid or 0), name)

    def forget(self, rater: int) -> int:
        """Delete a rater and all of their votes for good; returns how many votes those were."""
        with self._writing():
            count = self._db.execute("DELETE FROM votes WHERE rater = ?", (rater,)).rowcount
            self._db.execute("DELETE FROM raters WHERE rater = ?", (rater,))
        with self._lock, self._told():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # nothing stays in the log either
        return count

    # --- votes

    def add(self, rater: int, cast: Cast) -> int:
        """Store a vote; returns its number, which grows from vote to vote, or 0 where it is stored already.

        Votes that come while one is being written are written together: the disk is waited for once.

        Raises:
            DferError: no such rater or clip, a definition whose emotions have changed, or a vote that
                `dfer.studio.study.clean_vote` refuses.
            UnwritableError: the disk is full or fails.
        """
        if not 8 <= len(cast.key) <= 80:
            raise DferError("expected a key of 8 to 80 characters with each vote")
        if not 1 <= cast.version <= self.version:
            raise DferError("the study has changed; load the page again")
        emotions = clean_vote(self.study(cast.version), cast.emotions)
        entry = _Entry(rater, cast, _json(emotions))
        self._waiting.append(entry)
        with self._lock:
            if entry.number is None and entry.error is None:  # nobody who had the lock before us has written it
                self._write_waiting()
        if entry.error is not None:
            raise entry.error
        return entry.number or 0

    def _write_waiting(self) -> None:
        """Write all votes that wait, in one transaction."""
        entries = []
        while self._waiting:
            entries.append(self._waiting.popleft())
        try:
            with self._writing():
                for entry in entries:
                    try:
                        entry.number = self._insert(entry)
                    except DferError as error:
                        entry.error = error
        except DferError as error:  # the disk: nothing of this is stored
            for entry in entries:
                entry.error = error

    def _insert(self, entry: _Entry) -> int:
        rater, cast = entry.rater, entry.cast
        if self._rows("SELECT 1 FROM votes WHERE key = ?", cast.key):
            return 0
        if not self.knows(rater):
            raise DferError("there is no such rater; the owner of the study may have deleted the data")
        if not self._rows("SELECT 1 FROM clips WHERE clip = ?", cast.clip):
            raise DferError(f"there is no clip {cast.clip} in this study")
        row = self._db.execute(
            "INSERT INTO votes (key, rater, clip, occasion, version, voted_at, seconds, emotions) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (cast.key, rater, cast.clip, cast.occasion, cast.version, _now(), _seconds(cast.seconds), entry.emotions),
        )
        return int(row.lastrowid or 0)

    def votes(self, *, occasion: int = COUNTED, rater: int | None = None) -> list[Vote]:
        """The latest vote of each rater on each clip, in the order in which they were cast."""
        rows = self._rows(
            "SELECT r.name, c.name, v.emotions, v.voted_at, v.seconds FROM latest v JOIN raters r USING (rater) "
            "JOIN clips c USING (clip) WHERE occasion = ? AND (? IS NULL OR rater = ?) ORDER BY vote",
            occasion, rater, rater,
        )  # fmt: skip
        return [Vote(name, clip, json.loads(emotions), at, seconds) for name, clip, emotions, at, seconds in rows]

    def voted(self, rater: int, occasion: int = COUNTED) -> dict[int, dict[str, float | None]]:
        """Clip's number -> the rater's latest vote on it, in the order in which the clips were first voted on."""
        rows = self._rows(
            "SELECT clip, emotions FROM votes WHERE rater = ? AND occasion = ? ORDER BY vote", rater, occasion
        )
        found: dict[int, dict[str, float | None]] = {}
        for clip, emotions in rows:
            found[clip] = json.loads(emotions)
        return found

    def add_votes(self, votes: Sequence[Vote]) -> int:
        """Store what somebody else collected; raters get the names there, clips must be known by name.

        A vote that is not newer than the rater's own on that clip is passed over; so is one without a time that was
        added before. Returns the number of votes that are new.

        Raises:
            DferError: an unknown clip or emotion, or several emotions where the study has one.
        """
        numbers = {clip.name: number for number, clip in self.clips.items()}
        unknown = list(dict.fromkeys(vote.clip for vote in votes if vote.clip not in numbers))
        if unknown:
            raise DferError(f"answers to clips that are not in the study: {listed(unknown)}")
        study, version = self.study(), self.version
        cleaned = [clean_vote(study, _graded(vote, study)) for vote in votes]
        with self._writing():
            rows = []
            for name in dict.fromkeys(vote.rater for vote in votes):
                self._db.execute("INSERT OR IGNORE INTO raters (name, made_at) VALUES (?, ?)", (name, _now()))
            raters = {rater.name: rater.number for rater in self.raters}
            latest = {(vote.rater, vote.clip): vote.voted_at for vote in self.votes()}
            for vote, emotions in zip(votes, cleaned, strict=True):
                if vote.voted_at and latest.get((vote.rater, vote.clip), "") >= vote.voted_at:
                    continue
                clip = numbers[vote.clip]
                key = f"imported {raters[vote.rater]} {clip} {vote.voted_at}".rstrip()
                at, seconds = vote.voted_at or _now(), _seconds(vote.seconds)
                rows.append((key, raters[vote.rater], clip, COUNTED, version, at, seconds, _json(emotions)))
            before = self._db.total_changes
            self._db.executemany("INSERT OR IGNORE INTO votes VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            return self._db.total_changes - before

    def backup(self, path: Path) -> None:
        """Write a copy of the whole file, also while others vote."""
        with self._lock, self._told(), closing(sqlite3.connect(path)) as copy:
            self._db.backup(copy)

    # --- the file

    def _check(self, fresh: bool) -> None:
        """Make the tables of a new file; refuse a file of another program or of a newer version."""
        (application,), (version,) = (
            self._db.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
        )
        empty = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if fresh or (empty and not application):
            # in one transaction: a process that is killed here leaves no half of them
            self._db.executescript(
                f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"
                f"{TABLES} COMMIT;"
            )
            return
        if application != APPLICATION:
            raise DferError(f"{self.path} holds no votes of dfer studio; choose another file")
        if version > VERSION:
            raise DferError(
                f"{self.path} was written by a newer dfer (its tables have version {version}, this dfer knows "
                f"{VERSION}); install that dfer"
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, OSError) as error:
            told = str(error)
            if "full" in told or "readonly" in told or "I/O" in told or isinstance(error, OSError):
                raise UnwritableError(f"votes cannot be written to {self.path}: {told}") from error
            raise DferError(f"{self.path} cannot be used as a file of votes: {told}") from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction; a second one inside it is part of the first."""
        with self._lock, self._told():
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _rows(self, query: str, *values: object) -> list[tuple]:  # type: ignore[type-arg]
        with self._lock, self._told():
            return self._db.execute(query, values).fetchall()

    def _one(self, query: str) -> int:
        return int(self._rows(query)[0][0])


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def _seconds(value: float | None) -> float | None:
    """What a rater needed, where that can be."""
    return value if value is not None and 0 <= value <= LONGEST_S else None


def _graded(vote: Vote, study: Study) -> dict[str, float | None]:
    """The emotions of a vote from elsewhere, with strengths where the study has them; full ones where it is silent."""
    graded = {name: FULL if value is None else value for name, value in vote.emotions.items()}
    return dict(graded) if study.strength else dict.fromkeys(graded)


def _json(emotions: Mapping[str, float | None]) -> str:
    return json.dumps(emotions, ensure_ascii=False)
