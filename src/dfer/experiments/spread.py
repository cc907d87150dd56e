"""Many runs: one after the other in this process, or side by side on the cluster that was chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import NamedTuple

from dfer.datasets import Manifest
from dfer.experiments.runs import fold_name, trained_folds
from dfer.processes import worker_pool, works_elsewhere
from dfer.training.config import Recipe
from dfer.training.progress import Begun, Progress
from dfer.training.record import read_log


class Job(NamedTuple):
    """One run: the folder of all its folds, the recipe and the fold."""

    folder: Path
    recipe: Recipe
    fold: int | None

    @property
    def finished(self) -> bool:
        """Whether it was trained to its end."""
        return self.fold in trained_folds(self.folder)


Train = Callable[[Job, Manifest, Progress | None], None]


def train_jobs(train: Train, jobs: Sequence[Job], manifest: Manifest, progress: Progress | None = None) -> None:
    """Train each run.

    Args:
        train: trains one; a plain function, that other machines can call too, and again where one of them was killed.
        jobs: the runs, in the order in which they begin.
        manifest: the clips, as read from a file.
        progress: told of every step and epoch; on a cluster of all epochs of a run when it ends.
    """
    if not works_elsewhere():
        for job in jobs:
            train(job, manifest, progress)
        return
    assert manifest.file is not None
    with worker_pool(None, gpu=True) as pool:
        futures = {pool.submit(_train_there, train, job, manifest.file): job for job in jobs}
        for future in as_completed(futures):
            future.result()
            if progress:
                _tell(progress, futures[future])


def _train_there(train: Train, job: Job, manifest: Path) -> None:
    train(job, Manifest.read(manifest), None)


def _tell(progress: Progress, job: Job) -> None:
    """All epochs of a run that ended, from its log."""
    home = job.folder / fold_name(job.fold)
    if not job.finished:  # another command is still at it
        return
    progress.begin(Begun(home, job.fold, job.recipe, 0))
    for row in read_log(home):
        progress.epoch(row)
