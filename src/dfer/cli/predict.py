"""The verb on videos: `dfer predict`."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from rich.text import Text

from dfer.cli.allowing import Allow
from dfer.cli.app import app, start_logging
from dfer.cli.clustering import Ray
from dfer.cli.telling import Told, read_with_bar, watch_camera
from dfer.cli.terminal import Counter, errors, say
from dfer.errors import DferError, UnwritableError
from dfer.files import replacing

if TYPE_CHECKING:
    from dfer.inference import Predictor, Timeline
    from dfer.inference.batch import Video
    from dfer.inference.side_by_side import How, Load, Seen
    from dfer.inference.summary import Summary
    from dfer.inference.writers import CsvStyle

    Readings: TypeAlias = Iterable[tuple[Video, Callable[[], Timeline]]]

Videos = Annotated[
    list[Path] | None,
    typer.Argument(help="Videos, images, folders of them, or patterns such as 'day1/*.mp4'.", show_default=False),
]
Outs = Annotated[
    list[Path] | None,
    typer.Option(
        "--out",
        "-o",
        help="A file (.json .csv .parquet .srt .html .mp4 .png .svg .pdf), a folder, or a path with {name} in it. "
        "For several videos, a .csv or .xlsx has a row for each video and person. May be repeated.",
    ),
]
Formats = Annotated[
    list[str] | None,
    typer.Option("--format", help="What to write into a folder: json, csv and so on; may be repeated."),
]
ModelFolder = Annotated[
    str, typer.Option(help="The folder of a checkpoint or of a run; by default the model that comes with dfer.")
]
Camera = Annotated[
    int | None, typer.Option(min=0, help="Read the camera with this number instead, until Ctrl-C or --end.")
]
Start = Annotated[str, typer.Option(help="Begin at this time: seconds, min:s or h:min:s.")]
End = Annotated[str | None, typer.Option(help="Stop before this time.")]
Every = Annotated[float, typer.Option(min=0, help="Read one frame in this many seconds; 0 reads every frame.")]
Rate = Annotated[
    float | None,
    typer.Option(
        help="Frames per second of a folder of frames, or of a film without a clock. Other films have times of their "
        "own, and it changes nothing.",
        show_default="25 for a folder, the rate that a film states",
    ),
]
Rotate = Annotated[
    int | None,
    typer.Option(help="Turn the picture clockwise: 0, 90, 180 or 270 degrees.", show_default="as faces are upright"),
]
People = Annotated[int | None, typer.Option(min=1, help="Follow at most this many people.")]
CsvSep = Annotated[str, typer.Option(help="What separates the columns of a .csv; Excel in most of Europe wants ;")]
CsvDecimal = Annotated[str, typer.Option(help="The decimal sign in a .csv: a point or a comma.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or another name of torch; auto takes a GPU if there is one.")]
Prior = Annotated[
    str | None,
    typer.Option(
        help="How frequent emotions are among the people who are read: trained (as in the model's training part), "
        "uniform (all alike; rare emotions are found more often), a number from 0 (trained) to 2, or a JSON file "
        "with the share of each emotion.",
        show_default="what the model's card names",
    ),
]
Abstain = Annotated[
    float | None,
    typer.Option(
        help="Keep to this risk of naming another emotion than most people would, such as 0.1; where it would be "
        "higher, no emotion is named.",
        show_default="an emotion is named unless people would probably disagree, or the picture does not tell",
    ),
]
BothViews = Annotated[
    bool,
    typer.Option(
        "--both-views",
        help="Show the network each face and its mirror image in each frame; by default it sees the two in turns, in "
        "11 to 22 frames a second, where frames follow each other closely.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Number of videos that are read at the same time, each in a process of its own.",
        show_default="one for every two cores, as far as memory goes; 1 where all are short",
    ),
]


@app.command()
def predict(
    videos: Videos = None, out: Outs = None, format_: Formats = None, model: ModelFolder = "default",
    camera: Camera = None, start: Start = "0", end: End = None, every: Every = 0, fps: Rate = None,
    rotate: Rotate = None, people: People = None, csv_sep: CsvSep = ",", csv_decimal: CsvDecimal = ".",
    device: Device = "auto", prior: Prior = None, abstain: Abstain = None, both_views: BothViews = False,
    workers: Workers = None, _allow: Allow = None, ray: Ray = None,
) -> None:  # fmt: skip
    """Read the emotions of the faces in videos: who shows what, and when."""
    from dfer.inference.batch import Video, destinations, find_videos, split_outs
    from dfer.inference.side_by_side import How, Job, Load
    from dfer.inference.writers import CsvStyle
    from dfer.video.stream import Span, require_rate, require_turn

    require_rate(fps)
    require_turn(rotate or 0)
    if bool(videos) == (camera is not None):
        raise DferError("expected videos, or a camera: dfer predict clip.mp4, or dfer predict --camera 0")
    span = Span(seconds(start), None if end is None else seconds(end), every)
    found = [Video(Path(f"camera_{camera}"), f"camera_{camera}")] if camera is not None else find_videos(videos or [])
    style = CsvStyle(csv_sep.replace("\\t", "\t"), csv_decimal)
    summaries, outs = split_outs(videos or [], found, out or [])
    places = destinations(found, outs, format_ or [])
    jobs = [Told(Job(video, places[video], style), in_full=not out) for video in found]
    _check_outputs([*summaries, *(path for paths in places.values() for path in paths)], style, camera)
    load = Load(model, device, prior, abstain, both_views, allowed=tuple(_allow or ()))
    how = How(span, people, fps, rotate)
    if camera is not None:
        if ray:
            raise DferError("a camera is read by this machine; leave --ray out")
        _finish(jobs[0], watch_camera(load.predictor(), camera, how))
    elif len(jobs) == 1 and not summaries and not ray:
        _read(load.predictor(), jobs[0], how)
    else:
        several = [replace(job, place=f"{number} of {len(jobs)}") for number, job in enumerate(jobs, 1)]
        with _readings(load, several, how, workers, ray) as readings:
            _read_all(readings, len(jobs), summaries, style)


@contextlib.contextmanager
def _readings(load: Load, jobs: list[Told], how: How, workers: int | None, ray: str | None) -> Iterator[Readings]:
    """The videos with what reads each: in processes side by side, or one after the other."""
    from dfer.cluster import on_cluster
    from dfer.inference.side_by_side import worth_processes

    videos = [told.job.video for told in jobs]
    count = workers if ray else min(workers or worth_processes(videos, load.device), len(jobs))
    if ray or (count and count > 1):
        readings = _side_by_side(load, jobs, how, count)
        with on_cluster(ray, workers=workers if ray else None), contextlib.closing(readings):
            yield readings
    else:
        predictor = load.predictor()
        yield ((told.job.video, partial(_read, predictor, told, how)) for told in jobs)


def _side_by_side(
    load: Load, jobs: list[Told], how: How, workers: int | None
) -> Generator[tuple[Video, Callable[[], Timeline]], None, None]:
    """The videos, read and written by processes of this machine or a cluster, and told of in their order."""
    from dfer.inference.side_by_side import read_side_by_side

    readings = read_side_by_side(load, [told.job for told in jobs], how, workers=workers, begin=_log_anew)
    with contextlib.closing(readings), Counter("reading videos") as counter:
        for number, (told, (job, result)) in enumerate(zip(jobs, readings, strict=True), 1):
            counter(number, len(jobs))
            yield job.video, partial(_tell_of, told, result)


def _log_anew() -> None:
    """In a worker."""
    start_logging(anew=True)


def _tell_of(told: Told, result: Callable[[], Seen]) -> Timeline:
    seen = result()
    told.tell(seen.timeline, seen.speed)
    return seen.timeline


def _read(predictor: Predictor, told: Told, how: How) -> Timeline:
    seen = read_with_bar(predictor, told, how)
    return _finish(told, seen.timeline, seen.speed)


def _finish(told: Told, timeline: Timeline, speed: float | None = None) -> Timeline:
    told.job.write(timeline)
    told.tell(timeline, speed)
    return timeline


def seconds(text: str) -> float:
    """A time as seconds: 90, 1:30 or 0:01:30.

    >>> seconds("1:30.5")
    90.5
    """
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or not all(0 <= part < math.inf for part in parts):
        raise DferError(f"expected a time as seconds, min:s or h:min:s, got {text!r}")
    return sum(part * (1, 60, 3600)[power] for power, part in enumerate(reversed(parts)))


def _check_outputs(paths: list[Path], style: CsvStyle, camera: int | None) -> None:
    """Refuse, before anything is read, what cannot be written in the end."""
    from dfer.inference.writers import CsvStyle

    suffixes = {path.suffix.lower() for path in paths}
    if camera is not None and ".mp4" in suffixes:
        raise DferError(
            "a camera's pictures are not kept, so nothing can be drawn into them and no .mp4 written; choose another "
            "output such as .json or .png, or record a film first and read that"
        )
    if style != CsvStyle() and ".csv" not in suffixes:
        raise DferError("--csv-sep and --csv-decimal are for a .csv; name one with -o, or leave them out")


def _read_all(readings: Readings, count: int, summaries: list[Path], style: CsvStyle) -> None:
    """One after the other; who fails is named, and the rest goes on. Exit code 1 if some failed, 2 if all.

    Summaries are tried at the beginning, to see that they can be written, and written at the end, also where that comes
    early; where it comes before the first film, a former one stays.

    Args:
        readings: the videos, and what reads each.
        count: how many they are.
        summaries: files to write.
        style: of a .csv among them.
    """
    from dfer.inference.summary import Summary

    summary = Summary()
    _try(summary, summaries, style)
    try:
        for video, read in readings:
            try:
                summary.add(read())
            except UnwritableError:
                raise
            except Exception as error:  # one film never ends the run of a folder; --debug shows where a fault lies
                logging.getLogger(__name__).debug("%s", video.path, exc_info=error)
                fault = f"{video.path}: {type(error).__name__}: {error}"
                told_of = error if isinstance(error, DferError) else DferError(fault)
                summary.fail(video.path, told_of)
                told = f" {' '.join(str(told_of).split())}"
                errors.print(Text.assemble(("error:", "bold red"), told), soft_wrap=True)
    finally:
        done = bool(summary.videos or summary.failed)
        if done:
            _summarise(summary, summaries, style)
        arrow = " -> " + ", ".join(map(str, summaries)) if summaries and done else ""
        *most, last = summary.totals()
        say("", *most, last + arrow)
    if summary.failed:
        errors.print(f"{summary.failed} of {count} videos could not be read", highlight=False)
        raise typer.Exit(2 if summary.failed == count else 1)


def _try(summary: Summary, paths: list[Path], style: CsvStyle) -> None:
    """See that summaries can be written; what is at their places stays there."""
    for path in paths:
        with contextlib.suppress(_TriedError), replacing(path) as partial:
            _summarise(summary, [partial], style)
            raise _TriedError


class _TriedError(Exception):
    """Ends a trial."""


def _summarise(summary: Summary, paths: list[Path], style: CsvStyle) -> None:
    from dfer.inference.summary import write_summary

    for path in paths:
        write_summary(summary, path, style=style)
