"""Pack clips: decode each once, into square frames of one size that training reads without decoding.

A packed clip is a .npy file, (T, size, size, C) uint8, memory-mapped when it is read. Clips that are not square are
centre-cropped. A clip that cannot be read is named in failures.csv, left out and counted; a packing that was killed
goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dfer.arrays import open_array
from dfer.datasets.manifest import Manifest
from dfer.errors import DferError, UnwritableError
from dfer.files import replacing, sole_owner
from dfer.processes import worker_pool
from dfer.tables import write_csv
from dfer.video.frames import open_clip
from dfer.video.preprocessing import resize_square

UNREADABLE = "clip cannot be read"
CHUNK = 32
"""Clips a task, at most: few enough for a smooth progress bar, enough to make handing them over cheap."""
FEWEST_CHUNKS = 64
"""Fewer clips a task where there are few, so that every process has something to do."""


class Job(NamedTuple):
    """One clip to pack."""

    id: str
    path: Path
    kind: str
    out: Path
    size: int
    grey: bool
    write: Callable[[Job], int]
    """Writes the clip and returns how many frames it has; a plain function, that other processes can call too."""


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
    manifest: Manifest, folder: Path, *, size: int, grey: bool = False, workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Manifest, pd.DataFrame]:  # fmt: skip
    """Write every clip of a manifest as a packed one.

    Args:
        manifest: any.
        folder: where the .npy files and failures.csv go; clips packed there before are taken as they are.
        size: height and width, pixels.
        grey: one channel instead of RGB.
        workers: processes; None: one a core.
        progress: called with (done, total).

    Returns:
        A manifest of the packed clips, rooted in `folder`, and the failures: columns id, reason.

    Raises:
        DferError: the folder cannot be written (what was packed stays), or no clip could be read.
    """
    names = [file_name(name) for name in manifest.table["id"]]
    jobs = [
        Job(clip, manifest.resolve(path), kind, folder / name, size, grey, _pack_one)
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
    folder = jobs[0].out.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with sole_owner(folder):
            done = _run(jobs, workers, progress)
        failed = {name: told for name, told in done.items() if isinstance(told, Failure)}
        rows = [{"id": name, "reason": told.message} for name, told in failed.items()]
        failures = pd.DataFrame(rows, columns=["id", "reason"])
        with replacing(folder / "failures.csv") as partial:
            write_csv(failures, partial)
    except OSError as error:
        raise DferError(
            f"cannot write packed clips to {folder}: {error.strerror or error}; what was packed stays, run it again"
        ) from error
    frames = manifest.table["id"].map({name: told for name, told in done.items() if name not in failed})
    table = manifest.table.assign(path=[job.out.name for job in jobs], kind=kind, frames=frames)
    table = table[~table["id"].isin(failures["id"])]
    counts = Counter(manifest.left_out) + Counter(told.reason for told in failed.values())
    packed = Manifest.build(table, emotions=manifest.emotions, root=folder, source=manifest.source, left_out=counts)
    return packed, failures


def file_name(name: str) -> str:
    """A file name for an id: the id itself where every file system takes it, else made safe, and unique by a hash."""
    if re.fullmatch(r"[a-z0-9_-]{1,100}", name):
        return f"{name}.npy"
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:80]
    return f"{safe}.{hashlib.sha256(name.encode()).hexdigest()[:10]}.npy"


def _run(jobs: list[Job], workers: int | None, progress: Callable[[int, int], None] | None) -> dict[str, int | Failure]:
    """id -> number of frames, or why the clip is left out."""
    size = max(1, min(CHUNK, len(jobs) // FEWEST_CHUNKS))
    chunks = [jobs[start : start + size] for start in range(0, len(jobs), size)]
    done: dict[str, int | Failure] = {}
    with worker_pool(workers) as pool:
        futures: list[Future[dict[str, int | Failure]]] = [pool.submit(_pack_chunk, chunk) for chunk in chunks]
        for future in as_completed(futures):
            done |= future.result()
            if progress:
                progress(len(done), len(jobs))
    return done


def _pack_chunk(jobs: list[Job]) -> dict[str, int | Failure]:
    done: dict[str, int | Failure] = {}
    for job in jobs:
        try:
            done[job.id] = job.write(job)
        except UnwritableError:
            raise
        except DferError as error:
            done[job.id] = Failure(getattr(error, "reason", UNREADABLE), str(error))
    return done


def _pack_one(job: Job) -> int:
    former = packed_before(job)
    if former:
        return former
    clip = open_clip(job.path, job.kind)
    frames = resize_square(clip.read(np.arange(len(clip)), least=job.size), job.size, grey=job.grey)
    with replacing(job.out, advice="what was packed stays, run it again") as partial:
        np.save(partial, frames)
        os.utime(partial, ns=(0, changed(job.path)))
    return len(frames)


def packed_before(job: Job) -> int:
    """The number of frames of a file packed before, of the same source, size and colours, else 0.

    A packed clip carries its source's time of change: a source that was drawn, cut or chosen anew is packed anew.
    """
    shape: tuple[Any, ...] = ()
    if job.out.is_file() and job.out.stat().st_mtime_ns == changed(job.path):
        with contextlib.suppress(DferError):  # damaged: packed again
            shape = open_array(job.out).shape
    return int(shape[0]) if shape[1:] == (job.size, job.size, 1 if job.grey else 3) else 0


def changed(path: Path) -> int:
    """When a source last changed, ns; a member of an archive changes with it."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path.stat().st_mtime_ns
