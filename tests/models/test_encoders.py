"""Encoders: what is published of them (weights, keys, counts), and that the same comes out as from others' programs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image
from torch import nn

from dfer import DferError, EmotionSet, create_model
from dfer.models.encoders import dlib_face
from dfer.models.encoders.dlib_face import DlibFace, calibrate, read_published
from dfer.models.encoders.mobilenet_v2 import MEAN, STD, MobileNetV2
from dfer.models.transfer import Target, head_of, read_source, start_from

ROOT = Path(__file__).resolve().parents[2]
SEVEN = EmotionSet("seven", ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear"))
WEIGHTS = ROOT.parent / "shared" / "data" / "weights"
EMBEDDING = ROOT / "src" / "dfer" / "video" / "weights" / "face_embedding.onnx"
published = pytest.mark.skipif(not WEIGHTS.is_dir(), reason="the published weights are not beside the checkout")


def pictures(count: int, side: int, *, seed: int = 0) -> torch.Tensor:
    """Blurred noise (count, 3, side, side), in the scale that the encoders take."""
    coarse = torch.randn(count, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=False) * 0.5


def test_the_networks_have_as_many_weights_as_is_published() -> None:
    # torchvision's page of mobilenet_v2: 3,504,872. dlib: the sum over its definition, less the last matrix.
    assert sum(each.numel() for each in MobileNetV2(1000).parameters()) == 3_504_872
    convolutions = 3 * 32 * 49 + 9 * (6 * 32**2 + 32 * 64 + 7 * 64**2 + 64 * 128 + 5 * 128**2 + 128 * 256 + 7 * 256**2)
    norms = 2 * (7 * 32 + 8 * 64 + 6 * 128 + 8 * 256)
    assert sum(each.numel() for each in DlibFace().parameters()) == convolutions + norms


@pytest.mark.parametrize(("name", "least"), [("frame_encoder", 16), ("hub_frames", 4)])
def test_frames_that_are_too_small_are_refused_in_a_sentence(name: str, least: int) -> None:
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = {"model_type": "vit", "image_size": 8, "patch_size": 4, **small}
    if name == "hub_frames":
        pytest.importorskip("transformers")
    network = create_model(name, 7, **({"config": config} if name == "hub_frames" else {})).eval()
    assert network(torch.zeros(1, 3, 1, least, least)).shape == (1, 7)
    with pytest.raises(
        DferError, match=rf"at least {least} x {least} pixels, got {least} x {least - 1}; set input.size"
    ):
        network(torch.zeros(1, 3, 1, least, least - 1))


@published
def test_torchvisions_file_fits_by_its_keys_and_knows_what_is_in_a_picture() -> None:
    network = MobileNetV2(1000)
    network.load_state_dict(torch.load(WEIGHTS / "mobilenet_v2-b0353104.pth", weights_only=True), strict=True)
    temple = load_sample_image("china.jpg")[100:324, 200:424] / 255  # a photograph that comes with scikit-learn
    pixels = torch.tensor((temple - MEAN) / STD, dtype=torch.float32).permute(2, 0, 1)
    chances = network.eval()(pixels[None]).softmax(dim=1)[0]
    assert chances.argmax() == 698 and chances.max() > 0.5, "ImageNet's class 698 is a palace"


@pytest.mark.parametrize("temporal", ["mean", "gru"])
def test_torchvisions_file_starts_the_encoder_of_frames(temporal: str, tmp_path: Path) -> None:
    options = {"encoder": "mobilenet_v2", "temporal": temporal, "hidden": 8}
    torch.manual_seed(0)
    theirs = MobileNetV2(1000).state_dict()  # its keys are those of the file, see above
    torch.save(theirs, tmp_path / "w.pth")
    network = create_model("frame_encoder", 7, **options)
    target = Target("frame_encoder", options, SEVEN, head_of(network, create_model("frame_encoder", 8, **options)))
    found = start_from(network, read_source(tmp_path / "w.pth"), target)
    ours = network.state_dict()
    assert "torchvision's MobileNetV2" in found.told and "2 of the file are left out: classifier" in found.told
    assert all(torch.equal(ours[f"encoder.{key}"], theirs[key]) for key in theirs if key.startswith("features."))
    assert found.afresh == {key for key in ours if not key.startswith("encoder.")}
    other = Target("frame_encoder", {}, SEVEN, {"head.weight": 0, "head.bias": 0})
    with pytest.raises(DferError, match=r'it holds .*model\.encoder = "mobilenet_v2"'):
        start_from(create_model("frame_encoder", 7), read_source(tmp_path / "w.pth"), other)


@published
def test_dlibs_weights_give_the_embeddings_of_the_network_that_tells_people_apart() -> None:
    # It was made by another program, for ONNX, with weights of 8 bits, hence not to the last digit.
    onnxruntime = pytest.importorskip("onnxruntime")
    state, matrix = read_published(WEIGHTS)
    network = DlibFace().eval()
    network.load_state_dict(state, strict=False)
    faces = pictures(4, 150)
    with torch.inference_mode():
        found = (network(faces) @ matrix).numpy()
    wanted = onnxruntime.InferenceSession(EMBEDDING).run(None, {"face": faces.numpy()})[0]
    cosine = (found * wanted).sum(axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(wanted, axis=1)
    assert (cosine > 0.999).all()
    assert np.linalg.norm(found[0] - found[1]) > 0.05, "different faces differ"


@published
@pytest.mark.parametrize("side", [96, 150])
def test_calibrated_batch_norms_compute_the_same_and_normalise(side: int) -> None:
    network = DlibFace().eval()
    network.load_state_dict(read_published(WEIGHTS)[0], strict=False)
    shown, others = pictures(32, side, seed=1), pictures(3, side, seed=2)
    before = network(others).detach()
    calibrate(network, shown)
    assert torch.allclose(network(others), before, atol=1e-4 * float(before.abs().max()))
    seen: dict[str, torch.Tensor] = {}
    norm = network.blocks[5].norm2
    norm.register_forward_hook(lambda *told: seen.update(inputs=told[1][0]))
    network(shown)
    assert torch.allclose(seen["inputs"].mean(dim=(0, 2, 3)), norm.running_mean, atol=1e-3)
    assert not network.training


@pytest.mark.parametrize("side", [32, 33, 48, 97, 112, 150])
def test_dlibs_network_takes_pictures_of_any_size_from_32(side: int) -> None:
    assert DlibFace().eval()(pictures(2, side)).shape == (2, 256)


@pytest.mark.parametrize("temporal", ["mean", "attention", "gru", "transformer"])
def test_every_temporal_part_trains_its_encoder(temporal: str) -> None:
    torch.manual_seed(0)
    network = create_model("frame_encoder", 5, temporal=temporal, hidden=64, in_channels=1)
    network(torch.rand(2, 1, 3, 48, 48)).square().sum().backward()
    lacking = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert not lacking


@pytest.mark.parametrize(("temporal", "ordered"), [("mean", 0), ("attention", 0), ("gru", 1), ("transformer", 1)])
def test_the_order_of_the_frames_matters_where_it_should(temporal: str, ordered: int) -> None:
    torch.manual_seed(0)
    network = create_model("frame_encoder", 5, temporal=temporal, hidden=64).eval()
    clips = torch.rand(2, 3, 4, 48, 48)
    assert torch.allclose(network(clips), network(clips.flip(2)), atol=1e-5) != bool(ordered)


def test_grey_frames_are_shown_as_three_equal_channels() -> None:
    torch.manual_seed(0)
    grey = create_model("frame_encoder", 5, in_channels=1).eval()
    colour = create_model("frame_encoder", 5).eval()
    colour.load_state_dict(grey.state_dict())
    clips = torch.rand(2, 1, 2, 48, 48)
    assert torch.equal(grey(clips), colour(clips.expand(-1, 3, -1, -1, -1)))


@published
@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda data, groups: (data[:-10], groups), "ends within fc"),
        (lambda data, groups: (data + b"0", groups), "bytes of weights, found"),
        (lambda data, groups: (data, [groups[0] | {"weights": groups[0]["weights"][:-1]}]), "bytes of weights, found"),
        (lambda data, _: (data, [{"paths": ["face_recognition_model.bin"]}]), "weights"),
        (lambda data, groups: (data, [groups[0] | {"paths": ["../../../etc/other.bin"]}]), "other.bin"),
    ],
    ids=["cut short", "too long", "a tensor less", "no tensors", "a path out of the folder"],
)
def test_damaged_files_of_weights_are_refused(spoil: object, told: str, tmp_path: Path) -> None:
    data = (WEIGHTS / "face_recognition_model.bin").read_bytes()
    groups = json.loads((WEIGHTS / dlib_face.MANIFEST).read_text())
    data, groups = spoil(data, groups)  # type: ignore[operator]
    (tmp_path / "face_recognition_model.bin").write_bytes(data)
    (tmp_path / dlib_face.MANIFEST).write_text(json.dumps(groups))
    with pytest.raises(DferError, match=told):
        read_published(tmp_path)


@published
def test_weights_of_another_network_are_refused_by_their_names(tmp_path: Path) -> None:
    groups = json.loads((WEIGHTS / dlib_face.MANIFEST).read_text())
    groups[0]["weights"][0]["name"] = "conv1/filters"
    (tmp_path / dlib_face.MANIFEST).write_text(json.dumps(groups))
    shutil.copy(WEIGHTS / "face_recognition_model.bin", tmp_path)
    with pytest.raises(DferError, match="not dlib's face network"):
        read_published(tmp_path)
