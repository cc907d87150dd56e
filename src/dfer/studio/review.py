"""The room Review: runs, reports and data sets of the folder, a browser of clips, verbs from votes to a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from dfer.documents import checked, read_json
from dfer.errors import DferError
from dfer.files import read_bytes
from dfer.pages import emotion_colours
from dfer.shards import holding_file
from dfer.studio.app import API, Folder, Owner, page
from dfer.studio.beside import MOST, Beside, Wanted, doctor_report, read_beside
from dfer.studio.media import playable
from dfer.studio.security import REPORT_POLICY, RefusedError
from dfer.studio.work import READERS, Job, Work, checked_name
from dfer.studio.workspace import Item, Workspace, shipped

router = APIRouter()

LARGEST_PAGE = 128 * 2**20
"""Bytes of a page of the folder."""
KEY = Annotated[str, Field(max_length=40)]
FILTERS = Annotated[Wanted, Depends()]


class Started(BaseModel):
    """A verb to start: what it is done to, by key, and what it writes, by name."""

    verb: Literal["prepare", "doctor", "split", "train", "resume", "evaluate"]
    data: KEY = ""
    run: KEY = ""
    name: Annotated[str, Field(max_length=60)] = ""
    reader: Annotated[str, Field(max_length=20)] = "folder"
    recipe: Annotated[str, Field(max_length=60)] = "finetune_faces"
    epochs: int = Field(default=0, ge=0, le=10_000)


def work_of(request: Request) -> Work:
    """The verbs that were started here."""
    found: Work = request.app.state.work
    return found


Verbs = Annotated[Work, Depends(work_of)]


# --- pages


@router.get("/review", include_in_schema=False)
def review_page(request: Request) -> Response:
    """What the folder holds."""
    return page(request, "review.html.jinja", room="review", readers=READERS)


@router.get("/review/clips", include_in_schema=False)
def clips_page(request: Request) -> Response:
    """The browser of clips."""
    return page(request, "clips.html.jinja", room="review")


@router.get("/review/pages/{key}", include_in_schema=False)
def report(key: str, _: Owner, folder: Folder) -> Response:
    """A page of the folder, in a box of its own: it may be somebody else's."""
    data = read_bytes(folder.item(key, "page").path, LARGEST_PAGE)
    return Response(data, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": REPORT_POLICY})


# --- what there is


@router.get(f"{API}/review", tags=["review"])
def listing(_: Owner, folder: Folder) -> dict[str, Any]:
    """Runs with their scores, pages and data sets of the folder."""
    found: dict[str, Any] = {kind: [] for kind in ("run", "page", "manifest", "folder")}
    for item in folder.items(*found):
        told: dict[str, Any] = {"key": item.key, "name": item.name}
        found[item.kind].append(told | (_scores(item) if item.kind == "run" else {}))
    names = {"run": "runs", "page": "pages", "manifest": "data", "folder": "folders"}
    return {names[kind]: items for kind, items in found.items()} | {"recipes": list(_recipes())}


def _scores(item: Item) -> dict[str, Any]:
    """How far a run is, and its scores where it was evaluated on its own."""
    parts = [item.path, *sorted(part for part in item.path.iterdir() if part.is_dir())]
    logs = [part / "metrics.jsonl" for part in parts if (part / "metrics.jsonl").exists()]
    epochs = sum(log.read_bytes().count(b"\n") for log in logs if log.stat().st_size < 2**26)
    told: dict[str, Any] = {"epochs": epochs, "trained": any((part / "model").exists() for part in parts)}
    told["predicted"] = any(True for part in parts for _ in part.glob("predictions.*"))
    path = item.path / "report.json"
    if path.exists():
        try:
            cells = read_json(path).get("cells", [])
            own = [cell for cell in cells if isinstance(cell, dict)]
            told["scores"] = [{key: cell.get(key) for key in ("name", "n", "war", "uar", "kl")} for cell in own]
        except (DferError, AttributeError):  # a report that somebody changed by hand
            told["scores"] = []
    return told


# --- clips


@router.get(f"{API}/clips", tags=["review"])
def clips(
    _: Owner, folder: Folder, data: KEY, wanted: FILTERS, run: KEY = "", start: Annotated[int, Query(ge=0)] = 0
) -> dict[str, Any]:
    """Clips of a data set with votes and predictions side by side, filtered; a part of them from `start` on."""
    beside = _beside(folder, data, run)
    rows = beside.rows(wanted)
    return {
        "total": len(beside.manifest), "found": len(rows), "rows": rows[:100_000], "emotions": beside.emotions,
        "groups": beside.groups, "flaws": {check: len(clips) for check, clips in beside.flaws.items()},
        "shades": emotion_colours(beside.emotions),
        "clips": [beside.clip(row) for row in rows[start : start + MOST]],
    }  # fmt: skip


@router.get(f"{API}/clips/{{data}}/{{row}}", tags=["review"], response_class=FileResponse)
def clip(data: str, row: int, _: Owner, folder: Folder) -> FileResponse:
    """A clip of a data set as a browser plays it."""
    manifest = _beside(folder, data, "").manifest
    if not 0 <= row < len(manifest):
        raise RefusedError("there is no such clip", 404)
    record = manifest.table.iloc[row]
    path = manifest.resolve(record["path"])
    if not holding_file(path).exists():
        raise RefusedError("this clip is no longer there", 404)
    shown, kind = playable(path, record["kind"], folder.home / "copies" / data / f"{row}.mp4")
    return FileResponse(shown, media_type=kind, headers={"Cache-Control": "private, max-age=600"})


def _beside(folder: Workspace, data: str, run: str) -> Beside:
    source = folder.item(data, "manifest").path
    other = folder.item(run, "run").path if run else None
    files = (source, other, doctor_report(source))
    changed = tuple(file.stat().st_mtime for file in files if file is not None and file.exists())
    return read_beside(source, other, changed)


# --- verbs


@router.get(f"{API}/work", tags=["review"])
def work(_: Owner, verbs: Verbs) -> list[dict[str, Any]]:
    """The verbs that were started here, newest first."""
    return [verbs.told(job) for job in verbs.jobs()]


@router.post(f"{API}/work", tags=["review"], status_code=201)
def start(given: Started, _: Owner, folder: Folder, verbs: Verbs) -> dict[str, Any]:
    """Start a verb: prepare, doctor, split, train, resume or evaluate."""
    return verbs.told(_start(given, folder, verbs))


@router.post(f"{API}/work/{{id_}}/stop", tags=["review"])
def stop(id_: str, _: Owner, verbs: Verbs) -> dict[str, Any]:
    """Stop a verb; training can be resumed."""
    job = verbs.get(id_)
    verbs.stop(job)
    return verbs.told(job)


def _start(given: Started, folder: Workspace, verbs: Work) -> Job:
    """Put the arguments together from what the folder holds."""
    if given.verb == "prepare":
        if given.reader not in READERS:
            raise DferError(f"expected one of the readers {', '.join(READERS)}")
        source = folder.item(given.data, "folder")
        out = folder.folder / "data" / f"{checked_name(given.name)}.csv"
        return verbs.begin(f"prepare {source.name}", ["prepare", given.reader, str(source.path), "-o", str(out)], out)
    if given.verb in ("resume", "evaluate"):
        run = folder.item(given.run, "run")
        if given.verb == "evaluate":
            return verbs.begin(f"evaluate {run.name}", ["evaluate", str(run.path)], run.path / "report.html")
        return verbs.begin(f"resume {run.name}", _resumed(run.path), run.path)
    data = folder.item(given.data, "manifest")
    if given.verb == "doctor":
        out = data.path.with_name(f"{data.path.stem}_doctor.html")
        words = ["doctor", str(data.path), "-o", str(out), "--json", str(doctor_report(data.path))]
        return verbs.begin(f"doctor {data.name}", words, out)
    if given.verb == "split":
        out = data.path.with_name(f"{data.path.stem}_split.csv")
        words = ["split", str(data.path), "-o", str(out), "--test", "0.2"]
        return verbs.begin(f"split {data.name}", words, out)
    if given.recipe not in _recipes():
        raise DferError(f"there is no recipe {given.recipe!r}")
    out = folder.folder / "runs" / checked_name(given.name)
    words = ["train", given.recipe, "--data", str(data.path), "-o", str(out)]
    words += ["--set", f"optim.epochs={given.epochs}"] if given.epochs else []
    return verbs.begin(f"train {out.name}", words, out)


def _recipes() -> dict[str, Path]:
    """The recipes that come with dfer; torch is not needed to name them."""
    return shipped("configs", ".toml")


def _resumed(run: Path) -> list[str]:
    """Arguments that go on with a run: by its own recipe, on its own data."""
    recipes = sorted(run.glob("*/recipe.toml"))
    if not recipes or not (run / "data.json").exists():
        raise DferError(f"{run.name} is no run of dfer train that could be resumed")
    data = checked(dict[str, str], read_json(run / "data.json"), "data.json").get("manifest", "")
    return ["train", str(recipes[0]), "--data", data, "-o", str(run), "--resume"]
