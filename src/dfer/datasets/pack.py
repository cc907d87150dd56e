"""Pack clips: decode each once, into square frames of one size that training reads without decoding.

Packed clips lie in shards (`dfer.shards`), some dozens in each, which are memory-mapped when they are read. Clips that
are not square are centre-cropped. A clip that cannot be read is named in failures.csv, left out and counted. A packing
that was stopped goes on with the clips that are in no shard; clips that are new, or whose sources have changed, go into
further shards.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, as_completed
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from dfer.datasets.manifest import Manifest
from dfer.errors import DferError, UnwritableError
from dfer.files import replacing, sole_owner
from dfer.processes import worker_pool
from dfer.shards import SUFFIX, Add, Row, holding_file, read_shard, shard_writer
from dfer.tables import write_csv
from dfer.video.frames import open_clip
from dfer.video.jpegs import encode
from dfer.video.preprocessing import LARGEST_SIZE, SMALLEST_SIZE, resize_square

UNREADABLE = "clip cannot be read"
CHUNK = 64
"""Clips a task, and so a shard, at most: a killed process loses these; DFEW at 160 pixels makes 250 shards of 75 MB."""
FEWEST_CHUNKS = 16
"""Fewer clips a task where there are few, so that every process has something to do."""
ADVICE = "what was packed stays, run it again"
Frames = npt.NDArray[np.uint8]


class Job(NamedTuple):
    """One clip to pack.

    Attributes:
        id, path, kind: of the source.
        out: a name of its own in the folder that is written.
        size, grey: of the frames that are wanted.
        jpeg: the quality of the JPEGs that they become; 0 keeps their pixels.
        make: gives the frames (T, size, size, C), or how many it wrote itself, to `out`; a plain function, that other
            processes can call too.
    """

    id: str
    path: Path
    kind: str
    out: Path
    size: int
    grey: bool
    jpeg: int
    make: Callable[[Job], Frames | int]


class Packed(NamedTuple):
    """Where a clip was written to, relative to the folder, and how many frames it has."""

    path: str
    frames: int


class Failure(NamedTuple):
    """Why a clip was left out: the reason that is counted, and the message that names the clip."""

    reason: str
    message: str


class LeftOutError(DferError):
    """A clip that can be read but is left out, for a reason that is counted."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason, self.message = reason, message

    def __str__(self) -> str:
        return self.message


def pack(
    manifest: Manifest, folder: Path, *, size: int, grey: bool = False, jpeg: int = 0, workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Manifest, pd.DataFrame]:  # fmt: skip
    """Write every clip of a manifest as a packed one.

    Args:
        manifest: any.
        folder: where the shards and failures.csv go; clips packed there before are taken as they are.
        size: height and width, pixels.
        grey: one channel instead of RGB.
        jpeg: frames become JPEGs of this quality, 1 to 100; 0 keeps their pixels.
        workers: processes; None: one a core.
        progress: called with (done, total).

    Returns:
        A manifest of the packed clips, rooted in `folder`, and the failures: columns id, reason.

    Raises:
        DferError: the folder cannot be written (what was packed stays), or no clip could be read.
    """
    require_quality(jpeg)
    names = [safe_name(name) for name in manifest.table["id"]]
    jobs = [
        Job(clip, manifest.resolve(path), kind, folder / name, size, grey, jpeg, _squares)
        for clip, path, kind, name in zip(*(manifest.table[key] for key in ("id", "path", "kind")), names, strict=True)
    ]
    return write_clips(manifest, jobs, workers=workers, progress=progress)


def write_clips(
    manifest: Manifest, jobs: list[Job], *, kind: str = "array", workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Manifest, pd.DataFrame]:  # fmt: skip
    """Do the jobs of all clips of a manifest, in its order, in several processes; see `pack`.

    Args:
        manifest: whose clips are written.
        jobs: one a clip, all into one folder.
        kind: what is written, as in the manifest's column.
        workers: processes; None: one a core.
        progress: called with (done, total).
    """
    folder, size = jobs[0].out.parent, jobs[0].size
    if not SMALLEST_SIZE <= size <= LARGEST_SIZE:
        raise DferError(f"expected frames of {SMALLEST_SIZE} to {LARGEST_SIZE} pixels, got {size}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with sole_owner(folder):
            done = _run(jobs, kind == "array", workers, progress)
        failed = {name: told for name, told in done.items() if isinstance(told, Failure)}
        rows = [{"id": name, "reason": told.message} for name, told in failed.items()]
        failures = pd.DataFrame(rows, columns=["id", "reason"])
        with replacing(folder / "failures.csv") as partial:
            write_csv(failures, partial)
    except OSError as error:
        raise DferError(
            f"cannot write packed clips to {folder}: {error.strerror or error}; what was packed stays, run it again"
        ) from error
    kept = {name: told for name, told in done.items() if isinstance(told, Packed)}
    table = manifest.table[manifest.table["id"].isin(list(kept))]
    packed = [kept[name] for name in table["id"]]
    table = table.assign(path=[each.path for each in packed], kind=kind, frames=[each.frames for each in packed])
    counts = Counter(manifest.left_out) + Counter(told.reason for told in failed.values())
    built = Manifest.build(table, emotions=manifest.emotions, root=folder, source=manifest.source, left_out=counts)
    return built, failures


def require_quality(jpeg: int) -> None:
    """Raises where JPEGs cannot have this quality."""
    if not 0 <= jpeg <= 100:
        raise DferError(f"expected a quality of JPEG from 1 to 100, or 0 to keep pixels, got {jpeg}")


def safe_name(name: str) -> str:
    """A name for an id: the id itself where every file system takes it, else made safe, and unique by a hash."""
    if re.fullmatch(r"[a-z0-9_-]{1,100}", name):
        return name
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:80]
    return f"{safe}.{hashlib.sha256(name.encode()).hexdigest()[:10]}"


