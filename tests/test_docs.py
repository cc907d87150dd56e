"""Every command and every snippet of README and docs is run, or says why it is not.

A block that cannot run here has `<!-- not run: REASON -->` above it. All others run page by page, in order, in a folder
with a small drawn data set under the names that the pages use. Commands are shortened by `SHORT` and
`FEWER`.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dfer.datasets import Manifest, read_source
from dfer.datasets.synthetic import synthesise
from dfer.video.stream import Span, stream

from .test_cli import here
from .test_readme import PAGES, ROOT
from .video.films import write_video

FENCE = re.compile(r"(?:^<!-- not run: (.+?) -->\n)?^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
REASONS = re.compile(r"needs .+|installs packages|hours, and .+|minutes to hours|a pattern, .+")
"""Why a block may not run here."""
SHORT = (
    "optim.epochs=1", "optim.warmup_epochs=0", "optim.unmixed_epochs=0", "data.load_size=0", "input.frames=2",
    "input.size=32",
)  # fmt: skip
TRAINS = ("train", "ablate", "estimate")
FEWER = {"synth": ("--clips", "40", "--size", "32")}
"""Verb -> options that are added to its own and come last."""
FAULTS = {"doctor": 1}
"""Verb -> its exit code where it finds something wrong with the data."""
SELF_TESTED = ("your_loop", "your_network")
"""Pages with a test of their own, tests/test_NAME.py, which also looks at what comes out."""


@dataclass(frozen=True)
class Block:
    """A fence of commands or of Python."""

    language: str
    text: str
    reason: str

    @property
    def commands(self) -> list[list[str]]:
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for words in (shlex.split(line, comments=True) for line in lines) if words]


def blocks_of(page: Path) -> list[Block]:
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [Block(language, text, reason) for reason, language, text in found]


RUN = [page for page in PAGES if any(not block.reason for block in blocks_of(page)) and page.stem not in SELF_TESTED]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the pages speak of."""
    world = tmp_path_factory.mktemp("docs")
    synthesise(world / "DFEW", clips=49, size=32, workers=1)
    manifest = read_source("dfew", world / "DFEW")
    manifest.table.loc[manifest.table["fold"] > 1, "fold"] = pd.NA  # one fold is enough to run a command
    for name in ("data/dfew.csv", "data/drawn.csv", "data.csv"):
        manifest.write(world / name)
    _write_votes(manifest, list(manifest.emotions), world)
    _write_videos(world)
    return world


def _write_votes(manifest: Manifest, emotions: list[str], world: Path) -> None:
    counts = pd.DataFrame(manifest.votes.astype(int), columns=emotions)
    table = manifest.table
    paths = [os.path.relpath(manifest.resolve(path), world) for path in table["path"]]
    known = {"clip": table["id"], "path": paths, "group": table["group"], "film": table["group"]}
    split = ["test" if fold == 1 else "train" for fold in table["fold"].fillna(0)]
    pd.DataFrame(known | {"split": split}).join(counts).to_csv(world / "votes.csv", index=False)
    answers = [
        {"clip": clip, "rater": f"r{rater}", "emotion": emotion}
        for clip, row in zip(table["id"], counts.to_numpy(), strict=True)
        for rater, emotion in enumerate(
            emotion for emotion, count in zip(emotions, row, strict=True) for _ in range(count)
        )
    ]
    pd.DataFrame(answers).to_csv(world / "answers.csv", index=False)
    for path, label in zip(paths, table["label"], strict=True):
        if isinstance(label, str) and label:
            (world / "clips" / label).mkdir(parents=True, exist_ok=True)
            (world / "clips" / label / Path(path).name).symlink_to(world / path)


def _write_videos(world: Path) -> None:
    film = "examples/crema_d/1001_DFA_HAP_XX.flv"
    begin = np.stack([frame.pixels for frame in stream(ROOT / film, span=Span(end_s=0.4))])
    short = write_video(world / "clip.mp4", begin)
    (world / "configs").symlink_to(ROOT / "configs")
    for name in ("videos/one.mp4", "day1/one.mp4", film):
        (world / name).parent.mkdir(parents=True)
        shutil.copy(short, world / name)
    people = [
        {"id": number, "times_s": [float(number), number + 0.5], "probs": [[1.0, 0.0], [0.5, 0.5]],
         "boxes": [[0.0, 0.0, 40.0, 40.0]] * 2, "segments": [], "overall": [0.75, 0.25]}
        for number in range(4)
    ]  # fmt: skip
    film = {"format": "dfer.timeline/1", "video": "film.mp4", "duration_s": 4.0, "emotions": ["happy", "sad"]}
    (world / "film.json").write_text(json.dumps(film | {"people": people}), encoding="utf-8")


