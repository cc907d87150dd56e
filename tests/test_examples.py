"""Each of the examples runs as it stands, and says something."""

from __future__ import annotations

import runpy
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from dfer import Timeline
from dfer.datasets import synthetic
from tests.forked import run

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.py"))
LONGEST = 40
"""Lines of an example."""


FRAMEWORKS = {"train_with_lightning": "lightning", "train_with_transformers": "transformers"}
"""Example -> the package that it needs."""
TOLD = """
import dfer
set_epoch = dfer.ClipDataset.set_epoch
dfer.ClipDataset.set_epoch = lambda clips, epoch: (print("epoch", epoch), set_epoch(clips, epoch))
exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"))
"""
"""An example as it stands, with a data set that says which epochs it was told of."""


DRAWN: dict[str, Any] = {"clips": 60, "size": 48, "workers": 1}
"""How the examples draw their faces."""


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The faces that all of them draw, drawn once."""
    folder = tmp_path_factory.mktemp("drawn") / "faces"
    synthetic.synthesise(folder, **DRAWN)
    return folder


def draw_once(faces: Path) -> None:
    """Whoever draws those faces gets a copy."""

    def synthesise(root: Path, **options: Any) -> None:
        assert options == DRAWN
        shutil.copytree(faces, root)

    synthetic.synthesise = synthesise


def script(path: Path, faces: Path) -> None:
    draw_once(faces)
    runpy.run_path(str(path), run_name="__main__")


def told(path: Path, faces: Path) -> None:
    draw_once(faces)
    exec(TOLD, {"__name__": "__main__", "path": path})


@pytest.mark.parametrize(
    "example", [each for each in EXAMPLES if each.stem not in (*FRAMEWORKS, "read_a_video")], ids=lambda path: path.stem
)
def test_an_example_runs_in_an_empty_folder_and_prints_a_result(example: Path, faces: Path, tmp_path: Path) -> None:
    done = run(script, example, faces, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() and not done.stderr


@pytest.mark.parametrize(
    ("name", "result"), [("train_with_lightning", "test_loss"), ("train_with_transformers", "WAR")]
)
def test_a_framework_trains_reads_other_frames_each_epoch_and_prints_a_result(
    name: str, result: str, faces: Path, tmp_path: Path
) -> None:
    if find_spec(FRAMEWORKS[name]) is None:
        pytest.skip(f"{FRAMEWORKS[name]} is not installed")
    done = run(told, EXAMPLES[0].parent / f"{name}.py", faces, folder=tmp_path)
    assert done.returncode == 0, done.stderr  # these packages say more there, on their own account
    lines = done.stdout.splitlines()
    assert lines.index("epoch 0") < lines.index("epoch 1") and result in "".join(lines[lines.index("epoch 1") :])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_begins_with_what_it_shows(example: Path) -> None:
    text = example.read_text(encoding="utf-8")
    assert text.startswith('"""') and len(text.splitlines()) <= LONGEST


def test_the_clips_beside_the_examples_are_read_as_people_read_them(faces: Path, tmp_path: Path) -> None:
    done = run(script, EXAMPLES[0].parent / "read_a_video.py", faces, folder=tmp_path)
    assert done.returncode == 0 and done.stdout.strip() and not done.stderr, done.stderr
    for name, emotion in (("HAP", "happy"), ("NEU", "neutral")):
        timeline = Timeline.load(tmp_path / f"1001_DFA_{name}_XX.json")
        (person,) = timeline.people
        assert timeline.emotions[int(person.overall.argmax())] == emotion


def test_there_are_examples() -> None:
    named = {"midas_in_your_loop", "votes_to_soft_labels", "read_a_video", "train_in_plain_pytorch", *FRAMEWORKS}
    assert named <= {path.stem for path in EXAMPLES}
