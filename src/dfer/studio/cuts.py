"""Clips that are cut from films by hand in Watch: kept in the folder, in `cut/`, and shown to raters."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from dfer.datasets.vote_files import Clip
from dfer.errors import DferError
from dfer.studio.app import API, Folder, Owner
from dfer.studio.security import RefusedError
from dfer.studio.watch import All
from dfer.video.cutting import clip_name, cut

router = APIRouter()

PLACE = "cut"
"""The folder of the clips, in the folder of the studio; those of a study have a folder of its name in it."""
SHORTEST_S, LONGEST_S = 0.1, 600.0
"""Of a clip."""
_cutting = threading.Lock()
"""One at a time: it takes a core."""


class Cutting(BaseModel):
    """A part of a film, seconds, and the study that gets it; "": none yet."""

    start_s: float = Field(ge=0, lt=1e6, allow_inf_nan=False)
    end_s: float = Field(gt=0, lt=1e6, allow_inf_nan=False)
    study: str = Field(default="", max_length=40)


@router.post(f"{API}/films/{{id_}}/clips", tags=["films"], status_code=201)
def cut_clip(id_: str, given: Cutting, _: Owner, films: All, folder: Folder) -> dict[str, Any]:
    """Cut a clip from a film, and add it to a study; its emotions and votes stay as they are."""
    session = folder.session(given.study) if given.study else None
    film = films.get(id_)
    timeline, path = films.timeline(film), films.path(film)
    end_s = min(given.end_s, timeline.duration_s)
    if not SHORTEST_S <= end_s - given.start_s <= LONGEST_S:
        raise RefusedError(
            f"expected a part of {SHORTEST_S} to {LONGEST_S:.0f} s of a film that lasts for {timeline.duration_s:.2f} "
            f"s, got {given.start_s:.2f} to {given.end_s:.2f} s",
            400,
        )
    name = clip_name(f"{Path(film.about.name).stem}_{film.id[:4]}.mp4", given.start_s, end_s)
    place = Path(PLACE, given.study, name)
    with _cutting:
        try:
            cut(path, folder.folder / place, start_s=given.start_s, end_s=end_s, rotate=timeline.rotate)
        except DferError as error:
            raise DferError(films.without_paths(str(error))) from error
    folder.look_again()
    if session is not None:
        session.store.add_clips([Clip(name, place.as_posix(), "video")])
        session.refresh()
    return {"name": place.as_posix(), "study": given.study}
