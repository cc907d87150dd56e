"""From scripts to files: the synthetic data set on disk, in DFEW's layout.

Every clip has its own generator, seeded by the data set's seed and the clip's number, so that neither the number of
workers nor that of clips drawn before changes a pixel or a vote.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import openpyxl
import pandas as pd
from numpy.typing import NDArray

from dfer.datasets.synthetic.expressions import PATTERNS, Performance, activations, perform
from dfer.datasets.synthetic.face import Scene, draw
from dfer.datasets.synthetic.head import Pose
from dfer.datasets.synthetic.identity import meet
from dfer.datasets.synthetic.picture import Camera, background
from dfer.datasets.synthetic.scripts import FOLDS, Role, Script, cast, write_script
from dfer.datasets.synthetic.simulated_raters import long_run, panel, vote
from dfer.datasets.synthetic.sketch import Picture
from dfer.errors import DferError, listed
from dfer.files import replacing
from dfer.labels import DFEW
from dfer.processes import worker_pool

FEWEST_CLIPS = FOLDS * len(DFEW)
SIZES = (32, 1024)
"""Smallest and largest side of a frame, in pixels."""
NEEDED_VOTES = 6
"""Of ten, for a clip to be single-labelled."""
TAKES = 50
"""How often a clear clip is played at most, until the raters see in it what it is to show: one take in 200 fails."""
JPEG_QUALITY = 92
CLIP_FOLDER = "Clip/clip_224x224"
TITLE = "# Synthetic faces with votes, in DFEW's layout"
"""First line of the README of a folder that we wrote, and may write anew."""
ENTRIES = {"Annotation", "EmoLabel_DataSplit", "Clip", "groups.csv", "truth.csv", "README.md"}

README = f"""{TITLE}

{{clips}} clips of {{people}} made-up people, drawn by `dfer synth` with seed {{seed}}, {{size}} x {{size}} pixels. Ten
of 40 simulated raters voted on each. **Both pictures and votes are synthetic**: the data set shows that software works
and compares methods under a known truth; no figure from it says anything about people, and none is a result on DFEW.

The layout is DFEW's: `Annotation/annotation.xlsx` (votes, clip number, label; 0 = no emotion has six votes),
`EmoLabel_DataSplit/` (five folds of the single-labelled clips, disjoint by person), `{CLIP_FOLDER}/` (frames; the
folder is called so whatever their size).

Two files are not in DFEW: `groups.csv` (who is in which clip) and `truth.csv` (what was played, what was done to the
picture, and how the whole panel votes in the long run; for judging only, never for training).
"""


class Take(NamedTuple):
    """A clip before it is drawn; `picture` is the generator that its drawing goes on with."""

    script: Script
    played: Performance
    votes: NDArray[np.int64]
    truth: NDArray[np.float64]
    picture: np.random.Generator


def synthesise(
    root: Path,
    *,
    clips: int = 600,
    seed: int = 0,
    size: int = 96,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Draw a data set and write it in DFEW's layout; see the README.md that it writes beside.

    The folder appears when everything is in it. The same arguments give the same files, whatever `workers`.

    Args:
        root: the folder to make; an empty one, or one that this function wrote, is replaced.
        clips: how many, at least 35 (a clip for each emotion in each fold).
        seed: of people, scripts, pictures and votes; 0 or more.
        size: width and height of the frames in pixels.
        workers: processes; None takes one for each processor. More than one needs an importable main module.
        progress: called with (clips done, clips) after each clip.

    Raises:
        DferError: too few clips, an impossible seed, size or number of workers, a folder in use, or a disk that
            cannot be written.
    """
    root = Path(root).resolve()
    workers = os.cpu_count() or 1 if workers is None else workers
    _check(root, clips=clips, seed=seed, size=size, workers=workers)
    with replacing(root, folder=True) as unfinished:
        (unfinished / CLIP_FOLDER).mkdir(parents=True)
        roles, rows = cast(clips, seed), []
        render = partial(_render, seed=seed, size=size, folder=unfinished / CLIP_FOLDER)
        with closing(_in_parallel(render, roles, workers)) as drawn:  # nobody draws into a folder that is removed
            for row in drawn:
                rows.append(row)
                if progress is not None:
                    progress(len(rows), clips)
        _write_tables(unfinished, roles, pd.DataFrame(rows))
        people = len({role.identity for role in roles})
        text = README.format(clips=clips, people=people, seed=seed, size=size)
        (unfinished / "README.md").write_text(text, encoding="utf-8")


def portrait(emotion: str, *, intensity: float = 1.0, identity: int = 0, size: int = 256) -> Picture:
    """A still of a made-up person, for pages and examples.

    Args:
        emotion: one of DFEW's seven, by name or alias.
        intensity: 0 rest .. 1 plain to see.
        identity: which person, 0 or more; seed 0's.
        size: width and height in pixels.

    Returns:
        (size, size, 3) uint8 RGB.

    Raises:
        DferError: an unknown emotion, an intensity outside of 0..1, or an impossible identity or size.
    """
    name = DFEW.canonical(emotion)
    if not 0 <= intensity <= 1:
        raise DferError(f"expected an intensity of 0..1, got {intensity}")
    if identity < 0 or not SIZES[0] <= size <= SIZES[1]:
        raise DferError(f"expected an identity >= 0 and a size of {SIZES[0]}..{SIZES[1]}, got {identity} and {size}")
    rng = np.random.default_rng(np.random.SeedSequence(0, spawn_key=(identity, 1)))
    scene = Scene(background(size, rng), light=-0.6)
    return draw(meet(identity), intensity * activations(PATTERNS[name][0]), Pose(), scene)


