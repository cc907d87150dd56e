"""docs/your_network.md as it stands: its network is trained, evaluated, compared, exported and used on a film."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from dfer import Manifest, Timeline
from dfer.datasets import read_source
from dfer.documents import parse_toml
from dfer.metrics.protocol import measure
from dfer.training import fit, load_recipe, recipe_from
from dfer.training.predict import predict_fold
from tests.forked import dfer, run

from .training.toy import toy_manifest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "your_network.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NETWORK, ALLOWING, REGISTERING = (text for language, text in FENCE.findall(PAGE) if language == "python")
RECIPE, *TABLES = (text for language, text in FENCE.findall(PAGE) if language == "toml")
COMMANDS = [
    line.strip()
    for language, text in FENCE.findall(PAGE)
    for line in text.splitlines()
    if not language and line.strip()
]


def user(folder: Path, *words: str) -> CompletedProcess[str]:
    """A command of a user, who has not yet allowed anything."""
    return dfer(*words, folder=folder, COLUMNS="200", DFER_ALLOW="")


def execute(code: str) -> None:
    exec(code, {"__name__": "__main__"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder after all commands of the page."""
    folder = tmp_path_factory.mktemp("user")
    toy_manifest(folder / "data", clips=48)
    (folder / "my_network.py").write_text(NETWORK)
    (folder / "my_recipe.toml").write_text(RECIPE)
    shutil.copy(ROOT / "examples" / "crema_d" / "1001_DFA_HAP_XX.flv", folder / "film.mp4")
    for command in COMMANDS:
        quick = ["--set", "optim.epochs=2"] if "finetune_faces" in command else []
        done = user(folder, *shlex.split(command)[1:], *quick)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    return folder


@pytest.mark.parametrize("table", TABLES)
def test_the_tables_of_the_page_are_those_of_a_recipe(table: str) -> None:
    assert recipe_from(parse_toml(table, "the page"))


def test_the_network_of_the_page_is_short() -> None:
    assert len([line for line in NETWORK.splitlines() if line.strip()]) <= 15
    assert {command.split()[1] for command in COMMANDS} >= {"train", "evaluate", "compare", "export", "predict"}


@pytest.mark.slow
def test_a_network_of_ones_own_is_trained_evaluated_compared_exported_and_used(folder: Path) -> None:
    run_folder = folder / "runs" / "my_recipe"
    card = json.loads((run_folder / "fold1" / "model" / "card.json").read_text())
    assert card["model"] == "my_network:Net" and card["options"] == {"width": 12, "in_channels": 3}
    assert (run_folder / "fold1" / "model" / "model.onnx").is_file()
    report = json.loads((run_folder / "report.json").read_text())
    assert [cell["name"] for cell in report["cells"]] == ["my_recipe", "tiny3d"]
    assert report["cells"][0]["war"] > 0.6, "bright, dark and striped clips are told apart"
    comparison = json.loads((run_folder / "compare.json").read_text())
    assert [cell["name"] for cell in comparison["cells"]] == ["my_recipe", "tiny3d"]
    timeline = Timeline.load(folder / "timeline.json")
    assert list(timeline.emotions) == ["happy", "sad", "neutral"] and len(timeline.people) == 1


@pytest.mark.slow
def test_without_consent_the_module_is_not_run_and_the_sentence_says_how_to_give_it(folder: Path) -> None:
    mark = folder / "ran"
    source = (folder / "my_network.py").read_text()
    (folder / "my_network.py").write_text(f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n{source}")
    for words in (("predict", "film.mp4", "--model", "runs/my_recipe"), ("export", "runs/my_recipe")):
        done = user(folder, *words)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
        assert "--allow my_network or set DFER_ALLOW=my_network" in done.stderr and not mark.exists()
    assert user(folder, "models", "my_network:Net", "--size", "32").returncode == 0 and mark.exists()


@pytest.mark.slow
def test_the_pages_python_runs(folder: Path) -> None:
    done = run(execute, f"{ALLOWING}{REGISTERING}print(card.model, type(network).__name__)", folder=folder)
    assert done.stdout.split() == ["my_network:Net", "Net"], done.stderr


# -- fine-tuning on fifty pictures ----------------------------------------------------------------------------------

TRAINED, TESTED = 50, 200


@pytest.fixture(scope="module")
def fifty() -> Manifest:
    """Pictures of FER+ that the model that ships was not trained on: fifty to train on, others to test on."""
    place = ROOT.parent / "shared" / "data" / "ferplus"
    if not place.is_dir():
        pytest.skip("no shared/data/ferplus beside the checkout")
    faces = read_source("ferplus", place)
    _, unseen = faces.partition(None)
    generator = np.random.default_rng(4)
    rows = generator.choice(np.flatnonzero(unseen & (faces.votes.sum(axis=1) > 0)), TRAINED + TESTED, replace=False)
    chosen = faces.select(np.isin(np.arange(len(faces)), rows))
    split = generator.permutation(["train"] * TRAINED + ["test"] * TESTED)
    table = chosen.table.assign(split=split)
    return Manifest.build(table, emotions=chosen.emotions, root=chosen.root, source=chosen.source)


@pytest.mark.slow
def test_the_model_that_ships_fine_tuned_on_fifty_pictures_is_ahead_of_training_from_scratch(
    fifty: Manifest, tmp_path: Path
) -> None:
    ways = {
        "tuned": ["optim.epochs=10"],
        "scratch": ["init.weights=", "optim.layer_decay=1.0", "optim.lr=1e-3", "optim.epochs=60", "input.size=56"],
    }
    scores = {}
    for name, changes in ways.items():
        common = ["input.frames=1", "data.validation=0", "optim.threads=1"]
        fit(load_recipe(Path("finetune_faces"), [*common, *changes]), fifty, tmp_path / name)
        scores[name] = measure(predict_fold(tmp_path / name, fifty, None), ("war", "uar", "kl"))
    tuned, scratch = scores["tuned"], scores["scratch"]
    assert tuned["war"] > scratch["war"] + 0.2 and tuned["uar"] > scratch["uar"] + 0.2, scores
    assert tuned["kl"] < scratch["kl"] - 0.4, scores
