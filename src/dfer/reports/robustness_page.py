"""How scores fall as pictures get worse: curves over severities, and one number for all of them.

Conventions: a corruption has severities 1 to 5; severity 0 is the clean picture. The mean corruption error is that of
Hendrycks and Dietterich (ICLR 2019): for each corruption the errors of the five severities summed, over the same sum of
the first run; the mean of these ratios over the corruptions. Below 1 a run holds better than the first.

Which run holds best and which corruption costs most are tested clip by clip (`dfer.comparison.paired`): a run is a cell
whose runs are its answers to each corruption and severity, a corruption is a cell of all runs' answers to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dfer.comparison.alignment import in_order
from dfer.comparison.constant import Constant, ConstantScores
from dfer.comparison.paired import Standing, standings
from dfer.comparison.significance import mean_and_deviation
from dfer.comparison.support import Support, evidence, known_groups
from dfer.errors import DferError, listed
from dfer.metrics.predictions import Predictions
from dfer.metrics.protocol import measure
from dfer.metrics.scores import BY_KEY, Score
from dfer.pages import render, write_page
from dfer.reports import findings
from dfer.reports.figures import Panel, own_marks, severity_panels
from dfer.reports.verdict import leading
from dfer.version import __version__

FORMAT = "dfer.robustness/1"
SCORED = ("war", "uar", "kl")
"""Keys of the scores that are taken of each corrupted test part."""

Corrupted = Mapping[tuple[str, int], Predictions]
"""(corruption, severity) -> what a run says of the corrupted clips."""


@dataclass(frozen=True)
class SpoiltRun(Support):
    """A run under corruptions; `intervals` are those of `mean`.

    Attributes:
        name: of the run.
        clean: {score of `SCORED`: its value without corruption}.
        curves: {corruption: {score: a value a severity}}.
        mean: {score: mean over all corruptions and severities}.
        kept: the mean WAR over the clean one.
        corruption_error: the mean corruption error, relative to the first run.
    """

    name: str
    clean: Mapping[str, float | None]
    curves: dict[str, dict[str, list[float | None]]]
    mean: dict[str, float | None]
    kept: float | None
    corruption_error: float | None


@dataclass(frozen=True)
class Robustness:
    """The scores of runs under corruptions.

    Attributes:
        clips: of the test part.
        severities, corruptions: what was done to the pictures.
        runs: one each.
        costs: which corruption costs "most" and which "least", {score: standing} each; None with one corruption.
        standings: which run's mean is first; None with one run.
        constants: what constant answers score.
        groups: how many persons or films the tests took for units; None: clips.
        format, version: of the file.
    """

    clips: int
    severities: list[int]
    corruptions: list[str]
    runs: list[SpoiltRun]
    costs: dict[str, dict[str, Standing]] | None
    standings: dict[str, Standing] | None
    constants: list[ConstantScores]
    groups: int | None
    format: str = FORMAT
    version: str = __version__


def robustness(
    clean: Mapping[str, Predictions], corrupted: Mapping[str, Corrupted], *,
    groups: Mapping[str, str] | None = None, constants: Mapping[int, Constant] | None = None,
) -> Robustness:  # fmt: skip
    """The scores of runs under corruptions.

    Args:
        clean: name of the run -> its predictions of the clips as they are.
        corrupted: name of the run -> its predictions under each corruption and severity, the same for all runs.
        groups: clip -> person or film, "" unknown; they are the units of the tests.
        constants: of each fold's training part; None takes the test part's own.

    Raises:
        DferError: runs on different clips or corruptions.
    """
    first = next(iter(clean))
    names = list(dict.fromkeys(name for name, _ in corrupted[first]))
    severities = sorted({severity for _, severity in corrupted[first]})
    for run in clean:
        if list(corrupted[run]) != list(corrupted[first]) or set(clean[run].ids) != set(clean[first].ids):
            raise DferError(f"expected runs on the same clips and corruptions; {run} differs from {first}")
    first_ids, order = clean[first].ids, clean[first].ids.tolist()
    clean = {run: in_order(part, order) for run, part in clean.items()}
    corrupted = {run: {key: in_order(part, order) for key, part in parts.items()} for run, parts in corrupted.items()}
    told = evidence(
        {run: list(parts.values()) for run, parts in corrupted.items()}, groups=groups, constants=constants, keys=SCORED
    )
    scores = {run: {key: measure(part, SCORED) for key, part in corrupted[run].items()} for run in clean}
    curves = {
        run: {name: {key: [of_run[name, severity][key] for severity in severities] for key in SCORED} for name in names}
        for run, of_run in scores.items()
    }
    errors = {run: _errors(curves[run]) for run in clean}
    runs = []
    for run, predictions in clean.items():
        own = measure(predictions, SCORED).values
        mean = {key: mean_and_deviation([part[key] for part in scores[run].values()])[0] for key in SCORED}
        runs.append(
            SpoiltRun(
                **vars(told.cells[run]), name=run, clean=own, curves=curves[run], mean=mean,
                kept=mean["war"] / own["war"] if mean["war"] is not None and own["war"] else None,
                corruption_error=_relative(errors[run], errors[first]),
            )
        )  # fmt: skip
    return Robustness(
        clips=len(clean[first]), severities=severities, corruptions=names, runs=runs,
        costs=_costs(corrupted, names, known_groups(first_ids, groups)),
        standings=told.standings, constants=told.constants, groups=told.groups,
    )  # fmt: skip


def write_robustness(result: Robustness, out: Path) -> None:
    """Write `robustness.json` and `robustness.html`.

    Raises:
        DferError: the folder cannot be written.
    """
    write_page(out, "robustness", result, render_robustness(result))


def render_robustness(result: Robustness) -> str:
    """The page as HTML."""
    runs = result.runs
    kinds = len(result.corruptions)
    title = f"{len(runs)} run{'s' * (len(runs) != 1)} under {kinds} kind{'s' * (kinds != 1)} of bad pictures"
    return render(
        "dfer.reports", "robustness.html.jinja", kind="robustness", title=title, result=result, runs=runs,
        marks=own_marks(len(runs)), scores=[BY_KEY[key] for key in SCORED], conclusion=conclusion(result),
        findings=findings, panels={key: _panels(result, BY_KEY[key]) for key in ("war", "kl")},
    )  # fmt: skip


def _panels(result: Robustness, score: Score) -> list[Panel]:
    curves = {
        name: {run.name: [run.clean[score.key], *run.curves[name][score.key]] for run in result.runs}
        for name in result.corruptions
    }
    return severity_panels(curves, result.severities, score)


def conclusion(result: Robustness) -> str:
    """Which corruption costs most, which run holds best, as far as clips tell; who is no better than a constant."""
    runs = result.runs
    if runs[0].clean["war"] is None:
        said = ["No test clip has a single label: there is no accuracy to lose, only distances to the votes."]
    else:
        said = [_cost_said(result), *([_best_said(result)] if len(runs) > 1 else [])]
    return " ".join([*said, *(f"Under corruption, {sentence}" for sentence in findings.warnings(runs))])


def _cost_said(result: Robustness) -> str:
    runs, score, costs = result.runs, BY_KEY["war"], result.costs or {}
    clean = np.array([run.clean["war"] for run in runs], dtype=np.float64)
    wars = {name: np.array([run.curves[name]["war"] for run in runs], dtype=np.float64) for name in result.corruptions}
    lost = {name: score.text(float((clean - values.mean(axis=1)).mean())) for name, values in wars.items()}
    if len(lost) == 1:
        ((name, points),) = lost.items()
        return f"{name.replace('_', ' ').capitalize()} costs {points} points of WAR on average."
    said: list[str] = []
    for end, standing in costs.items():
        if first := leading(standing, score):
            names = listed([name.replace("_", " ") for name in first], 12)
            points = listed([lost[name] for name in first], 12)
            open_ = ", not told apart by these clips" if len(first) > 1 else ""
            verb = "" if said else f" cost{'s' * (len(first) == 1)}"
            unit = "" if said else " points of WAR on average"
            said.append(f"{names}{verb} {end} ({points}{unit}{open_})")
    if not said:
        points = listed([f"{name.replace('_', ' ')} {text}" for name, text in lost.items()], 12)
        return f"These clips do not tell which corruption costs most (points of WAR on average: {points})."
    sentence = ", ".join(said)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _best_said(result: Robustness) -> str:
    score = BY_KEY["war"]
    ends = listed([f"{run.name} {score.text(run.mean['war'])} %" for run in result.runs], 12)
    first = leading(result.standings, score)
    if not first:
        verdict = "these clips do not tell the runs apart"
    elif len(first) == 1:
        verdict = f"{first[0]} holds best"
    else:
        verdict = f"{listed(first, 12)} hold best, and these clips do not tell them apart"
    return f"Mean WAR under corruption: {ends}; {verdict}."


def _costs(
    corrupted: Mapping[str, Corrupted], names: list[str], groups: NDArray[np.object_] | None
) -> dict[str, dict[str, Standing]] | None:
    """Which corruption has the lowest and which the highest WAR, over all runs and severities."""
    if len(names) < 2:
        return None
    cells = {
        name: [part for parts in corrupted.values() for (of, _), part in parts.items() if of == name] for name in names
    }
    return {
        end: standings(cells, ["war"], lowest=end == "most", groups=groups) for end in ("most", "least")
    }  # fmt: skip


def _errors(curves: Mapping[str, Mapping[str, Sequence[float | None]]]) -> dict[str, float]:
    """The summed error (1 - WAR) of each corruption; NaN without labels."""
    return {name: sum(math.nan if war is None else 1 - war for war in scores["war"]) for name, scores in curves.items()}


def _relative(own: Mapping[str, float], first: Mapping[str, float]) -> float | None:
    """The mean of the corruptions' errors over those of the first run; None where one is not defined."""
    return mean_and_deviation([own[name] / first[name] if first[name] else None for name in own])[0]
