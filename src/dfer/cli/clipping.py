"""The verb that cuts films into clips: `dfer clips`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from dfer.cli.app import app
from dfer.cli.terminal import Counter, errors, say
from dfer.errors import DferError, UnwritableError

if TYPE_CHECKING:
    from dfer.video.cutting import Part

MOST = 100_000
"""Clips of one command: names in one folder."""


@app.command()
def clips(
    films: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILM...",
            help="Films, folders of films, patterns (*.mp4); or timelines that predict wrote (.json): each segment in "
            "which an emotion is named becomes a clip.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the clips.")] = Path("clips"),
    length: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds of a clip, for films.")] = 4.0,
    every: Annotated[
        float | None,
        typer.Option(min=0.1, help="Seconds from one clip's beginning to the next one's.", show_default="--length"),
    ] = None,
    shortest: Annotated[
        float,
        typer.Option(
            min=0.05, max=600, help="Leave out ends of films and segments that are shorter than this many seconds."
        ),
    ] = 1.0,
) -> None:
    """Cut films into clips, for raters (see studio) or a data set; clips that are there are not cut again."""
    parts: dict[str, Part] = {}
    failed = 0
    for named, ways in _sources(films, length, every or length, shortest):
        try:
            found = ways()
        except DferError as error:
            failed += 1
            _tell(named, error)
            continue
        for part in found:  # two people of a timeline may have one segment
            other = parts.setdefault(part.name, part)
            if other.film != part.film:
                raise DferError(f"the clips of {other.film} and {part.film} have one name; cut each into its own --out")
    if not parts and not failed:
        raise DferError(f"nothing lasts for {shortest:g} s; lower --shortest")
    if len(parts) > MOST:
        raise DferError(f"expected at most {MOST} clips, got {len(parts)}; raise --every, or cut fewer films at a time")
    missing = [part for part in parts.values() if not part.is_there(out)]
    done = 0
    with Counter("cutting") as progress:
        for number, part in enumerate(missing, 1):
            try:
                part.cut(out)
                done += 1
            except UnwritableError:
                raise
            except DferError as error:
                failed += 1
                _tell(part.name, error)
            progress(number, len(missing))
    were_there = f", {len(parts) - len(missing)} were there" if len(missing) < len(parts) else ""
    if parts:
        cut = "1 clip" if done == 1 else f"{done} clips"
        say(f"{cut} cut{were_there} -> {out}; next: dfer studio, or dfer prepare with your votes")
    if failed:
        errors.print(f"{failed} films or clips could not be cut", highlight=False)
        raise typer.Exit(1 if done or were_there else 2)


def _sources(
    films: list[Path], length: float, every: float, shortest: float
) -> Iterator[tuple[str, Callable[[], list[Part]]]]:
    """What is to be cut, by name, and what finds its parts."""
    from dfer.inference.batch import find_videos
    from dfer.video.cutting import window_parts

    timelines = [path for path in films if path.suffix.lower() == ".json"]
    for path in timelines:
        yield str(path), partial(_segments, path, shortest)
    others = [path for path in films if path not in timelines]
    for video in find_videos(others) if others else []:
        yield (
            str(video.path),
            partial(window_parts, video.path, video.name, length=length, every=every, shortest=shortest),
        )


def _segments(path: Path, shortest: float) -> list[Part]:
    from dfer.inference import Timeline
    from dfer.video.cutting import segment_parts

    read = Timeline.load(path)
    named = [segment for person in read.people for segment in person.segments if not segment.doubt]
    spans = [(segment.start_s, segment.end_s) for segment in named]
    return segment_parts(Path(read.video), spans, shortest=shortest, rotate=read.rotate)


def _tell(what: str, error: DferError) -> None:
    told = str(error) if what in str(error) else f"{what}: {error}"
    errors.print(Text.assemble(("error:", "bold red"), f" {told}"), soft_wrap=True)
