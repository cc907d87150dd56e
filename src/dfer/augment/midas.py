"""MIDAS: convex combination of pairs of soft-labelled clips.

x̃(t) = λ x_i(t) + (1 - λ) x_j(t) for every frame t = 1..T,   ỹ = λ y_i + (1 - λ) y_j,   λ ~ Beta(α, α)

One λ serves all frames of a clip and its soft label; frames are paired index to index.

References:
    Kawamura, Hayashi, Takemura, Nagahara: "MIDAS: Mixing Ambiguous Data with Soft Labels for Dynamic Facial
    Expression Recognition", WACV 2024 (arXiv 2503.00202); extension arXiv 2506.20867 (α = 0.8).
    Zhang et al.: "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dfer.errors import DferError


class Mixed(NamedTuple):
    """A mixed batch: row i is `lam[i]` of clip i and `1 - lam[i]` of clip `partner[i]` of the batch that went in."""

    clips: Tensor
    targets: Tensor
    lam: Tensor
    partner: Tensor


def midas(clips: Tensor, targets: Tensor, lam: Tensor, partner: Tensor) -> Mixed:
    """Mix each clip, and its soft label, with its partner.

    Args:
        clips: (B, ...) floating point, or uint8 (then mixed in float and rounded); usually (B, C, T, H, W).
        targets: (B, K) floating point, rows that sum to one; soft already, or one-hot.
        lam: (B,) in [0, 1], the share of the clip itself; 1 leaves a clip exactly as it is.
        partner: (B,) int64 in [0, B), the row that each clip is mixed with.

    Returns:
        `Mixed` with new tensors of the dtypes that came in; the arguments are not written to.

    Raises:
        DferError: the shapes do not belong together, or `targets` are class indices.
    """
    _check(clips, targets)
    if lam.shape != clips.shape[:1] or partner.shape != clips.shape[:1]:
        raise DferError(
            f"expected one lam and one partner for each of {len(clips)} clips, "
            f"got shapes {tuple(lam.shape)} and {tuple(partner.shape)}"
        )
    weight = lam.to(targets)[:, None]
    mixed_targets = torch.lerp(targets[partner], targets, weight)
    return Mixed(_mix_clips(clips, lam, partner), mixed_targets, lam, partner)


@dataclass(frozen=True)
class Midas:
    """MIDAS as a callable that draws λ and partners.

    Attributes:
        alpha: of Beta(α, α), > 0; small: near the real clips, 1: uniform. 0.8 in the extension paper.
        per: a λ for each "clip", or one for the whole "batch" (as in mixup's first code).
        prob: the share of clips (or of batches) that are mixed at all, in [0, 1]; the others keep λ = 1.
        keep_real: put the B real clips before the B mixed ones (as MixAugment does), so that 2B come out.
        softmax: temperature of a softmax over the mixed label; None (off) leaves the convex combination, which
            is the published equation. A review of the extension speaks of such a softmax.

    Example:
        >>> clips, targets = torch.rand(4, 3, 8, 16, 16), torch.eye(7)[:4]
        >>> mixed = Midas(alpha=0.8)(clips, targets, generator=torch.Generator().manual_seed(0))
        >>> mixed.clips.shape, float(mixed.targets.sum())
        (torch.Size([4, 3, 8, 16, 16]), 4.0)
    """

    alpha: float = 0.8
    per: Literal["clip", "batch"] = "clip"
    prob: float = 1.0
    keep_real: bool = False
    softmax: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.alpha < float("inf"):
            raise DferError(
                f"expected alpha > 0 in Beta(alpha, alpha), got {self.alpha}; to mix nothing, leave Midas out"
            )
        if self.per not in ("clip", "batch"):
            raise DferError(f'expected per="clip" or per="batch", got {self.per!r}')
        if not 0 <= self.prob <= 1:
            raise DferError(f"expected prob in [0, 1], got {self.prob}")
        if self.softmax is not None and not self.softmax > 0:
            raise DferError(f"expected a softmax temperature > 0, or None for no softmax, got {self.softmax}")

    def __call__(self, clips: Tensor, targets: Tensor, *, generator: torch.Generator | None = None) -> Mixed:
        """Mix a batch of any size, see `midas`; one clip has only itself for a partner and stays as it is.

        Args:
            clips: (B, ...), usually (B, C, T, H, W), floating point or uint8.
            targets: (B, K), rows that sum to one.
            generator: where λ and partners come from; None is torch's global one.

        Returns:
            `Mixed` of B rows; of 2B with `keep_real`.
        """
        _check(clips, targets)
        lam, partner = self._draw(len(clips), generator)
        mixed = midas(clips, targets, lam.to(clips.device), partner.to(clips.device))
        if self.softmax is not None:
            mixed = mixed._replace(targets=torch.softmax(mixed.targets / self.softmax, dim=1))
        return _with_real(clips, targets, mixed) if self.keep_real else mixed

    def _draw(self, size: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """λ (B,) float32 and partners (B,) int64: a permutation of the batch."""
        device = torch.device("cpu") if generator is None else generator.device
        # torch's own Beta takes no generator, so one torch draw seeds numpy's.
        seed = int(torch.randint(2**62, (), generator=generator, device=device))
        numpy = np.random.default_rng(seed)
        draws = size if self.per == "clip" else 1
        lam = np.where(numpy.random(draws) < self.prob, numpy.beta(self.alpha, self.alpha, draws), 1.0)
        partner = torch.randperm(size, generator=generator, device=device)
        return torch.from_numpy(lam.astype(np.float32)).expand(size), partner


def _check(clips: Tensor, targets: Tensor) -> None:
    if targets.ndim != 2 or not targets.is_floating_point():
        raise DferError(
            f"expected targets of shape (B, K), floating point, got {tuple(targets.shape)} {targets.dtype}; "
            "make class indices one-hot: torch.nn.functional.one_hot(labels, K).float()"
        )
    if clips.ndim < 2 or len(clips) != len(targets):
        raise DferError(f"expected as many clips as targets, got {tuple(clips.shape)} and {tuple(targets.shape)}")
    if not (clips.is_floating_point() or clips.dtype == torch.uint8):
        raise DferError(f"expected clips that are floating point or uint8, got {clips.dtype}")


def _mix_clips(clips: Tensor, lam: Tensor, partner: Tensor) -> Tensor:
    if clips.is_cuda or clips.requires_grad:
        weight = lam.view(-1, *[1] * (clips.ndim - 1))
        real = clips.float() if clips.dtype == torch.uint8 else clips
        mixed = torch.lerp(real[partner], real, weight.to(real))
        return mixed.round().to(clips.dtype) if clips.dtype == torch.uint8 else mixed
    # On a CPU, memory is what mixing costs: clip by clip into one buffer, no gathered copy of the batch.
    mixed = torch.empty_like(clips)
    for row, (weight_of_row, other) in enumerate(zip(lam.tolist(), partner.tolist(), strict=True)):
        if clips.dtype == torch.uint8:
            mixed[row] = torch.lerp(clips[other].float(), clips[row].float(), weight_of_row).round_()
        else:
            torch.lerp(clips[other], clips[row], weight_of_row, out=mixed[row])
    return mixed


def _with_real(clips: Tensor, targets: Tensor, mixed: Mixed) -> Mixed:
    own = torch.arange(len(clips), device=mixed.partner.device)
    return Mixed(
        torch.cat([clips, mixed.clips]),
        torch.cat([targets, mixed.targets]),
        torch.cat([torch.ones_like(mixed.lam), mixed.lam]),
        torch.cat([own, mixed.partner]),
    )