def _run(
    jobs: list[Job], shards: bool, workers: int | None, progress: Callable[[int, int], None] | None
) -> dict[str, Packed | Failure]:
    """id -> where the clip is, or why it is left out."""
    done: dict[str, Packed | Failure] = dict(_packed_before(jobs)) if shards else {}
    size = max(1, min(CHUNK, len(jobs) // FEWEST_CHUNKS))
    chunks = [jobs[start : start + size] for start in range(0, len(jobs), size)]
    left = [[job for job in chunk if job.id not in done] for chunk in chunks]
    names = _new_shards(jobs[0].out.parent, len(chunks)) if shards else [None] * len(chunks)
    with worker_pool(workers) as pool:
        futures: list[Future[dict[str, Packed | Failure]]] = [
            pool.submit(_do, some, shard) for some, shard in zip(left, names, strict=True) if some
        ]
        for future in as_completed(futures):
            done |= future.result()
            if progress:
                progress(len(done), len(jobs))
    if shards:
        _remove_outdated(jobs, done)
    return done


def _new_shards(folder: Path, count: int) -> list[Path | None]:
    """A new shard for each of so many tasks: of the task's number where there is none yet, else of a further number.

    What is packed at once and what is packed after a stop has the same shards.
    """
    taken = {int(path.stem.partition("-")[2]) for path in _shards(folder)}
    further = itertools.count(max([count - 1, *taken]) + 1)
    numbers = (next(further) if number in taken else number for number in range(count))
    return [folder / f"shard-{number:05d}{SUFFIX}" for number in numbers]


def _do(jobs: list[Job], shard: Path | None) -> dict[str, Packed | Failure]:
    """Do some jobs; the frames that they make go into one shard."""
    if shard is None:
        return {job.id: _made(job, None) for job in jobs}
    with replacing(shard, advice=ADVICE) as partial, shard_writer(partial, jpeg=jobs[0].jpeg) as add:
        done = {job.id: _made(job, add, shard.name) for job in jobs}
    if not any(isinstance(told, Packed) for told in done.values()):
        shard.unlink()
    return done


def _made(job: Job, add: Add | None, shard: str = "") -> Packed | Failure:
    try:
        made = job.make(job)
    except UnwritableError:
        raise
    except DferError as error:
        return Failure(getattr(error, "reason", UNREADABLE), str(error))
    except (MemoryError, cv2.error) as error:
        if isinstance(error, cv2.error) and error.code != cv2.Error.StsNoMem:
            raise
        told = (
            f"{job.path}: frames of {job.size} x {job.size} pixels take more memory than is free; choose fewer pixels"
        )
        return Failure(UNREADABLE, told)
    if isinstance(made, int) or add is None:
        return Packed(job.out.name, int(made))
    add(job.out.name, job.id, encode(made, job.jpeg) if job.jpeg else made, changed(job.path))
    return Packed(f"{shard}#{job.out.name}", len(made))


def _squares(job: Job) -> Frames:
    clip = open_clip(job.path, job.kind)
    return resize_square(clip.read(np.arange(len(clip)), least=job.size), job.size, grey=job.grey)


def _packed_before(jobs: list[Job]) -> dict[str, Packed]:
    """The clips that are in a shard already: of the same source, size, colours and quality, and undamaged.

    A packed clip carries its source's time of change: a source that was drawn, cut or chosen anew is packed anew.
    """
    wanted = {job.out.name: job for job in jobs}
    found: dict[str, Packed] = {}
    for shard in _shards(jobs[0].out.parent):
        with contextlib.suppress(DferError):  # damaged: its clips are packed again
            for name, row in read_shard(shard).items():
                job = wanted.get(name)
                if job and row.id == job.id and _is_current(row, job):
                    found[job.id] = Packed(f"{shard.name}#{name}", len(row.frames))
    return found


def _is_current(row: Row, job: Job) -> bool:
    shape = (job.size, job.size, 1 if job.grey else 3)
    with contextlib.suppress(OSError):  # the source is gone: the error of reading it says so
        same = row.frames.shape[1:] == shape and row.jpeg == job.jpeg
        return same and row.changed == changed(job.path) and row.sound
    return False


def _remove_outdated(jobs: list[Job], done: dict[str, Packed | Failure]) -> None:
    """Remove shards of which every clip was packed anew, and those that cannot be read; others may need the rest."""
    names = {job.out.name: done[job.id] for job in jobs}
    for shard in _shards(jobs[0].out.parent):
        rows: list[str] = []
        with contextlib.suppress(DferError):
            rows = list(read_shard(shard))
        if all(isinstance(told := names.get(name), Packed) and told.path != f"{shard.name}#{name}" for name in rows):
            shard.unlink()


def _shards(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob(f"shard-*{SUFFIX}") if re.fullmatch(r"shard-\d{5,9}", path.stem))


def changed(path: Path) -> int:
    """When a source last changed, ns; a member of an archive, and a clip in a shard, changes with it."""
    path = holding_file(path)
    while not path.exists() and path != path.parent:
        path = path.parent
    return path.stat().st_mtime_ns
