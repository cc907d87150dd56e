"""How scores fall as pictures get worse: curves over severities, and one number for all of them.

Conventions: a corruption has severities 1 to 5; severity 0 is the clean picture. The mean corruption error is that of
Hendrycks and Dietterich (ICLR 2019): for each corruption the errors of the five severities summed, over the same sum of
the first run; the mean of these ratios over the corruptions. Below 1 a run holds better than the first.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dfer.errors import DferError, listed
from dfer.evaluation import metrics
from dfer.evaluation.figures import own_marks, severity_panels
from dfer.evaluation.predictions import Predictions
from dfer.evaluation.protocol import jsonable
from dfer.evaluation.scores import BY_KEY
from dfer.files import replacing
from dfer.pages import render
from dfer.version import __version__

FORMAT = "dfer.robustness/1"
SCORED = ("war", "uar", "kl")
"""Keys of the scores that are taken of each corrupted test part."""

Corrupted = Mapping[tuple[str, int], Predictions]
"""(corruption, severity) -> what a run says of the corrupted clips."""


def robustness(clean: Mapping[str, Predictions], corrupted: Mapping[str, Corrupted]) -> dict[str, Any]:
    """The scores of runs under corruptions, ready for JSON: what is undefined is None.

    Args:
        clean: name of the run -> its predictions of the clips as they are.
        corrupted: name of the run -> its predictions under each corruption and severity, the same for all runs.

    Returns:
        "format", "version", "clips", "severities", "corruptions"; "runs": each "name", "clean" {score: value},
        "curves" {corruption: {score: [a value a severity]}}, "mean" {score: over all corruptions and severities},
        "kept" the mean WAR over the clean one, "corruption_error" relative to the first run.

    Raises:
        DferError: runs on different clips or corruptions.
    """
    first = next(iter(clean))
    names = list(dict.fromkeys(name for name, _ in corrupted[first]))
    severities = sorted({severity for _, severity in corrupted[first]})
    for run in clean:
        if list(corrupted[run]) != list(corrupted[first]) or set(clean[run].ids) != set(clean[first].ids):
            raise DferError(f"expected runs on the same clips and corruptions; {run} differs from {first}")
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
            }
        )
    result: dict[str, Any] = jsonable(
        {
            "format": FORMAT, "version": __version__, "clips": len(clean[first]), "severities": severities,
            "corruptions": names, "runs": runs,
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
    title = f"{len(runs)} run{'s' * (len(runs) != 1)} under {len(result['corruptions'])} kinds of bad pictures"
    return render(
        "dfer.evaluation", "robustness.html.jinja", kind="robustness", title=title, result=result, runs=runs,
        marks=own_marks(len(runs)), scores=[BY_KEY[key] for key in SCORED], conclusion=conclusion(result),
        panels={key: severity_panels(result, BY_KEY[key]) for key in ("war", "kl")},
    )  # fmt: skip


def conclusion(result: Mapping[str, Any]) -> str:
    """Which corruption costs most (or what the only one costs), and which run holds best, in a sentence or two."""
    runs, score = result["runs"], BY_KEY["war"]
    if runs[0]["clean"]["war"] is None:
        return "No test clip has a single label: there is no accuracy to lose, only distances to the votes."
    lost = {
        name: float(np.mean([run["clean"]["war"] - np.mean(run["curves"][name]["war"]) for run in runs]))
        for name in result["corruptions"]
    }
    worst, least = max(lost, key=lost.__getitem__), min(lost, key=lost.__getitem__)
    name, points = worst.replace("_", " ").capitalize(), f"{score.text(lost[worst])} points of WAR on average"
    rest = f"{least.replace('_', ' ')} least ({score.text(lost[least])})"
    said = f"{name} costs {points}" if len(lost) == 1 else f"{name} costs most ({points}), {rest}"
    if len(runs) == 1:
        return f"{said}."
    best = max(runs, key=lambda run: run["mean"]["war"])
    ends = listed(f"{run['name']} {score.text(run['mean']['war'])} %" for run in runs)
    return f"{said}. Mean WAR under corruption: {ends}; {best['name']} holds best."


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
