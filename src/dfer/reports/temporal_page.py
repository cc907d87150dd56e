"""Does a network use time? What it loses when a clip's frames are shuffled, reversed, or one of them is repeated.

Conventions: a loss is the WAR of the clips as they are less that of the changed clips; above 0 the network did worse
with these. It is tested clip by clip, or group by group where groups are known (`dfer.comparison.paired`), and its p
values are corrected by Holm for all orders of all runs. For KL a loss is the other way round: how much further the
answers are from the votes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfer.comparison.alignment import in_order
from dfer.comparison.paired import Difference, Judged, judge
from dfer.comparison.significance import CONFIDENCE, holm
from dfer.comparison.support import group_count, known_groups
from dfer.errors import listed
from dfer.metrics.predictions import Predictions
from dfer.metrics.scores import BY_KEY
from dfer.pages import render, write_page
from dfer.reports import findings
from dfer.version import __version__

FORMAT = "dfer.temporal/1"
SCORED = ("war", "kl")
ALONE = "peak repeated"
"""The one change that leaves out pictures, not their order alone."""


@dataclass(frozen=True)
class Loss:
    """What a run loses by one order: the difference, its interval, p value and the corrected one, for each score."""

    order: str
    scores: Mapping[str, float]
    losses: Mapping[str, Difference]
    holm: float | None


@dataclass(frozen=True)
class TimedRun:
    """A run: its scores of the clips as they are, and what it loses by each order."""

    name: str
    scores: Mapping[str, float]
    losses: tuple[Loss, ...]

    def worse_by(self, orders: Collection[str]) -> float | None:
        """The largest loss of WAR by one of some orders that these clips show; None where they show none."""
        lost = [
            loss.losses["war"].difference or 0.0 for loss in self.losses if loss.order in orders and _is_worse(loss)
        ]
        return max(lost, default=None)


@dataclass(frozen=True)
class Temporal:
    """The temporal audit of runs.

    Attributes:
        clips: of the test part.
        orders: what was done to the frames.
        runs: one each.
        groups: how many persons or films the tests took for units; None: clips.
        format, version: of the file.
    """

    clips: int
    orders: tuple[str, ...]
    runs: tuple[TimedRun, ...]
    groups: int | None
    format: str = FORMAT
    version: str = __version__


def temporal(
    clean: Mapping[str, Predictions], changed: Mapping[str, Mapping[str, Predictions]], *,
    groups: Mapping[str, str] | None = None,
) -> Temporal:  # fmt: skip
    """The losses of runs.

    Args:
        clean: name of the run -> its predictions of the clips as they are.
        changed: name of the run -> order -> its predictions of the changed clips.
        groups: clip -> person or film, "" unknown; they are the units of the tests.
    """
    first = next(iter(clean.values()))
    names = known_groups(first.ids, groups)
    judged = {run: _judged([clean[run], *changed[run].values()], first.ids.tolist(), names) for run in clean}
    orders = tuple(next(iter(changed.values())))
    places = [(run, place) for run in clean for place in range(1, len(orders) + 1)]
    corrected = holm([judged[run].differences[place, 0]["war"].p for run, place in places])
    losses: dict[str, list[Loss]] = {run: [] for run in clean}
    for (run, place), p in zip(places, corrected, strict=True):
        found = judged[run].differences
        lost = {"war": found[place, 0]["war"], "kl": found[0, place]["kl"]}
        losses[run].append(Loss(orders[place - 1], _of(judged[run].scores[place]), lost, p))
    runs = tuple(TimedRun(run, _of(judged[run].scores[0]), tuple(losses[run])) for run in clean)
    return Temporal(len(first), orders, runs, group_count(names))


def _judged(tables: list[Predictions], ids: list[str], groups: NDArray[np.object_] | None) -> Judged:
    """The first table against each other one, either way round."""
    others = range(1, len(tables))
    pairs = [pair for place in others for pair in ((place, 0), (0, place))]
    return judge([[in_order(table, ids)] for table in tables], pairs, groups=groups)


def _of(scores: Mapping[str, float]) -> dict[str, float]:
    return {key: scores[key] for key in SCORED}


def _is_worse(loss: Loss) -> bool:
    lost = loss.losses["war"].difference
    return loss.holm is not None and lost is not None and loss.holm <= 1 - CONFIDENCE and lost > 0


def write_temporal(result: Temporal, out: Path) -> None:
    """Write `temporal.json` and `temporal.html`.

    Raises:
        DferError: the folder cannot be written.
    """
    write_page(out, "temporal", result, render_temporal(result))


def render_temporal(result: Temporal) -> str:
    """The page as HTML."""
    title = f"Do {len(result.runs)} runs use time?" if len(result.runs) > 1 else "Does the run use time?"
    return render(
        "dfer.reports", "temporal.html.jinja", kind="robustness", title=title,
        result=result, conclusion=conclusion(result), war=BY_KEY["war"], kl=BY_KEY["kl"], findings=findings,
    )  # fmt: skip


def conclusion(result: Temporal) -> str:
    """Which runs use the order of the frames, and which use more than one of them, as far as these clips tell."""
    if all(loss.holm is None for run in result.runs for loss in run.losses):
        return "No test clip has a single label: there is no accuracy to lose, only distances to the votes."
    others = [order for order in result.orders if order != ALONE]
    said = [_worse_said(result.runs, others, "with the frames in another order")]
    if ALONE in result.orders:
        said.append(_worse_said(result.runs, [ALONE], "with one frame alone"))
    return " ".join(said)


def _worse_said(runs: Sequence[TimedRun], orders: Sequence[str], how: str) -> str:
    lost = [(run.name, run.worse_by(orders)) for run in runs]
    worse = [f"{name} ({BY_KEY['war'].text(most)} points of WAR)" for name, most in lost if most is not None]
    alike = [name for name, most in lost if most is None]
    if not worse:
        return f"These clips do not show that any run is worse {how}."
    open_ = f"; of {listed(alike, 12)} these clips do not show it" if alike else ""
    return f"Worse {how}: {listed(worse, 12)}{open_}."
