"""How scores fall as pictures get worse: curves over severities, and one number for all of them.

Conventions: a corruption has severities 1 to 5; severity 0 is the clean picture. The mean corruption error is that of
Hendrycks and Dietterich (ICLR 2019): for each corruption the errors of the five severities summed, over the same sum of
the first run; the mean of these ratios over the corruptions. Below 1 a run holds better than the first.

Which run holds best and which corruption costs most are tested clip by clip (`dfer.comparison.paired`): a run is a cell
whose runs are its answers to each corruption and severity, a corruption is a cell of all runs' answers to it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfer.comparison.constant import Constant
from dfer.comparison.evidence import evidence, known_groups
from dfer.comparison.paired import standings
from dfer.errors import DferError, listed
from dfer.files import replacing
from dfer.metrics import functional as metrics
from dfer.metrics.predictions import Predictions
from dfer.metrics.protocol import jsonable
from dfer.metrics.scores import BY_KEY
from dfer.pages import render
from dfer.reports import findings
from dfer.reports.figures import own_marks, severity_panels
from dfer.reports.verdict import leading
from dfer.version import __version__

FORMAT = "dfer.robustness/1"
SCORED = ("war", "uar", "kl")
"""Keys of the scores that are taken of each corrupted test part."""

Corrupted = Mapping[tuple[str, int], Predictions]
"""(corruption, severity) -> what a run says of the corrupted clips."""


def robustness(
    clean: Mapping[str, Predictions], corrupted: Mapping[str, Corrupted], *,
    groups: Mapping[str, str] | None = None, constants: Mapping[int, Constant] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The scores of runs under corruptions, ready for JSON: what is undefined is None.

    Args:
        clean: name of the run -> its predictions of the clips as they are.
        corrupted: name of the run -> its predictions under each corruption and severity, the same for all runs.
        groups: clip -> person or film, "" unknown; they are the units of the tests.
        constants: of each fold's training part; None takes the test part's own.

    Returns:
        "format", "version", "clips", "severities", "corruptions"; "runs": each "name", "clean" {score: value},
        "curves" {corruption: {score: [a value a severity]}}, "mean" {score: over all corruptions and severities},
        "kept" the mean WAR over the clean one, "corruption_error" relative to the first run; "intervals" (of "mean")
        and "beyond_constant", see `dfer.comparison.evidence`; "standings" of the runs' means; "constants"; "costs":
        "most" and "least" standings of the corruptions in WAR, None with one; "groups".

    Raises:
        DferError: runs on different clips or corruptions.
    """
    first = next(iter(clean))
    names = list(dict.fromkeys(name for name, _ in corrupted[first]))
    severities = sorted({severity for _, severity in corrupted[first]})
    for run in clean:
        if list(corrupted[run]) != list(corrupted[first]) or set(clean[run].ids) != set(clean[first].ids):
            raise DferError(f"expected runs on the same clips and corruptions; {run} differs from {first}")
    first_ids = clean[first].ids
    clean = {run: _in_order(part, first_ids) for run, part in clean.items()}
    corrupted = {
        run: {key: _in_order(part, first_ids) for key, part in parts.items()} for run, parts in corrupted.items()
    }
    told = evidence(
        {run: list(parts.values()) for run, parts in corrupted.items()}, groups=groups, constants=constants, keys=SCORED
    )
    errors = {run: _errors(corrupted[run], names, severities) for run in clean}
    runs = []
    for run, predictions in clean.items():
        of_each = {key: _scores(part) for key, part in corrupted[run].items()}
        scores = _scores(predictions)
        mean = {key: float(np.mean([part[key] for part in of_each.values()])) for key in SCORED}
        runs.append(
            {
                "name": run,
                "clean": scores,
                "curves": {
                    name: {key: [of_each[name, severity][key] for severity in severities] for key in SCORED}
                    for name in names
                },
                "mean": mean,
                "kept": mean["war"] / scores["war"] if scores["war"] else math.nan,
                "corruption_error": _relative(errors[run], errors[first]),
                **told["cells"][run],
            }
        )
    result: dict[str, Any] = jsonable(
        {
            "format": FORMAT, "version": __version__, "clips": len(clean[first]), "severities": severities,
            "corruptions": names, "runs": runs, "costs": _costs(corrupted, names, known_groups(first_ids, groups)),
            **{key: told[key] for key in ("standings", "constants", "groups")},
        }
    )  # fmt: skip
    return result


