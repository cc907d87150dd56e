"""The room Watch, and the API of films: upload, progress as server-sent events, timelines, corrections, downloads."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, Field

from dfer.comparison.films import compare_films
from dfer.errors import DferError
from dfer.pages import emotion_colours
from dfer.studio.app import API, Folder, Owner, page
from dfer.studio.films import Film, Films, picture_size
from dfer.studio.media import playable
from dfer.studio.security import COOKIE, RefusedError
from dfer.studio.workspace import shipped
from dfer.video.folders import kind_of

router = APIRouter()

LISTEN_S = 0.1
"""How often it is looked whether there is something new to tell."""
ALIVE_S = 15.0
"""After so long without news a line is sent, so that nobody on the way closes the connection."""
PATIENCE_S = 60.0
"""So long an upload may pause."""
FORMS = {
    "json": "application/json", "csv": "text/csv", "srt": "application/x-subrip", "html": "text/html",
    "png": "image/png", "mp4": "video/mp4", "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip
"""What a timeline can be downloaded as."""
_drawing = threading.Lock()
"""Overlays and pages take a core and memory: one at a time."""


class FromFolder(BaseModel):
    """Films that lie in the folder, by the keys that `GET /films` lists."""

    keys: list[Annotated[str, Field(max_length=40)]] = Field(min_length=1, max_length=50)


class Correcting(BaseModel):
    """A correction; see `dfer.inference.corrections`."""

    kind: Literal["name", "merge", "split", "mark"]
    person: int | None = None
    people: list[int] | None = Field(default=None, max_length=1000)
    name: str | None = Field(default=None, max_length=200)
    at_s: float | None = None
    start_s: float | None = None
    end_s: float | None = None
    emotion: str | None = Field(default=None, max_length=200)


class Grouping(BaseModel):
    """The group that a film belongs to, "" for none."""

    group: Annotated[str, Field(max_length=80)]


def films_of(request: Request) -> Films:
    """The films of the folder."""
    found: Films = request.app.state.films
    return found


All = Annotated[Films, Depends(films_of)]


# --- pages


@router.get("/watch", include_in_schema=False)
def watch_page(request: Request, films: All) -> Response:
    """All films."""
    films.warm()
    return page(request, "watch.html.jinja", room="watch")


@router.get("/watch/{id_}", include_in_schema=False)
def film_page(request: Request, id_: str, films: All) -> Response:
    """One film."""
    film = films.get(id_)
    return page(request, "film.html.jinja", room="watch", id=film.id, title=film.about.name)


# --- films


@router.get(f"{API}/films", tags=["films"])
def all_films(_: Owner, films: All, folder: Folder) -> dict[str, Any]:
    """The films, newest first, with a row for each person; and the films of the folder that can be added."""
    taken = {film.about.path for film in films.all() if not film.about.uploaded}
    in_folder = [
        {"key": item.key, "name": item.name}
        for item in folder.items("film")
        if item.path.relative_to(folder.folder).as_posix() not in taken
    ]
    return {"films": [_told(films, film) for film in reversed(films.all())], "in_folder": in_folder}


@router.post(f"{API}/films", tags=["films"], status_code=201)
async def upload(
    request: Request, _: Owner, films: All, name: Annotated[str, Query(max_length=300)] = "film.mp4"
) -> dict[str, Any]:
    """Upload a film: the body of the request is the file. It is read as soon as it is its turn."""
    length = request.headers.get("content-length", "")
    films.check_size(int(length) if length.isascii() and length.isdigit() else 0)
    film = await films.receive(name, _patient(request), _user(request))
    return {"id": film.id, "name": film.about.name}


@router.post(f"{API}/films/from-folder", tags=["films"], status_code=201)
def from_folder(given: FromFolder, request: Request, _: Owner, films: All, folder: Folder) -> list[dict[str, Any]]:
    """Read films that lie in the folder."""
    added = [films.add(folder.item(key, "film"), _user(request)) for key in given.keys]
    return [{"id": film.id, "name": film.about.name} for film in added]


@router.post(f"{API}/films/examples", tags=["films"], status_code=201)
def add_examples(request: Request, _: Owner, films: All) -> list[dict[str, Any]]:
    """Read the two example films."""
    found = shipped("examples/crema_d", ".flv")
    if not found:
        raise RefusedError("the example films are not installed", 404)
    added = [films.add_copy(path, _user(request)) for path in found.values()]
    return [{"id": film.id, "name": film.about.name} for film in added]


@router.get(f"{API}/films/table.{{form}}", tags=["films"], response_class=Response)
def films_table(form: Literal["csv", "xlsx"], _: Owner, films: All) -> Response:
    """A row for each film and person, as a table."""
    from dfer.inference.summary import Summary, write_summary

    summary = Summary()
    for film in films.all():
        if film.about.state == "done":
            summary.add(replace(films.timeline(film), video=film.about.name))
        elif film.about.state == "failed":
            summary.fail(Path(film.about.name), DferError(film.about.error))
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"films.{form}"
        write_summary(summary, path)
        return _attachment(path.read_bytes(), f"films.{form}", FORMS[form])


@router.get(f"{API}/films/groups", tags=["films"])
def groups(_: Owner, films: All, one: str, other: str) -> dict[str, Any]:
    """Compare two groups of films: mean distributions with intervals by film, and a permutation test."""
    means: dict[str, list[Any]] = {one: [], other: []}
    emotions: list[str] = []
    for film in films.all():
        if film.about.group in means and film.about.state == "done":
            timeline = films.timeline(film)
            known = [person.overall for person in timeline.people if not np.isnan(person.overall).any()]
            emotions = list(timeline.emotions)
            if known:
                means[film.about.group].append(np.mean(known, axis=0))
    if one == other or not means[one] or not means[other]:
        raise RefusedError("expected two groups with a film each in which a face is seen", 400)
    found = compare_films(means[one], means[other])
    intervals = np.where(np.isnan(found.intervals), None, found.intervals.round(4))  # type: ignore[call-overload]
    return {
        "emotions": emotions, "groups": [one, other], "films": [len(means[one]), len(means[other])],
        "means": found.means.round(4).tolist(), "intervals": intervals.tolist(), "p": found.p, "exact": found.exact,
    }  # fmt: skip


@router.get(f"{API}/films/{{id_}}", tags=["films"])
def one_film(id_: str, _: Owner, films: All) -> dict[str, Any]:
    """What is known of a film."""
    return _told(films, films.get(id_))


@router.delete(f"{API}/films/{{id_}}", tags=["films"])
def delete(id_: str, _: Owner, films: All) -> dict[str, bool]:
    """Delete a film that was uploaded, and all that was made of it."""
    films.delete(films.get(id_))
    return {"deleted": True}


@router.post(f"{API}/films/{{id_}}/cancel", tags=["films"])
def cancel(id_: str, _: Owner, films: All) -> dict[str, Any]:
    """Read no more of a film."""
    film = films.get(id_)
    films.cancel(film)
    return _told(films, film)


@router.put(f"{API}/films/{{id_}}/group", tags=["films"])
def put_in_group(id_: str, given: Grouping, _: Owner, films: All) -> dict[str, Any]:
    """Put a film into a group."""
    film = films.get(id_)
    films.sort(film, given.group.strip())
    return _told(films, film)


@router.get(f"{API}/films/{{id_}}/events", tags=["films"], response_class=StreamingResponse)
def events(id_: str, _: Owner, films: All, request: Request) -> StreamingResponse:
    """What is read, as server-sent events: `moment` (a list), and at the end `state`."""
    return StreamingResponse(_news(films.get(id_), request), media_type="text/event-stream")


@router.get(f"{API}/films/{{id_}}/timeline", tags=["films"])
def timeline(id_: str, _: Owner, films: All, corrected: bool = True) -> dict[str, Any]:
    """The timeline (`dfer.timeline/1`), with the corrections of people or as the machine made it."""
    film = films.get(id_)
    found = replace(films.timeline(film, as_corrected=corrected), video=film.about.name)
    shades = emotion_colours(found.emotions.emotions)
    if not any(film.size):
        film.size = picture_size(films.path(film), found.rotate)
    more = {"shades": shades, "corrections": len(films.corrections(film)), "size": film.size}
    return found.to_dict() | more


@router.get(f"{API}/films/{{id_}}/video", tags=["films"], response_class=FileResponse)
def video(id_: str, _: Owner, films: All) -> FileResponse:
    """The film as browsers play it, turned as it was read."""
    film = films.get(id_)
    path = films.path(film)
    rotate = films.timeline(film).rotate if film.about.state == "done" else 0
    kind = "frames" if kind_of(path) == "image" else "video"  # a picture becomes a film, too: one player shows all
    shown, kind = playable(path, kind, films.place(film) / "copy.mp4", rotate=rotate)
    return FileResponse(shown, media_type=kind)


@router.post(f"{API}/films/{{id_}}/corrections", tags=["films"])
def correct(id_: str, given: Correcting, _: Owner, films: All) -> dict[str, int]:
    """Name, merge or split people, or mark what a stretch of time shows. The machine's answer stays as it is."""
    from dfer.inference.corrections import from_plain

    film = films.get(id_)
    (made,) = from_plain([given.model_dump(exclude_none=True)], "the correction")
    films.correct(film, made)
    return {"corrections": len(films.corrections(film))}


