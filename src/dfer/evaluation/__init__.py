"""How a model is judged: the predictions table, scores, calibration, the protocol and the report. No torch.

What makes and draws pages (`LATE`) is loaded when it is first used, so that training does not wait for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dfer.evaluation.alignment import aligned, read_run
from dfer.evaluation.calibration import (
    VectorScaling,
    apply_temperature,
    classwise_ece,
    ece,
    fit_temperature,
    fit_vector_scaling,
    reliability,
    vote_ece,
    vote_reliability,
)
from dfer.evaluation.ceiling import annotators_ceiling
from dfer.evaluation.metrics import (
    brier,
    canberra,
    chebyshev,
    clark,
    confusion,
    cosine,
    cross_entropy,
    dirichlet_multinomial,
    entropy_correlation,
    intersection,
    js_divergence,
    kl_divergence,
    no_majority_auroc,
    recall,
    top_k,
    uar,
    war,
)
from dfer.evaluation.posthoc import adjust, choose_tau
from dfer.evaluation.predictions import Predictions, concatenate
from dfer.evaluation.protocol import cell, gallery, score
from dfer.evaluation.selective import aurc, fit_threshold, risk_at, risk_coverage
from dfer.evaluation.significance import (
    bootstrap,
    holm,
    interval,
    mcnemar,
    mean_and_deviation,
    welch,
)
from dfer.evaluation.subgroups import by_groups

if TYPE_CHECKING:
    from dfer.evaluation.comparison import compare
    from dfer.evaluation.comparison_page import write_comparison
    from dfer.evaluation.report import build_report, write_report

__all__ = [
    "Predictions",
    "VectorScaling",
    "adjust",
    "aligned",
    "annotators_ceiling",
    "apply_temperature",
    "aurc",
    "bootstrap",
    "brier",
    "build_report",
    "by_groups",
    "canberra",
    "cell",
    "chebyshev",
    "choose_tau",
    "clark",
    "classwise_ece",
    "compare",
    "concatenate",
    "confusion",
    "cosine",
    "cross_entropy",
    "dirichlet_multinomial",
    "ece",
    "entropy_correlation",
    "fit_temperature",
    "fit_threshold",
    "fit_vector_scaling",
    "gallery",
    "holm",
    "intersection",
    "interval",
    "js_divergence",
    "kl_divergence",
    "mcnemar",
    "mean_and_deviation",
    "no_majority_auroc",
    "read_run",
    "recall",
    "reliability",
    "risk_at",
    "risk_coverage",
    "score",
    "top_k",
    "uar",
    "vote_ece",
    "vote_reliability",
    "war",
    "welch",
    "write_comparison",
    "write_report",
]

LATE = {
    "build_report": "report",
    "compare": "comparison",
    "write_comparison": "comparison_page",
    "write_report": "report",
}
"""Public name -> the module that has it."""


def __getattr__(name: str) -> Any:
    if name not in LATE:
        raise AttributeError(f"module 'dfer.evaluation' has no attribute {name!r}")
    return getattr(import_module(f"dfer.evaluation.{LATE[name]}"), name)
