"""Generators of another device than the CPU's: each draw is asked of the generator's own device, as torch demands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dfer import Augment, Midas
from dfer.augment.blend import BLENDS

TARGETS = torch.softmax(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), dim=1)


class Elsewhere:
    """Stands for a generator of an accelerator."""

    device = torch.device("meta")


def strict(draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A draw of torch that refuses, as torch does, a device that is not the generator's; its numbers are the CPU's."""

    def drawn(*given: Any, generator: Any = None, device: Any = None, **options: Any) -> Tensor:
        if generator is None:
            return draw(*given, device=device, **options)
        place = given[0].device if given and isinstance(given[0], Tensor) else torch.device(device or "cpu")
        if place != generator.device:
            raise RuntimeError(f"Expected a '{place}' device type for generator but found '{generator.device}'")
        size = [torch.ones(each.shape) if isinstance(each, Tensor) else each for each in given]
        return draw(*size, **options)

    return drawn


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("rand", "randint", "randperm", "multinomial"):
        monkeypatch.setattr(torch, name, strict(getattr(torch, name)))
    return Elsewhere()


@pytest.mark.parametrize("clips", [1, 6])
def test_partners_are_drawn_where_the_generator_is(clips: int, elsewhere: Any) -> None:
    mixed = Midas()(torch.rand(clips, 3, 2, 4, 4), TARGETS[:clips], generator=elsewhere)
    assert sorted(mixed.partner.tolist()) == list(range(clips))


@pytest.mark.parametrize("name", BLENDS)
def test_blends_are_drawn_where_the_generator_is_and_lie_where_lambda_is(name: str, elsewhere: Any) -> None:
    weights = BLENDS[name](torch.linspace(0, 1, 5), (4, 6, 6), elsewhere)
    assert weights.device.type == "cpu" and ((weights >= 0) & (weights <= 1)).all()


def test_augmentation_draws_where_the_generator_is(elsewhere: Any) -> None:
    everything = Augment(crop=(0.5, 1), flip=0.5, rotation=9, colour=0.2, grey=0.5, erase=0.5, motion_blur=0.5)
    assert everything(torch.rand(3, 3, 2, 8, 8), generator=elsewhere).device.type == "cpu"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("clips_on", ["cpu", "cuda"])
@pytest.mark.parametrize("blend", ["mixup", *BLENDS])
def test_a_generator_of_a_gpu_mixes_clips_of_any_device(blend: Any, clips_on: str) -> None:
    clips = torch.rand(6, 3, 4, 6, 6, device=clips_on)
    generator = torch.Generator("cuda").manual_seed(0)
    mixed = Midas(blend=blend)(clips, TARGETS.to(clips_on), generator=generator)
    assert mixed.clips.device == clips.device and mixed.targets.sum(dim=1).cpu().tolist() == pytest.approx([1] * 6)
    Augment(crop=(0.5, 1), motion_blur=0.5, erase=0.5)(clips, generator=generator)
