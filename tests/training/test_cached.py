"""Training on the kept features of a frozen encoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from torch import Tensor, nn

from dfer import DferError, Midas, create_model
from dfer.datasets import Manifest
from dfer.models.encoded import FromFeatures
from dfer.models.frame_gru import Residual2d
from dfer.training import Recipe, fit, loop
from dfer.training.cached import CachedFeatures
from dfer.training.predict import predict_fold
from dfer.training.record import read_log
from dfer.training.start import make_network
from tests.forked import exit_codes

from .toy import EMOTIONS, toy_manifest, toy_recipe, weights

GRU = {"name": "frame_gru", "widths": [4, 6], "hidden": 5, "dropout": 0.3}
STILL = {"crop": [1.0, 1.0], "flip": 0.0, "colour": 0.0, "erase": 0.0, "motion_blur": 0.0}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of as many frames as are read, so that every epoch reads the same."""
    path = toy_manifest(tmp_path_factory.mktemp("data"))
    for clip in (path.parent / "frames").glob("*.npy"):
        np.save(clip, np.load(clip)[:4])
    return path


def recipe(cache: int, *, midas: bool = False, **sections: dict[str, object]) -> Recipe:
    values: dict[str, dict[str, object]] = {
        "model": dict(GRU), "init": {"freeze": ["encoder"], "cache": cache},
        "optim": {"batch": 5, "ema": 0.0, "threads": 1},
    }  # fmt: skip
    for name, keys in sections.items():
        values[name] = values.get(name, {}) | keys
    made = toy_recipe(**values)
    return made if midas else made.model_copy(update={"midas": None})


@pytest.mark.parametrize("optim", [{}, {"ema": 0.5, "accumulate": 2}])
def test_one_view_without_augmentation_trains_as_the_whole_network_does(
    optim: dict[str, object], data: Path, tmp_path: Path
) -> None:
    for cache in (0, 1):
        made = recipe(cache, augment=STILL, optim={"name": "sgd"} | optim)
        fit(made, Manifest.read(data), tmp_path / str(cache), fold=1)
    logs = [read_log(tmp_path / str(cache)) for cache in (0, 1)]
    for plain, cached in zip(*logs, strict=True):
        assert cached.train_loss == pytest.approx(plain.train_loss, rel=1e-4)
        assert cached.val_kl == pytest.approx(plain.val_kl, rel=1e-4)
    plain, cached = (weights(tmp_path / str(cache)) for cache in (0, 1))
    assert all(torch.allclose(plain[key], cached[key], rtol=1e-3, atol=1e-4) for key in plain)
    assert len(logs[0]) == 3 and logs[0][2].train_loss != logs[0][0].train_loss


def test_the_encoder_and_its_batch_norms_stay_as_they_are(data: Path, tmp_path: Path) -> None:
    made = recipe(2, midas=True)
    fit(made, Manifest.read(data), tmp_path / "run", fold=1)
    before, after = make_network(made, EMOTIONS).state_dict(), weights(tmp_path / "run")
    moved = {key.partition(".")[0] for key in before if not torch.equal(before[key], after[key])}
    assert moved == {"gru", "attention", "head"}
    assert any("running_var" in key for key in before)


