"""dfer: dynamic facial expression recognition from ambiguous video.

Votes become soft labels, pairs of clips are mixed with their soft labels (MIDAS), a network is trained end to end
and judged honestly.

Shapes, everywhere the same: B clips, T frames, H W pixels, C channels, K emotions, N rows, R raters.
`clips (B,C,T,H,W)`, `targets (B,K)`, `logits`, `probs`, `votes (N,K)`, `times (T,)`.

The public names below are loaded when they are first used, so that `import dfer` is cheap and torch comes in only
with what needs it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dfer.errors import DferError
from dfer.version import __version__

if TYPE_CHECKING:
    from dfer.augment import Augment, Midas, Mixed, midas
    from dfer.datasets import Manifest
    from dfer.inference import Predictor, Timeline
    from dfer.labels import EmotionSet, hard_labels, soft_labels
    from dfer.metrics import Predictions
    from dfer.models import (
        allow_models,
        create_model,
        from_pretrained,
        list_models,
        load_checkpoint,
        register_model,
        save_pretrained,
    )  # fmt: skip
    from dfer.training.clips import ClipDataset
    from dfer.training.targets import make_targets
    from dfer.video import Preprocessing

_HOMES = {
    "Augment": "dfer.augment", "Midas": "dfer.augment", "Mixed": "dfer.augment", "midas": "dfer.augment",
    "Manifest": "dfer.datasets",
    "Predictions": "dfer.metrics",
    "Predictor": "dfer.inference", "Timeline": "dfer.inference",
    "EmotionSet": "dfer.labels", "hard_labels": "dfer.labels", "soft_labels": "dfer.labels",
    "allow_models": "dfer.models", "create_model": "dfer.models", "list_models": "dfer.models",
    "from_pretrained": "dfer.models", "load_checkpoint": "dfer.models", "register_model": "dfer.models",
    "save_pretrained": "dfer.models",
    "ClipDataset": "dfer.training.clips", "make_targets": "dfer.training.targets", "Preprocessing": "dfer.video",
}  # fmt: skip

__all__ = [
    "Augment", "ClipDataset", "DferError", "EmotionSet", "Manifest", "Midas", "Mixed", "Predictions", "Predictor",
    "Preprocessing", "Timeline", "__version__", "allow_models", "create_model", "from_pretrained",
    "hard_labels", "list_models", "load_checkpoint", "make_targets", "midas", "register_model", "save_pretrained",
    "soft_labels",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dfer' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
