"""Films that are watched: kept in a folder of their own, read one after the other by one thread, fair among users.

A film is `studio/films/ID/`: the film itself where it was uploaded, `film.json` (what is known of it), `timeline.json`
(the machine's answer, which nobody changes) and `corrections.json` (what people say is otherwise).
"""

from __future__ import annotations

import json
import logging
import math
import re
import secrets
import shutil
import threading
from collections import Counter, deque
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dfer.documents import checked, read_json
from dfer.errors import DferError, printable, shortened
from dfer.files import replacing, write_text
from dfer.studio.security import RefusedError
from dfer.studio.workspace import Item, Workspace
from dfer.video.decoding import length_s
from dfer.video.folders import KINDS, kind_of
from dfer.video.stream import stream

if TYPE_CHECKING:
    from dfer.inference import Predictor, Timeline
    from dfer.inference.corrections import Mark, Merge, Name, Split
    from dfer.inference.recording import Moment

logger = logging.getLogger(__name__)

ID = re.compile("[0-9a-f]{16}")
LARGEST = 2**30
"""Bytes of an upload."""
LONGEST_S = 7200.0
"""Of a film."""
MOST = 500
"""Films that are kept."""
MOST_WAITING = 50
"""Of one user."""
EVERY_S = 0.08
"""What is read of a film goes to its page so often, seconds of the film."""
STATES = ("waiting", "reading", "done", "failed", "cancelled")
TIMELINE, CORRECTIONS, ABOUT = "timeline.json", "corrections.json", "film.json"


@dataclass(frozen=True)
class About:
    """What is known of a film.

    Attributes:
        name: as the user calls it; only shown.
        path: of the film: a name in its own folder, or a path in the folder of the studio.
        uploaded: whether it lies in its own folder.
        state: one of `STATES`.
        error: why it failed.
        group: of films that are compared with another group; "" none.
    """

    name: str
    path: str
    uploaded: bool
    state: str = "waiting"
    error: str = ""
    group: str = ""


@dataclass
class Film:
    """A film, and what was read of it so far.

    Attributes:
        id: 16 hexadecimal digits.
        about: what is known of it.
        user: who wants it read.
        length_s, read_s: how long it says that it is, and how far it was read, seconds.
        emotions: of the probabilities, once it is read.
        size: width and height of its pictures as they are displayed, pixels; 0, 0: not known yet.
        events: moments for its page, as JSON; another, empty list once reading ends.
        cancelled: whether nobody wants it any more.
    """

    id: str
    about: About
    user: str = ""
    length_s: float = 0.0
    read_s: float = 0.0
    emotions: tuple[str, ...] = ()
    size: tuple[int, int] = (0, 0)
    events: list[str] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)


