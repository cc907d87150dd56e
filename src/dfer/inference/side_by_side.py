"""Several videos, read and written by processes side by side, on this machine or a cluster.

    jobs = [Job(video, (Path(f"{video.name}.json"),)) for video in find_videos([Path("films")])]
    for job, result in read_side_by_side(Load("default"), jobs, How(), workers=2):
        timeline = result().timeline

The files and timelines are the same as of one video after the other, and they come in the order of the jobs. On a
cluster, this is done within `dfer.cluster.on_cluster`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from dfer.errors import DferError
from dfer.inference.batch import Video, last_longer
from dfer.inference.network import free_gpu_memory
from dfer.inference.predictor import Predictor
from dfer.inference.timeline import Timeline
from dfer.inference.writers import CsvStyle, write
from dfer.machine import side_by_side, usable_cores
from dfer.models import allow_models
from dfer.processes import finished
from dfer.video.stream import Span

WORTH_S = 120
"""Videos that last longer than this in all, seconds, are read side by side: to start processes takes seconds, too."""
CORES = 2
"""One process keeps so many busy, for it decodes, searches and asks the network at the same time: on two cores, another
one gains nothing (benchmarks/predict.py --many)."""
ROOM, GPU_ROOM = 2**30, 2**30
"""Bytes that a process takes which reads videos, of the machine's memory and of a GPU's; frames of 8K take 0.9 GB."""


@dataclass(frozen=True)
class Load:
    """How a model is loaded, on this machine or another; see `dfer.Predictor.from_pretrained`.

    Attributes:
        allowed: modules of the user's that it was built with.
    """

    model: str = "default"
    device: str = "auto"
    prior: str | None = None
    abstain: float | None = None
    both_views: bool = False
    allowed: tuple[str, ...] = ()

    def predictor(self) -> Predictor:
        """The model, loaded."""
        allow_models(*self.allowed)
        return Predictor.from_pretrained(
            self.model, device=self.device, prior=self.prior, abstain=self.abstain, both_views=self.both_views
        )


@dataclass(frozen=True)
class How:
    """How videos are read; see `dfer.inference.Predictor`."""

    span: Span = field(default_factory=Span)
    people: int | None = None
    fps: float | None = None
    rotate: int | None = None


@dataclass(frozen=True)
class Job:
    """A video, and what is written of it.

    Attributes:
        video: what is read.
        paths: the files to write.
        style: of a .csv among them.
    """

    video: Video
    paths: tuple[Path, ...] = ()
    style: CsvStyle = field(default_factory=CsvStyle)

    def write(self, timeline: Timeline) -> None:
        """Write all files; one that cannot be written takes none of the others with it.

        Raises:
            DferError: of the first that cannot be written, when the others are.
        """
        faults = []
        for path in self.paths:
            try:
                write(timeline, path, style=self.style)
            except DferError as error:
                faults.append(error)
        if faults:
            raise faults[0]


@dataclass(frozen=True, eq=False)
class Seen:
    """What a video shows.

    Attributes:
        timeline: of the video.
        speed: seconds of video that were read in a second.
    """

    timeline: Timeline
    speed: float


Watch = Callable[[float, float], None]
"""Is told, after each frame, how many seconds of the video are read, and how many were read in a second."""


def read(predictor: Predictor, path: Path, how: How, *, watch: Watch | None = None) -> Seen:
    """Read one video, in this process."""
    begin, span = time.monotonic(), how.span
    turn = predictor.upright_turn(path, span=span, fps=how.fps) if how.rotate is None else how.rotate
    recording = predictor.recording(path, fps=how.fps, rotate=turn)
    looked_at = 0.0
    for moment in predictor.stream(path, span=span, people=how.people, fps=how.fps, rotate=turn):
        recording.add(moment)
        looked_at = moment.time_s - span.start_s
        if watch is not None:
            watch(looked_at, looked_at / (time.monotonic() - begin))
    timeline = recording.timeline()
    return Seen(timeline, looked_at / (time.monotonic() - begin))


def worth_processes(videos: Sequence[Video], device: str = "auto") -> int:
    """In how many processes videos are read that are many and long enough to make up for starting them."""
    if len(videos) < 2 or not last_longer(videos, WORTH_S):
        return 1
    count = side_by_side(len(videos), room=ROOM, cores=CORES)
    free = free_gpu_memory() if count > 1 and device != "cpu" else None
    return count if free is None else max(1, min(count, free // GPU_ROOM))


def read_side_by_side(
    load: Load,
    jobs: Sequence[Job],
    how: How,
    *,
    workers: int | None,
    begin: Callable[[], None] | None = None,
) -> Generator[tuple[Job, Callable[[], Seen]], None, None]:
    """Each job with a function that gives what its video shows, when its files are written.

    That function raises what went wrong with the one video; the others go on.

    Args:
        load: the model.
        jobs: the videos, and what is written of each.
        how: they are read.
        workers: number of processes; None: as many as the cluster has.
        begin: a function of a module that each process calls before it loads the model.

    Raises:
        DferError: the model cannot be loaded. This is told once, before any video is read.
    """
    calls: list[Callable[[], Any]] = [partial(_get_ready, load, begin)]
    calls += [partial(_read_and_write, load, begin, job, how) for job in jobs]
    threads = max(1, usable_cores() // workers) if workers else None
    with contextlib.closing(finished(calls, workers, gpu=load.device != "cpu", threads=threads)) as futures:
        _result(next(futures), "the model")
        for job, future in zip(jobs, futures, strict=True):
            yield job, partial(_result, future, job.video.path)


def _result(future: Future[Any], what: object) -> Any:
    try:
        return future.result()
    except BrokenProcessPool as error:
        told = "the process that read it died: it was killed, or the memory was not enough"
        raise DferError(f"{what}: {told}") from error


def _get_ready(load: Load, begin: Callable[[], None] | None) -> None:
    """In a worker: load the model, and give nothing back."""
    _loaded(load, begin)


def _read_and_write(load: Load, begin: Callable[[], None] | None, job: Job, how: How) -> Seen:
    """In a worker: read a video and write its files."""
    seen = read(_loaded(load, begin), job.video.path, how)
    job.write(seen.timeline)
    return seen


@cache
def _loaded(load: Load, begin: Callable[[], None] | None) -> Predictor:
    if begin is not None:
        begin()
    return load.predictor()
