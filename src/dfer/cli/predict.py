"""The verb on videos: `dfer predict`."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from dfer.cli.allowing import Allow
from dfer.cli.app import app, start_logging
from dfer.cli.clustering import Ray
from dfer.cli.terminal import Counter, console, errors, say
from dfer.errors import DferError, UnwritableError, listed

if TYPE_CHECKING:
    from dfer.inference import Person, Predictor, Reading, Timeline
    from dfer.inference.batch import Video
    from dfer.inference.summary import Summary
    from dfer.inference.writers import CsvStyle
    from dfer.video.stream import Span

BAR = 24
"""Characters of a bar of 100 %."""
WORTH_A_LINE = 0.02
"""Less likely emotions are not listed."""
WORTH_S = 120
"""Videos that last longer than this in all, seconds, are read side by side: to start processes takes seconds, too."""
CORES = 2
"""One process keeps so many busy, for it decodes, searches and asks the network at the same time: on two cores, another
one gains nothing (benchmarks/predict.py --many)."""
ROOM, GPU_ROOM = 2**30, 2**30
"""Bytes that a process takes which reads videos, of the machine's memory and of a GPU's; frames of 8K take 0.9 GB."""
MOST_PEOPLE, MOST_SEGMENTS = 8, 12
"""That are listed of a video, and of a person."""


@dataclass(frozen=True)
class How:
    """How videos are read; see `dfer.inference.Predictor`."""

    span: Span
    people: int | None
    fps: float | None
    rotate: int | None


@dataclass(frozen=True)
class Load:
    """How a model is loaded, on this machine or another; see `dfer.Predictor.from_pretrained`.

    Attributes:
        allowed: modules of the user's that it was built with.
    """

    model: str
    device: str
    prior: str | None
    abstain: float | None
    allowed: tuple[str, ...] = ()

    def predictor(self) -> Predictor:
        from dfer.inference import Predictor
        from dfer.models import allow_models

        allow_models(*self.allowed)
        return Predictor.from_pretrained(self.model, device=self.device, prior=self.prior, abstain=self.abstain)


@dataclass(frozen=True)
class Job:
    """A video, and what is written of it and said.

    Attributes:
        video: what is read.
        paths: the files to write.
        style: of a .csv among them.
        in_full: whether segments and distributions are said, too.
        place: such as "3 of 47"; "" for a single video.
    """

    video: Video
    paths: tuple[Path, ...]
    style: CsvStyle
    in_full: bool
    place: str = ""


@app.command()
def predict(
    videos: Annotated[
        list[Path] | None,
        typer.Argument(help="Videos, images, folders of them, or patterns such as 'day1/*.mp4'.", show_default=False),
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            "--out",
            "-o",
            help="A file (.json .csv .parquet .srt .html .mp4 .png .svg .pdf), a folder, or a path with {name} in it. "
            "For several videos, a .csv or .xlsx has a row for each video and person. May be repeated.",
        ),
    ] = None,
    format_: Annotated[
        list[str] | None,
        typer.Option("--format", help="What to write into a folder: json, csv and so on; may be repeated."),
    ] = None,
    model: Annotated[
        str, typer.Option(help="The folder of a checkpoint or of a run; by default the model that comes with dfer.")
    ] = "default",
    camera: Annotated[
        int | None, typer.Option(help="Read the camera with this number instead, until Ctrl-C or --end.")
    ] = None,
    start: Annotated[str, typer.Option(help="Begin at this time: seconds, min:s or h:min:s.")] = "0",
    end: Annotated[str | None, typer.Option(help="Stop before this time.")] = None,
    every: Annotated[float, typer.Option(min=0, help="Read one frame in this many seconds; 0 reads every frame.")] = 0,
    fps: Annotated[
        float | None,
        typer.Option(help="Frames per second, for a folder of frames or a film without a clock.", show_default="25"),
    ] = None,
    rotate: Annotated[
        int | None,
        typer.Option(
            help="Turn the picture clockwise: 0, 90, 180 or 270 degrees.", show_default="as faces are upright"
        ),
    ] = None,
    people: Annotated[int | None, typer.Option(min=1, help="Follow at most this many people.")] = None,
    csv_sep: Annotated[
        str, typer.Option(help="What separates the columns of a .csv; Excel in most of Europe wants ;")
    ] = ",",
    csv_decimal: Annotated[str, typer.Option(help="The decimal sign in a .csv: a point or a comma.")] = ".",
    device: Annotated[
        str, typer.Option(help="cpu, cuda or another name of torch; auto takes a GPU if there is one.")
    ] = "auto",
    prior: Annotated[
        str | None,
        typer.Option(
            help="How frequent emotions are among the people who are read: trained (as in the model's training part), "
            "uniform (all alike; rare emotions are found more often), a number from 0 (trained) to 2, "
            "or a JSON file.",
            show_default="what the model's card names",
        ),
    ] = None,
    abstain: Annotated[
        float | None,
        typer.Option(
            help="The risk of naming another emotion than most people would, at most, such as 0.1; where it would be "
            "higher, no emotion is named.",
            show_default="an emotion is named unless people would probably disagree, or the picture does not tell",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of videos that are read at the same time, each in a process of its own.",
            show_default="one for every two cores, as far as memory goes; 1 where all are short",
        ),
    ] = None,
    _allow: Allow = None,
    ray: Ray = None,
) -> None:
    """Read the emotions of the faces in videos: who shows what, and when."""
    from dfer.inference.batch import Video, destinations, find_videos, split_outs
    from dfer.inference.writers import CsvStyle
    from dfer.video.stream import TURNS, Span

    if rotate not in (None, *TURNS) or (fps is not None and not 0 < fps < math.inf):
        raise DferError(f"expected --rotate {listed(TURNS)} and --fps above 0, got {rotate} and {fps}")
    if bool(videos) == (camera is not None):
        raise DferError("expected videos, or a camera: dfer predict clip.mp4, or dfer predict --camera 0")
    span = Span(seconds(start), None if end is None else seconds(end), every)
    found = [Video(Path(f"camera_{camera}"), f"camera_{camera}")] if camera is not None else find_videos(videos or [])
    style = CsvStyle(csv_sep.replace("\\t", "\t"), csv_decimal)
    summaries, outs = split_outs(videos or [], found, out or [])
    places = destinations(found, outs, format_ or [])
    jobs = [Job(video, places[video], style, in_full=not out) for video in found]
    _check_outputs([*summaries, *(path for job in jobs for path in job.paths)], style, camera)
    if camera is not None and ray:
        raise DferError("a camera is read by this machine; leave --ray out")
    load, how = Load(model, device, prior, abstain, tuple(_allow or ())), How(span, people, fps, rotate)
    several = [replace(job, place=f"{number} of {len(jobs)}") for number, job in enumerate(jobs, 1)]
    count = workers if ray else min(workers or _worth(jobs, load), len(jobs))
    if ray or (count and count > 1):
        from dfer.cluster import on_cluster

        readings = _read_side_by_side(load, several, how, count)
        with on_cluster(ray, workers=workers if ray else None), contextlib.closing(readings):
            _read_all(readings, len(jobs), summaries, style)
        return
    predictor = load.predictor()
    if camera is not None:
        _finish(_watch(predictor, camera, how), jobs[0], "")
    elif len(found) == 1 and not summaries:
        _read(predictor, jobs[0], how)
    else:
        _read_all(((job, partial(_read, predictor, job, how)) for job in several), len(jobs), summaries, style)


def _worth(jobs: list[Job], load: Load) -> int:
    """In how many processes videos are read that are many and long enough to make up for starting them."""
    from dfer.inference.batch import last_longer
    from dfer.machine import side_by_side

    if len(jobs) < 2 or not last_longer([job.video for job in jobs], WORTH_S):
        return 1
    count = side_by_side(len(jobs), room=ROOM, cores=CORES)
    if count > 1 and load.device != "cpu":
        from dfer.inference.network import free_gpu_memory

        free = free_gpu_memory()
        count = count if free is None else max(1, min(count, free // GPU_ROOM))
    return count


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


def _read_all(
    readings: Iterable[tuple[Job, Callable[[], Timeline]]], count: int, summaries: list[Path], style: CsvStyle
) -> None:
    """One after the other; who fails is named, and the rest goes on. Exit code 1 if some failed, 2 if all.

    Summaries are written at the beginning, to see that they can be, and at the end, also where that comes early.

    Args:
        readings: the videos, and what reads each.
        count: how many they are.
        summaries: files to write.
        style: of a .csv among them.
    """
    from dfer.inference.summary import Summary

    summary = Summary()
    _summarise(summary, summaries, style)
    try:
        for job, read in readings:
            try:
                summary.add(read())
            except UnwritableError:
                raise
            except Exception as error:  # one film never ends the run of a folder; --debug shows where a fault lies
                logging.getLogger(__name__).debug("%s", job.video.path, exc_info=error)
                fault = f"{job.video.path}: {type(error).__name__}: {error}"
                told_of = error if isinstance(error, DferError) else DferError(fault)
                summary.fail(job.video.path, told_of)
                told = f" {' '.join(str(told_of).split())}"
                errors.print(Text.assemble(("error:", "bold red"), told), soft_wrap=True)
    finally:
        _summarise(summary, summaries, style)
        arrow = " -> " + ", ".join(map(str, summaries)) if summaries else ""
        *most, last = summary.totals()
        say("", *most, last + arrow)
    if summary.failed:
        errors.print(f"{summary.failed} of {count} videos could not be read", highlight=False)
        raise typer.Exit(2 if summary.failed == count else 1)


def _summarise(summary: Summary, paths: list[Path], style: CsvStyle) -> None:
    from dfer.inference.summary import write_summary

    for path in paths:
        write_summary(summary, path, style=style)


def _read_side_by_side(
    load: Load, jobs: list[Job], how: How, workers: int | None
) -> Generator[tuple[Job, Callable[[], Timeline]], None, None]:
    """The videos, read and written by processes of this machine or a cluster, and told of in their order.

    Raises:
        DferError: the model cannot be loaded.
    """
    from dfer.machine import usable_cores
    from dfer.processes import finished

    # A model that cannot be loaded is told of once.
    calls: list[Callable[[], Any]] = [partial(_load, load)]
    calls += [partial(_read_and_write, load, job, how) for job in jobs]
    threads = max(1, usable_cores() // workers) if workers else None
    futures = finished(calls, workers, gpu=load.device != "cpu", threads=threads)
    with contextlib.closing(futures), Counter("reading videos") as counter:
        _result(next(futures), "the model")
        for number, (job, future) in enumerate(zip(jobs, futures, strict=True), 1):
            counter(number, len(jobs))
            yield job, partial(_tell_of, future, job)


def _tell_of(future: Future[Any], job: Job) -> Timeline:
    timeline: Timeline
    timeline, speed = _result(future, job.video.path)
    _tell(timeline, job, speed)
    return timeline


def _result(future: Future[Any], what: object) -> Any:
    try:
        return future.result()
    except BrokenProcessPool as error:
        told = "the process that read it died: it was killed, or the memory was not enough"
        raise DferError(f"{what}: {told}") from error


def _load(load: Load) -> None:
    """In a worker: get ready."""
    _loaded(load)


def _read_and_write(load: Load, job: Job, how: How) -> tuple[Timeline, str]:
    """In a worker: what is written of a video, and its timeline."""
    timeline, speed = _look(_loaded(load), job, how, bar=False)
    _write(timeline, job)
    return timeline, speed


@cache
def _loaded(load: Load) -> Predictor:
    start_logging(anew=True)
    return load.predictor()


def _read(predictor: Predictor, job: Job, how: How) -> Timeline:
    timeline, speed = _look(predictor, job, how)
    _finish(timeline, job, speed)
    return timeline


def _look(predictor: Predictor, job: Job, how: How, *, bar: bool = True) -> tuple[Timeline, str]:
    """A video's timeline, and how fast it was read; on a terminal with a bar."""
    from dfer.video.decoding import length_s

    video = job.video
    begin, span, fps = time.monotonic(), how.span, how.fps
    turn = predictor.upright_turn(video.path, span=span, fps=fps) if how.rotate is None else how.rotate
    recording = predictor.recording(video.path, fps=fps, rotate=turn)
    length = length_s(video.path)
    end_s = min(length or 0.0, span.end_s or length or 0.0)
    progress = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=console, transient=True, disable=not (bar and console.is_terminal),
    )  # fmt: skip
    looked_at = 0.0
    with progress:
        name = f"{job.place}  {video.path.name}".lstrip()
        task = progress.add_task(name, total=end_s - span.start_s if end_s > span.start_s else None, note="")
        for moment in predictor.stream(video.path, span=span, people=how.people, fps=fps, rotate=turn):
            recording.add(moment)
            looked_at = moment.time_s - span.start_s
            speed = f"{looked_at:.0f} s, {looked_at / (time.monotonic() - begin):.1f}x real time"
            progress.update(task, completed=looked_at, note=speed)
    return recording.timeline(), f", {looked_at / (time.monotonic() - begin):.1f}x real time"


