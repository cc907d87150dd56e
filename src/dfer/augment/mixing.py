"""MIDAS: convex combination of pairs of soft-labelled clips.

x̃(t) = λ x_i(t) + (1 - λ) x_j(t) for every frame t = 1..T,   ỹ = λ y_i + (1 - λ) y_j,   λ ~ Beta(α, α)

One λ serves all frames of a clip and its soft label; frames are paired index to index. The switches of `Midas` lead to
the relatives that an ablation compares it with: other blends (`dfer.augment.blend`), mixing inside the network.

References:
    Kawamura, Hayashi, Takemura, Nagahara: "MIDAS: Mixing Ambiguous Data with Soft Labels for Dynamic Facial
    Expression Recognition", WACV 2024 (arXiv 2503.00202); extension arXiv 2506.20867 (α = 0.8).
    Zhang et al.: "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
    Verma et al.: "Manifold Mixup", ICML 2019 (`layer = "hidden"`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dfer.augment.blend import BLENDS
from dfer.errors import DferError, require_known


class Mixed(NamedTuple):
    """A mixed batch: row i is `lam[i]` of clip i and `1 - lam[i]` of clip `partner[i]` of the batch that went in.

    Attributes:
        clips: (B, ...), as the clips that went in. With `keep_real`, all four have 2B rows.
        targets: (B, K) rows that sum to one.
        lam: (B,) in [0, 1].
        partner: (B,) int64, rows of the batch that went in.
    """

    clips: Tensor
    targets: Tensor
    lam: Tensor
    partner: Tensor

    def carry(self, values: Tensor) -> Tensor:
        """Other values of the batch, (B, ...) floating point, mixed as the clips were."""
        if not values.is_floating_point():
            raise DferError(f"expected floating point, which can be mixed, got {values.dtype}; give values.float()")
        own = torch.arange(len(self.lam), device=values.device) % len(values)  # with `keep_real` there are 2B rows
        weight = self.lam.to(values).view(-1, *[1] * (values.ndim - 1))
        return torch.lerp(values[self.partner], values[own], weight)


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
        DferError: the shapes do not belong together, `targets` are class indices or rows of another sum, or `lam` or
            `partner` is out of range.
    """
    _check(clips, targets)
    if not (isinstance(lam, Tensor) and isinstance(partner, Tensor) and partner.dtype == torch.int64):
        found = partner.dtype if isinstance(partner, Tensor) else type(partner).__name__
        raise DferError(f"expected lam and partner as tensors, partner int64, got {type(lam).__name__} and {found}")
    if lam.shape != clips.shape[:1] or partner.shape != clips.shape[:1]:
        raise DferError(
            f"expected one lam and one partner for each of {len(clips)} clips, "
            f"got shapes {tuple(lam.shape)} and {tuple(partner.shape)}"
        )
    if not ((lam >= 0) & (lam <= 1)).all():
        raise DferError(f"expected lam in [0, 1], got {lam.tolist()}")
    if not ((partner >= 0) & (partner < len(clips))).all():
        raise DferError(f"expected partners from 0 to {len(clips) - 1}, got {partner.tolist()}")
    return Mixed(_mix_clips(clips, lam, partner), _mix_targets(targets, lam, partner), lam, partner)


