"""Every recipe that comes with dfer loads, is documented and is run for one step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dfer import Manifest, load_checkpoint
from dfer.labels import DFEW, FERPLUS, EmotionSet
from dfer.training import fit, load_recipe
from dfer.training.choosing import choose_clips
from dfer.training.config import shipped_recipes

ROOT = Path(__file__).resolve().parents[1]
RECIPES = sorted((ROOT / "configs").glob("*.toml"))

TINY = [
    "optim.epochs=1",
    "optim.unmixed_epochs=0",
    "optim.batch=64",
    "optim.warmup_epochs=0",
    "data.workers=0",
]
SMALL = ["input.size=32", "data.load_size=40"]
NARROW = {name: [*SMALL, "model.width=8"] for name in ("m3dfel", "r3d18", "former_dfer")}
NARROW["frame_vit"] = [*SMALL, "model.features=16", "model.depth=1", "model.heads=2"]
NARROW["mae_dfer"] = ["model.features=16", "model.depth=1", "model.heads=2"]  # its frames have 160 pixels
"""Overrides that make any recipe a matter of a second: one batch, small frames, a narrow network."""


def toy(folder: Path, emotions: EmotionSet, frames: int) -> Manifest:
    """Two clips of each emotion in each of two folds; noise, of 40 pixels."""
    generator = np.random.default_rng(0)
    rows = []
    for index in range(4 * len(emotions)):
        label = index % len(emotions)
        clip = generator.integers(0, 255, (frames, 40, 40, 3)).astype(np.uint8)
        np.save(folder / f"{index}.npy", clip)
        votes = generator.multinomial(3, np.full(len(emotions), 1 / len(emotions))) + 7 * np.eye(len(emotions))[label]
        row = {"id": str(index), "path": f"{index}.npy", "kind": "array", "label": emotions[label]}
        row |= {"fold": index // len(emotions) % 2 + 1, "group": f"person {index // len(emotions)}"}
        rows.append(row | {f"votes_{name}": count for name, count in zip(emotions, votes, strict=True)})
    return Manifest.build(pd.DataFrame(rows), emotions=emotions, root=folder)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_loads_and_trains_for_one_step(path: Path, tmp_path: Path) -> None:
    published = load_recipe(path)
    recipe = load_recipe(path, [*TINY, *NARROW.get(published.model.name, SMALL), "data.validation=0"])
    emotions = FERPLUS if path.stem.startswith("ferplus") else DFEW
    manifest = toy(tmp_path, emotions, frames=1 if recipe.input.frames == 1 else 16)
    fit(recipe, manifest, tmp_path / "run", fold=1)
    log = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in log] == [1] and 0 < log[0]["train_loss"] < 10
    _, card = load_checkpoint(tmp_path / "run" / "model")
    assert (card.model, card.emotions, card.preprocessing["frames"]) == (
        published.model.name, emotions, published.input.frames,
    )  # fmt: skip


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_says_what_it_is_for_and_stands_in_the_docs(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")
    assert f"`{path.stem}`" in (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")


def differences(ours: Any, theirs: Any, place: str = "") -> set[str]:
    """The keys in which two resolved recipes differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        keys = ours.keys() | theirs.keys()
        return set().union(*(differences(ours.get(k), theirs.get(k), f"{place}.{k}".strip(".")) for k in keys))
    return set() if ours == theirs else {place}


PAIRS = {
    "dfew_m3dfel": {"labels.rule", "midas"},
    "ferplus_frame": {"midas", "optim.unmixed_epochs"},  # the last epochs, in which MIDAS mixes nothing
}
"""A recipe -> the keys in which its partner, called NAME_midas, differs."""


def test_recipes_that_are_compared_differ_in_what_is_compared_only() -> None:
    assert {f"{name}_midas" for name in PAIRS} == {path.stem for path in RECIPES if path.stem.endswith("_midas")}
    for name, compared in PAIRS.items():
        plain, mixed = load_recipe(Path(name)), load_recipe(Path(f"{name}_midas"))
        assert plain.midas is None and mixed.midas is not None
        assert differences(plain.model_dump(), mixed.model_dump()) == compared


def test_recipes_that_are_compared_share_their_validation_part(tmp_path: Path) -> None:
    for name in PAIRS:
        manifest = toy(tmp_path, FERPLUS if name.startswith("ferplus") else DFEW, frames=1)
        parts = [choose_clips(load_recipe(Path(each)), manifest, 1) for each in (name, f"{name}_midas")]
        assert parts[0].validation.tolist() == parts[1].validation.tolist() != []
        assert parts[0].train.tolist() == parts[1].train.tolist()


def test_recipes_are_found_by_name() -> None:
    assert sorted(shipped_recipes()) == [path.stem for path in RECIPES] and len(RECIPES) >= 6
    assert load_recipe(Path("demo")) == load_recipe(ROOT / "configs" / "demo.toml")


def test_a_file_in_the_working_folder_is_not_mistaken_for_a_shipped_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo.toml").write_text("seed = 7\n")
    assert load_recipe(Path("demo.toml")).seed == 7 and load_recipe(Path("demo")).seed == 0


def test_an_installed_package_finds_its_own_copy_of_the_recipes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site-packages" / "dfer"
    (package / "configs").mkdir(parents=True)
    (package / "configs" / "demo.toml").write_text("seed = 5\n")
    monkeypatch.setattr("dfer.training.config.__file__", str(package / "training" / "config.py"))
    assert shipped_recipes() == {"demo": package / "configs" / "demo.toml"}
    assert load_recipe(Path("demo")).seed == 5


def test_the_wheel_carries_the_recipes() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table = text.partition("[tool.hatch.build.targets.wheel.force-include]\n")[2]
    assert table.startswith('"configs" = "dfer/configs"\n')