def _finish(timeline: Timeline, job: Job, speed: str) -> None:
    _write(timeline, job)
    _tell(timeline, job, speed)


def _write(timeline: Timeline, job: Job) -> None:
    from dfer.inference.writers import write

    for path in job.paths:
        write(timeline, path, style=job.style)


def _tell(timeline: Timeline, job: Job, speed: str) -> None:
    """Say in a line what a video shows; all of it where nothing is written."""
    from dfer.inference.summary import NOBODY, strongest

    count = len(timeline.people)
    told = f"{count} {'person' if count == 1 else 'people'}, {strongest(timeline)}" if count else NOBODY
    arrow = " -> " + ", ".join(map(str, job.paths)) if job.paths else ""
    say(f"{job.place}  {timeline.video}: {timeline.duration_s:.1f} s, {told}{speed}{arrow}".lstrip())
    if job.in_full:
        _show(timeline)


def _show(timeline: Timeline) -> None:
    """Who showed what, when."""
    longest = sorted(timeline.people, key=lambda person: -int(person.seen.sum()))
    for person in sorted(longest[:MOST_PEOPLE], key=lambda person: person.id):
        say("", f"{person.label}, {_spans(person)}")
        console.print(_bars(timeline.emotions.emotions, person.overall.tolist()))
        for segment in person.segments[:MOST_SEGMENTS]:
            say(
                f"  {segment.start_s:7.1f} to {segment.end_s:.1f} s  "
                + (segment.doubt or f"{segment.emotion}, most at {segment.apex_s:.1f} s ({segment.score:.0%})")
            )
        if len(person.segments) > MOST_SEGMENTS:
            say(f"          and {len(person.segments) - MOST_SEGMENTS} more")
    if len(longest) > MOST_PEOPLE:
        say("", f"and {len(longest) - MOST_PEOPLE} people who are seen for less long")


