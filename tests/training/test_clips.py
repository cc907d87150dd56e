"""Which clips are trained on and towards what; how they are read into batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from dfer import DferError
from dfer.datasets import Manifest
from dfer.training import Recipe, recipe_from
from dfer.training.choosing import choose_clips
from dfer.training.clips import ClipDataset, batches, stacked
from dfer.training.targets import targets_of
from dfer.video.preprocessing import Preprocessing

from .toy import EMOTIONS, toy_manifest, toy_recipe

NAN = float("nan")


def table(votes: list[list[float]], labels: list[str], **columns: list[Any]) -> Manifest:
    """A manifest of clips that nobody reads."""
    rows = pd.DataFrame({"id": [f"c{n}" for n in range(len(labels))], "label": labels} | columns)
    rows = rows.assign(path=rows["id"] + ".npy", kind="array")
    counts = pd.DataFrame(votes, columns=[f"votes_{name}" for name in EMOTIONS])
    return Manifest.build(rows.join(counts), emotions=EMOTIONS, root=Path("nowhere"))


def recipe(**sections: dict[str, Any]) -> Recipe:
    return recipe_from({"data": {"validation": 0.0}, **sections})


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return Manifest.read(toy_manifest(tmp_path_factory.mktemp("toy")))


# -- targets ------------------------------------------------------------------------------------------------------

SIX = table(
    [[6, 4, 0], [0, 10, 0], [0, 2, 8], [1, 1, 8], [5, 5, 0], [0, 0, 10]],
    ["happy", "sad", "neutral", "sad", "", "neutral"],
    fold=[1, 1, 1, 2, 2, 2],
)


def test_the_hard_rule_takes_the_sources_label_and_not_the_majority() -> None:
    targets = targets_of(recipe(labels={"rule": "hard"}).labels, SIX, np.ones(6, dtype=bool))
    assert targets[[0, 1, 2, 3, 5]].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1]]
    assert np.isnan(targets[4]).all()


@pytest.mark.parametrize(
    ("labels", "first", "last"),
    [
        ({"rule": "frequency"}, [0.6, 0.4, 0.0], [0.0, 0.0, 1.0]),
        ({"rule": "frequency", "smoothing": 0.3}, [0.52, 0.38, 0.1], [0.1, 0.1, 0.8]),
        ({"rule": "dirichlet", "strength": 6.0}, [8 / 16, 6 / 16, 2 / 16], [2 / 16, 2 / 16, 12 / 16]),
        ({"rule": "dirichlet", "strength": 2.0, "prior": [0.5, 0.25, 0.25]}, [7 / 12, 4.5 / 12, 0.5 / 12], None),
        # Fold 1 is tested on; those who are trained on, c3 c4 c5, got 6, 6 and 18 of 30 votes: a prior of .2 .2 .6.
        ({"rule": "dirichlet", "strength": 10.0, "prior": "class"}, [0.4, 0.3, 0.3], [0.1, 0.1, 0.8]),
    ],
)  # fmt: skip
def test_soft_targets_are_the_hand_worked_ones(labels: dict[str, Any], first: list[float], last: list[float]) -> None:
    train, _ = SIX.partition(1)
    targets = targets_of(recipe(labels=labels).labels, SIX, train)
    assert targets[0] == pytest.approx(first) and (last is None or targets[5] == pytest.approx(last))


def test_votes_of_the_test_part_change_no_training_target(toy: Manifest) -> None:
    labels = recipe(labels={"rule": "dirichlet", "strength": 3.0, "prior": "class"}).labels
    train, test = toy.partition(2)
    other = toy.table.copy()
    other.loc[test, [f"votes_{name}" for name in EMOTIONS]] = [0.0, 0.0, 900.0]
    changed = Manifest.build(other, emotions=EMOTIONS, root=toy.root)
    ours, theirs = targets_of(labels, toy, train), targets_of(labels, changed, train)
    assert np.array_equal(ours[train], theirs[train]) and not np.array_equal(ours[test], theirs[test])


def test_clips_without_a_target_are_left_out_and_counted() -> None:
    manifest = table(
        [[6, 4, 0], [0, 10, 0], [NAN] * 3, [NAN] * 3, [3, 3, 4], [0, 0, 10], [9, 1, 0]],
        ["happy", "sad", "neutral", "sad", "", "neutral", "happy"],
        fold=[1, 1, 1, 1, 1, 1, 2],
    )
    chosen = choose_clips(recipe(), manifest, 2)
    assert chosen.train.tolist() == [0, 1, 5]
    assert chosen.left_out == {"no target by the rule": 2, "no single label": 1}
    everything = choose_clips(recipe(data={"subset": "all", "validation": 0.0}), manifest, 2)
    assert everything.train.tolist() == [0, 1, 4, 5] and everything.left_out == {"no target by the rule": 2}
    hard = choose_clips(recipe(labels={"rule": "hard"}), manifest, 2)
    assert hard.train.tolist() == [0, 1, 2, 3, 5] and hard.left_out == {"no single label": 1}


def test_ferplus_discards_what_mostly_is_no_emotion() -> None:
    manifest = table(
        [[6, 2, 0], [0, 6, 1], [1, 0, 2], [0, 0, 8], [9, 0, 0]],
        ["happy", "sad", "", "neutral", "happy"],
        fold=[1, 1, 1, 1, 2],
        other_unknown=[2.0, 1.0, 7.0, 2.0, 1.0],
    )
    targets = targets_of(recipe(labels={"rule": "ferplus"}).labels, manifest, np.ones(5, dtype=bool))
    # a lone vote does not count; seven of ten "unknown" and the clip is no example of anything
    assert targets[[0, 1, 3]] == pytest.approx(np.array([[0.75, 0.25, 0], [0, 1, 0], [0, 0, 1]]))
    assert np.isnan(targets[2]).all()


def test_a_soft_rule_without_any_votes_is_refused() -> None:
    manifest = table([[NAN] * 3] * 4, ["happy", "sad", "neutral", "sad"], fold=[1, 1, 1, 2])
    with pytest.raises(DferError, match=r'no votes, so labels\.rule = "frequency" has nothing to go by; use "hard"'):
        choose_clips(recipe(), manifest, 2)


@pytest.mark.parametrize("rule", ["hard", "frequency", "dirichlet"])
def test_a_misspelt_key_of_labels_is_refused_whatever_the_rule(rule: str) -> None:
    with pytest.raises(DferError, match=r"\[labels\] has no key 'smothing' \(did you mean 'smoothing'\?\)"):
        choose_clips(recipe(labels={"rule": rule, "smothing": 0.1}), SIX, 1)


def test_hard_labels_refuse_the_options_of_other_rules() -> None:
    labelled = SIX.select(SIX.labels >= 0)
    assert len(choose_clips(recipe(labels={"rule": "hard"}), labelled, 2).train) == 3
    with pytest.raises(DferError, match=r"labels\.strength does nothing where labels\.rule = \"hard\""):
        choose_clips(recipe(labels={"rule": "hard", "strength": 2.0}), labelled, 2)


@pytest.mark.parametrize(
    "labels",
    [
        {"rule": "frequency"},
        {"rule": "hard"},
        {"rule": "hard", "smoothing": 0.1},
        {"rule": "dirichlet", "strength": 2.0},
    ],
)
def test_an_emotion_that_no_training_clip_shows_is_named(labels: dict[str, Any]) -> None:
    manifest = table(
        [[10, 0, 0], [0, 10, 0], [0, 0, 10], [9, 1, 0]], ["happy", "sad", "neutral", "happy"], fold=[1, 1, 2, 2]
    )
    with pytest.raises(DferError, match="no training clip of fold 2 shows neutral"):
        choose_clips(recipe(labels=labels), manifest, 2)


def test_nobody_to_train_on_is_said() -> None:
    manifest = table([[5, 5, 0], [0, 5, 5], [4, 0, 5]], ["", "", "happy"], fold=[1, 1, 2])
    with pytest.raises(DferError, match=r"no clip is left to train on.*no single label.*data\.subset"):
        choose_clips(recipe(), manifest, 2)


# -- validation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fold", [1, 2, 3])
def test_validation_is_disjoint_from_training_and_test_by_clip_and_by_group(toy: Manifest, fold: int) -> None:
    chosen = choose_clips(toy_recipe(data={"subset": "all"}), toy, fold)
    _, test = toy.partition(fold)
    parts = [set(chosen.train), set(chosen.validation), set(np.flatnonzero(test))]
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(toy) and all(parts)
    groups = [set(toy.table["group"].iloc[sorted(part)]) for part in parts]
    assert sum(map(len, groups)) == len(set.union(*groups))


def test_runs_that_differ_in_labels_or_mixing_share_the_validation_part(toy: Manifest) -> None:
    parts = [
        choose_clips(each, toy, 1).validation.tolist()
        for each in (
            toy_recipe(),
            toy_recipe(labels={"rule": "hard", "smoothing": 0.1}),
            toy_recipe(labels={"rule": "dirichlet", "strength": 1.0, "prior": "class"}),
            toy_recipe(midas={"alpha": 0.2, "keep_real": True}),
            toy_recipe(data={"subset": "all"}, model={"name": "frame_gru"}, optim={"batch": 8, "lr": 0.1}),
        )
    ]
    assert all(part == parts[0] for part in parts) and parts[0]


def test_another_seed_cuts_another_validation_part(toy: Manifest) -> None:
    cuts = {tuple(choose_clips(toy_recipe().model_copy(update={"seed": seed}), toy, 1).validation) for seed in range(5)}
    assert len(cuts) > 1


def test_the_sources_own_validation_split_is_honoured() -> None:
    votes = [[10, 0, 0], [0, 10, 0], [0, 0, 10]] * 3
    splits = ["train"] * 3 + ["val"] * 3 + ["test"] * 3
    manifest = table(votes, ["happy", "sad", "neutral"] * 3, split=splits)
    for share in (0.0, 0.5):
        chosen = choose_clips(recipe(data={"validation": share}), manifest, None)
        assert chosen.train.tolist() == [0, 1, 2] and chosen.validation.tolist() == [3, 4, 5]


def test_a_clip_of_split_val_in_the_fold_that_is_tested_on_validates_nothing() -> None:
    votes = [[10, 0, 0], [0, 10, 0], [0, 0, 10]] * 2
    splits = ["", "", "", "val", "val", ""]
    manifest = table([*votes, [9, 1, 0]], ["happy", "sad", "neutral"] * 2 + ["happy"], split=[*splits, "val"],
                     fold=[1, 1, 1, 1, 2, 2, 2])  # fmt: skip
    chosen = choose_clips(recipe(), manifest, 2)
    assert chosen.train.tolist() == [0, 1, 2] and chosen.validation.tolist() == [3]


# -- reading ------------------------------------------------------------------------------------------------------


def dataset(manifest: Manifest, *, epoch: int | None = None, frames: int = 4, grey: bool = False) -> ClipDataset:
    preprocessing = Preprocessing(frames=frames, size=16, grey=grey)
    clips = ClipDataset(manifest, preprocessing, rule=None, jitter=epoch is not None)
    clips.set_epoch(epoch or 0)
    return clips


def read(clips: ClipDataset, rows: list[list[int]], workers: int = 0) -> list[tuple[torch.Tensor, ...]]:
    return [(stacked(batch.clips), *batch[1:]) for batch in batches(clips, rows, workers=workers)]


def test_a_batch_holds_the_pixels_of_the_frames_that_it_names(toy: Manifest) -> None:
    ((clips, rows, indices),) = read(dataset(toy), [[5, 2]])
    assert clips.shape == (2, 3, 4, 16, 16) and clips.dtype == torch.uint8 and rows.tolist() == [5, 2]
    for clip, row, chosen in zip(clips, rows.tolist(), indices.tolist(), strict=True):
        frames = np.load(toy.resolve(toy.table["path"][row]))
        # the middles of four equal segments of n frames
        assert chosen == [int((k + 0.5) * len(frames) / 4) for k in range(4)]
        assert np.array_equal(clip.permute(1, 2, 3, 0).numpy(), frames[chosen])


def test_which_frames_are_read_depends_on_epoch_and_clip_alone(toy: Manifest) -> None:
    def indices(rows: list[list[int]], epoch: int) -> dict[int, list[int]]:
        return {
            int(row): chosen
            for _, names, table in read(dataset(toy, epoch=epoch), rows)
            for row, chosen in zip(names, table.tolist(), strict=True)
        }

    rows = list(range(20))
    one, other = indices([rows], 0), indices([[row] for row in reversed(rows)], 0)
    assert one == other and one != indices([rows], 1)
    assert all(chosen == sorted(chosen) for chosen in one.values())


def test_a_clip_of_one_frame_fills_a_batch(tmp_path: Path) -> None:
    np.save(tmp_path / "c0.npy", np.full((1, 16, 16, 3), 7, np.uint8))
    still = Manifest.build(
        pd.DataFrame([{"id": "c0", "path": "c0.npy", "kind": "array", "label": "sad"}]),
        emotions=EMOTIONS,
        root=tmp_path,
    )
    for epoch in (None, 3):
        ((clips, _, indices),) = read(dataset(still, epoch=epoch), [[0]])
        assert indices.tolist() == [[0, 0, 0, 0]] and (clips == 7).all()


@pytest.mark.parametrize("fault", ["gone", "empty", "cut"])
def test_an_unreadable_clip_is_one_sentence_that_names_it(tmp_path: Path, fault: str) -> None:
    manifest = Manifest.read(toy_manifest(tmp_path, clips=6))
    path = manifest.resolve(manifest.table["path"][4])
    whole = path.read_bytes()
    if fault == "gone":
        path.unlink()
    else:
        path.write_bytes(b"" if fault == "empty" else whole[: len(whole) // 2])
    with pytest.raises(DferError, match="clip 004") as caught:
        read(dataset(manifest), [[0, 1], [3, 4, 5]])
    assert "\n" not in str(caught.value) and "--pack" in str(caught.value)


def test_a_grey_clip_for_a_network_that_sees_colours_is_one_sentence(tmp_path: Path) -> None:
    manifest = Manifest.read(toy_manifest(tmp_path, clips=6))
    np.save(manifest.resolve(manifest.table["path"][4]), np.zeros((5, 16, 16, 1), np.uint8))
    with pytest.raises(DferError, match=r"clip 004 is grey.*input\.grey = true"):
        read(dataset(manifest), [[3, 4, 5]])
    ((clips, _, _),) = read(dataset(manifest, grey=True), [[3, 4, 5]])
    assert clips.shape == (3, 1, 4, 16, 16)


@pytest.mark.slow
def test_worker_processes_read_the_same_bits_and_name_the_same_culprit(tmp_path: Path) -> None:
    manifest = Manifest.read(toy_manifest(tmp_path, clips=9))
    manifest.resolve(manifest.table["path"][7]).unlink()
    rows = [[8, 1, 2], [3], [4, 0, 7]]
    alone, helped = (batches(dataset(manifest, epoch=2), rows, workers=workers) for workers in (0, 2))
    for _ in range(2):
        ours, theirs = next(alone), next(helped)
        assert torch.equal(stacked(ours.clips), stacked(theirs.clips))
        assert torch.equal(ours.rows, theirs.rows) and torch.equal(ours.indices, theirs.indices)
    for reader in (alone, helped):
        with pytest.raises(DferError, match="clip 007"):
            next(reader)