@dataclass(frozen=True)
class Midas:
    """MIDAS as a callable that draws λ and partners.

    Attributes:
        alpha: parameter of Beta(α, α), above 0. A small one gives mixtures near the real clips, 1 uniform λ. The
            extension of the paper uses 0.8.
        per: a λ for each "clip", or one for the whole "batch" (as in mixup's first code).
        prob: the share of clips (or of batches) that are mixed, in [0, 1]; the others keep λ = 1.
        keep_real: put the B real clips before the B mixed ones (as MixAugment does), so that 2B come out.
        softmax: temperature of a softmax over the mixed label; None (off) leaves the convex combination, which
            is the published equation. A review of the extension speaks of such a softmax.
        blend: which pixels are mixed: "mixup", all alike, is MIDAS; others are keys of `dfer.augment.blend.BLENDS`.
        layer: "input" mixes clips; "hidden" leaves them, for a network that mixes its features (manifold mixup).

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
    blend: Literal["mixup", "fade", "spatial", "temporal", "cuboid"] = "mixup"
    layer: Literal["input", "hidden"] = "input"

    def __post_init__(self) -> None:
        if not 1e-3 <= self.alpha <= 1e3:
            raise DferError(
                f"expected alpha > 0 in Beta(alpha, alpha), from 0.001 to 1000, got {self.alpha}; to mix nothing, "
                "leave Midas out"
            )
        if not 0 <= self.prob <= 1:
            raise DferError(f"expected prob in [0, 1], got {self.prob}")
        if self.softmax is not None and not 1e-3 <= self.softmax <= 1e3:
            raise DferError(
                f"expected a softmax temperature > 0, from 0.001 to 1000, or None for no softmax, got {self.softmax}"
            )
        known = {
            "per": ("clip", "batch"),
            "blend": ("mixup", *BLENDS),
            "layer": ("input", "hidden"),
        }
        for name, values in known.items():
            require_known(f"{name} cannot be", getattr(self, name), values)
        if self.layer == "hidden" and (self.blend != "mixup" or self.keep_real):
            raise DferError('layer="hidden" mixes features, which have no pixels: it needs blend="mixup", no keep_real')

    def __call__(self, clips: Tensor, targets: Tensor, *, generator: torch.Generator | None = None) -> Mixed:
        """Mix a batch of any size, see `midas`; one clip has only itself for a partner and stays as it is.

        Args:
            clips: (B, ...), usually (B, C, T, H, W), floating point or uint8; a blend other than "mixup" needs 5-D.
            targets: (B, K), rows that sum to one.
            generator: where λ and partners come from, on any device; None is torch's global one of the CPU.

        Returns:
            `Mixed` of B rows; of 2B with `keep_real`. `lam` is the share of the clip, as it was really mixed.

        Raises:
            DferError: as `midas`, or a blend of clips that are not 5-D.
        """
        _check(clips, targets)
        lam, partner = self.draw(targets, generator)
        weights = None if self.blend == "mixup" else self._weights(lam, clips, generator)
        if weights is not None:
            lam = weights.expand(-1, 1, *clips.shape[2:]).mean(dim=(1, 2, 3, 4))
        lam, partner = lam.to(clips.device), partner.to(clips.device)
        shown = clips if self.layer == "hidden" else _mix_clips(clips, lam, partner, weights)
        mixed = Mixed(shown, self.mixed_targets(targets, lam, partner), lam, partner)
        return _with_real(clips, targets, mixed) if self.keep_real else mixed

    @property
    def is_plain(self) -> bool:
        """Whether B clips are mixed into B, all pixels of a clip alike, so that λ and partners say all."""
        return self.blend == "mixup" and self.layer == "input" and not self.keep_real

    def mixed_targets(self, targets: Tensor, lam: Tensor, partner: Tensor) -> Tensor:
        """The soft labels (B, K) of mixed clips."""
        mixed = _mix_targets(targets, lam, partner)
        return mixed if self.softmax is None else torch.softmax(mixed / self.softmax, dim=1)

    def draw(self, targets: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """λ (B,) float32 and partners (B,) int64, on the device of the generator."""
        drawing = torch.default_generator if generator is None else generator
        # torch's own Beta takes no generator, so one torch draw seeds numpy's.
        seed = int(torch.randint(2**62, (), generator=drawing, device=drawing.device))
        numpy = np.random.default_rng(seed)
        draws = len(targets) if self.per == "clip" else 1
        lam = np.where(numpy.random(draws) < self.prob, numpy.beta(self.alpha, self.alpha, draws), 1.0)
        partner = torch.randperm(len(targets), generator=drawing, device=drawing.device)
        return torch.from_numpy(lam.astype(np.float32)).expand(len(targets)), partner

    def _weights(self, lam: Tensor, clips: Tensor, generator: torch.Generator | None) -> Tensor:
        """The clip's own share of each pixel, to broadcast to the clips."""
        if clips.ndim != 5:
            raise DferError(f'blend="{self.blend}" expects clips (B, C, T, H, W), got shape {tuple(clips.shape)}')
        frames, height, width = clips.shape[2:]
        return BLENDS[self.blend](lam, (frames, height, width), generator or torch.default_generator)


def _check(clips: Tensor, targets: Tensor) -> None:
    if not (isinstance(clips, Tensor) and isinstance(targets, Tensor)):
        raise DferError(
            f"expected clips and targets as tensors, got {type(clips).__name__} and {type(targets).__name__}; "
            "torch.from_numpy makes one of an array"
        )
    if targets.ndim != 2 or not targets.is_floating_point():
        raise DferError(
            f"expected targets of shape (B, K), floating point, got {tuple(targets.shape)} {targets.dtype}; "
            "make class indices one-hot: torch.nn.functional.one_hot(labels, K).float()"
        )
    if clips.ndim < 2 or len(clips) != len(targets):
        raise DferError(f"expected as many clips as targets, got {tuple(clips.shape)} and {tuple(targets.shape)}")
    if not (clips.is_floating_point() or clips.dtype == torch.uint8):
        raise DferError(f"expected clips that are floating point or uint8, got {clips.dtype}")
    totals, tolerance = targets.detach().float().sum(dim=1), max(1e-4, torch.finfo(targets.dtype).eps)
    wrong = ~((totals - 1).abs() <= tolerance) | (targets.detach() < 0).any(dim=1)
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise DferError(
            f"expected rows of targets of 0 or more that sum to one, got {targets[row].tolist()} in row {row}; "
            "divide votes by their sum"
        )


def _mix_targets(targets: Tensor, lam: Tensor, partner: Tensor) -> Tensor:
    return torch.lerp(targets[partner], targets, lam.to(targets)[:, None])


def _mix_clips(clips: Tensor, lam: Tensor, partner: Tensor, weights: Tensor | None = None) -> Tensor:
    """By λ, or by a weight for each pixel where there are `weights`."""
    if weights is not None or clips.is_cuda or clips.requires_grad or lam.requires_grad:
        weight = lam.view(-1, *[1] * (clips.ndim - 1)) if weights is None else weights
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
