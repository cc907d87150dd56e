"""From frames to probabilities: without randomness, whatever the batch, and the same from a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from dfer import DferError, EmotionSet, Manifest, create_model, load_checkpoint
from dfer.inference.network import torch_network
from dfer.models import answer
from dfer.training import fit, to_network
from dfer.training.clips import ClipDataset
from dfer.training.predict import predict_fold, predict_probs
from dfer.video.preprocessing import Preprocessing

from .toy import EMOTIONS, toy_manifest, toy_recipe

INPUT = Preprocessing(frames=4, size=16, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))


@pytest.fixture(scope="module")
def run(toy: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "fold1"
    fit(toy_recipe(optim={"epochs": 1}), toy, folder, fold=1)
    return folder


def network(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    model = create_model(name, 3)
    model.train()
    for _ in range(3):  # so that batch norm has seen something
        model(torch.rand(4, 3, 4, 16, 16))
    return model


@pytest.mark.parametrize("name", ["tiny3d", "frame_gru"])
def test_probabilities_do_not_depend_on_the_batch_nor_on_the_order(toy: Manifest, name: str) -> None:
    model, clips = network(name), ClipDataset(toy, INPUT)
    rows = np.arange(24)
    whole, _ = predict_probs(model, clips, rows, batch=64)
    for batch in (1, 5, 24):
        probs, _ = predict_probs(model, clips, rows, batch=batch)
        assert np.abs(probs - whole).max() < 1e-5
    backwards, _ = predict_probs(model, clips, rows[::-1].copy(), batch=7)
    assert np.abs(backwards[::-1] - whole).max() < 1e-5
    assert np.abs(whole.sum(axis=1) - 1).max() < 1e-9 and np.ptp(whole, axis=0).max() > 1e-3


def test_the_frames_that_are_recorded_are_the_middles_of_equal_segments(toy: Manifest) -> None:
    _, frames = predict_probs(network("frame_gru"), ClipDataset(toy, INPUT), np.array([3, 1, 0, 2]))
    # clips of 9, 7, 6 and 8 frames; segments of n / 4 frames, their middles rounded down
    assert frames == ["1 3 5 7", "0 2 4 6", "0 2 3 5", "1 3 5 7"]


def test_predicting_twice_is_the_same_bits_and_draws_no_random_number(toy: Manifest) -> None:
    model, clips = network("tiny3d"), ClipDataset(toy, INPUT)
    state = torch.get_rng_state()
    first, second = (predict_probs(model, clips, np.arange(8))[0] for _ in range(2))
    assert np.array_equal(first, second) and torch.equal(torch.get_rng_state(), state)
    assert not model.training


def test_with_mirror_a_clip_and_its_mirror_image_get_one_answer_the_mean_of_their_logits(toy: Manifest) -> None:
    model, rows = network("tiny3d"), np.arange(24)
    there, back, both, both_back = (
        predict_probs(model, ClipDataset(toy, replace(INPUT, mirror=mirror), change=change), rows)[0]
        for mirror in (False, True)
        for change in (None, lambda frames, _row: frames[:, :, ::-1].copy())
    )
    assert np.abs(both - both_back).max() < 1e-6 < np.abs(there - back).max()
    mean = np.sqrt(there * back)  # of logits: geometric, of probabilities
    assert np.abs(both - mean / mean.sum(axis=1, keepdims=True)).max() < 1e-6


def test_a_network_sees_the_middle_enlarged() -> None:
    frames = np.random.default_rng(3).integers(0, 256, (2, 20, 20, 3), dtype=np.uint8)
    clip = torch.from_numpy(frames).permute(3, 0, 1, 2)[None]
    seen = answer(torch.nn.Identity(), clip, Preprocessing(frames=2, size=20, centre=0.8))
    inner = [cv2.resize(frame[2:-2, 2:-2] / np.float32(255), (20, 20)) for frame in frames]
    assert np.abs(seen[0].permute(1, 2, 3, 0).numpy() - inner).max() < 1e-5


def test_pixels_are_scaled_by_channel() -> None:
    clips = torch.zeros(1, 3, 1, 2, 2) + torch.tensor([0.4, 1.0, 0.0]).view(1, 3, 1, 1, 1)
    scaled = to_network(clips, INPUT)[0, :, 0, 0, 0]
    assert scaled.tolist() == pytest.approx([0.0, 2.0, -2.0], abs=1e-6)
    assert (
        to_network(torch.full((1, 1, 1, 2, 2), 0.75), Preprocessing(grey=True, mean=(0.5,), std=(0.25,))).unique() == 1
    )


def test_the_checkpoint_rebuilds_the_probabilities_of_the_fold(toy: Manifest, run: Path) -> None:
    predictions = predict_fold(run, toy, 1)
    _, test = toy.partition(1)
    assert predictions.ids.tolist() == toy.table["id"][test].tolist()
    assert predictions.labels.tolist() == toy.labels[test].tolist()
    assert np.array_equal(predictions.votes, toy.votes[test]) and set(predictions.fold) == {1}
    model, card = load_checkpoint(run / "model")
    scaling = Preprocessing(**card.preprocessing)
    for row, probs, frames in zip(np.flatnonzero(test), predictions.probs, predictions.frames, strict=True):
        # by hand: the frames that the table names, scaled as the card says, through the network
        pixels = np.load(toy.resolve(toy.table["path"][row]))[[int(index) for index in frames.split()]]
        clip = (torch.from_numpy(pixels).float() / 255 - torch.tensor(scaling.mean)) / torch.tensor(scaling.std)
        with torch.no_grad():
            expected = model(clip.permute(3, 0, 1, 2)[None]).double().softmax(dim=1)[0]
        assert probs == pytest.approx(expected.numpy(), abs=1e-5)
        assert torch_network(model, card, "cpu")(pixels[None])[0] == pytest.approx(expected.numpy(), abs=1e-5)


def test_predictions_come_back_from_disk_as_they_were(toy: Manifest, run: Path, tmp_path: Path) -> None:
    predictions = predict_fold(run, toy, 1)
    predictions.write(tmp_path / "predictions.csv")
    read = type(predictions).read(tmp_path / "predictions.csv")
    assert np.array_equal(read.probs, predictions.probs) and read.frames == predictions.frames


@pytest.mark.parametrize("emotions", [("sad", "happy", "neutral"), ("happy", "sad", "neutral", "fear")])
def test_a_model_of_other_emotions_is_refused(toy: Manifest, run: Path, emotions: tuple[str, ...]) -> None:
    table = toy.table.assign(**{f"votes_{name}": 0.0 for name in emotions if f"votes_{name}" not in toy.table})
    other = Manifest.build(table, emotions=EmotionSet("other", emotions), root=toy.root)
    with pytest.raises(DferError, match=r"the model knows happy, sad, neutral .* the data have") as caught:
        predict_fold(run, other, 1)
    assert "\n" not in str(caught.value)


def test_an_unreadable_test_clip_and_a_missing_model_are_named(run: Path, tmp_path: Path) -> None:
    manifest = Manifest.read(toy_manifest(tmp_path, clips=24))
    manifest.resolve("frames/010.npy").write_bytes(b"")
    with pytest.raises(DferError, match="clip 010: "):
        predict_fold(run, manifest, 1)
    with pytest.raises(DferError, match="nowhere"):
        predict_fold(tmp_path / "nowhere", manifest, 1)


def test_a_test_clip_of_one_frame_is_predicted(run: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "still.npy", np.full((1, 16, 16, 3), 200, np.uint8))
    rows = pd.DataFrame([
        {"id": "still", "path": "still.npy", "kind": "array", "label": "sad", "fold": 1},
        {"id": "other", "path": "gone.npy", "kind": "array", "label": "sad", "fold": 2},
    ])  # fmt: skip
    still = Manifest.build(rows, emotions=EMOTIONS, root=tmp_path)
    predictions = predict_fold(run, still, 1)
    assert predictions.frames == ["0 0 0 0"] and np.isfinite(predictions.probs).all()
