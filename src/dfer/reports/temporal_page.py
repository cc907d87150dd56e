"""Does a network use time? What it loses when a clip's frames are shuffled, reversed, or one of them is repeated.

Conventions: a loss is the WAR of the clips as they are less that of the changed clips; above 0 the network did worse
with these. It is tested clip by clip, or group by group where groups are known (`dfer.comparison.paired`), and its p
values are corrected by Holm for all orders of all runs. For KL a loss is the other way round: how much further the
answers are from the votes.
"""

from __future__ import annotations

from collections.abc import Mapping
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

    @property
    def uses_time(self) -> bool | None:
        """Whether these clips show that some order makes it worse; None where they have no labels."""
        if all(loss.holm is None for loss in self.losses):
            return None
        return any(_is_worse(loss) for loss in self.losses)


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
    """Which runs use time, as far as these clips tell."""
    known = [run for run in result.runs if run.uses_time is not None]
    if not known:
        return "No test clip has a single label: there is no accuracy to lose, only distances to the votes."
    using = [f"{run.name} (up to {_most(run)} points of WAR)" for run in known if run.uses_time]
    others = [run.name for run in known if not run.uses_time]
    said = []
    if using:
        said.append(f"Worse without the order of the frames: {listed(using, 12)}.")
    if others:
        said.append(f"These clips do not show that it matters to {listed(others, 12)}.")
    return " ".join(said)


def _most(run: TimedRun) -> str:
    """The largest loss that the clips show, in points."""
    return BY_KEY["war"].text(max(loss.losses["war"].difference or 0.0 for loss in run.losses if _is_worse(loss)))
