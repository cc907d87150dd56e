"""The loop: what it trains on, what it keeps, and how it goes on after everything that can go wrong."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from scipy.stats import entropy
from torch import Tensor, nn

from dfer import DferError, Manifest, Midas, load_checkpoint
from dfer.training import Begun, Recipe, Step, fit, learner, loop
from dfer.training.choosing import choose_clips
from dfer.training.clips import ClipDataset
from dfer.training.predict import predict_probs
from dfer.training.record import Epoch
from dfer.training.state import Place
from dfer.video.preprocessing import Preprocessing

from .full_disk import full_disk
from .toy import EMOTIONS, toy_manifest, toy_recipe, weights


@pytest.fixture(scope="module")
def whole(toy: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an undisturbed run of `quick()`."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    fit(quick(), toy, folder, fold=1)
    return folder


def quick(**sections: dict[str, Any]) -> Recipe:
    """Three epochs of three steps."""
    sections["data"] = {"subset": "all", "validation": 0.25} | sections.get("data", {})
    return toy_recipe(**sections)


class Watch:
    """A `Progress` that calls back."""

    def __init__(
        self, *, step: Callable[[int], None] | None = None, epoch: Callable[[int], None] | None = None
    ) -> None:
        self.steps, self.rows, self._step, self._epoch = 0, [], step, epoch

    def begin(self, run: Begun) -> None:
        self.begun = run

    def step(self, step: Step) -> None:
        self.steps += 1
        if self._step:
            self._step(step.number)

    def epoch(self, row: Epoch) -> None:
        self.rows.append(row)
        if self._epoch:
            self._epoch(row.epoch)


class Killed(BaseException):
    """Ends a run where a kill would."""


def killer(at: int) -> Callable[[int], None]:
    def kill(done: int) -> None:
        if done == at:
            raise Killed

    return kill


def log(folder: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without what depends on the clock."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [{key: value for key, value in json.loads(line).items() if key != "seconds"} for line in lines]


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[key]) for key, value in ours.items())


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[nn.Module]]:
    """The networks and optimisers of the runs to come: [network, optimiser, ...]."""
    caught: list[Any] = []
    make = learner.make_optimizer

    def spy(model: nn.Module, optim: Any) -> torch.optim.Optimizer:
        optimizer = make(model, optim)
        caught.extend([model, optimizer])
        return optimizer

    monkeypatch.setattr(learner, "make_optimizer", spy)
    yield caught


# -- an undisturbed run -------------------------------------------------------------------------------------------


def test_a_run_leaves_recipe_log_summary_and_model_and_no_state(whole: Path) -> None:
    names = sorted(path.name for path in whole.iterdir())
    assert names == ["metrics.jsonl", "model", "recipe.toml", "train.json"]
    summary = json.loads((whole / "train.json").read_text())
    assert (summary["fold"], summary["clips"], summary["processes"], summary["kept_epoch"]) == (1, 12, 1, 3)
    assert [(row["epoch"], row["step"]) for row in log(whole)] == [(1, 3), (2, 6), (3, 9)]
    assert {"train_loss", "lr", "val_war", "val_uar", "val_kl"} <= log(whole)[0].keys()


def test_the_same_recipe_gives_the_same_bits_and_another_seed_others(
    toy: Manifest, whole: Path, tmp_path: Path
) -> None:
    fit(quick(), toy, tmp_path / "again", fold=1)
    assert same(weights(tmp_path / "again"), weights(whole)) and log(tmp_path / "again") == log(whole)
    fit(quick().model_copy(update={"seed": 1}), toy, tmp_path / "other", fold=1)
    assert not same(weights(tmp_path / "other"), weights(whole))


@pytest.mark.slow
def test_reading_in_two_worker_processes_trains_the_same_bits(toy: Manifest, whole: Path, tmp_path: Path) -> None:
    fit(quick(data={"workers": 2}), toy, tmp_path / "run", fold=1)
    assert same(weights(tmp_path / "run"), weights(whole)) and log(tmp_path / "run") == log(whole)


def test_training_touches_no_global_generator(toy: Manifest, tmp_path: Path) -> None:
    def states() -> tuple[Any, ...]:
        return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002

    before = states()
    fit(quick(optim={"epochs": 1}), toy, tmp_path / "run", fold=1)
    assert states() == before


def test_the_files_of_the_test_part_are_never_opened(whole: Path, tmp_path: Path) -> None:
    manifest = Manifest.read(toy_manifest(tmp_path / "toy", clips=24))
    _, test = manifest.partition(1)
    for path in manifest.table["path"][test]:
        manifest.resolve(path).unlink()
    fit(quick(), manifest, tmp_path / "run", fold=1)
    assert same(weights(tmp_path / "run"), weights(whole))


def test_votes_of_the_test_part_change_no_weight(toy: Manifest, tmp_path: Path) -> None:
    recipe = quick(labels={"rule": "dirichlet", "strength": 2.0, "prior": "class"}, optim={"epochs": 1})
    _, test = toy.partition(1)
    table = toy.table.copy()
    table.loc[test, [f"votes_{name}" for name in EMOTIONS]] = [0.0, 0.0, 50.0]
    table.loc[test, "label"] = "neutral"
    changed = Manifest.build(table, emotions=EMOTIONS, root=toy.root)
    for name, manifest in (("ours", toy), ("changed", changed)):
        fit(recipe, manifest, tmp_path / name, fold=1)
    assert same(weights(tmp_path / "ours"), weights(tmp_path / "changed"))


def test_the_learning_rate_of_each_step_is_the_schedules(toy: Manifest, tmp_path: Path, network: list[Any]) -> None:
    rates: list[float] = []
    watch = Watch(step=lambda _: rates.append(network[1].param_groups[1]["lr"]))
    optim = {"lr": 0.04, "min_lr": 0.0, "warmup_epochs": 1, "epochs": 3}
    fit(quick(optim=optim), toy, tmp_path / "run", fold=1, progress=watch)
    # three steps of ramp, then a cosine over six: at 0, 36, 72, 108, 144 and 180 degrees
    cosine = [1.0, 0.809017, 0.309017, -0.309017, -0.809017, -1.0]
    assert rates == pytest.approx([0.04 / 3, 0.08 / 3, 0.04, *(0.02 * (1 + value) for value in cosine)], abs=1e-7)
    assert [row["lr"] for row in log(tmp_path / "run")] == pytest.approx([rates[2], rates[5], rates[8]])


def test_the_moving_average_that_is_kept_is_that_of_the_weights_of_each_step(
    toy: Manifest, tmp_path: Path, network: list[Any]
) -> None:
    states: list[dict[str, Tensor]] = []
    watch = Watch(step=lambda _: states.append({key: value.clone() for key, value in network[0].state_dict().items()}))
    fit(quick(optim={"ema": 0.75}), toy, tmp_path / "run", fold=1, progress=watch)
    kept = weights(tmp_path / "run")
    for key, value in kept.items():
        if value.is_floating_point():
            expected = states[0][key].double()
            for state in states[1:]:
                expected = 0.75 * expected + 0.25 * state[key].double()
            assert torch.allclose(value.double(), expected, atol=1e-5), key
    assert not torch.allclose(kept["head.weight"], states[-1]["head.weight"], atol=1e-4)


def test_without_an_average_the_last_weights_are_kept(toy: Manifest, tmp_path: Path, network: list[Any]) -> None:
    fit(quick(optim={"ema": 0.0}), toy, tmp_path / "run", fold=1)
    assert same(weights(tmp_path / "run"), network[0].state_dict())


@pytest.mark.parametrize("worlds", [(1, 3), (2, 4), (4, 1), (3, 2)])
def test_a_run_that_goes_on_with_other_processes_shows_each_clip_of_an_epoch_once(worlds: tuple[int, int]) -> None:
    def batches(process: int, processes: int) -> list[np.ndarray]:
        standing = SimpleNamespace(
            recipe=quick(optim={"batch": 12}), chosen=SimpleNamespace(train=np.arange(100, 184)), shares=None,
            batches_per_epoch=7, accelerator=SimpleNamespace(process_index=process, num_processes=processes),
        )  # fmt: skip
        return loop._Run._order(standing, 3)  # type: ignore[arg-type]

    stopped_at = 4
    seen: list[int] = []
    for processes, part in zip(worlds, (slice(0, stopped_at), slice(stopped_at, None)), strict=True):
        for process in range(processes):
            seen += np.concatenate(batches(process, processes)[part]).tolist()
    assert sorted(seen) == list(range(100, 184))


# -- mixing, weighting, sampling ----------------------------------------------------------------------------------


@pytest.fixture
def mixes(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The λ of every batch that MIDAS mixes."""
    lams: list[Tensor] = []
    draw = Midas.draw

    def spy(self: Midas, *arguments: Any, **options: Any) -> Any:
        lam, partner = draw(self, *arguments, **options)
        lams.append(lam)
        return lam, partner

    monkeypatch.setattr(Midas, "draw", spy)
    return lams


