"""Each of the examples runs as it stands, and says something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dfer import Timeline

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.py"))
LONGEST = 40
"""Lines of an example."""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_in_an_empty_folder_and_prints_a_result(example: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(example)], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() and not done.stderr


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_begins_with_what_it_shows(example: Path) -> None:
    text = example.read_text(encoding="utf-8")
    assert text.startswith('"""') and len(text.splitlines()) <= LONGEST


def test_the_clips_beside_the_examples_are_read_as_people_read_them(tmp_path: Path) -> None:
    example = EXAMPLES[0].parent / "read_a_video.py"
    subprocess.run([sys.executable, str(example)], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    for name, emotion in (("HAP", "happy"), ("NEU", "neutral")):
        timeline = Timeline.load(tmp_path / f"1001_DFA_{name}_XX.json")
        (person,) = timeline.people
        assert timeline.emotions[int(person.overall.argmax())] == emotion


def test_there_are_examples() -> None:
    assert {"midas_in_your_loop", "votes_to_soft_labels", "read_a_video"} <= {path.stem for path in EXAMPLES}