def write_robustness(result: Mapping[str, Any], out: Path) -> None:
    """Write `robustness.json` and `robustness.html`.

    Raises:
        DferError: the folder cannot be written.
    """
    numbers = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    page = render_robustness(result)
    with replacing(out / "robustness.json") as json_file, replacing(out / "robustness.html") as html_file:
        json_file.write_text(numbers, encoding="utf-8", errors="backslashreplace")
        html_file.write_text(page, encoding="utf-8", errors="backslashreplace")


def render_robustness(result: Mapping[str, Any]) -> str:
    """The page as HTML."""
    runs = result["runs"]
    kinds = len(result["corruptions"])
    title = f"{len(runs)} run{'s' * (len(runs) != 1)} under {kinds} kind{'s' * (kinds != 1)} of bad pictures"
    return render(
        "dfer.reports", "robustness.html.jinja", kind="robustness", title=title, result=result, runs=runs,
        marks=own_marks(len(runs)), scores=[BY_KEY[key] for key in SCORED], conclusion=conclusion(result),
        findings=findings,
        panels={key: severity_panels(result, BY_KEY[key]) for key in ("war", "kl")},
    )  # fmt: skip


def conclusion(result: Mapping[str, Any]) -> str:
    """Which corruption costs most, which run holds best, as far as clips tell; who is no better than a constant."""
    runs = result["runs"]
    if runs[0]["clean"]["war"] is None:
        said = ["No test clip has a single label: there is no accuracy to lose, only distances to the votes."]
    else:
        said = [_cost_said(result), *([_best_said(result)] if len(runs) > 1 else [])]
    return " ".join([*said, *(f"Under corruption, {sentence}" for sentence in findings.warnings(runs))])


def _cost_said(result: Mapping[str, Any]) -> str:
    runs, score, costs = result["runs"], BY_KEY["war"], result.get("costs") or {}
    lost = {
        name: score.text(float(np.mean([run["clean"]["war"] - np.mean(run["curves"][name]["war"]) for run in runs])))
        for name in result["corruptions"]
    }
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


def _best_said(result: Mapping[str, Any]) -> str:
    score = BY_KEY["war"]
    ends = listed([f"{run['name']} {score.text(run['mean']['war'])} %" for run in result["runs"]], 12)
    first = leading(result.get("standings"), score)
    if not first:
        verdict = "these clips do not tell the runs apart"
    elif len(first) == 1:
        verdict = f"{first[0]} holds best"
    else:
        verdict = f"{listed(first, 12)} hold best, and these clips do not tell them apart"
    return f"Mean WAR under corruption: {ends}; {verdict}."


def _costs(
    corrupted: Mapping[str, Corrupted], names: list[str], groups: NDArray[np.object_] | None
) -> dict[str, Any] | None:
    """Which corruption has the lowest and which the highest WAR, over all runs and severities."""
    if len(names) < 2:
        return None
    cells = {
        name: [part for parts in corrupted.values() for (of, _), part in parts.items() if of == name] for name in names
    }
    return {
        end: standings(cells, ["war"], lowest=end == "most", groups=groups) for end in ("most", "least")
    }  # fmt: skip


def _in_order(run: Predictions, ids: NDArray[np.object_]) -> Predictions:
    """The run with its clips in this order."""
    if np.array_equal(run.ids, ids):
        return run
    places = {clip: row for row, clip in enumerate(run.ids)}
    return run.select(np.array([places[clip] for clip in ids], dtype=np.int64))


def _scores(predictions: Predictions) -> dict[str, float]:
    labelled, voted = predictions.labelled, predictions.voted
    judged = predictions.probs[labelled], predictions.labels[labelled]
    distances = metrics.kl_divergence(predictions.probs[voted], predictions.shares[voted])
    return {
        "war": metrics.war(*judged) if labelled.any() else math.nan,
        "uar": metrics.uar(*judged) if labelled.any() else math.nan,
        "kl": float(distances.mean()) if voted.any() else math.nan,
    }


def _errors(parts: Corrupted, names: list[str], severities: list[int]) -> dict[str, float]:
    """The summed error (1 - WAR) of each corruption."""
    return {name: sum(1 - _scores(parts[name, severity])["war"] for severity in severities) for name in names}


def _relative(own: Mapping[str, float], first: Mapping[str, float]) -> float:
    ratios = [own[name] / first[name] if first[name] else math.nan for name in own]
    return float(np.mean(ratios))