@pytest.mark.parametrize(("unmixed", "mixed"), [(0, 9), (1, 6), (2, 3)])
def test_the_last_epochs_are_not_mixed(
    toy: Manifest, tmp_path: Path, mixes: list[Tensor], unmixed: int, mixed: int
) -> None:
    watch = Watch(epoch=lambda _: counts.append(len(mixes)))
    counts: list[int] = []
    fit(
        quick(optim={"unmixed_epochs": unmixed}, data={"validation": 0.25}), toy, tmp_path / "r", fold=1, progress=watch
    )
    assert counts == [min(mixed, 3 * epoch) for epoch in (1, 2, 3)]


def test_augmentation_leaves_the_draws_of_mixing_alone(toy: Manifest, tmp_path: Path, mixes: list[Tensor]) -> None:
    fit(quick(optim={"epochs": 1}), toy, tmp_path / "one", fold=1)
    fit(quick(optim={"epochs": 1}, augment={"colour": 0.0, "erase": 0.0, "rotation": 9}), toy, tmp_path / "two", fold=1)
    assert len(mixes) == 6 and all(torch.equal(a, b) for a, b in zip(mixes[:3], mixes[3:], strict=True))


def uneven(folder: Path) -> Manifest:
    """20 happy, 12 sad and 8 neutral clips to train on, and one of each to test on; one file serves them all."""
    folder.mkdir(exist_ok=True)
    np.save(folder / "clip.npy", np.random.default_rng(0).integers(0, 255, (6, 16, 16, 3)).astype(np.uint8))
    labels = ["happy"] * 20 + ["sad"] * 12 + ["neutral"] * 8 + list(EMOTIONS)
    rows = pd.DataFrame({"id": [f"c{n:02d}" for n in range(43)], "label": labels, "path": "clip.npy", "kind": "array"})
    rows["split"] = ["train"] * 40 + ["test"] * 3
    return Manifest.build(rows, emotions=EMOTIONS, root=folder)


