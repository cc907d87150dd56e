"""The relatives of MIDAS: what they paste, and that the label follows what was pasted."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dfer import DferError, Midas
from dfer.augment.blend import BLENDS, cuboid, fade, spatial, temporal

SHAPE = (8, 12, 10)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def black_and_white(size: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Clips of one value each, and one-hot targets: a pixel says which clip it comes from."""
    clips = torch.arange(float(size)).view(-1, 1, 1, 1, 1).expand(size, 3, *SHAPE).contiguous()
    return clips, torch.eye(size)


@settings(max_examples=30, deadline=None)
@given(blend=st.sampled_from(["mixup", *BLENDS]), seed=st.integers(0, 10_000), alpha=st.floats(0.1, 4))
def test_the_label_is_mixed_as_much_as_the_pixels_are(blend: str, seed: int, alpha: float) -> None:
    clips, targets = black_and_white()
    mixed = Midas(alpha=alpha, blend=blend)(clips, targets, generator=seeded(seed))
    partner = mixed.partner.float()
    own = torch.arange(6.0)
    pixels = mixed.clips.mean(dim=(1, 2, 3, 4))
    assert torch.allclose(pixels, mixed.lam * own + (1 - mixed.lam) * partner, atol=1e-4)
    assert torch.allclose(
        mixed.targets, mixed.lam[:, None] * targets + (1 - mixed.lam)[:, None] * targets[mixed.partner]
    )
    assert ((mixed.lam >= 0) & (mixed.lam <= 1)).all()


@pytest.mark.parametrize("blend", [spatial, temporal, cuboid])
def test_what_is_pasted_is_pasted_whole_and_in_one_piece(blend: object) -> None:
    weights = blend(torch.full((50,), 0.5), SHAPE, seeded()).expand(50, 1, *SHAPE)  # type: ignore[operator]
    assert set(weights.unique().tolist()) == {0.0, 1.0}
    for box in weights[:, 0] == 0:
        corners = [box.any(dim=axes).nonzero().flatten() for axes in ((1, 2), (0, 2), (0, 1))]
        volume = 1
        for side in corners:
            assert side.tolist() == list(range(int(side[0]), int(side[-1]) + 1))
            volume *= len(side)
        assert int(box.sum()) == volume  # a cuboid and nothing else


def test_which_axes_a_blend_cuts() -> None:
    half = torch.full((40,), 0.5)
    assert spatial(half, SHAPE, seeded()).shape == (40, 1, 1, 12, 10)
    assert temporal(half, SHAPE, seeded()).shape == (40, 1, 8, 1, 1)
    assert cuboid(half, SHAPE, seeded()).shape == (40, 1, 8, 12, 10)
    assert temporal(half, SHAPE, seeded()).mean(dim=(1, 2, 3, 4)).tolist() == [0.5] * 40


def test_pasted_boxes_reach_every_place_and_their_share_is_what_was_drawn() -> None:
    weights = spatial(torch.full((4000,), 0.75), (1, 20, 20), seeded())
    assert abs(float(weights.mean()) - 0.75) < 0.01
    pasted = 1 - weights.mean(dim=(0, 1, 2))
    assert float(pasted.min()) > 0 and float(pasted[9, 9]) > float(pasted[0, 0])


def test_a_fade_runs_straight_from_one_clip_to_the_other_and_keeps_its_mean() -> None:
    lam = torch.tensor([0.5, 0.2, 0.9, 1.0, 0.0])
    weights = fade(lam, SHAPE, seeded())[:, 0, :, 0, 0]
    assert torch.allclose(weights.mean(dim=1), lam, atol=1e-6)
    steps = weights.diff(dim=1)
    assert torch.allclose(steps, steps[:, :1].expand_as(steps), atol=1e-6)
    assert sorted([float(weights[0, 0]), float(weights[0, -1])]) == [0.0, 1.0]
    assert weights[3].tolist() == [1.0] * 8 and weights[4].tolist() == [0.0] * 8
    both = {bool(row[0] > row[-1]) for row in fade(torch.full((50,), 0.5), SHAPE, seeded())[:, 0, :, 0, 0]}
    assert both == {True, False}


def test_a_still_cannot_fade_and_is_mixed_as_by_mixup() -> None:
    lam = torch.tensor([0.3, 0.6])
    assert torch.allclose(fade(lam, (1, 4, 4), seeded()).flatten(), lam)


def test_a_blend_of_pixels_needs_clips() -> None:
    with pytest.raises(DferError, match=r'blend="spatial" expects clips \(B, C, T, H, W\), got shape \(3, 5\)'):
        Midas(blend="spatial")(torch.rand(3, 5), torch.eye(3))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"blend": "box"}, "blend cannot be 'box'; expected one of mixup, fade, spatial, temporal, cuboid"),
        ({"layer": "both"}, "layer cannot be 'both'; expected one of input, hidden"),
        ({"layer": "hidden", "keep_real": True}, 'it needs blend="mixup", no keep_real'),
        ({"layer": "hidden", "blend": "fade"}, 'it needs blend="mixup"'),
    ],
)
def test_unknown_relatives_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(DferError, match=re.escape(said)):
        Midas(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("keep_real", [False, True])
def test_other_values_of_a_clip_are_carried_along(keep_real: bool) -> None:
    clips, targets = black_and_white()
    mixed = Midas(keep_real=keep_real)(clips, targets, generator=seeded())
    assert torch.allclose(mixed.carry(targets), mixed.targets)
    assert torch.allclose(mixed.carry(clips), mixed.clips, atol=1e-5)


def test_a_mix_for_hidden_layers_leaves_the_clips_and_mixes_the_labels() -> None:
    clips, targets = black_and_white()
    mixed = Midas(layer="hidden")(clips, targets, generator=seeded())
    assert torch.equal(mixed.clips, clips)
    assert torch.allclose(mixed.targets, Midas()(clips, targets, generator=seeded()).targets)