@router.delete(f"{API}/films/{{id_}}/corrections/last", tags=["films"])
def undo(id_: str, _: Owner, films: All) -> dict[str, int]:
    """Take the last correction back."""
    film = films.get(id_)
    films.correct(film, None)
    return {"corrections": len(films.corrections(film))}


@router.get(f"{API}/films/{{id_}}/download/{{form}}", tags=["films"], response_class=Response)
def download(
    id_: str, form: Literal["json", "csv", "srt", "html", "png", "mp4", "parquet", "xlsx"], _: Owner, films: All,
    corrected: bool = True,
) -> Response:  # fmt: skip
    """A timeline as a file."""
    from dfer.inference.summary import Summary, write_summary
    from dfer.inference.writers import write

    film = films.get(id_)
    found = films.timeline(film, as_corrected=corrected)
    if form not in ("html", "png", "mp4"):  # those read the film again; the others need not know where it lies
        found = replace(found, video=film.about.name)
    with tempfile.TemporaryDirectory() as place, _drawing:
        path = Path(place) / f"timeline.{form}"
        if form == "xlsx":
            summary = Summary()
            summary.add(found)
            write_summary(summary, path)
        else:
            write(found, path)
        return _attachment(path.read_bytes(), f"{Path(film.about.path).stem}.{form}", FORMS[form])


