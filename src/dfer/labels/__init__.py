"""What people said: label spaces, votes and how far the voters agree. Numpy only."""

from __future__ import annotations

from dfer.labels.ambiguity import (
    STRATA,
    Stratum,
    agreement,
    emotions_with_votes,
    entropy,
    margin,
    strata,
)
from dfer.labels.emotions import (
    CREMA_D,
    DFEW,
    FERPLUS,
    FERV39K,
    KNOWN,
    MAFW,
    RAVDESS,
    EmotionSet,
    emotion_set,
    map_columns,
)
from dfer.labels.interrater import fleiss_kappa, krippendorff_alpha
from dfer.labels.rules import RULES, soft_labels
from dfer.labels.votes import (
    check_votes,
    hard_labels,
    one_hot,
    single_label,
    smooth_labels,
    without_lone_votes,
)

__all__ = [
    "CREMA_D",
    "DFEW",
    "FERPLUS",
    "FERV39K",
    "KNOWN",
    "MAFW",
    "RAVDESS",
    "RULES",
    "STRATA",
    "EmotionSet",
    "Stratum",
    "agreement",
    "check_votes",
    "emotion_set",
    "emotions_with_votes",
    "entropy",
    "fleiss_kappa",
    "hard_labels",
    "krippendorff_alpha",
    "map_columns",
    "margin",
    "one_hot",
    "single_label",
    "smooth_labels",
    "soft_labels",
    "strata",
    "without_lone_votes",
]