class Films:
    """The films of a folder. Safe to use from several threads.

    Args:
        workspace: the folder.
        model: that reads them.
    """

    def __init__(self, workspace: Workspace, model: str) -> None:
        self.workspace, self.model = workspace, model
        self.home = workspace.home / "films"
        self._lock = threading.RLock()
        self._news = threading.Condition(self._lock)
        self._films: dict[str, Film] = {}
        self._queue: deque[str] = deque()
        self._turns: Counter[str] = Counter()
        self._predictor: Predictor | None = None
        self._wanted = False
        self._thread: threading.Thread | None = None
        self._ending = False
        for place in sorted(self.home.glob("*"), key=lambda place: place.stat().st_mtime):
            self._find(place)

    def start(self) -> None:
        """Begin to read what waits."""
        self._ending = False
        self._thread = threading.Thread(target=self._work, name="dfer-films", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End soon; what is being read is read anew when the studio starts again."""
        with self._news:
            self._ending = True
            self._news.notify_all()
        if self._thread is not None:
            self._thread.join(5)

    def warm(self) -> None:
        """Load the model, for somebody is about to need it."""
        with self._news:
            self._wanted = True
            self._news.notify_all()

    # --- what there is

    def all(self) -> list[Film]:
        """In the order in which they came."""
        with self._lock:
            return list(self._films.values())

    def get(self, id_: str) -> Film:
        """A film.

        Raises:
            RefusedError: there is no such film.
        """
        with self._lock:
            if id_ not in self._films:
                raise RefusedError("there is no such film, or it was deleted", 404)
            return self._films[id_]

    def counts(self) -> dict[str, int]:
        """State -> number of films."""
        found = Counter(film.about.state for film in self.all())
        return {state: found[state] for state in STATES}

    def place(self, film: Film) -> Path:
        """The film's own folder."""
        return self.home / film.id

    def path(self, film: Film) -> Path:
        """Where the film itself lies."""
        return self.place(film) / film.about.path if film.about.uploaded else self.workspace.folder / film.about.path

    def timeline(self, film: Film, *, as_corrected: bool = True) -> Timeline:
        """What was read of a film, with the corrections of people or without.

        Raises:
            RefusedError: it is not read yet.
        """
        from dfer.inference import Timeline
        from dfer.inference.corrections import corrected

        if film.about.state != "done":
            raise RefusedError(f"this film is not read: it is {film.about.state}", 409)
        found = Timeline.load(self.place(film) / TIMELINE)
        return corrected(found, self.corrections(film)) if as_corrected else found

    def corrections(self, film: Film) -> list[Name | Merge | Split | Mark]:
        """What people corrected in a film, in order."""
        from dfer.inference.corrections import from_plain

        path = self.place(film) / CORRECTIONS
        return from_plain(read_json(path), str(path)) if path.exists() else []

    # --- what is done with them

    def correct(self, film: Film, correction: Name | Merge | Split | Mark | None) -> None:
        """Add a correction, or with None take the last one back.

        Raises:
            DferError: it cannot be applied.
        """
        from dfer.inference.corrections import corrected, to_plain

        with self._lock:
            made = self.corrections(film)
            made = made[:-1] if correction is None else [*made, correction]
            corrected(self.timeline(film, as_corrected=False), made)
            write_text(self.place(film) / CORRECTIONS, json.dumps(to_plain(made), ensure_ascii=False) + "\n")

    def check_size(self, size: int) -> None:
        """Refuse an upload that says that it is too large before any of it comes.

        Raises:
            RefusedError: it is.
        """
        if size > LARGEST:
            raise RefusedError(f"expected a film of at most {LARGEST >> 20} MB, got {size >> 20} MB", 413)

    async def receive(self, name: str, parts: AsyncIterator[bytes], user: str) -> Film:
        """A film that is uploaded; one that breaks off leaves nothing.

        Raises:
            RefusedError: it is too large, or there are too many.
        """
        self._check_room(user)
        shown = printable(Path(name.replace("\\", "/")).name.strip() or "film")[:120]
        suffix = Path(shown).suffix.lower()
        stem = re.sub("[^A-Za-z0-9_-]+", "_", Path(shown).stem).strip("_")[:60] or "film"
        film = Film(secrets.token_hex(8), About(shown, stem + (suffix if suffix in KINDS else ".film"), True), user)
        place, size = self.place(film), 0
        try:
            with replacing(place / film.about.path) as partial, partial.open("wb") as file:
                async for part in parts:
                    size += len(part)
                    if size > LARGEST:
                        raise RefusedError(f"expected a film of at most {LARGEST >> 20} MB", 413)
                    file.write(part)
                if not size:
                    raise RefusedError("expected a film, got nothing", 400)
        except BaseException:  # also a page that is closed meanwhile
            shutil.rmtree(place, ignore_errors=True)
            raise
        self._enter(film)
        return film

    def add(self, item: Item, user: str) -> Film:
        """A film that lies in the folder; it stays where it is."""
        self._check_room(user)
        path = item.path.relative_to(self.workspace.folder).as_posix()
        film = Film(secrets.token_hex(8), About(item.path.name, path, False), user)
        self._enter(film)
        return film

    def add_copy(self, path: Path, user: str) -> Film:
        """A film that comes with dfer."""
        self._check_room(user)
        film = Film(secrets.token_hex(8), About(path.name, path.name, True), user)
        self.place(film).mkdir(parents=True)
        shutil.copyfile(path, self.place(film) / path.name)
        self._enter(film)
        return film

    def sort(self, film: Film, group: str) -> None:
        """Put a film into a group."""
        with self._lock:
            self._note(film, group=group)

    def cancel(self, film: Film) -> None:
        """Read no more of a film."""
        with self._lock:
            if film.about.state in ("waiting", "reading"):
                film.cancelled.set()
                self._note(film, state="cancelled")

    def delete(self, film: Film) -> None:
        """Remove a film and all that was made of it; a film that was not uploaded stays where it lies."""
        self.cancel(film)
        with self._lock:
            self._films.pop(film.id, None)
            shutil.rmtree(self.place(film), ignore_errors=True)

    # --- the thread that reads

    def _work(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._ending or self._queue or (self._wanted and self._predictor is None))
                if self._ending:
                    return
                film = self._next()
            try:
                if film is None:
                    self._load()
                else:
                    self._read(film)
            except Exception as error:  # one film never ends the reading of the others
                told = error if isinstance(error, DferError) else f"{type(error).__name__}: {error}"
                logger.debug("a film failed", exc_info=error)
                if film is None:
                    logger.error("the model cannot be loaded: %s", told)
                    self._wanted = False
                elif not film.cancelled.is_set():
                    with self._lock:
                        self._note(film, state="failed", error=self.without_paths(str(told)))
            if film is not None:
                film.events = []  # a page that has not read the former list to its end still holds it

    def _next(self) -> Film | None:
        """The next film of the user who had the fewest turns."""
        waiting = [self._films[id_] for id_ in self._queue if id_ in self._films]
        waiting = [film for film in waiting if film.about.state == "waiting"]
        self._queue = deque(film.id for film in waiting)
        if not waiting:
            return None
        film = min(waiting, key=lambda film: self._turns[film.user])
        self._queue.remove(film.id)
        self._turns[film.user] += 1
        return film

    def _load(self) -> Predictor:
        if self._predictor is None:
            from dfer.inference import Predictor

            self._predictor = Predictor.from_pretrained(self.model)
        return self._predictor

    def _read(self, film: Film) -> None:
        path = self.path(film)
        if not kind_of(path):
            raise DferError(f"{film.about.name} is no film and no picture that can be read")
        film.length_s = length_s(path) or 0.0
        if film.length_s > LONGEST_S:
            raise DferError(f"{film.about.name} is {film.length_s / 60:.0f} minutes long; films of up to "
                            f"{LONGEST_S / 60:.0f} are read here, longer ones by dfer predict")  # fmt: skip
        predictor = self._load()
        turn = predictor.upright_turn(path)
        film.emotions, film.size = predictor.emotions.emotions, picture_size(path, turn)
        with self._lock:
            if film.cancelled.is_set():
                return
            self._note(film, state="reading")
        recording = predictor.recording(path, rotate=turn)
        told_s = -EVERY_S
        moments = predictor.stream(path, rotate=turn)
        try:
            for moment in moments:
                if film.cancelled.is_set() or self._ending:
                    return
                if moment.time_s > LONGEST_S:
                    raise DferError(f"{film.about.name} is longer than it says: {LONGEST_S / 60:.0f} minutes are read")
                recording.add(moment)
                film.read_s = moment.time_s
                if moment.time_s - told_s >= EVERY_S or moment.renamed:
                    film.events.append(_plain(moment))
                    told_s = moment.time_s
        finally:
            moments.close()
        recording.timeline().save(self.place(film) / TIMELINE)
        with self._lock:
            if film.id in self._films:
                self._note(film, state="done")

    # --- the records

    def _find(self, place: Path) -> None:
        """A film of a former start; one that was not read to its end is read anew."""
        try:
            about = checked(About, read_json(place / ABOUT), str(place / ABOUT))
        except DferError as error:
            logger.warning("left out %s: %s", place, error)
            return
        if not ID.fullmatch(place.name) or about.state not in STATES:
            return
        film = Film(place.name, about)
        if about.state == "reading" or (about.state == "done" and not (place / TIMELINE).exists()):
            film.about = replace(about, state="waiting")
        self._films[film.id] = film
        if film.about.state == "waiting":
            self._queue.append(film.id)

    def _check_room(self, user: str) -> None:
        with self._lock:
            waiting = sum(film.user == user and film.about.state == "waiting" for film in self._films.values())
            if len(self._films) >= MOST or waiting >= MOST_WAITING:
                raise RefusedError(
                    f"there are {len(self._films)} films, {waiting} of yours wait; delete some first", 429
                )

    def _enter(self, film: Film) -> None:
        with self._news:
            self.place(film).mkdir(parents=True, exist_ok=True)
            self._films[film.id] = film
            self._note(film)
            self._queue.append(film.id)
            self._news.notify_all()

    def _note(self, film: Film, **changed: Any) -> None:
        film.about = replace(film.about, **changed)
        write_text(self.place(film) / ABOUT, json.dumps(asdict(film.about), ensure_ascii=False) + "\n")

    def without_paths(self, told: str) -> str:
        """A message for somebody who need not know where files lie."""
        return shortened(re.sub(re.escape(str(self.workspace.folder)) + r"\S*/", "", told), 400)


def picture_size(path: Path, turn: int) -> tuple[int, int]:
    """Width and height of a film's first picture as it is displayed, turned clockwise by `turn` degrees."""
    frames = stream(path, rotate=turn)
    height, width = next(frames).pixels.shape[:2]
    return width, height


def _plain(moment: Moment) -> str:
    """A moment as one line of JSON, for a page."""
    from dfer.inference.doubts import KINDS, judged

    mixed, cannot_tell = (np.array([getattr(face, key) for face in moment.faces]) for key in ("mixed", "cannot_tell"))
    kinds = judged(mixed, cannot_tell).kinds
    values = {
        "time_s": round(moment.time_s, 3),
        "faces": [
            {
                "id": face.id, "box": face.box.round(1).tolist(), "probs": face.probs.round(3).tolist(),
                "mixed": _known(face.mixed), "cannot_tell": _known(face.cannot_tell), "doubt": KINDS[kind],
            }
            for face, kind in zip(moment.faces, kinds, strict=True)
        ],
        "renamed": {str(new): old for new, old in moment.renamed.items()},
    }  # fmt: skip
    return json.dumps(values, separators=(",", ":"))


def _known(score: float) -> float | None:
    return None if math.isnan(score) else round(score, 3)
