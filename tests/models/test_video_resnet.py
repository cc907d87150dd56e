"""The video ResNets against torchvision's published networks: names, shapes, count, arithmetic, files of weights."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tests.bait import Bait
from torch import Tensor

from dfer import DferError, create_model

CONVOLUTIONS = {
    "stem.0": (64, 3, 3, 7, 7),
    "layer1.0.conv1.0": (64, 64, 3, 3, 3),
    "layer1.0.conv2.0": (64, 64, 3, 3, 3),
    "layer1.1.conv1.0": (64, 64, 3, 3, 3),
    "layer1.1.conv2.0": (64, 64, 3, 3, 3),
    "layer2.0.conv1.0": (128, 64, 3, 3, 3),
    "layer2.0.conv2.0": (128, 128, 3, 3, 3),
    "layer2.0.downsample.0": (128, 64, 1, 1, 1),
    "layer2.1.conv1.0": (128, 128, 3, 3, 3),
    "layer2.1.conv2.0": (128, 128, 3, 3, 3),
    "layer3.0.conv1.0": (256, 128, 3, 3, 3),
    "layer3.0.conv2.0": (256, 256, 3, 3, 3),
    "layer3.0.downsample.0": (256, 128, 1, 1, 1),
    "layer3.1.conv1.0": (256, 256, 3, 3, 3),
    "layer3.1.conv2.0": (256, 256, 3, 3, 3),
    "layer4.0.conv1.0": (512, 256, 3, 3, 3),
    "layer4.0.conv2.0": (512, 512, 3, 3, 3),
    "layer4.0.downsample.0": (512, 256, 1, 1, 1),
    "layer4.1.conv1.0": (512, 512, 3, 3, 3),
    "layer4.1.conv2.0": (512, 512, 3, 3, 3),
}
"""The published convolutions, none with a bias; the batch norm of `x.0` is `x.1`."""


def published(emotions: int = 400) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the state dict in torchvision's file, in its order."""
    shapes: dict[str, tuple[int, ...]] = {}
    for name, shape in CONVOLUTIONS.items():
        norm = name[:-1] + "1"
        shapes[f"{name}.weight"] = shape
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{part}"] = shape[:1]
        shapes[f"{norm}.num_batches_tracked"] = ()
    return shapes | {"fc.weight": (emotions, 512), "fc.bias": (emotions,)}


def made_up(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Weights of these shapes, each key with a value of its own."""
    return {
        key: torch.tensor(3) if not shape else torch.full(shape, 0.001 * (place + 1))
        for place, (key, shape) in enumerate(shapes.items())
    }


def narrow(width: int, emotions: int = 400) -> dict[str, tuple[int, ...]]:
    """The same network, `width` channels wide instead of 64."""
    wide = published(emotions)
    shapes = {key: tuple(s if s in (1, 3, 7) else s * width // 64 for s in shape) for key, shape in wide.items()}
    return shapes | {"fc.weight": (emotions, 8 * width), "fc.bias": (emotions,)}


def by_the_paper(state: dict[str, Tensor], clips: Tensor) -> Tensor:
    """The network of the published names, written out with functions only."""

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"])

    def conv(x: Tensor, name: str, stride: int = 1, padding: int = 1) -> Tensor:
        if f"{name}.weight" not in state:  # R(2+1)D: over the picture, norm, ReLU, over time
            x = F.conv3d(x, state[f"{name}.0.weight"], stride=(1, stride, stride), padding=(0, 1, 1))
            x = F.relu(norm(x, f"{name}.1"))
            x = F.conv3d(x, state[f"{name}.3.weight"], stride=(stride, 1, 1), padding=(1, 0, 0))
        elif "downsample" in name:
            first = state.get(name.replace("downsample.0", "conv1.0") + ".weight")
            flat = first is not None and first.shape[2] == 1  # MC3 keeps the number of frames
            x = F.conv3d(x, state[f"{name}.weight"], stride=(1 if flat else stride, stride, stride))
        else:
            deep = state[f"{name}.weight"].shape[2] > 1
            strides, paddings = (stride if deep else 1, stride, stride), (padding if deep else 0, padding, padding)
            x = F.conv3d(x, state[f"{name}.weight"], stride=strides, padding=paddings)
        return norm(x, name[:-1] + "1")

    if "stem.3.weight" in state:
        x = F.conv3d(clips, state["stem.0.weight"], stride=(1, 2, 2), padding=(0, 3, 3))
        x = F.conv3d(F.relu(norm(x, "stem.1")), state["stem.3.weight"], padding=(1, 0, 0))
        x = F.relu(norm(x, "stem.4"))
    else:
        x = F.relu(norm(F.conv3d(clips, state["stem.0.weight"], stride=(1, 2, 2), padding=(1, 3, 3)), "stem.1"))
    for layer in (1, 2, 3, 4):
        for block in (0, 1):
            name, stride = f"layer{layer}.{block}", 2 if layer > 1 and block == 0 else 1
            shortcut = conv(x, f"{name}.downsample.0", stride, 0) if stride == 2 else x
            inner = F.relu(conv(x, f"{name}.conv1.0", stride))
            x = F.relu(conv(inner, f"{name}.conv2.0") + shortcut)
    return F.linear(F.adaptive_avg_pool3d(x, 1).flatten(1), state["fc.weight"], state["fc.bias"])


def test_names_order_and_shapes_are_torchvisions() -> None:
    state = create_model("r3d18", 400).state_dict()
    assert list(state) == list(published())
    assert {key: tuple(value.shape) for key, value in state.items()} == published()


MIDDLES = [144, 144, 144, 144, 230, 230, 288, 288, 460, 460, 576, 576, 921, 921, 1152, 1152]
"""Channels between the two parts of each convolution of R(2+1)D, by hand: for 64 -> 128 channels the joint convolution
has 64 x 128 x 27 weights and the two parts 9 x 64 + 3 x 128 for each channel between them, so 221,184 / 960 = 230."""


def of_mc3() -> dict[str, tuple[int, ...]]:
    """torchvision's `mc3_18`: from the second stage on, kernels are 1 x 3 x 3."""
    return {
        key: (*shape[:2], 1, 3, 3)
        if key[5:6] in "234" and key.startswith("layer") and shape[2:] == (3, 3, 3)
        else shape
        for key, shape in published().items()
    }


def of_r2plus1d() -> dict[str, tuple[int, ...]]:
    """torchvision's `r2plus1d_18`: each kernel in two parts, under .0 and .3, with a norm, .1, between them."""
    stem = {"stem.0.weight": (45, 3, 1, 7, 7)} | _norm("stem.1", 45) | {"stem.3.weight": (64, 45, 3, 1, 1)}
    shapes, middles = stem | _norm("stem.4", 64), iter(MIDDLES)
    for key, shape in list(published().items())[6:]:
        if shape[2:] == (3, 3, 3):
            name, middle = key.removesuffix(".weight"), next(middles)
            shapes[f"{name}.0.weight"] = (middle, shape[1], 1, 3, 3)
            shapes |= _norm(f"{name}.1", middle)
            shapes[f"{name}.3.weight"] = (shape[0], middle, 3, 1, 1)
        else:
            shapes[key] = shape
    return shapes


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (width,) for part in parts} | {f"{name}.num_batches_tracked": ()}