def test_a_run_that_goes_on_ends_in_the_same_bits(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    made, manifest = recipe(2, midas=True, optim={"epochs": 4}), Manifest.read(data)
    fit(made, manifest, tmp_path / "whole", fold=1)
    for stop in (3, 8):  # in the first epoch, and in another view
        with pytest.raises(KeyboardInterrupt):
            fit(made, manifest, tmp_path / "parts", fold=1, resume=True, progress=Stop(stop))
    fit(made, manifest, tmp_path / "parts", fold=1, resume=True)
    name = "model/model.safetensors"
    assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    scores = [[(row.train_loss, row.val_kl) for row in read_log(tmp_path / run)] for run in ("whole", "parts")]
    assert scores[0] == scores[1] and len(scores[0]) == 4


class Stop:
    """A progress that ends the run after a step."""

    def __init__(self, step: int) -> None:
        self.last = step

    def begin(self, begun: object) -> None:
        pass

    def epoch(self, row: object) -> None:
        pass

    def step(self, step: SimpleNamespace) -> None:
        if step.number == self.last:
            raise KeyboardInterrupt


def test_each_view_is_computed_once_and_each_epoch_shows_the_next(data: Path) -> None:
    asked: list[Tensor] = []

    def encode(clips: list[Tensor], augmenting: torch.Generator) -> Tensor:
        asked.append(torch.rand((), generator=augmenting))
        return torch.stack([clip[:, :, 0, 0].T.float() for clip in clips])  # (B, T, C): a pixel of each frame

    manifest, rows = Manifest.read(data), np.array([30, 4, 17, 9, 2, 40])
    features = CachedFeatures(recipe(2), manifest, rows, encode)
    parts = [np.array([40, 2, 2]), np.array([17])]
    epochs = [list(features.batches(parts, epoch)) for epoch in range(4)]
    assert len(asked) == len(set(map(float, asked))) == 4, "two batches in each of two views, with draws of their own"
    for batches in epochs:
        for batch, part in zip(batches, parts, strict=True):
            assert batch.rows.tolist() == part.tolist()
            for row, found in zip(part.tolist(), batch.clips, strict=True):
                pixels = np.load(manifest.resolve(manifest.table["path"][row]))[:, 0, 0]
                assert found.tolist() == pixels.tolist()


def test_midas_mixes_features_frame_by_frame() -> None:
    torch.manual_seed(0)
    network = create_model("frame_encoder", 3, encoder="mobilenet_v2", dropout=0).eval()
    behind = FromFeatures(network, clip=(3, 2, 32, 32))
    features = behind.features(torch.randn(4, 3, 2, 32, 32))
    assert features.shape == (4, 2, 1280)
    mixed = Midas()(features, torch.eye(3)[[0, 1, 2, 0]], generator=torch.Generator().manual_seed(1))
    pairs = zip(mixed.lam, mixed.partner, strict=True)
    rows = torch.stack([lam * features[i] + (1 - lam) * features[j] for i, (lam, j) in enumerate(pairs)])
    with torch.no_grad():
        assert torch.allclose(behind(mixed.clips), network.head(rows.mean(dim=1)), atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"name": "frame_encoder", "encoder": "mobilenet_v2", "temporal": "transformer", "hidden": 16},
        {"name": "frame_transformer", "width": 4}, {"name": "resnet18_lstm", "width": 4, "hidden": 6},
        {"name": "frame_vit", "features": 8, "heads": 2, "depth": 1, "layers": 1}, GRU,
    ],
    ids=lambda options: options["name"],
)  # fmt: skip
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_behind_the_encoder_answers_as_the_whole_network(options: dict[str, object], channels: int) -> None:
    torch.manual_seed(0)
    network = create_model(options["name"], 3, in_channels=channels, **{k: options[k] for k in options if k != "name"})
    behind, clips = FromFeatures(network, clip=(channels, 3, 32, 32)), torch.randn(2, channels, 3, 32, 32)
    assert network.training
    features = behind.features(clips)
    with torch.no_grad():
        assert torch.allclose(behind.eval()(features), network(clips), atol=1e-5)
    assert "forward" not in network.encoder.__dict__