def _attachment(data: bytes, name: str, kind: str) -> Response:
    """A download; `name` has plain letters only."""
    safe = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "_" for letter in name)
    return Response(data, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{safe}"'})


def _user(request: Request) -> str:
    """Who asks, so that nobody's films wait for all of somebody else's."""
    who = request.cookies.get(COOKIE, "") or request.headers.get("authorization", "")
    return hashlib.sha256(who.encode()).hexdigest()[:16]


async def _patient(request: Request) -> AsyncIterator[bytes]:
    """The parts of an upload; one that stops coming is given up."""
    parts = request.stream().__aiter__()
    while True:
        try:
            yield await asyncio.wait_for(anext(parts), PATIENCE_S)
        except StopAsyncIteration:
            return
        except asyncio.TimeoutError:
            raise RefusedError(f"nothing came for {PATIENCE_S:.0f} s, so the upload was given up", 408) from None


async def _news(film: Film, request: Request) -> AsyncIterator[str]:
    events, told, silent_s, state = film.events, 0, 0.0, ""
    while not await request.is_disconnected():
        before, state = state, film.about.state
        fresh, changed = events[told:], state != before  # after the state: once it is "done", nothing is added
        told += len(fresh)
        if changed:  # what the moments mean comes before them
            yield f"event: state\ndata: {json.dumps(_progress(film))}\n\n"
        if fresh:
            yield f"event: moment\ndata: [{','.join(fresh)}]\n\n"
        if state in ("done", "failed", "cancelled"):
            return
        silent_s = 0.0 if changed or fresh else silent_s
        await asyncio.sleep(LISTEN_S)
        silent_s += LISTEN_S
        if silent_s > ALIVE_S:
            silent_s = 0.0
            yield ": still here\n\n"


def _progress(film: Film) -> dict[str, Any]:
    about = film.about
    return {
        "id": film.id, "name": about.name, "state": about.state, "error": about.error, "group": about.group,
        "read_s": round(film.read_s, 2), "length_s": round(film.length_s, 2), "size": film.size,
        "emotions": film.emotions, "shades": emotion_colours(film.emotions),
    }  # fmt: skip


def _told(films: Films, film: Film) -> dict[str, Any]:
    """A film, and of one that is read a row for each person."""
    from dfer.inference.summary import DOUBTED, summarise

    told = _progress(film) | {"people": []}
    if film.about.state != "done":
        return told
    try:
        found = films.timeline(film)
    except DferError as error:  # a file that somebody changed by hand
        return told | {"state": "failed", "error": str(error)}
    shades = emotion_colours(found.emotions.emotions)
    for person in found.people:
        short = summarise(person, found)
        if np.isnan(short.mean).any():
            continue
        top = int(short.mean.argmax())
        told["people"].append({
            "id": person.id, "name": person.label, "seen_s": round(short.seen_s, 2), "strongest": found.emotions[top],
            "mean": dict(zip(found.emotions, short.mean.round(4).tolist(), strict=True)), "shades": shades,
            "usable": round(short.usable, 4), "segments": len(person.segments),
            **{key: None if np.isnan(share) else round(share, 4)
               for key, share in zip(DOUBTED, short.doubts.tolist(), strict=True)},
        })  # fmt: skip
    return told | {"length_s": round(found.duration_s, 2)}
