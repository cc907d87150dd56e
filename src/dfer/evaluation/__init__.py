"""How a model is judged: the predictions table, scores, calibration, the protocol and the report. No torch.

`build_report` and `write_report` are loaded when they are first used, so that training does not wait for what
draws the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dfer.evaluation.calibration import apply_temperature, ece, fit_temperature, reliability
from dfer.evaluation.metrics import (
    brier,
    confusion,
    cross_entropy,
    entropy_correlation,
    js_divergence,
    kl_divergence,
    recall,
    top_k,
    uar,
    war,
)
from dfer.evaluation.predictions import Predictions, concatenate
from dfer.evaluation.protocol import cell, gallery, score
from dfer.evaluation.splits import cut_validation

if TYPE_CHECKING:
    from dfer.evaluation.report import build_report, write_report

__all__ = [
    "Predictions",
    "apply_temperature",
    "brier",
    "build_report",
    "cell",
    "concatenate",
    "confusion",
    "cross_entropy",
    "cut_validation",
    "ece",
    "entropy_correlation",
    "fit_temperature",
    "gallery",
    "js_divergence",
    "kl_divergence",
    "recall",
    "reliability",
    "score",
    "top_k",
    "uar",
    "war",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in ("build_report", "write_report"):
        raise AttributeError(f"module 'dfer.evaluation' has no attribute {name!r}")
    from dfer.evaluation import report

    return getattr(report, name)
