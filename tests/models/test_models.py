"""The door, and what holds for every network behind it."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from dfer import DferError, create_model
from dfer.models.registry import BUILT_IN
from dfer.training.precision import autocast

SMALL: dict[str, dict[str, object]] = {
    "frame_encoder": {},
    "former_dfer": {"width": 4, "frames": 16},
    "frame_gru": {"widths": (4, 8), "hidden": 6},
    "frame_transformer": {"width": 4, "drop_path": 0.0},
    "frame_vit": {"features": 16, "depth": 2, "heads": 2, "layers": 1, "drop_path": 0.0},
    "m3dfel": {"width": 4, "bag": 2, "instance_length": 2},
    "mae_dfer": {"features": 8, "depth": 2, "heads": 2, "frames": 4, "drop_path": 0.0},
    "mc3_18": {"width": 4},
    "r2plus1d_18": {"width": 4},
    "r3d18": {"width": 4},
    "resnet18_lstm": {"width": 4, "hidden": 8},
    "tiny3d": {"width": 4},
    "videomae": {"features": 16, "depth": 2, "heads": 2, "drop_path": 0.0},
}
"""Each network at a size that costs nothing; m3dfel fixes T = 4, and mae_dfer T = 4 and H = W = 160."""
SIDES = {"mae_dfer": 160}
if importlib.util.find_spec("transformers"):
    vit = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "patch_size": 8,
    }
    SMALL["hub_frames"] = {"config": {"model_type": "vit", "image_size": 32} | vit, "layers": 1, "drop_path": 0.0}

every_network = pytest.mark.parametrize("name", SMALL)


def small(name: str, emotions: int = 5, channels: int = 3) -> torch.nn.Module:
    torch.manual_seed(0)
    return create_model(name, emotions, in_channels=channels, **SMALL[name])


def clips(size: int, channels: int = 3, length: int = 4, side: int = 32) -> torch.Tensor:
    return torch.rand(size, channels, length, side, side, generator=torch.Generator().manual_seed(1))


def shown_to(name: str, size: int, channels: int = 3) -> torch.Tensor:
    return clips(size, channels, side=SIDES.get(name, 32))


def test_the_door_knows_the_networks_of_the_documentation() -> None:
    assert sorted(BUILT_IN) == sorted({*SMALL, "hub_frames"})


def test_an_unknown_network_is_refused_and_the_nearest_is_named() -> None:
    with pytest.raises(DferError, match=r"no model 'r3d_18' \(did you mean 'r3d18'\?\); expected one of .*former_dfer"):
        create_model("r3d_18", 7)


def test_an_unknown_option_is_refused_and_the_nearest_is_named() -> None:
    with pytest.raises(DferError, match=r"tiny3d: unknown key wldth \(did you mean 'width'\?\); known here: width"):
        create_model("tiny3d", 7, wldth=8)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tiny3d", {"width": 0}),
        ("tiny3d", {"width": -4}),
        ("tiny3d", {"width": "wide"}),
        ("tiny3d", {"dropout": 1.5}),
        ("tiny3d", {"in_channels": 0}),
        ("frame_gru", {"widths": ()}),
        ("frame_gru", {"hidden": -1}),
        ("frame_gru", {"stem_stride": 0}),
        ("m3dfel", {"bag": 1}),
        ("m3dfel", {"instance_length": 0}),
        ("r3d18", {"width": 2.5}),
        ("tiny3d", {"width": True}),
        ("tiny3d", {"width": 4_097}),
        ("tiny3d", {"dropout": 1.0}),
        ("tiny3d", {"dropout": float("nan")}),
        ("tiny3d", {"in_channels": 65}),
        ("frame_gru", {"widths": 32}),
        ("frame_gru", {"widths": [32] * 13}),
        ("frame_gru", {"widths": [4_096] * 12, "depth": 64}),
        ("m3dfel", {"width": 4_096}),
        ("m3dfel", {"bag": 10**9}),
        ("mc3_18", {"width": 0}),
        ("r2plus1d_18", {"width": "64"}),
        ("resnet18_lstm", {"layers": 0}),
        ("resnet18_lstm", {"hidden": 4_097}),
        ("former_dfer", {"width": 3}),
        ("former_dfer", {"frames": 0}),
        ("frame_transformer", {"layers": -1}),
        ("frame_transformer", {"drop_path": 1.0}),
        ("videomae", {"depth": 65}),
        ("mae_dfer", {"size": 112}),
        ("mae_dfer", {"frames": 6}),
    ],
)
def test_values_that_no_network_can_be_built_with_are_one_sentence(name: str, options: dict[str, object]) -> None:
    with pytest.raises(DferError, match=name) as caught:
        create_model(name, 7, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("count", [1, 0, -1, 1_001, 10**12])
def test_fewer_than_two_emotions_and_more_than_a_thousand_are_refused(count: int) -> None:
    with pytest.raises(DferError, match=f"expected from 2 to 1000 emotions, got {count}"):
        create_model("tiny3d", count)


@every_network
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("training", [True, False])
def test_a_batch_of_any_size_gives_a_row_of_logits_a_clip(name: str, size: int, training: bool) -> None:
    logits = small(name).train(training)(shown_to(name, size))
    assert logits.shape == (size, 5) and logits.dtype == torch.float32 and torch.isfinite(logits).all()


@pytest.mark.parametrize("name", [name for name in SMALL if name not in ("frame_vit", "mae_dfer", "videomae")])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (40, 24), (33, 47)])
def test_frames_need_be_neither_square_nor_of_one_size(name: str, height: int, width: int) -> None:
    shown = torch.rand(2, 3, 4, height, width, generator=torch.Generator().manual_seed(2))
    assert small(name).eval()(shown).shape == (2, 5)


@pytest.mark.parametrize("name", [name for name in SMALL if name not in ("m3dfel", "mae_dfer", "videomae")])
@pytest.mark.parametrize("length", [1, 2, 7, 16])
def test_any_number_of_frames_is_taken_down_to_a_still(name: str, length: int) -> None:
    assert small(name).eval()(clips(2, length=length)).shape == (2, 5)


@every_network
def test_a_clip_is_judged_alike_alone_and_in_company(name: str) -> None:
    model, shown = small(name).eval(), shown_to(name, 3)
    with torch.no_grad():
        together, alone = model(shown), torch.cat([model(shown[row : row + 1]) for row in range(3)])
    assert torch.allclose(together, alone, atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-7), "different clips, different logits"


@every_network
@pytest.mark.parametrize("channels", [1, 3])
def test_clips_of_other_channels_are_refused(name: str, channels: int) -> None:
    model = small(name, channels=channels).eval()
    assert model(shown_to(name, 2, channels)).shape == (2, 5)
    with pytest.raises(DferError, match=rf"{channels} channels, frames.*got \(2, {4 - channels}, 4, \d+, \d+\)"):
        model(shown_to(name, 2, 4 - channels))


@every_network
@pytest.mark.parametrize("shape", [(3, 4, 32, 32), (0, 3, 4, 32, 32), (2, 3, 0, 32, 32), (2, 3, 4, 0, 32)])
def test_what_is_no_batch_of_clips_is_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(DferError, match="expects clips"):
        small(name).eval()(torch.zeros(shape))


@every_network
def test_the_gradient_reaches_every_parameter(name: str) -> None:
    model = small(name).eval()  # no dropout: a unit that is switched off would have no gradient
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.train()
    model(shown_to(name, 4)).square().sum().backward()
    trained = {key: value for key, value in model.named_parameters() if value.requires_grad}
    without = [key for key, value in trained.items() if value.grad is None or not value.grad.abs().sum() > 0]
    assert without == []


@every_network
def test_bf16_autocast_on_a_cpu_stays_finite_and_near_float32(name: str) -> None:
    model, shown = small(name).train(), shown_to(name, 4)
    with autocast(torch.device("cpu"), "bf16"):
        logits = model(shown)
    assert torch.isfinite(logits).all()
    logits.float().sum().backward()
    assert all(value.grad is None or torch.isfinite(value.grad).all() for value in model.parameters())
    model.eval()
    with torch.no_grad():
        exact = model(shown)
        with autocast(torch.device("cpu"), "bf16"):
            rough = model(shown).float()
    assert (rough - exact).abs().max() < 0.05 + 0.05 * exact.abs().max()


@every_network
def test_neither_the_clips_nor_the_weights_are_changed_by_looking(name: str) -> None:
    model, shown = small(name).eval(), shown_to(name, 2)
    before, weights = shown.clone(), {key: value.clone() for key, value in model.state_dict().items()}
    model(shown)
    assert torch.equal(shown, before)
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())


@every_network
def test_the_same_seed_builds_the_same_network(name: str) -> None:
    first, again = small(name).state_dict(), small(name).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in first.items())


@pytest.mark.parametrize(
    "name", ["former_dfer", "frame_gru", "frame_transformer", "mc3_18", "resnet18_lstm", "tiny3d", "videomae"]
)
def test_the_order_of_frames_matters_to_networks_that_read_time(name: str) -> None:
    model, shown = small(name).eval(), clips(1, length=8)
    with torch.no_grad():
        assert not torch.allclose(model(shown), model(shown.flip(2)), atol=1e-6)


def test_frame_gru_without_a_gru_pools_frames_in_any_order() -> None:
    torch.manual_seed(0)
    model, shown = create_model("frame_gru", 5, widths=(4, 8), hidden=0).eval(), clips(2, length=6)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    with torch.no_grad():
        assert torch.allclose(model(shown), model(shown[:, :, order]), atol=1e-5)


def test_depth_adds_blocks_to_every_stage_of_frame_gru_and_stem_stride_halves_its_maps() -> None:
    def maps(**options: int) -> tuple[int, tuple[int, ...]]:
        model = create_model("frame_gru", 5, widths=(4, 8), hidden=0, **options)
        blocks = sum(type(module).__name__ == "Residual2d" for module in model.modules())
        encoder = model.get_submodule("encoder")
        return blocks, tuple(encoder(torch.rand(1, 3, 32, 32)).shape)

    assert maps() == (2, (1, 8, 8, 8))
    assert maps(depth=3) == (6, (1, 8, 8, 8))
    assert maps(stem_stride=2) == (2, (1, 8, 4, 4))


def test_the_sizes_are_those_of_the_documentation() -> None:
    def millions(name: str) -> float:
        return sum(value.numel() for value in create_model(name, 7).parameters()) / 1e6

    assert millions("resnet18_lstm") == pytest.approx(13.3, abs=0.05)
    assert millions("former_dfer") == pytest.approx(18.0, abs=0.05)
    assert millions("frame_transformer") == pytest.approx(15.4, abs=0.05)
    assert millions("tiny3d") == pytest.approx(0.3, abs=0.01)
    assert millions("frame_gru") == pytest.approx(1.06, abs=0.005)