def run(block: Block, names: dict[str, Any], page: Path) -> None:
    if block.language == "python":
        exec(compile(block.text, page.name, "exec"), names)
        return
    for words in block.commands:
        if words[0] == "make":  # CI runs these; test_readme.py looks whether they exist
            continue
        assert words[0] == "dfer", f"{' '.join(words)}: cannot be run here; say so with <!-- not run: REASON -->"
        shorter = [word for setting in SHORT for word in ("--set", setting)] if words[1] in TRAINS else []
        done = here(*words[1:], *shorter, *FEWER.get(words[1], ()))
        assert done.code in (0, FAULTS.get(words[1], 0)), f"{' '.join(words)}\n{done.out}{done.err}"


@pytest.fixture
def world(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_threads: None) -> Iterator[Path]:
    """A copy of `drawn` that a page may write to."""
    shutil.copytree(drawn, tmp_path / "world", symlinks=True)
    monkeypatch.chdir(tmp_path / "world")
    yield tmp_path / "world"


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_and_snippets_of_a_page_run_in_order(page: Path, world: Path) -> None:
    names: dict[str, Any] = {}
    for block in blocks_of(page):
        if not block.reason:
            run(block, names, page)


def test_what_does_not_run_says_why_and_is_the_smaller_part() -> None:
    blocks = [(page, block) for page in PAGES for block in blocks_of(page)]
    left = [(page, block) for page, block in blocks if block.reason]
    assert [(page.name, block.reason) for page, block in left if not REASONS.fullmatch(block.reason)] == []
    written = [page for page, block in left if page.parent.name not in ("datasets", "results")]
    ours = [page for page, _ in blocks if page.parent.name not in ("datasets", "results")]
    assert len(written) < len(ours) / 2


def test_pages_that_are_left_to_another_test_have_one() -> None:
    for page in PAGES:
        if page.stem in SELF_TESTED:
            assert (Path(__file__).parent / f"test_{page.stem}.py").is_file()


def test_the_messages_of_the_page_on_faults_are_those_of_the_program() -> None:
    files = [*sorted((ROOT / "src" / "dfer").rglob("*.py")), ROOT / "Makefile"]
    said = re.sub(r'"\s*\n\s*f?"', "", "\n".join(path.read_text(encoding="utf-8") for path in files))
    page = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    quoted = {phrase for line in page.splitlines() for phrase in re.findall(r'"([^"]+)"', line.split(" | ")[0])}
    assert len(quoted) > 12 and [phrase for phrase in sorted(quoted) if phrase not in said] == []


def test_every_key_of_a_recipe_is_on_the_page_of_keys_with_a_sentence() -> None:
    pytest.importorskip("mkdocs")
    from dfer.training import recipe_from
    from dfer.training.described import keys_of

    page = runpy.run_path(str(ROOT / "tools" / "docs_pages.py"))["keys_page"]()
    tables = {part.split("\n")[0].strip("`[]"): part for part in page.split("\n## ")}
    for key in keys_of(recipe_from({"midas": {}, "lora": {}})):
        (row,) = re.findall(rf"^\| `{key.name}` \|[^|]*\| (.*) \|$", tables[key.table or "Above all tables"], re.M)[:1]
        assert row.endswith((".", "?")) and len(row.split()) > 3, key


@pytest.mark.parametrize(
    ("page", "written", "shown"),
    [
        ("index.md", "[a](docs/concepts.md#midas)", "[a](concepts.md#midas)"),
        ("index.md", "![a](docs/images/votes.png)", "![a](images/votes.png)"),
        ("index.md", "[a](SECURITY.md)", "[a](security.md)"),
        ("datasets/dfew.md", "[a](../concepts.md)", "[a](../concepts.md)"),
        ("recipes.md", "[a](../benchmarks/midas.py)", "a"),
        ("recipes.md", "[a](../src/dfer/training/config.py)", "[a](keys.md)"),
        ("recipes.md", "[a](https://example.org/b.md)", "[a](https://example.org/b.md)"),
        ("recipes.md", "`rows[0](x)`", "`rows[0](x)`"),
    ],
)
def test_links_between_files_become_links_between_pages(page: str, written: str, shown: str) -> None:
    pytest.importorskip("mkdocs")
    hook = runpy.run_path(str(ROOT / "tools" / "docs_pages.py"))["on_page_markdown"]
    place = SimpleNamespace(file=SimpleNamespace(src_uri=page))
    assert hook(written, place, SimpleNamespace(repo_url=None)) == shown


def test_a_link_out_of_the_pages_leads_to_the_repository_if_it_is_known() -> None:
    pytest.importorskip("mkdocs")
    hook = runpy.run_path(str(ROOT / "tools" / "docs_pages.py"))["on_page_markdown"]
    place, config = (
        SimpleNamespace(file=SimpleNamespace(src_uri="recipes.md")),
        SimpleNamespace(repo_url="https://a.b/c/"),
    )
    assert hook("[x](../benchmarks/midas.py)", place, config) == "[x](https://a.b/c/blob/main/benchmarks/midas.py)"