def prepare_clip(role: Role, seed: int) -> Take:
    """Everything about a clip but its pixels: script, performance, votes and the long-run distribution.

    A clear clip is played until it gets the votes of a single label, as every emotion needs one in every fold.
    """
    streams = np.random.SeedSequence([seed, role.number]).spawn(4)
    script_rng, vote_rng, truth_rng, picture_rng = map(np.random.default_rng, streams)
    script = write_script(role, script_rng)
    raters = panel(seed)
    for _ in range(TAKES):
        played = perform(script, script_rng)
        votes = vote(raters, played, script.flaws, vote_rng)
        if not role.clear or votes[DFEW.index(role.emotion)] >= NEEDED_VOTES:
            break
    return Take(script, played, votes, long_run(raters, played, script.flaws, truth_rng), picture_rng)


def frames_of(clip: Take, role: Role, *, seed: int, size: int) -> Iterator[Picture]:
    """The frames of a clip, each (size, size, 3) uint8 RGB; can be asked for once."""
    rng, who = clip.picture, meet(role.identity, seed)
    light = float(rng.choice([-1, 1]) * rng.uniform(0.3, 1.0))
    scene = Scene(background(size, rng), light)
    camera = Camera(clip.script, rng)
    for units, pose in zip(clip.played.units, clip.played.poses, strict=True):
        yield camera.take(draw(who, units, pose, scene))


def _check(root: Path, *, clips: int, seed: int, size: int, workers: int) -> None:
    if clips < FEWEST_CLIPS:
        raise DferError(f"expected at least {FEWEST_CLIPS} clips ({FOLDS} folds of {len(DFEW)} emotions), got {clips}")
    if clips > 99_999:
        raise DferError(f"expected at most 99999 clips (clip numbers have five digits), got {clips}")
    if seed < 0 or workers < 1 or not SIZES[0] <= size <= SIZES[1]:
        raise DferError(
            f"expected seed >= 0, workers >= 1 and a size of {SIZES[0]}..{SIZES[1]}, got {seed}, {workers} and {size}"
        )
    if root.exists() and not root.is_dir():
        raise DferError(f"{root} is a file; choose a folder for the synthetic data set")
    present = {entry.name for entry in root.iterdir()} if root.exists() else set()
    readme = root / "README.md"
    ours = readme.is_file() and readme.read_text(encoding="utf-8", errors="replace").startswith(TITLE)
    foreign = sorted(present - ENTRIES if ours else present)
    if foreign:
        raise DferError(f"{root} holds what `dfer synth` did not write ({listed(foreign)}); choose an empty folder")


def _render(role: Role, *, seed: int, size: int, folder: Path) -> dict[str, object]:
    """Write the frames of a clip; return its row of all tables."""
    clip = prepare_clip(role, seed)
    home = folder / f"{role.number:05d}"
    home.mkdir()
    for i, frame in enumerate(frames_of(clip, role, seed=seed, size=size), 1):
        _, coded = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        (home / f"{role.number:05d}_{i:05d}.jpg").write_bytes(coded.tobytes())
    label = int(clip.votes.argmax()) + 1 if clip.votes.max() >= NEEDED_VOTES else 0
    counts = {f"{k}{emotion}": int(count) for k, (emotion, count) in enumerate(zip(DFEW, clip.votes, strict=True), 1)}
    flaws = " ".join(f"{flaw}:{strength}" for flaw, strength in clip.script.flaws.items())
    truth = {f"p_{emotion}": round(float(share), 5) for emotion, share in zip(DFEW, clip.truth, strict=True)}
    return {
        **counts,
        "order": role.number,
        "label": label,
        "script": str(clip.script),
        "degradations": flaws,
        **truth,
    }


def _in_parallel(
    render: Callable[[Role], dict[str, object]], roles: Sequence[Role], workers: int
) -> Generator[dict[str, object], None, None]:
    """The rows in the order of the roles, drawn by this process or by several."""
    if workers == 1:
        yield from map(render, roles)
        return
    with worker_pool(min(workers, len(roles))) as pool:
        yield from pool.map(render, roles, chunksize=4)


def _write_tables(root: Path, roles: Sequence[Role], rows: pd.DataFrame) -> None:
    votes = [f"{k}{emotion}" for k, emotion in enumerate(DFEW, 1)]
    (root / "Annotation").mkdir()
    (root / "Annotation" / "annotation.xlsx").write_bytes(_workbook(rows[[*votes, "order", "label"]]))
    names = pd.DataFrame({"video_name": rows["order"], "label": rows["label"]})
    folds = np.array([role.fold for role in roles])
    for fold in range(1, FOLDS + 1):
        for part, mine in (("train", folds != fold), ("test", folds == fold)):
            folder = root / "EmoLabel_DataSplit" / f"{part}(single-labeled)"
            folder.mkdir(parents=True, exist_ok=True)
            _write_csv(names[mine & (names["label"] > 0)], folder / f"set_{fold}.csv")
    people = [f"person{role.identity:02d}" for role in roles]
    _write_csv(pd.DataFrame({"video_name": rows["order"], "group": people}), root / "groups.csv")
    truth = rows.drop(columns=[*votes, "label"]).rename(columns={"order": "video_name"})
    truth.insert(1, "identity", [role.identity for role in roles])
    _write_csv(truth, root / "truth.csv")


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, lineterminator="\n")


def _workbook(table: pd.DataFrame) -> bytes:
    """A table as an .xlsx file that has no date in it, so that the same votes are the same bytes."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("annotation")
    for row in [list(table.columns), *table.to_numpy().tolist()]:
        sheet.append(row)
    dated, plain = io.BytesIO(), io.BytesIO()
    book.save(dated)
    with zipfile.ZipFile(dated) as source, zipfile.ZipFile(plain, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            content = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"2000-01-01T00:00:00Z", source.read(name))
            target.writestr(zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return plain.getvalue()
