"""The room Votes: what raters see and send under their own links, and what whoever runs a study does."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, BackgroundTasks, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from pydantic import BaseModel, Field

from dfer.datasets import Manifest
from dfer.datasets.answers import read_votes
from dfer.datasets.sources.label_space import Vocabulary
from dfer.datasets.vote_files import counted, write_elan, write_label_studio, write_votes
from dfer.errors import DferError
from dfer.pages import emotion_colours
from dfer.studio.app import API, Folder, Owner, page, read_body, rendered
from dfer.studio.media import playable
from dfer.studio.progress import overview
from dfer.studio.security import RefusedError
from dfer.studio.session import Session, Step
from dfer.studio.store import Cast
from dfer.studio.study import NAME, from_dict
from dfer.studio.words import all_words, words_of
from dfer.studio.workspace import Workspace
from dfer.video.decoding import length_s

router = APIRouter()

MOST_RATERS = 1000
"""Who are added in one request."""
LARGEST_ANSWERS = 64 * 2**20
"""Bytes of a table of answers that comes in."""
FORMS = {
    "votes.csv": "text/csv", "manifest.csv": "text/csv", "label_studio.json": "application/json",
    "elan.zip": "application/zip", "votes.sqlite": "application/vnd.sqlite3",
}  # fmt: skip
"""What a study can be exported as."""
KEY = Annotated[str, Field(min_length=8, max_length=80)]


class SentVote(BaseModel):
    """A vote as a page sends it; see `dfer.studio.store.Cast`."""

    key: KEY
    clip: int = Field(ge=0, lt=2**53)
    emotions: dict[Annotated[str, Field(max_length=80)], float | None] = Field(max_length=30)
    version: int = Field(ge=1, lt=2**53)
    seconds: float | None = None
    kind: Literal["vote", "repeat", "practice"] = "vote"


class NewStudy(BaseModel):
    """A new study: name, key of its clips, definition (`dfer.studio.study.Study`); only some clips, by position."""

    name: Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
    source: Annotated[str, Field(max_length=40)]
    definition: dict[str, Any]
    clips: list[int] = Field(default=[], max_length=100_000)


class NewRaters(BaseModel):
    """Names of new raters; where there are none, so many raters with numbers for names."""

    names: list[Annotated[str, Field(max_length=80)]] = Field(default=[], max_length=MOST_RATERS)
    count: int = Field(default=0, ge=0, le=MOST_RATERS)


# --- raters


@router.get("/v/{study}/{link}", include_in_schema=False)
def rater_page(study: str, link: str, folder: Folder) -> HTMLResponse:
    """The page of a rater."""
    session, _ = _rater(folder, study, link)
    return rendered("rater.html.jinja", title=session.study.title, language=session.study.language)


@router.get("/v/{study}/{link}/state", include_in_schema=False)
def state(study: str, link: str, folder: Folder) -> dict[str, Any]:
    """What a rater's page needs to begin or go on."""
    session, rater = _rater(folder, study, link)
    asked = session.study
    shades = emotion_colours([choice.name for choice in asked.choices])
    words = words_of(asked.language)
    return {
        "version": session.version,
        "title": asked.title, "words": words,
        "instructions": asked.instructions or words["instructions"], "thanks": asked.thanks or words["thanks"],
        "choices": [
            {"name": each.name, "shown": each.shown or each.name, "shade": shades[each.name]} for each in asked.choices
        ],
        "several": asked.several, "strength": asked.strength, "cannot_tell": asked.cannot_tell,
        "clips": len(session.asked),
        "votes": [
            {"clip": clip, "emotions": emotions, **_shown(session, clip)}
            for clip, emotions in session.store.voted(rater).items()
        ],
        "step": _plain(session, session.next_step(rater)),
    }  # fmt: skip


@router.post("/v/{study}/{link}/votes", include_in_schema=False)
def vote(study: str, link: str, given: SentVote, folder: Folder, later: BackgroundTasks) -> dict[str, Any]:
    """Store a vote; answers with what the rater sees next."""
    session, rater = _rater(folder, study, link)
    if given.version != session.version and session.store.study(given.version) != session.study:
        raise RefusedError("the study has changed; load the page again", 409)
    occasion = session.occasion(rater, given.clip, given.kind)
    cast = Cast(given.key, given.clip, given.emotions, given.version, given.seconds, occasion)
    fresh = session.add(rater, cast)
    later.add_task(session.learn)
    practice = session.practice.get(given.clip)
    feedback = None
    if practice is not None:
        chosen = {session.study.emotions.canonical(name) for name in given.emotions}
        feedback = {
            "text": practice.feedback,
            "expected": list(practice.emotions),
            "fits": not practice.emotions or bool(chosen & set(practice.emotions)),
        }
    return {"fresh": fresh, "feedback": feedback, "step": _plain(session, session.next_step(rater))}