@pytest.mark.parametrize(("name", "shapes"), [("mc3_18", of_mc3()), ("r2plus1d_18", of_r2plus1d())])
def test_names_order_and_shapes_of_its_sisters_are_torchvisions(name: str, shapes: dict[str, tuple[int, ...]]) -> None:
    state = create_model(name, 400).state_dict()
    assert list(state) == list(shapes)
    assert {key: tuple(value.shape) for key, value in state.items()} == shapes


@pytest.mark.parametrize(
    ("name", "count"), [("r3d18", 33_371_472), ("mc3_18", 11_695_440), ("r2plus1d_18", 31_505_325)]
)
def test_it_has_the_published_number_of_parameters(name: str, count: int) -> None:
    assert sum(value.numel() for value in create_model(name, 400).parameters()) == count


@pytest.mark.parametrize("name", ["r3d18", "mc3_18", "r2plus1d_18"])
def test_it_computes_what_the_published_network_computes(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, 6, width=8).eval()
    for key, value in model.state_dict().items():
        if value.is_floating_point() and value.ndim == 1:  # norms that do something
            value.copy_(torch.rand(value.shape) + 0.5 * ("var" in key))
    clips = torch.rand(2, 3, 8, 40, 40)
    with torch.no_grad():
        assert torch.allclose(model(clips), by_the_paper(model.state_dict(), clips), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_the_published_file_loads_and_a_last_layer_for_seven_emotions_starts_fresh(tmp_path: Path) -> None:
    weights = made_up(published())
    torch.save(weights, tmp_path / "r3d_18.pth")
    torch.manual_seed(0)
    state = create_model("r3d18", 7, weights=tmp_path / "r3d_18.pth").state_dict()
    assert all(torch.equal(state[key], value) for key, value in weights.items() if not key.startswith("fc"))
    torch.manual_seed(0)
    fresh = create_model("r3d18", 7).state_dict()
    assert state["fc.weight"].shape == (7, 512) and torch.equal(state["fc.weight"], fresh["fc.weight"])
    assert torch.equal(state["fc.bias"], torch.zeros(7))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_for_as_many_emotions_keep_their_last_layer(tmp_path: Path, suffix: str) -> None:
    weights, path = made_up(narrow(8, 7)), tmp_path / f"w{suffix}"
    if suffix == ".pth":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    state = create_model("r3d18", 7, width=8, weights=str(path)).state_dict()
    assert all(torch.equal(state[key], value) for key, value in weights.items())


def test_converted_weights_without_counters_of_batches_load(tmp_path: Path) -> None:
    weights = made_up({k: v for k, v in narrow(8).items() if not k.endswith("num_batches_tracked")})
    torch.save(weights, tmp_path / "w.pth")
    state = create_model("r3d18", 7, width=8, weights=tmp_path / "w.pth").state_dict()
    assert torch.equal(state["layer4.1.conv2.0.weight"], weights["layer4.1.conv2.0.weight"])


def test_the_same_file_serves_as_the_backbone_of_m3dfel(tmp_path: Path) -> None:
    weights = made_up(narrow(4))
    torch.save(weights, tmp_path / "w.pth")
    state = create_model("m3dfel", 7, width=4, weights=tmp_path / "w.pth").state_dict()
    backbone = {key: value for key, value in weights.items() if not key.startswith("fc")}
    assert all(torch.equal(state[f"backbone.{key}"], value) for key, value in backbone.items())


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.safetensors"])
def test_a_file_with_code_in_it_is_refused_and_the_code_does_not_run(tmp_path: Path, name: str) -> None:
    trap, path = tmp_path / "sprung", tmp_path / name
    torch.save(made_up(narrow(4)) | {"bait": Bait(trap)}, path)
    with pytest.raises(DferError, match="cannot read weights"):
        create_model("r3d18", 7, width=4, weights=path)
    assert not trap.exists()
    torch.load(io.BytesIO(path.read_bytes()), weights_only=False)
    assert trap.exists(), "the bait would have worked"


def test_a_plain_pickle_with_code_in_it_does_not_run_either(tmp_path: Path) -> None:
    trap, path = tmp_path / "sprung", tmp_path / "w.pth"
    path.write_bytes(pickle.dumps(Bait(trap)))
    with pytest.raises(DferError, match="cannot read weights"):
        create_model("r3d18", 7, width=4, weights=path)
    assert not trap.exists()


def _missing(weights: dict[str, Tensor]) -> None:
    del weights["layer3.0.conv1.0.weight"]


def _unknown(weights: dict[str, Tensor]) -> None:
    weights["layer5.0.conv1.0.weight"] = torch.zeros(3)


def _other_shape(weights: dict[str, Tensor]) -> None:
    weights["stem.0.weight"] = torch.zeros(8, 3, 3, 7, 7)


def _not_finite(weights: dict[str, Tensor]) -> None:
    weights["layer1.0.conv1.1.running_var"][1] = float("nan")


def _too_large(weights: dict[str, Tensor]) -> None:
    weights["stem.0.weight"] = torch.full((4, 3, 3, 7, 7), 1e300, dtype=torch.float64)


def _complex_numbers(weights: dict[str, Tensor]) -> None:
    weights["stem.0.weight"] = torch.zeros(4, 3, 3, 7, 7, dtype=torch.complex64)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_missing, r"missing: layer3\.0\.conv1\.0\.weight"),
        (_unknown, r"unknown: layer5\.0\.conv1\.0\.weight"),
        (_other_shape, r"stem\.0\.weight \(8, 3, 3, 7, 7\) instead of \(4, 3, 3, 7, 7\)"),
        (_not_finite, r"not finite: layer1\.0\.conv1\.1\.running_var"),
        (_too_large, r"not finite: stem\.0\.weight"),
        (_complex_numbers, r"stem\.0\.weight torch\.complex64"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path: Path, spoil: object, said: str) -> None:
    weights = made_up(narrow(4))
    assert callable(spoil)
    spoil(weights)
    torch.save(weights, tmp_path / "w.pth")
    with pytest.raises(DferError, match=said):
        create_model("r3d18", 7, width=4, weights=tmp_path / "w.pth")


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04 cut off"])
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_damaged_file_of_weights_is_one_sentence(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DferError, match="cannot read weights") as caught:
        create_model("r3d18", 7, width=4, weights=tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_holds_no_weights_is_refused_and_a_trainings_checkpoint_is_read(
    tmp_path: Path,
) -> None:
    with pytest.raises(DferError, match=r"nowhere\.pth cannot be read: No such file"):
        create_model("r3d18", 7, width=4, weights=tmp_path / "nowhere.pth")
    torch.save({"epoch": 3, "losses": [0.5]}, tmp_path / "w.pth")
    with pytest.raises(DferError, match=r"expected ordinary tensors by name.*found epoch \(int\), losses \(list\)"):
        create_model("r3d18", 7, width=4, weights=tmp_path / "w.pth")
    state = made_up(narrow(4))
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "w.pth")
    read = create_model("r3d18", 7, width=4, weights=tmp_path / "w.pth").state_dict()
    assert torch.equal(read["stem.0.weight"], state["stem.0.weight"])
