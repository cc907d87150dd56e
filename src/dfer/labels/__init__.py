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
    EmotionSet,
    emotion_set,
    map_columns,
)
from dfer.labels.votes import (
    RULES,
    check_votes,
    hard_labels,
    one_hot,
    single_label,
    smooth_labels,
    soft_labels,
    without_lone_votes,
)

__all__ = [
    "CREMA_D",
    "DFEW",
    "FERPLUS",
    "FERV39K",
    "KNOWN",
    "MAFW",
    "RULES",
    "STRATA",
    "EmotionSet",
    "Stratum",
    "agreement",
    "check_votes",
    "emotion_set",
    "emotions_with_votes",
    "entropy",
    "hard_labels",
    "map_columns",
    "margin",
    "one_hot",
    "single_label",
    "smooth_labels",
    "soft_labels",
    "strata",
    "without_lone_votes",
]