@router.post("/v/{study}/{link}/forget", include_in_schema=False)
def forget_me(study: str, link: str, folder: Folder) -> dict[str, int]:
    """Delete the rater's votes and name."""
    session, rater = _rater(folder, study, link)
    return {"deleted": session.forget(rater)}


@router.get("/v/{study}/{link}/clips/{clip}", include_in_schema=False)
def rater_clip(study: str, link: str, clip: int, folder: Folder) -> FileResponse:
    """A clip as a browser plays it."""
    session, _ = _rater(folder, study, link)
    return _clip(folder, study, session, clip)


def _rater(folder: Workspace, study: str, link: str) -> tuple[Session, int]:
    if not NAME.fullmatch(study):
        raise RefusedError("this link is not valid; ask whoever runs the study for a new one", 404)
    number = folder.keys.rater(study, link)
    session = folder.session(study)
    if not session.store.knows(number):
        raise RefusedError("this link is no longer in use: its votes were deleted", 410)
    return session, number


def _plain(session: Session, step: Step) -> dict[str, Any]:
    shown = {} if step.clip is None else _shown(session, step.clip)
    return {"kind": step.kind, "clip": step.clip, "done": step.done, "break": step.proposed_break} | shown


def _shown(session: Session, clip: int) -> dict[str, Any]:
    return {"still": session.clips[clip].kind == "image"}


def _clip(folder: Workspace, study: str, session: Session, clip: int) -> FileResponse:
    if clip not in session.clips:
        raise RefusedError("there is no such clip", 404)
    path = session.path(clip)
    if not path.exists():
        session.vanished.add(clip)
        raise RefusedError("this clip is no longer there", 404)
    copy = folder.home / "copies" / study / f"{clip}.mp4"
    shown, kind = playable(path, session.clips[clip].kind, copy)
    return FileResponse(shown, media_type=kind, headers={"Cache-Control": "private, max-age=3600"})


# --- whoever runs a study


@router.get("/votes", include_in_schema=False)
def votes_page(request: Request) -> Response:
    """Studies, and a form for a new one."""
    return page(request, "votes.html.jinja", room="votes", words=all_words())


@router.get("/votes/{study}", include_in_schema=False)
def study_page(request: Request, study: str, folder: Folder) -> Response:
    """One study."""
    title = folder.session(study).study.title
    return page(request, "study.html.jinja", room="votes", study=study, title=title)


@router.get(f"{API}/studies", tags=["votes"])
def studies(_: Owner, folder: Folder) -> dict[str, Any]:
    """The studies, and what in the folder a new one could be about."""
    listed = []
    for name in folder.studies:
        try:
            session = folder.session(name)
            listed.append({
                "name": name, "title": session.study.title, "clips": len(session.asked),
                "votes": int(session.board.people.sum()), "raters": len(session.store.raters), "error": "",
            })  # fmt: skip
        except DferError as error:  # one file that is damaged or too new does not hide the others
            listed.append({"name": name, "title": name, "clips": 0, "votes": 0, "raters": 0, "error": str(error)})
    sources = [
        {"key": item.key, "kind": item.kind, "name": item.name, "count": item.count}
        for item in folder.items("folder", "manifest")
    ]
    return {"studies": listed, "sources": sources}


@router.post(f"{API}/studies", tags=["votes"])
def create(given: NewStudy, _: Owner, folder: Folder) -> dict[str, Any]:
    """Make a study."""
    session = folder.create(given.name, given.source, from_dict(given.definition), only=given.clips)
    return {"name": given.name, "clips": len(session.asked)}


@router.get(f"{API}/studies/{{study}}", tags=["votes"])
def study_overview(study: str, _: Owner, folder: Folder) -> dict[str, Any]:
    """Definition and progress of a study, with the raters' links."""
    session = folder.session(study)
    told = overview(session)
    for rater in told["raters"]:
        rater["link"] = f"/v/{study}/{folder.keys.link(study, rater['number'])}"
    shades = emotion_colours([choice.name for choice in session.study.choices])
    return {"name": study, "definition": session.study.to_dict(), "shades": shades, "version": session.version} | told


@router.put(f"{API}/studies/{{study}}/definition", tags=["votes"])
def define(study: str, definition: dict[str, Any], _: Owner, folder: Folder) -> dict[str, int]:
    """Change texts, plan and practice; once somebody voted the emotions stay as they are."""
    session = folder.session(study)
    version = session.store.define(from_dict(definition))
    session.refresh()
    return {"version": version}