def test_more_epochs_ask_the_encoder_no_more_often(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    compute = Residual2d.forward

    def counted(block: Residual2d, features: Tensor) -> Tensor:
        asked.append(len(features))
        return compute(block, features)

    monkeypatch.setattr(Residual2d, "forward", counted)
    counts = []
    for epochs in (1, 4):
        asked.clear()
        fit(recipe(1, midas=True, optim={"epochs": epochs}), Manifest.read(data), tmp_path / str(epochs), fold=1)
        counts.append(len(asked))
    assert counts[0] == counts[1] > 0
    asked.clear()
    tested = predict_fold(tmp_path / "4", Manifest.read(data), 1).probs
    assert asked[-2:] == 2 * [4 * len(tested)], "each of two blocks sees four frames of each test clip"


class Past(nn.Module):
    """Reads clips past its encoder, or asks it as often as it is told."""

    def __init__(self, calls: int, past: float) -> None:
        super().__init__()
        self.encoder, self.head, self.calls, self.past = nn.Linear(16, 3), nn.Linear(3, 3), calls, past

    def forward(self, clips: Tensor) -> Tensor:
        frames = clips.mean(dim=(1, 3)).flatten(0, 1)
        rows = sum(self.encoder(frames) for _ in range(self.calls)) if self.calls else frames[:, :3]
        answer: Tensor = self.head(rows.unflatten(0, (len(clips), -1)).mean(dim=1))
        return answer + self.past * clips.mean(dim=(2, 3, 4))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: create_model("tiny3d", 3), "has no part called encoder whose features could be kept; it has "),
        (lambda: create_model("former_dfer", 3, frames=4, width=8), "called once, .* got 0 calls"),
        (lambda: Past(0, 0.0), "got 0 calls"), (lambda: Past(2, 0.0), "got 2 calls"),
        (lambda: Past(1, 1.0), "reads more of a clip than what its part encoder makes of it"),
    ],
)  # fmt: skip
def test_a_network_without_such_an_encoder_is_refused(make: Callable[[], nn.Module], said: str) -> None:
    with pytest.raises(DferError, match=said):
        FromFeatures(make(), clip=(3, 4, 16, 16))


def test_an_encoder_of_one_s_own_is_accepted() -> None:
    assert FromFeatures(Past(1, 0.0), clip=(3, 4, 16, 16)).features(torch.randn(2, 3, 4, 16, 16)).shape == (2, 4, 3)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"init": {"freeze": ["encoder.0"]}}, "must not change in training; set init.freeze = "),
        ({"init": {"freeze": []}}, "and nothing is frozen"),
        ({"model": {"name": "tiny3d"}, "init": {"freeze": ["stem"]}}, "cannot be used with tiny3d: .* has no part"),
        ({"midas": {"blend": "cuboid"}}, "leave midas.blend and midas.layer out"),
        ({"midas": {"layer": "hidden"}}, "leave midas.blend and midas.layer out"),
        ({"init": {"cache": -1}}, "init.cache"),
    ],
)
def test_what_cannot_be_kept_is_one_sentence(
    sections: dict[str, dict[str, object]], said: str, data: Path, tmp_path: Path
) -> None:
    values: dict[str, dict[str, object]] = {"model": dict(GRU), "init": {"freeze": ["encoder"], "cache": 1}}
    for name, keys in sections.items():
        values[name] = keys if name == "model" else values.get(name, {}) | keys
    with pytest.raises(DferError, match=said) as caught:
        fit(toy_recipe(**values), Manifest.read(data), tmp_path / "run", fold=1)
    assert "\n" not in str(caught.value) and not (tmp_path / "run" / "model").exists()


def test_features_that_do_not_fit_into_memory_are_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 4 frames with 6 maps of 4 x 4 pixels of 4 bytes are 1536 bytes a clip.
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=100_000))
    with pytest.raises(DferError, match=r"of 10 views of \d+ clips need 0\.000\d+ GB more, .*lower init.cache"):
        fit(recipe(10, optim={"epochs": 20}), Manifest.read(data), tmp_path / "run", fold=1)


def train_shared(data: Path, folder: Path) -> None:
    """As one of some processes, on kept features."""
    made = recipe(2, model={"dropout": 0.0}, optim={"name": "sgd", "batch": 4})
    fit(made, Manifest.read(data), folder, fold=1)


@pytest.mark.slow
def test_two_processes_train_on_kept_features_as_one_does(data: Path, tmp_path: Path) -> None:
    for count in (1, 2):
        assert exit_codes(train_shared, data, tmp_path / str(count), processes=count) == [0] * count
    one, two = (weights(tmp_path / str(count)) for count in (1, 2))
    assert all(torch.allclose(one[key], two[key], rtol=1e-3, atol=1e-5) for key in one)
    logs = [[row.train_loss for row in read_log(tmp_path / str(count))] for count in (1, 2)]
    assert logs[0] == pytest.approx(logs[1], rel=1e-4)