def _spans(person: Person) -> str:
    times = person.times[person.seen]
    return f"seen from {times[0]:.1f} to {times[-1]:.1f} s"


def _bars(emotions: tuple[str, ...], probs: list[float]) -> Text:
    """A line for each emotion that is worth one, the most likely first."""
    from dfer.pages import bright_colours

    shade, wide = bright_colours(emotions), max(map(len, emotions))
    text = Text()
    for share, emotion in sorted(zip(probs, emotions, strict=True), reverse=True):
        if share >= WORTH_A_LINE:
            bar = "█" * max(1, round(share * BAR))
            text.append(f"  {emotion:{wide}}  ")
            text.append(f"{bar:{BAR}}", shade[emotion])
            text.append(f" {share:4.0%}\n")
    text.rstrip()
    return text


def _watch(predictor: Predictor, camera: int, how: How) -> Timeline:
    """Bars that move, until the camera or the user stops."""
    turn = how.rotate or 0
    recording = predictor.recording(camera, rotate=turn)
    moments = predictor.stream(camera, span=how.span, people=how.people, rotate=turn)
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            for moment in moments:
                recording.add(moment)
                live.update(_live(moment.faces, predictor, moment.time_s), refresh=console.is_terminal)
    except KeyboardInterrupt:
        moments.close()
    return recording.timeline()


def _live(faces: tuple[Reading, ...], predictor: Predictor, time_s: float) -> Any:
    told = f"{time_s:.1f} s  " + ("Ctrl-C ends" if faces else "no face; Ctrl-C ends")
    parts: list[Any] = [Text(told, style="dim")]
    for face in faces[:MOST_PEOPLE]:
        parts += [Text(f"person {face.id}"), _bars(predictor.emotions.emotions, face.probs.tolist())]
    return Group(*parts)