@router.post(f"{API}/studies/{{study}}/raters", tags=["votes"])
def add_raters(study: str, given: NewRaters, _: Owner, folder: Folder) -> list[dict[str, Any]]:
    """Add raters, each with a link of their own."""
    store = folder.session(study).store
    names = given.names or _numbered({rater.name for rater in store.raters}, given.count)
    added = [store.add_rater(name) for name in names]
    return [
        {"number": rater.number, "name": rater.name, "link": f"/v/{study}/{folder.keys.link(study, rater.number)}"}
        for rater in added
    ]


@router.delete(f"{API}/studies/{{study}}/raters/{{rater}}", tags=["votes"])
def delete_rater(study: str, rater: int, _: Owner, folder: Folder) -> dict[str, int]:
    """Delete a rater with all of their votes."""
    return {"deleted": folder.session(study).forget(_whole(rater))}


@router.get(f"{API}/studies/{{study}}/clips/{{clip}}", tags=["votes"], response_class=FileResponse)
def owner_clip(study: str, clip: int, _: Owner, folder: Folder) -> FileResponse:
    """A clip of a study as a browser plays it."""
    return _clip(folder, study, folder.session(study), clip)


@router.get(f"{API}/studies/{{study}}/export/{{form}}", tags=["votes"], response_class=Response)
def export(study: str, form: Literal[tuple(FORMS)], _: Owner, folder: Folder) -> Response:  # type: ignore[valid-type]
    """The votes as a file."""
    session = folder.session(study)
    headers = {"Content-Disposition": f'attachment; filename="{study}_{form}"'}
    return Response(_exported(session, form), media_type=FORMS[form], headers=headers)


@router.post(f"{API}/studies/{{study}}/manifest", tags=["votes"], status_code=201)
def save_manifest(study: str, _: Owner, folder: Folder) -> dict[str, str]:
    """Write the Manifest with counts into the folder, as data/STUDY.csv, for the doctor and for training."""
    path = folder.folder / "data" / f"{study}.csv"
    _manifest(folder.session(study)).write(path)
    folder.look_again()
    return {"name": path.relative_to(folder.folder).as_posix()}


@router.post(f"{API}/studies/{{study}}/answers", tags=["votes"])
async def add_answers(
    study: str, request: Request, _: Owner, folder: Folder, name: str = "answers.csv"
) -> dict[str, Any]:
    """Take in votes that were collected elsewhere: the body is a table of answers or an export of a tool."""
    session = folder.session(study)
    suffix = Path(name).suffix.lower()
    if suffix not in (".csv", ".tsv", ".xlsx", ".json", ".eaf"):
        raise RefusedError("expected the name of the file to end in .csv, .tsv, .xlsx, .json or .eaf", 400)
    data = await read_body(request, LARGEST_ANSWERS)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"answers{suffix}"
        path.write_bytes(data)
        words = Vocabulary(",".join(choice.name for choice in session.study.choices))
        votes, left_out = read_votes(path, words=words, several=session.study.several)
        added = session.store.add_votes(votes)
    session.refresh()
    return {"added": added, "read": len(votes), "left_out": left_out}


def _exported(session: Session, form: str) -> bytes:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "export" / form  # a folder of its own: a manifest beside its clips has a relative root
        path.parent.mkdir()
        votes = session.store.votes()
        if form == "votes.csv":
            write_votes(votes, path)
        elif form == "manifest.csv":
            _manifest(session).write(path)
        elif form == "label_studio.json":
            write_label_studio(votes, path)
        elif form == "elan.zip":
            lengths = {clip.name: length_s(session.root / clip.path) or 0.0 for clip in session.clips.values()}
            write_elan(votes, Path(place) / "elan", lengths_s=lengths)
            return _zipped(Path(place) / "elan")
        else:
            session.store.backup(path)
        return path.read_bytes()


def _manifest(session: Session) -> Manifest:
    """The clips that were voted on, without those for practice."""
    clips = [session.clips[number] for number in session.asked]
    names = {clip.name for clip in clips}
    votes = [vote for vote in session.store.votes() if vote.clip in names]
    return counted(votes, clips, emotions=session.study.emotions, root=session.root)


def _zipped(folder: Path) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    return data.getvalue()


def _numbered(taken: set[str], count: int) -> list[str]:
    names = (f"rater {number}" for number in range(1, count + len(taken) + 1))
    return [name for name in names if name not in taken][:count]


def _whole(number: int) -> int:
    """A number that SQLite can hold."""
    if not 0 <= number < 2**53:
        raise RefusedError("there is no such rater", 404)
    return number
