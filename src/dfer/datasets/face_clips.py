"""Clips of raw video -> clips of one aligned face each, ready to train on.

Found, followed and cut by the code that also predicts (`dfer.video.faces`), so that a network is trained on what it
will be shown. Where several people are seen, the clip is that of the person whose face covers most over all frames
(sum of the areas of its box): the one who is there longest and largest. Frames in which this face is not seen are left
out of the clip. A clip without any face is named in failures.csv, left out and counted.

Written are packed clips as those of `dfer.datasets.pack`, or folders of frames in DFEW's layout,
`00001/00001_00001.jpg`. A clip's crops are held in memory until it is written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from dfer.datasets.manifest import Manifest
from dfer.datasets.pack import Job, LeftOutError, changed, require_quality, safe_name, write_clips
from dfer.errors import DferError
from dfer.files import replacing
from dfer.video.decoding import Film
from dfer.video.detection import Detector
from dfer.video.faces import find_faces
from dfer.video.frames import natural_key, open_clip
from dfer.video.mtcnn import Mtcnn
from dfer.video.preprocessing import resize_square
from dfer.video.stream import TimedFrame

Frames = npt.NDArray[np.uint8]
NO_FACE = "no face found"
KINDS = ("array", "frames")
FPS = 25.0
"""Frames a second of clips without a clock; it says only how often faces are detected."""
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
"""Colours in full resolution: the pictures are small."""
ADVICE = "what was cut stays, run it again"


def cut_faces(
    manifest: Manifest, folder: Path, *, size: int, kind: str = "array", grey: bool = False, jpeg: int = 0,
    detector: Callable[[], Detector] = Mtcnn, workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Manifest, pd.DataFrame]:  # fmt: skip
    """Write a clip of one face for every clip of a manifest; see the module's text.

    Args:
        manifest: any.
        folder: where the clips and failures.csv go; clips cut there before are taken as they are.
        size: height and width, pixels.
        kind: "array" (packed clips) or "frames" (a folder of JPEG pictures for each).
        grey: one channel instead of RGB; packed clips only.
        jpeg: packed frames become JPEGs of this quality, 1 to 100; 0 keeps their pixels.
        detector: makes the detector in each process.
        workers: processes; None: one a core.
        progress: called with (done, total).

    Returns:
        A manifest of the face clips, rooted in `folder`, and the failures: columns id, reason.

    Raises:
        DferError: the folder cannot be written (what was cut stays), or there is a face in no clip.
    """
    if kind not in KINDS or (grey and kind == "frames"):
        raise DferError(f"expected face clips to be {' or '.join(KINDS)}, grey only as array; got {kind!r}, {grey=}")
    require_quality(jpeg)
    make = partial(_write_frames if kind == "frames" else _crops, detector=detector)
    table = manifest.table
    jobs = [
        Job(clip, manifest.resolve(path), source, folder / safe_name(clip), size, grey, jpeg, make)
        for clip, path, source in zip(table["id"], table["path"], table["kind"], strict=True)
    ]
    return write_clips(manifest, jobs, kind=kind, workers=workers, progress=progress)


def _crops(job: Job, *, detector: Callable[[], Detector]) -> Frames:
    crops = main_face(job.path, job.kind, size=job.size, detector=detector())
    return resize_square(crops, job.size, grey=job.grey)


def _write_frames(job: Job, *, detector: Callable[[], Detector]) -> int:
    former = _cut_before(job)
    if former:
        return former
    crops = main_face(job.path, job.kind, size=job.size, detector=detector())
    with replacing(job.out, folder=True, advice=ADVICE) as written:
        for number, crop in enumerate(crops, 1):
            _, data = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), JPEG)
            (written / f"{job.out.name}_{number:05d}.jpg").write_bytes(data.tobytes())
        os.utime(written, ns=(0, changed(job.path)))
    return len(crops)


def _cut_before(job: Job) -> int:
    """The number of frames of a folder cut before, of the same source and size, else 0."""
    if not job.out.is_dir() or job.out.stat().st_mtime_ns != changed(job.path):
        return 0
    names = sorted((path.name for path in job.out.glob("*.jpg")), key=natural_key)
    first = cv2.imread(str(job.out / names[0])) if names else None
    return len(names) if first is not None and first.shape[:2] == (job.size, job.size) else 0


def main_face(path: Path, kind: str, *, size: int, detector: Detector) -> Frames:
    """The aligned crops of the person whose face covers most of a clip, (T, size, size, 3) uint8 RGB.

    Raises:
        LeftOutError: no face in it.
        DferError: it cannot be read.
    """
    crops: dict[int, list[Frames]] = {}
    areas: dict[int, float] = {}
    count = 0
    for shown in find_faces(_frames(path, kind), detector=detector, size=size):
        count += 1
        for face in shown.faces:
            crops.setdefault(face.id, []).append(face.crop)
            areas[face.id] = areas.get(face.id, 0.0) + face.quality.size**2
    if not crops:
        raise LeftOutError(NO_FACE, f"{path}: no face found in {count} frames")
    return np.stack(crops[max(areas, key=lambda person: areas[person])])


def _frames(path: Path, kind: str) -> Iterator[TimedFrame]:
    """All frames of a clip, one at a time; unlike a stream's they must all be readable."""
    if kind == "video":
        for shown in Film(path):
            yield TimedFrame(shown.time_s, shown.pixels)
        return
    clip = open_clip(path, kind, fps=FPS)
    for index in range(len(clip)):
        pixels = clip.read(np.array([index]))[0]
        yield TimedFrame(
            float(clip.times[index]), np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
        )
