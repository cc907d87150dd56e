"""M3DFEL: its own parts against numpy, and what a bag of instances asks of a clip."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dfer import DferError, create_model
from dfer.models.m3dfel import HEADS, Dmin, M3dfel


def small(**options: int) -> M3dfel:
    torch.manual_seed(0)
    return M3dfel(5, **{"width": 4, "instance_length": 2, **options}).eval()


def clips(size: int = 2, length: int = 8) -> torch.Tensor:
    return torch.rand(size, 3, length, 24, 24, generator=torch.Generator().manual_seed(1))


def softmax(values: np.ndarray, axis: int = -1) -> np.ndarray:
    powers = np.exp(values - values.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def dmin(
    bags: np.ndarray, mean_mix: np.ndarray, var_mix: np.ndarray, scale: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    """The published code's arithmetic, bag by bag: the bag's variance is E[var + mean²] - E[mean]²."""
    rows = []
    for bag in bags:
        mean, var = bag.mean(axis=0), bag.var(axis=0, ddof=1)
        bag_mean = mean.mean()
        bag_var = (var + mean**2).mean() - bag_mean**2
        a, b = softmax(mean_mix), softmax(var_mix)
        centred = bag - (a[0] * mean + a[1] * bag_mean)
        rows.append(centred / np.sqrt(b[0] * var + b[1] * bag_var + 1e-5) * scale + shift)
    return np.stack(rows)


def test_dmin_worked_by_hand() -> None:
    # Two instances, two features. Means 2 and 6, unbiased variances 2 and 8; bag: mean 4, variance 5 + 4 = 9.
    # Equal shares: means 3 and 5, variances 5.5 and 8.5.
    bags = torch.tensor([[[1.0, 4.0], [3.0, 8.0]]])
    expected = torch.tensor([[[-2 / 5.5**0.5, -1 / 8.5**0.5], [0.0, 3 / 8.5**0.5]]])
    assert torch.allclose(Dmin(2, eps=0.0)(bags), expected, atol=1e-6)


def test_dmin_agrees_with_numpy_at_any_shares_and_affine_map() -> None:
    rng = np.random.default_rng(0)
    bags, values = rng.normal(1, 2, (3, 4, 6)), [rng.normal(size=size) for size in (2, 2, 6, 6)]
    layer = Dmin(6).double()
    with torch.no_grad():
        for parameter, value in zip((layer.mean_mix, layer.var_mix, layer.weight, layer.bias), values, strict=True):
            parameter.copy_(torch.from_numpy(value))
        assert np.allclose(layer(torch.from_numpy(bags)).numpy(), dmin(bags, *values))


def test_dmin_with_all_weight_on_instances_gives_every_feature_mean_zero_and_variance_one() -> None:
    layer = Dmin(5)
    with torch.no_grad():
        layer.mean_mix.copy_(torch.tensor([40.0, -40.0]))
        layer.var_mix.copy_(torch.tensor([40.0, -40.0]))
        normal = layer(torch.randn(3, 8, 5, generator=torch.Generator().manual_seed(0)) * 4 + 7)
    assert torch.allclose(normal.mean(dim=1), torch.zeros(3, 5), atol=1e-5)
    assert torch.allclose(normal.var(dim=1), torch.ones(3, 5), atol=1e-3)


def test_the_part_behind_the_backbone_agrees_with_numpy() -> None:
    model, bag, width = small(), 4, 64  # width: 2 x 8 x 4 features
    related = torch.randn(2, bag, width, generator=torch.Generator().manual_seed(2))
    x = related.numpy().astype(np.float64)
    weights = {key: value.numpy().astype(np.float64) for key, value in model.state_dict().items()}
    queries, keys, values = np.split(x @ weights["queries_keys_values.weight"].T, 3, axis=2)
    attended, each = np.zeros_like(x), width // HEADS
    for head in range(HEADS):
        part = slice(head * each, (head + 1) * each)
        scores = queries[..., part] @ keys[..., part].transpose(0, 2, 1) / np.sqrt(each)
        attended[..., part] = softmax(scores) @ values[..., part]
    normal = dmin(attended, *(weights[f"norm.{key}"] for key in ("mean_mix", "var_mix", "weight", "bias")))
    gated = np.pad(x * sigmoid(normal), ((0, 0), (0, 0), (1, 1)))
    kernel = weights["pool.weight"][0]
    pooled = sum(kernel[:, k] @ gated[:, :, k : k + width] for k in range(3)) + weights["pool.bias"]
    expected = pooled @ weights["fc.weight"].T + weights["fc.bias"]
    model.lstm.forward = lambda _: (related, None)  # type: ignore[method-assign, assignment]
    with torch.no_grad():
        assert np.allclose(model(clips()).numpy(), expected, atol=1e-5)


def test_an_instance_is_a_run_of_neighbouring_frames() -> None:
    model, shown = small(), clips()
    seen: list[torch.Tensor] = []
    model.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(shown)
    assert seen[0].shape == (8, 3, 2, 24, 24)
    for clip in range(2):
        for instance in range(4):
            assert torch.equal(seen[0][4 * clip + instance], shown[clip, :, 2 * instance : 2 * instance + 2])


def test_the_order_of_instances_matters() -> None:
    model, shown = small(), clips()
    others = shown.view(2, 3, 4, 2, 24, 24)[:, :, [2, 0, 3, 1]].reshape(shown.shape)
    with torch.no_grad():
        assert not torch.allclose(model(shown), model(others), atol=1e-6)


@pytest.mark.parametrize(("bag", "length"), [(2, 1), (3, 2), (4, 4)])
def test_a_clip_has_bag_times_instance_length_frames(bag: int, length: int) -> None:
    model = small(bag=bag, instance_length=length)
    assert model(clips(1, bag * length)).shape == (1, 5)
    for frames in (bag * length - 1, bag * length + 1):
        said = rf"expected {bag * length} frames \(a bag of {bag} instances of {length}\), got {frames}"
        with pytest.raises(DferError, match=said):
            model(clips(1, frames))


def test_width_scales_every_layer() -> None:
    model = small(width=8)
    assert model.backbone.stem[0].out_channels == 8
    assert model.lstm.hidden_size == model.lstm.input_size == 64
    assert model.fc.in_features == 128


def test_the_published_size_has_the_parameters_of_its_parts() -> None:
    backbone = 33_371_472 - (400 * 512 + 400)  # torchvision's published count, without the last layer
    lstm = 2 * (4 * 512 * (512 + 512) + 8 * 512) + 2 * (4 * 512 * (1024 + 512) + 8 * 512)
    attention, norm, pool, fc = 1024 * 3072, 2 * 1024 + 4, 4 * 3 + 1, 1024 * 7 + 7
    parameters = sum(value.numel() for value in create_model("m3dfel", 7).parameters())
    assert parameters == backbone + lstm + attention + norm + pool + fc == 46_823_384
