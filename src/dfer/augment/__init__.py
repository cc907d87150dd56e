"""Tensors in, tensors out: MIDAS, and the clip-consistent transforms of training.

Conventions: `clips` are (B, C, T, H, W), `targets` are (B, K) rows that sum to one; whatever is drawn for a clip
is the same in each of its frames; the caller's tensors are never written to; randomness is a `torch.Generator`.
"""

from dfer.augment.mixing import Midas, Mixed, midas
from dfer.augment.transforms import Augment

__all__ = ["Augment", "Midas", "Mixed", "midas"]