PLAIN: dict[str, dict[str, Any]] = {
    "labels": {"rule": "hard"}, "data": {"validation": 0.0}, "optim": {"epochs": 2, "batch": 8, "ema": 0.0},
}  # fmt: skip


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The rows of each batch that is read, in order."""
    rows: list[list[int]] = []
    read = loop.batches

    def spy(dataset: Any, parts: list[list[int]], **options: Any) -> Any:
        rows.extend(parts)
        return read(dataset, parts, **options)

    monkeypatch.setattr(loop, "batches", spy)
    return rows


def test_an_epoch_of_the_shuffler_is_a_new_order_of_all_clips(tmp_path: Path, seen: list[list[int]]) -> None:
    fit(toy_recipe(**PLAIN), uneven(tmp_path), tmp_path / "run")
    assert [len(part) for part in seen] == [8] * 10
    first, second = sum(seen[:5], []), sum(seen[5:], [])  # noqa: RUF017
    assert sorted(first) == sorted(second) == list(range(40)) and first != second


def test_the_balanced_sampler_draws_each_emotion_equally_often(tmp_path: Path, seen: list[list[int]]) -> None:
    recipe = toy_recipe(**PLAIN | {"loss": {"sampler": "balanced"}, "optim": {"epochs": 30, "batch": 40}})
    with pytest.raises(Killed):  # the order of 30 epochs is all that is wanted
        fit(recipe, uneven(tmp_path), tmp_path / "run", progress=Watch(step=killer(1)))
    run = loop._Run(recipe, uneven(tmp_path), tmp_path / "run", None)
    drawn = np.concatenate([run._order(epoch)[0] for epoch in range(30)])
    assert run._order(0)[0].tolist() == seen[0]
    counts = np.bincount(np.repeat([0, 1, 2], [20, 12, 8])[drawn], minlength=3)
    assert counts.sum() == 1200 and np.abs(counts - 400).max() < 4 * np.sqrt(1200 * 2 / 9)


def test_the_balanced_sampler_draws_an_even_mean_target_of_soft_labels(toy: Manifest, tmp_path: Path) -> None:
    recipe = quick(loss={"sampler": "balanced"}, optim={"batch": 12})
    run = loop._Run(recipe, toy, tmp_path / "run", 1)
    drawn = run.targets[np.concatenate([run._order(epoch)[0] for epoch in range(300)])]
    assert drawn.mean(dim=0).tolist() == pytest.approx([1 / 3] * 3, abs=4 * 0.5 / np.sqrt(len(drawn)))


@pytest.mark.parametrize("labels", [{"rule": "hard"}, {"rule": "frequency", "smoothing": 0.2}])
def test_balanced_class_weights_make_the_loss_torchs_weighted_cross_entropy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: dict[str, Any]
) -> None:
    manifest = uneven(tmp_path)
    if labels["rule"] == "frequency":
        hot = np.eye(3)[manifest.labels]
        manifest.table[[f"votes_{name}" for name in EMOTIONS]] = 6 * hot + np.array([3, 1, 0])
    taken: list[float] = []
    expected: list[float] = []
    make = loop.make_loss

    def spy(section: Any, prior: Tensor, weight: Tensor | None) -> Any:
        loss = make(section, prior, weight)

        def compared(logits: Tensor, targets: Tensor, voters: Tensor) -> Tensor:
            train = run.targets[run.chosen.train]
            reference = torch.nn.functional.cross_entropy(logits, targets, weight=len(train) / (3 * train.sum(dim=0)))
            losses: Tensor = loss(logits, targets, voters)
            expected.append(float(reference.detach()))
            taken.append(float(losses.mean().detach()))
            return losses

        return compared

    monkeypatch.setattr(loop, "make_loss", spy)
    recipe = toy_recipe(**PLAIN | {"labels": labels, "loss": {"class_weights": "balanced"}})
    run = loop._Run(recipe, manifest, tmp_path / "run", None)
    run.begin(resume=False)
    run.train(None)
    assert len(taken) == 10 and taken == pytest.approx(expected, rel=1e-5)


# -- selection ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "scores", "best"),
    [("val_kl", [0.9, 0.4, 0.6], 2), ("val_war", [0.5, 0.7, 0.7], 2), ("val_uar", [0.8, 0.1, 0.2], 1),
     ("last", [0.9, 0.1, 0.5], 3)],
)  # fmt: skip
def test_the_epoch_with_the_best_score_is_kept_and_the_earlier_of_equals(
    toy: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: list[Any],
    selection: str, scores: list[float], best: int,
) -> None:  # fmt: skip
    given = iter(scores)
    monkeypatch.setattr(
        loop, "validation_scores", lambda *_: {"val_kl" if selection == "last" else selection: next(given)}
    )
    states: list[dict[str, Tensor]] = []
    watch = Watch(epoch=lambda _: states.append({key: value.clone() for key, value in network[0].state_dict().items()}))
    recipe = quick(optim={"ema": 0.0}).model_copy(update={"selection": selection})
    fit(recipe, toy, tmp_path / "run", fold=1, progress=watch)
    assert json.loads((tmp_path / "run" / "train.json").read_text())["kept_epoch"] == best
    assert same(weights(tmp_path / "run"), states[best - 1])


def test_validation_scores_are_those_of_the_kept_network_on_the_validation_part(toy: Manifest, whole: Path) -> None:
    model, card = load_checkpoint(whole / "model")
    rows = choose_clips(quick(), toy, 1).validation
    probs, _ = predict_probs(model, ClipDataset(toy, Preprocessing(**card.preprocessing)), rows)
    shares = toy.votes[rows] / toy.votes[rows].sum(axis=1, keepdims=True)
    labelled = toy.labels[rows] >= 0
    right = probs[labelled].argmax(axis=1) == toy.labels[rows][labelled]
    last = log(whole)[-1]
    assert last["val_kl"] == pytest.approx(
        np.mean([entropy(y, p) for y, p in zip(shares, probs, strict=True)]), rel=1e-4
    )
    assert last["val_war"] == pytest.approx(right.mean())


@pytest.mark.parametrize(("selection", "needed"), [("val_war", "single labels"), ("val_kl", "votes")])
def test_selection_that_nothing_can_be_based_on_is_refused_before_training(
    tmp_path: Path, selection: str, needed: str
) -> None:
    watch = Watch()
    recipe = toy_recipe(**PLAIN).model_copy(update={"selection": selection})
    with pytest.raises(DferError, match=f'selection = "{selection}" needs a validation part with {needed}'):
        fit(recipe, uneven(tmp_path), tmp_path / "run", progress=watch)
    assert watch.steps == 0 and not (tmp_path / "run").exists()


# -- faults -------------------------------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_stops_with_the_clips_of_the_batch(toy: Manifest, tmp_path: Path, seen: Any) -> None:
    recipe = quick(optim={"name": "sgd", "lr": 10.0, "warmup_epochs": 0})
    recipe = recipe.model_copy(update={"optim": recipe.optim.model_copy(update={"lr": 1e30})})  # more than one may ask
    watch = Watch()
    with pytest.raises(DferError, match=r"the loss is (nan|inf) at step \d+.*optim\.lr.*clip_norm") as caught:
        fit(recipe, toy, tmp_path / "run", fold=1, progress=watch)
    ids = toy.table["id"].iloc[seen[watch.steps]]
    assert ", ".join(ids) in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "model").exists() and not (tmp_path / "run" / "train.json").exists()


def test_weights_that_the_last_step_ruined_are_not_kept(toy: Manifest, tmp_path: Path, network: list[Any]) -> None:
    # after the last loss was computed, so that it was finite
    watch = Watch(step=lambda done: network[0].head.weight.data.fill_(float("inf")) if done == 9 else None)
    with pytest.raises(DferError, match=r"not finite after step 9, in fp32; lower optim\.lr or set optim\.clip_norm$"):
        fit(quick(), toy, tmp_path / "run", fold=1, progress=watch)
    assert not (tmp_path / "run" / "model").exists() and not (tmp_path / "run" / "train.json").exists()


@pytest.mark.parametrize(
    ("diverges_at", "selection", "warned"),
    [(1, "last", True), (1, "val_kl", True), (None, "last", False), (43, "last", True), (43, "val_kl", False)],
)
def test_a_network_that_answers_the_same_for_every_clip_is_told_if_it_is_kept(
    toy: Manifest, tmp_path: Path, network: list[Any], caplog: pytest.LogCaptureFixture,
    diverges_at: int | None, selection: str, warned: bool,
) -> None:  # fmt: skip
    def diverge(done: int) -> None:
        if diverges_at and done >= diverges_at:
            network[0].head.weight.data.zero_()
            network[0].head.bias.data.copy_(torch.tensor([0.0, 0.0, 50.0]))

    recipe = quick(optim={"ema": 0.0, "epochs": 15}, augment={"crop": [1.0, 1.0], "erase": 0.0})
    recipe = recipe.model_copy(update={"selection": selection})
    fit(recipe, toy, tmp_path / "run", fold=1, progress=Watch(step=diverge))
    told = [record.getMessage() for record in caplog.records if "learnt nothing" in record.getMessage()]
    assert len(told) == warned
    if warned:
        assert f"val_kl {log(tmp_path / 'run')[-1]['val_kl']:.3f} and " in told[0] and "lower optim.lr" in told[0]


def test_an_unreadable_clip_stops_training_with_its_name(tmp_path: Path) -> None:
    manifest = Manifest.read(toy_manifest(tmp_path / "toy", clips=24))
    row = choose_clips(quick(), manifest, 1).train[5]
    manifest.resolve(manifest.table["path"][row]).write_bytes(b"")
    with pytest.raises(DferError, match=f"clip {manifest.table['id'][row]}: ") as caught:
        fit(quick(), manifest, tmp_path / "run", fold=1)
    assert "\n" not in str(caught.value)


def test_a_folder_that_holds_a_run_is_refused(toy: Manifest, whole: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    with pytest.raises(DferError, match=r"holds a run already; go on with --resume or choose another folder"):
        fit(quick(), toy, whole, fold=1)
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DferError, match=r"cannot write .*recipe\.toml: Not a directory"):
        fit(quick(), toy, tmp_path / "file" / "run", fold=1)


def test_training_clips_fewer_than_a_batch_are_one_batch(toy: Manifest, tmp_path: Path) -> None:
    watch = Watch()
    fit(quick(optim={"batch": 500, "epochs": 2}), toy, tmp_path / "run", fold=1, progress=watch)
    assert watch.steps == 2


# -- resuming -----------------------------------------------------------------------------------------------------


def broken_off(recipe: Recipe, toy: Manifest, folder: Path, at: int) -> None:
    """A run that was killed after some steps; states are written at the ends of epochs, of three steps each."""
    with pytest.raises(Killed):
        fit(recipe, toy, folder, fold=1, progress=Watch(step=killer(at)))
    assert not (folder / "train.json").exists()


@pytest.mark.parametrize("at", [1, 3, 4, 8])
def test_a_run_that_was_killed_anywhere_resumes_to_the_same_bits(
    toy: Manifest, whole: Path, tmp_path: Path, at: int
) -> None:
    broken_off(quick(), toy, tmp_path / "run", at)
    assert (tmp_path / "run" / "state.safetensors").exists() == (at > 3)
    fit(quick(), toy, tmp_path / "run", fold=1, resume=True)
    assert same(weights(tmp_path / "run"), weights(whole)) and log(tmp_path / "run") == log(whole)


def test_a_run_is_not_resumed_on_other_votes(toy: Manifest, tmp_path: Path) -> None:
    broken_off(quick(), toy, tmp_path / "run", 4)
    table = toy.table.copy()
    table.loc[0, "votes_happy"] += 1
    other = Manifest.build(table, emotions=toy.emotions, root=toy.root)
    with pytest.raises(DferError, match="begun on other clips or targets"):
        fit(quick(), other, tmp_path / "run", fold=1, resume=True)


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_run_killed_between_the_log_line_and_the_state_logs_no_epoch_twice(
    toy: Manifest, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    save = loop.save_state

    def kill(path: Path, place: Place, **what: Any) -> None:
        if place.step == 3 * epoch:
            raise Killed
        save(path, place, **what)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(loop, "save_state", kill)
        fit(quick(), toy, tmp_path / "run", fold=1)
    assert len(log(tmp_path / "run")) == epoch
    fit(quick(), toy, tmp_path / "run", fold=1, resume=True)
    assert same(weights(tmp_path / "run"), weights(whole)) and log(tmp_path / "run") == log(whole)


def test_a_log_line_that_was_cut_in_writing_is_written_anew(toy: Manifest, whole: Path, tmp_path: Path) -> None:
    broken_off(quick(), toy, tmp_path / "run", 7)
    path = tmp_path / "run" / "metrics.jsonl"
    path.write_text(path.read_text() + '{"epoch": 3, "step": 9, "train_l')
    fit(quick(), toy, tmp_path / "run", fold=1, resume=True)
    assert log(tmp_path / "run") == log(whole)


def test_a_log_with_an_epoch_twice_is_refused_before_training_goes_on(toy: Manifest, tmp_path: Path) -> None:
    broken_off(quick(), toy, tmp_path / "run", 7)
    path = tmp_path / "run" / "metrics.jsonl"
    path.write_text(path.read_text().splitlines(keepends=True)[0] + path.read_text())
    before = path.read_bytes()
    with pytest.raises(DferError, match="epochs in order, each once, got 1, 1, 2"):
        fit(quick(), toy, tmp_path / "run", fold=1, resume=True)
    assert path.read_bytes() == before


def test_a_state_within_an_epoch_goes_on_after_its_last_step(
    toy: Manifest, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    broken_off(quick(), toy, tmp_path / "run", 5)
    watch = Watch()
    fit(quick(), toy, tmp_path / "run", fold=1, resume=True, progress=watch)
    assert watch.steps == 5  # of nine; the fifth had been taken but not saved
    assert same(weights(tmp_path / "run"), weights(whole)) and log(tmp_path / "run") == log(whole)


def test_selection_remembers_over_a_kill_which_epoch_was_best(
    toy: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.5, 0.9, 0.7] * 2)  # of either run's three epochs
    monkeypatch.setattr(loop, "validation_scores", lambda *_: {"val_war": next(scores)})
    recipe = quick().model_copy(update={"selection": "val_war"})
    fit(recipe, toy, tmp_path / "undisturbed", fold=1)
    broken_off(recipe, toy, tmp_path / "run", 7)
    fit(recipe, toy, tmp_path / "run", fold=1, resume=True)
    assert same(weights(tmp_path / "run"), weights(tmp_path / "undisturbed"))
    assert json.loads((tmp_path / "run" / "train.json").read_text())["kept_epoch"] == 2


def test_a_finished_run_is_left_as_it_is(toy: Manifest, whole: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in whole.rglob("*") if path.is_file()}
    watch = Watch()
    fit(quick(), toy, whole, fold=1, resume=True, progress=watch)
    assert watch.steps == 0
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in whole.rglob("*") if path.is_file()} == before


def test_resume_in_a_new_folder_starts_a_run(toy: Manifest, whole: Path, tmp_path: Path) -> None:
    fit(quick(), toy, tmp_path / "new", fold=1, resume=True)
    assert same(weights(tmp_path / "new"), weights(whole))


@pytest.mark.parametrize("at", [2, 4, None])
def test_resuming_with_another_recipe_is_refused_before_the_first_state_after_it_and_when_finished(
    toy: Manifest, tmp_path: Path, at: int | None
) -> None:
    folder = tmp_path / "run"
    if at:
        broken_off(quick(), toy, folder, at)
    else:
        fit(quick(), toy, folder, fold=1)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(DferError, match=r"recipe\.toml is another recipe than the one to resume with"):
        fit(quick(optim={"lr": 0.02}), toy, folder, fold=1, resume=True)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_recipe_that_lacks_what_a_later_version_spells_out_is_the_same_recipe(
    toy: Manifest, whole: Path, tmp_path: Path
) -> None:
    broken_off(quick(), toy, tmp_path / "run", 4)
    path = tmp_path / "run" / "recipe.toml"
    text = path.read_text()
    assert "grey = false\n" in text
    path.write_text(text.replace("grey = false\n", ""))
    fit(quick(), toy, tmp_path / "run", fold=1, resume=True)
    assert same(weights(tmp_path / "run"), weights(whole))


@pytest.mark.parametrize("damage", ["state", "recipe", "no recipe"])
def test_what_cannot_be_resumed_is_one_sentence(toy: Manifest, tmp_path: Path, damage: str) -> None:
    broken_off(quick(), toy, tmp_path / "run", 4)
    state, recipe = tmp_path / "run" / "state.safetensors", tmp_path / "run" / "recipe.toml"
    if damage == "state":
        state.write_bytes(state.read_bytes()[:5000])
    elif damage == "recipe":
        recipe.write_text("[optim\n")
    else:
        recipe.unlink()
    with pytest.raises(DferError) as caught:
        fit(quick(), toy, tmp_path / "run", fold=1, resume=True)
    culprit = state if damage == "state" else recipe
    assert str(culprit) in str(caught.value) and "\n" not in str(caught.value)


# -- a full disk --------------------------------------------------------------------------------------------------


def fill(folder: Path, what: str) -> None:
    """Makes the next write of a file of the run fail as on a full disk: a link to the device that is always full."""
    (folder / what).parent.mkdir(exist_ok=True)
    (folder / what).unlink(missing_ok=True)
    (folder / what).symlink_to("/dev/full")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's always full disk")
def test_a_disk_that_fills_up_is_one_sentence_and_the_run_can_go_on(toy: Manifest, whole: Path, tmp_path: Path) -> None:
    folder, what = tmp_path / "run", "metrics.jsonl"
    watch = Watch(step=lambda done: fill(folder, what) if done == 5 else None)
    with pytest.raises(DferError, match=r"No space left on device.*--resume") as caught:
        fit(quick(), toy, folder, fold=1, progress=watch)
    assert "\n" not in str(caught.value)
    (folder / what).unlink(missing_ok=True)
    fit(quick(), toy, folder, fold=1, resume=True)
    assert same(weights(folder), weights(whole))


def test_a_disk_that_takes_no_state_is_one_sentence_and_the_former_state_stays(
    toy: Manifest, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, save = tmp_path / "run", loop.save_state

    def full(path: Path, place: Place, **what: Any) -> None:
        if place.step < 6:
            save(path, place, **what)
            return
        with full_disk(after=100_000):
            save(path, place, **what)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_state", full)
        with pytest.raises(DferError, match=r"cannot write .*state\.safetensors.*--resume") as caught:
            fit(quick(), toy, folder, fold=1)
    assert "\n" not in str(caught.value)
    fit(quick(), toy, folder, fold=1, resume=True)
    assert same(weights(folder), weights(whole)) and log(folder) == log(whole)


# -- states of strangers --------------------------------------------------------------------------------------------


def forge(folder: Path, **changes: Any) -> None:
    """Change keys of a state's place; None takes a key out, a text for the whole replaces it."""
    path = folder / "state.safetensors"
    with safe_open(path, framework="pt") as file:
        place = json.loads(file.metadata()["place"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
    written = changes.get("whole", json.dumps({key: value for key, value in (place | changes).items() if value != ...}))
    save_file(tensors, path, {"place": written})


@pytest.fixture(scope="module")
def begun(toy: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed in its second epoch of three, with a state after the first."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    with pytest.raises(Killed):
        fit(quick(), toy, folder, fold=1, progress=Watch(step=killer(5)))
    return folder


@pytest.mark.parametrize(
    "changes",
    [
        {"step": 10**9}, {"step": -5}, {"step": 0.5}, {"step": "3"}, {"step": True}, {"step": ...}, {"step": 9},
        {"step": 4}, {"step": 6}, {"step": 0}, {"clips": 4}, {"clips": -1}, {"loss": "x"}, {"loss": float("nan")},
        {"seconds": -1}, {"seconds": None}, {"best": "high"}, {"best_epoch": 3}, {"row": []}, {"row": {}},
        {"row": {"epoch": 2}},
        {"row": {"epoch": {"a": 1}}}, {"data": 3}, {"data": "other"}, {"data": ...}, {"stepp": 3}, {"whole": "[]"},
        {"whole": '{"step": 1000000000}'}, {"seconds": ...}, {"best": ...}, {"whole": "{"},
        {"whole": "[" * 100_000}, {"whole": '{"step": ' + "9" * 5_000 + "}"},
        {"whole": '{"data": "\\ud800"}'},
    ],
)  # fmt: skip
def test_a_state_that_is_not_of_the_run_is_refused_and_no_run_is_called_trained(
    toy: Manifest, begun: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    folder = Path(shutil.copytree(begun, tmp_path / "run"))
    forge(folder, **changes)
    before = {path.name: path.read_bytes() for path in folder.glob("*.*")}
    with pytest.raises(DferError) as caught:
        fit(quick(), toy, folder, fold=1, resume=True)
    told = str(caught.value)
    assert str(folder) in told and "\n" not in told and len(told) <= 500
    assert {path.name: path.read_bytes() for path in folder.glob("*.*")} == before
    assert not (folder / "train.json").exists() and not (folder / "model").exists()


def _other_moment(tensors: dict[str, Tensor]) -> None:
    tensors["optimizer:0:exp_avg"] = torch.zeros(3)


def _later(tensors: dict[str, Tensor]) -> None:
    tensors["optimizer:0:step"] = torch.tensor(9.0)


def _nan_weight(tensors: dict[str, Tensor]) -> None:
    tensors["model:head.bias"][0] = float("nan")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_other_moment, "0:exp_avg of the optimiser"),
        (_later, "0:step of the optimiser"),
        (_nan_weight, "not finite: head.bias"),
        (lambda tensors: tensors.pop("model:head.bias"), "missing: head.bias"),
        (lambda tensors: tensors.pop("optimizer:0:exp_avg_sq"), "0:exp_avg_sq of the optimiser"),
        (lambda tensors: tensors.update({"optimizer:999:step": torch.zeros(())}), "999:step of the optimiser"),
        (lambda tensors: tensors.update({"optimizer:x:step": torch.zeros(())}), "x:step of the optimiser"),
        (lambda tensors: tensors.update({"alien:weight": torch.zeros(2)}), "unknown tensors of alien"),
        (lambda tensors: tensors.update({"weight": torch.zeros(2)}), "unknown tensors of weight"),
    ],
)
def test_tensors_that_are_not_those_of_the_run_are_refused(
    toy: Manifest, begun: Path, tmp_path: Path, change: Callable[[dict[str, Tensor]], object], said: str
) -> None:
    folder = Path(shutil.copytree(begun, tmp_path / "run"))
    path = folder / "state.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata)
    with pytest.raises(DferError, match=f"cannot resume from .*{said}") as caught:
        fit(quick(), toy, folder, fold=1, resume=True)
    assert len(str(caught.value)) <= 500


@pytest.mark.parametrize("name", ["state.safetensors", "recipe.toml", "metrics.jsonl"])
def test_a_pipe_in_the_place_of_a_file_of_the_run_is_refused_at_once(
    toy: Manifest, begun: Path, tmp_path: Path, name: str
) -> None:
    folder = Path(shutil.copytree(begun, tmp_path / "run"))
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(DferError, match="expected a file, got a named pipe"):
        fit(quick(), toy, folder, fold=1, resume=True)


@pytest.mark.parametrize("log", ["", "{}\n", '{"epoch": 7}\n', "x\n", "[" * 100_000])
def test_a_log_that_does_not_lead_to_the_state_is_refused(toy: Manifest, begun: Path, tmp_path: Path, log: str) -> None:
    folder = Path(shutil.copytree(begun, tmp_path / "run"))
    (folder / "metrics.jsonl").write_text(log)
    with pytest.raises(DferError, match=r"metrics\.jsonl") as caught:
        fit(quick(), toy, folder, fold=1, resume=True)
    assert len(str(caught.value)) <= 500


def test_another_recipe_is_named_by_its_keys(toy: Manifest, begun: Path) -> None:
    with pytest.raises(DferError, match=r"other: optim\.batch \(4 there, 6 here\); use another folder"):
        fit(quick(optim={"batch": 6}), toy, begun, fold=1, resume=True)


@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"epochs": 3}', "[" * 100_000])
def test_a_damaged_summary_is_no_finished_run(toy: Manifest, begun: Path, tmp_path: Path, text: str) -> None:
    folder = Path(shutil.copytree(begun, tmp_path / "run"))
    (folder / "train.json").write_text(text)
    with pytest.raises(DferError, match=r"train\.json"):
        fit(quick(), toy, folder, fold=1, resume=True)


def test_a_kill_between_the_last_step_of_an_epoch_and_its_line_loses_neither(
    toy: Manifest, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)

    def killed(self: object, epoch: int) -> None:
        if epoch == 2:
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        made = loop._Run._epoch_row
        patch.setattr(loop._Run, "_epoch_row", lambda self, epoch: killed(self, epoch) or made(self, epoch))
        fit(quick(), toy, tmp_path / "run", fold=1)
    fit(quick(), toy, tmp_path / "run", fold=1, resume=True)
    assert log(tmp_path / "run") == log(whole) and same(weights(tmp_path / "run"), weights(whole))
