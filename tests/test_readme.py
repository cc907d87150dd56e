"""What README and docs say is true: links lead somewhere, commands, options and recipes exist; the README runs.

What stands on the other pages is run by test_docs.py.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from typer.main import get_command

from dfer.cli import app
from dfer.datasets import read_source
from dfer.training import load_recipe

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PREDICTED = ROOT / "docs" / "images" / "predict.png"
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def commands(page: Path) -> list[list[str]]:
    """Every `dfer ...` line of the page's blocks of commands, as words; what stands in [brackets] is optional."""
    text = "\n".join([*blocks(page, "sh"), *blocks(page, "")]).replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    found = [re.search(r"(?:^|\s-m )(dfer .*)", line) for line in lines]
    return [shlex.split(re.sub(r"[\[\]]", " ", match[1]), comments=True) for match in found if match]


@pages
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not broken


@pages
def test_commands_and_their_options_exist(page: Path) -> None:
    verbs = get_command(app).commands  # type: ignore[attr-defined]
    for words in commands(page):
        if words[1].startswith("-") or not words[1].islower():  # an option, or a word that stands for a verb
            continue
        verb = verbs[words[1]]
        known = {option for parameter in verb.params for option in parameter.opts} | {"--help", "-h"}
        used = {word for word in words[2:] if re.match(r"-{1,2}[a-zA-Z]", word)}
        assert used <= known, f"{' '.join(words)}: no such option {used - known}"


@pages
def test_recipes_and_overrides_of_the_commands_are_valid(page: Path) -> None:
    for words in commands(page):
        shown = words[2:3] == ["my_recipe.toml"]  # of docs/your_network.md, whose own test runs it
        if words[1:2] == ["train"] and not shown and not words[2].startswith("-") and "RECIPE" not in words[2]:
            settings = [after for word, after in pairwise(words) if word == "--set"]
            load_recipe(ROOT / words[2] if words[2].endswith(".toml") else Path(words[2]), settings)


def test_the_readme_names_at_least_the_five_verbs() -> None:
    named = {words[1] for page in PAGES for words in commands(page)}
    assert named >= {"synth", "prepare", "train", "evaluate"}


def test_the_readmes_python_runs_as_it_stands() -> None:
    given: dict[str, Any] = {}
    (code,) = blocks(ROOT / "README.md", "python")
    exec(compile(code, "README.md", "exec"), given)
    assert given["clips"].shape == (4, 3, 8, 16, 16)
    assert torch.allclose(given["targets"].sum(dim=1), torch.ones(4))


def test_the_readmes_first_command_reads_a_video(tmp_path: Path) -> None:
    words = commands(ROOT / "README.md")[0]
    assert words[:2] == ["dfer", "predict"] and words[-1] == "timeline.png"
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    done = subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "1 person" in done.stdout, done.stderr
    assert cv2.imread(str(tmp_path / "timeline.png")).shape == cv2.imread(str(PREDICTED)).shape


@pages
def test_what_is_made_is_a_target_of_the_makefile(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"^make(?: [A-Z]+=\S+)* ([a-z]+)|`make(?: [A-Z]+=\S+)* ([a-z]+)", text, re.MULTILINE):
        assert re.search(rf"^{''.join(target)}:", makefile, re.MULTILINE), target


@pages
def test_extras_and_programs_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert {extra for found in re.findall(r"dfer\[([\w,]+)\]", text) for extra in found.split(",")} <= set(extras)
    others = ("tools/train.py", "tools/test.py")  # of mmaction2
    programs = set(re.findall(r"python ((?:tools|benchmarks|examples)/[\w/]+\.py)", text)) - set(others)
    assert [name for name in programs if not (ROOT / name).is_file()] == []


def test_the_readmes_table_is_read_as_it_stands(tmp_path: Path) -> None:
    (table,) = blocks(ROOT / "README.md", "csv")
    (tmp_path / "votes.csv").write_text(table, encoding="utf-8")
    for line in table.splitlines()[1:]:
        path = tmp_path / line.split(",")[0]
        path.parent.mkdir(exist_ok=True)
        path.touch()
    manifest = read_source("table", tmp_path / "votes.csv")
    assert manifest.table["label"].tolist() == ["happy", "sad"]
    assert [part.sum() for part in manifest.partition()] == [1, 1]
