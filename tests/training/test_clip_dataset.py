"""`dfer.ClipDataset` in other people's loops: the default DataLoader, workers, epochs, parts and rules."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, Subset, WeightedRandomSampler

from dfer import ClipDataset, DferError, Manifest, Midas, Preprocessing
from dfer.training import recipe_from
from dfer.training.choosing import choose_clips

from .toy import EMOTIONS

SMALL = Preprocessing(frames=4, size=16)
LENGTH = 40
NAN = float("nan")


def numbered(folder: Path, votes: list[list[float]], labels: list[str], **columns: Any) -> Manifest:
    """Packed clips of which frame n is grey n + 100 x (its row is odd): a clip's pixels say which frames were read."""
    rows = []
    for row, label in enumerate(labels):
        grey = np.arange(LENGTH, dtype=np.uint8) + 100 * (row % 2)
        np.save(folder / f"{row}.npy", np.broadcast_to(grey[:, None, None, None], (LENGTH, 16, 16, 3)))
        rows.append({"id": f"clip {row}", "path": f"{row}.npy", "kind": "array", "label": label})
    counts = pd.DataFrame(votes, columns=[f"votes_{name}" for name in EMOTIONS])
    return Manifest.build(pd.DataFrame(rows).assign(**columns).join(counts), emotions=EMOTIONS, root=folder)


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Six clips in fold 1, two in fold 2; clip 3 has no single label, clip 4 no votes."""
    votes = [[6, 4, 0], [0, 9, 1], [0, 0, 10], [5, 5, 0], [NAN] * 3, [1, 2, 7], [8, 1, 1], [4, 4, 2]]
    labels = ["happy", "sad", "neutral", "", "sad", "neutral", "happy", ""]
    return numbered(tmp_path_factory.mktemp("eight"), votes, labels, fold=[1] * 6 + [2] * 2)


def frames_of(clips: torch.Tensor) -> list[list[int]]:
    """Which frames a batch of uint8 clips of `numbered` shows."""
    return (clips[:, 0, :, 0, 0].long() % 100).tolist()


def test_a_sample_is_the_clip_its_target_its_name_and_its_votes(eight: Manifest) -> None:
    test = ClipDataset(eight, SMALL, fold=2, part="test")
    assert len(test) == 2 and test.rows.tolist() == [6, 7] and test.labels.tolist() == [0, -1]
    clip, target, name, votes = test[0]
    assert clip.shape == (3, 4, 16, 16) and clip.dtype == torch.float32 and clip.is_contiguous()
    # 40 frames in four parts of ten: their middles are 5, 15, 25 and 35
    assert torch.equal(clip[:, :, 3, 7], torch.tensor([5, 15, 25, 35]).div(255).expand(3, 4))
    assert (name, votes.tolist(), votes.dtype) == ("clip 6", [8, 1, 1], torch.float32)
    assert torch.allclose(target, torch.tensor([0.8, 0.1, 0.1])) and target.dtype == torch.float32
    assert test[-1].id == "clip 7" and [sample.id for sample in test] == ["clip 6", "clip 7"]  # type: ignore[attr-defined]


def test_bytes_are_the_same_pixels(eight: Manifest) -> None:
    scaled, raw = (ClipDataset(eight, SMALL, fold=2, part="test", dtype=d)[1] for d in (torch.float32, torch.uint8))
    assert raw.clip.dtype == torch.uint8 and torch.equal(raw.clip.float() / 255, scaled.clip)
    with pytest.raises(DferError, match=r"dtype cannot be 'torch\.float16' .*; expected one of torch\.float32"):
        ClipDataset(eight, SMALL, dtype=torch.float16)
    with pytest.raises(DferError, match=r"expected a Manifest, got 'clips.csv'; Manifest.read\(PATH\) reads one"):
        ClipDataset("clips.csv", SMALL)  # type: ignore[arg-type]


def test_training_leaves_out_what_is_no_example_and_counts_it_and_testing_leaves_out_nothing(eight: Manifest) -> None:
    train = ClipDataset(eight, SMALL, fold=2, part="train", validation=0)
    assert train.ids == ["clip 0", "clip 1", "clip 2", "clip 5"]
    assert train.left_out == {"no single label": 1, "no target by the rule": 1}
    assert ClipDataset(eight, SMALL, fold=2, part="train", validation=0, subset="all").rows.tolist() == [0, 1, 2, 3, 5]
    everything = ClipDataset(eight, SMALL)
    assert everything.rows.tolist() == list(range(8)) and everything[4].target.isnan().all()
    assert everything[4].votes.isnan().all()


@pytest.mark.parametrize(
    ("rule", "options", "target"),
    [
        ("frequency", {}, [0.8, 0.1, 0.1]),
        ("hard", {}, [1, 0, 0]),
        ("hard", {"smoothing": 0.3}, [0.8, 0.1, 0.1]),
        ("dirichlet", {"strength": 5.0, "prior": [0.2, 0.2, 0.6]}, [9 / 15, 2 / 15, 4 / 15]),
        # clips 0 to 5, less the one without votes, got 12, 20 and 18 of 50 votes
        ("dirichlet", {"strength": 10.0, "prior": "class"}, [10.4 / 20, 5 / 20, 4.6 / 20]),
        (None, {}, [NAN, NAN, NAN]),
    ],
)  # fmt: skip
def test_a_rule_is_taken_by_name(
    eight: Manifest, rule: str | None, options: dict[str, Any], target: list[float]
) -> None:
    sample = ClipDataset(eight, SMALL, fold=2, part="test", rule=rule, **options)[0]
    assert torch.allclose(sample.target, torch.tensor(target, dtype=torch.float32), equal_nan=True)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"part": "val", "fold": 2}, "part cannot be 'val'; expected one of train, validation, test, None"),
        ({"fold": 1}, "fold 1 was named without a part"),
        ({"part": "train"}, "expected one of the folds 1, 2; none was named"),
        ({"part": "test", "fold": 9}, "fold 9 has no clips"),
        ({"part": "test", "fold": 2, "rule": "frequencies"}, "did you mean 'frequency'"),
        ({"part": "train", "fold": 2, "rule": "frequencies"}, "did you mean 'frequency'"),
        ({"part": "train", "fold": 2, "rule": None}, 'part = "train" needs a rule'),
        ({"part": "train", "fold": 2, "smothing": 0.1}, "did you mean 'smoothing'"),
        ({"part": "test", "fold": 2, "smoothing": 1.5}, r"expected smoothing in \[0, 1\), got 1.5"),
        ({"part": "train", "fold": 2, "smoothing": 1.5}, "labels.smoothing"),
        ({"part": "train", "fold": 2, "subset": "some"}, "data.subset"),
        ({"part": "validation", "fold": 2, "validation": 0}, "no validation clip; set validation"),
        ({"rule": None, "strength": 2.0}, "strength does nothing"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_sentence(eight: Manifest, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(DferError, match=said) as caught:
        ClipDataset(eight, SMALL, **wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fold", [None, 1, 2, 3])
def test_the_parts_are_those_of_a_training_run(tmp_path: Path, fold: int | None) -> None:
    rows = 36
    votes = (np.eye(3)[np.arange(rows) % 3] * 8 + [1, 1, 0]).tolist()
    labels = [EMOTIONS.emotions[row % 3] for row in range(rows)]
    group = [f"p{row // 3}" for row in range(rows)]
    part = {"fold": [row // 3 % 3 + 1 for row in range(rows)]} if fold else {"split": ["train"] * 27 + ["test"] * 9}
    manifest = numbered(tmp_path, votes, labels, group=group, **part)
    train, validation, test = (
        ClipDataset(manifest, SMALL, fold=fold, part=name, validation=0.25, seed=3)
        for name in ("train", "validation", "test")
    )
    chosen = choose_clips(recipe_from({"seed": 3, "data": {"validation": 0.25}}), manifest, fold)
    assert train.rows.tolist() == chosen.train.tolist() and validation.rows.tolist() == chosen.validation.tolist()
    assert test.rows.tolist() == np.flatnonzero(manifest.partition(fold)[1]).tolist()
    people = [{group[row] for row in each.rows} for each in (train, validation, test)]
    assert all(people) and sum(map(len, people)) == len(set.union(*people)) == 12


def epochs(clips: ClipDataset, loader: DataLoader[Any], *numbers: int) -> list[list[list[int]]]:
    seen = []
    for number in numbers:
        clips.set_epoch(number)
        seen.append([frames for batch in loader for frames in frames_of(batch.clip)])
    return seen


def test_training_clips_jitter_by_epoch_without_a_new_dataset_and_others_never(eight: Manifest) -> None:
    clips = ClipDataset(eight, SMALL, fold=2, part="train", validation=0, dtype=torch.uint8)
    first, second, again = epochs(clips, DataLoader(clips, batch_size=2), 0, 1, 0)
    assert first == again != second
    for frames in first + second:
        assert all(10 * place <= frame < 10 * (place + 1) for place, frame in enumerate(frames))
    for of in ({"part": "test"}, {"part": "train", "validation": 0, "jitter": False}):
        still = ClipDataset(eight, SMALL, fold=2, dtype=torch.uint8, **of)
        first, second = epochs(still, DataLoader(still), 0, 1)
        assert first == second == [[5, 15, 25, 35]] * len(still)
    seeded = ClipDataset(eight, SMALL, fold=2, part="train", validation=0, seed=1, dtype=torch.uint8)
    assert epochs(seeded, DataLoader(seeded), 0) != epochs(clips, DataLoader(clips), 0)
    with pytest.raises(DferError, match="epoch of 0 or more, got -1"):
        clips.set_epoch(-1)


@pytest.mark.slow
@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("copied", [False, True])
def test_workers_that_live_on_see_the_epoch_and_read_the_same_bits(eight: Manifest, start: str, copied: bool) -> None:
    clips = ClipDataset(eight, SMALL, fold=2, part="train", validation=0, subset="all", dtype=torch.uint8)
    expected = epochs(clips, DataLoader(clips, batch_size=2), 5, 6)
    if copied:
        clips = pickle.loads(pickle.dumps(clips)) if start == "fork" else copy.deepcopy(clips)
    workers = 1 if start == "spawn" else 2  # each of those loads torch anew
    kinds = {"num_workers": workers, "persistent_workers": True, "multiprocessing_context": start}
    loader: DataLoader[Any] = DataLoader(clips, batch_size=2, **kinds)  # type: ignore[arg-type]
    assert epochs(clips, loader, 5, 6) == expected and expected[0] != expected[1]


def test_the_default_loader_gives_batches_that_midas_takes(eight: Manifest) -> None:
    clips = ClipDataset(eight, SMALL, fold=2, part="train", validation=0, subset="all")
    loader = DataLoader(clips, batch_size=3, shuffle=True, generator=torch.Generator().manual_seed(0))
    batches = list(loader)
    assert [batch.clip.shape[0] for batch in batches] == [3, 2]
    mixed = Midas(alpha=0.8)(batches[0].clip, batches[0].target, generator=torch.Generator().manual_seed(0))
    assert mixed.clips.shape == (3, 3, 4, 16, 16) and torch.allclose(mixed.targets.sum(dim=1), torch.ones(3))
    names = [name for batch in batches for name in batch.id]
    assert sorted(names) == sorted(clips.ids)
    for batch in batches:
        for name, votes, target in zip(batch.id, batch.votes, batch.target, strict=True):
            assert torch.allclose(votes / votes.sum(), target)
            assert votes.tolist() == eight.votes[int(name.removeprefix("clip "))].tolist()


def test_subsets_and_samplers_of_torch_take_it(eight: Manifest) -> None:
    clips = ClipDataset(eight, SMALL, fold=2, part="test")
    (batch,) = DataLoader(Subset(clips, [1]))
    assert batch.id == ("clip 7",)
    drawn = WeightedRandomSampler([0.0, 1.0], num_samples=3)
    assert [batch.id for batch in DataLoader(clips, sampler=drawn)] == [("clip 7",)] * 3


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_clip_that_cannot_be_read_is_raised_by_name(tmp_path: Path, workers: int) -> None:
    manifest = numbered(tmp_path, [[9, 1, 0], [0, 9, 1], [0, 0, 9]], ["happy", "sad", "neutral"])
    (tmp_path / "1.npy").write_bytes(b"no array")
    clips = ClipDataset(manifest, SMALL)
    assert clips[0].id == "clip 0"
    with pytest.raises(DferError, match="clip clip 1: "):
        list(DataLoader(clips, batch_size=3, num_workers=workers))


def test_frames_can_be_changed_and_read_larger(eight: Manifest) -> None:
    rows = []

    def negative(frames: np.ndarray, row: int) -> np.ndarray:
        rows.append(row)
        return 255 - frames

    clips = ClipDataset(eight, SMALL, fold=2, part="test", change=negative, size=24, dtype=torch.uint8)
    clip = clips[1].clip
    assert clip.shape == (3, 4, 24, 24) and clip[0, :, 0, 0].tolist() == [150, 140, 130, 120] and rows == [7]
