"""The folder that the studio was started in: what lies there, and what the studio keeps of its own, in `studio/`.

Pages never name a path. They name things by keys that are made here from the paths, and what is not listed here cannot
be asked for.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dfer.datasets.manifest import BEGINS, Manifest
from dfer.datasets.vote_files import Clip
from dfer.errors import DferError, UnwritableError, shortened
from dfer.studio.security import Keys, RefusedError
from dfer.studio.session import Session
from dfer.studio.store import Store
from dfer.studio.study import NAME, Study
from dfer.video.folders import KINDS, survey, walk
from dfer.video.frames import natural_key

HOME = "studio"
"""What the studio keeps, in the folder."""
DEEP, MOST = 4, 100_000
"""How many folders deep it is looked, and after how many files that ends."""
FRESH_S = 5.0
"""So long a list of the folder is good."""
OF_A_RUN = ("metrics.jsonl", "predictions.csv", "predictions.parquet")
"""Files that make a folder a run."""
PART = re.compile("split|fold.*")
"""Names of the folders in a run that have a model each."""


@dataclass(frozen=True)
class Item:
    """Something in the folder.

    Attributes:
        key: what pages call it.
        kind: "folder" (of clips), "manifest", "film", "page" (.html) or "run" (trained, or with predictions).
        name: its path in the folder, for people to read.
        path: where it lies.
        count: of clips in a folder; 0: not counted.
    """

    key: str
    kind: str
    name: str
    path: Path
    count: int = 0


class Workspace:
    """A folder and what is open in it.

    Args:
        folder: must be there.

    Raises:
        DferError: it is no folder, or cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise DferError(f"expected a folder, got {folder}; make it first")
        self.folder = folder.resolve()
        self.home = self.folder / HOME
        try:
            self.home.mkdir(exist_ok=True)
        except OSError as error:
            raise UnwritableError(
                f"{self.home} cannot be made: {error.strerror}; choose a folder of your own"
            ) from error
        self.keys = Keys(self.home / "secret.json")
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._items: dict[str, Item] = {}
        self._listed_at = -FRESH_S

    # --- what lies in the folder

    def items(self, *kinds: str) -> list[Item]:
        """What lies in the folder, of these kinds."""
        with self._lock:
            if time.monotonic() - self._listed_at > FRESH_S:
                self._items = {item.key: item for item in self._look()}
                self._listed_at = time.monotonic()
            return [item for item in self._items.values() if item.kind in kinds]

    def item(self, key: str, *kinds: str) -> Item:
        """What a page calls by this key.

        Raises:
            RefusedError: there is no such thing.
        """
        for item in self.items(*kinds):
            if item.key == key:
                return item
        raise RefusedError("that is not, or no longer, in the folder; load the page again", 404)

    def look_again(self) -> None:
        """List the folder anew when it is next asked for."""
        with self._lock:
            self._listed_at = -FRESH_S

    def _look(self) -> list[Item]:
        counts: dict[Path, int] = {}
        runs: dict[Path, None] = {}
        found, seen = [], 0
        for place, _, names in walk(self.folder, depth=DEEP, skip=(self.home,)):
            seen += len(names)
            if seen > MOST:
                break
            clips = 0
            for name in names:
                path = place / name
                kind = KINDS.get(path.suffix.lower(), "")
                clips += bool(kind)
                if kind == "video":
                    found.append(self._item("film", path))
                elif path.suffix == ".html":
                    found.append(self._item("page", path))
                elif path.suffix == ".csv" and _is_manifest(path):
                    found.append(self._item("manifest", path))
                elif name in OF_A_RUN:
                    runs[place.parent if PART.fullmatch(place.name) else place] = None
            for folder in (place, *place.parents):
                if clips and folder.is_relative_to(self.folder):
                    counts[folder] = counts.get(folder, 0) + clips
        found += [self._item("run", place) for place in runs]
        return found + [self._item("folder", place, count) for place, count in sorted(counts.items())]

    def _item(self, kind: str, path: Path, count: int = 0) -> Item:
        name = path.relative_to(self.folder).as_posix()
        key = hashlib.sha256(f"{kind} {name}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
        shown = self.folder.name if name == "." else name
        return Item(key, kind, shown, path, count)

    # --- studies

    @property
    def studies(self) -> list[str]:
        """Names of the studies, in natural order."""
        return sorted((path.stem for path in (self.home / "studies").glob("*.sqlite")), key=natural_key)

    def session(self, name: str) -> Session:
        """A study at work.

        Raises:
            RefusedError: there is no such study.
            DferError: its file cannot be used.
        """
        with self._lock:
            path = self.home / "studies" / f"{name}.sqlite"
            if not NAME.fullmatch(name) or not path.exists():
                raise RefusedError(f"there is no study {shortened(name, 40)!r}", 404)
            if name not in self._sessions:
                self._sessions[name] = Session(Store(path), self.folder)
            return self._sessions[name]

    def create(self, name: str, source: str, study: Study, *, only: Sequence[int] = ()) -> Session:
        """A new study about the clips of a folder or a manifest; `only` of them, by position, where some are named.

        Raises:
            DferError: a name that cannot be or is taken, no clips, or a definition that does not fit them.
        """
        if not NAME.fullmatch(name):
            raise DferError(f"expected a short name of small letters, digits, - and _, got {shortened(name, 40)!r}")
        clips = self.clips(self.item(source, "folder", "manifest"))
        if only and not all(0 <= place < len(clips) for place in only):
            raise DferError(f"expected clips by position, 0 to {len(clips) - 1}")
        clips = [clips[place] for place in dict.fromkeys(only)] or clips
        path = self.home / "studies" / f"{name}.sqlite"
        with self._lock:
            if path.exists():
                raise DferError(f"there is a study {name!r} already; choose another name")
            store = Store(path)
            try:
                store.add_clips(clips)
                store.define(study)
            except DferError:
                store.close()
                for leftover in path.parent.glob(f"{path.name}*"):
                    leftover.unlink()
                raise
            self._sessions[name] = Session(store, self.folder)
            return self._sessions[name]

    def clips(self, item: Item) -> list[Clip]:
        """The clips of a folder or a manifest, with paths relative to the folder of the studio where they lie in it.

        Raises:
            DferError: there are none.
        """
        if item.kind == "manifest":
            manifest = Manifest.read(item.path)
            rows = manifest.table[["id", "path", "kind"]].to_numpy().tolist()
            return [Clip(name, self._relative(manifest.resolve(path)), kind) for name, path, kind in rows]
        found = [found for found in survey(item.path, stills=True) if found.kind and not self._is_ours(found.path)]
        if not found:
            raise DferError(f"{item.name} holds no clips")
        return [Clip(one.path.relative_to(item.path).as_posix(), self._relative(one.path), one.kind) for one in found]

    def _is_ours(self, path: Path) -> bool:
        return path.is_relative_to(self.home)

    def _relative(self, path: Path) -> str:
        path = Path(os.path.normpath(path))
        return path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else path.as_posix()


def shipped(name: str, suffix: str) -> dict[str, Path]:
    """What comes with dfer, by name: files of a folder of the checkout, or of its copy in the installed package."""
    package = Path(__file__).resolve().parents[1]
    places = (package / Path(name).parts[0], package.parents[1] / name)
    return next((found for place in places if (found := {p.stem: p for p in sorted(place.glob(f"*{suffix}"))})), {})


def _is_manifest(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(BEGINS)) == BEGINS.encode()
    except OSError:
        return False
