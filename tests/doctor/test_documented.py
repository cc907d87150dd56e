"""The doctor says what the pages of docs/datasets promise: of real votes, and of complete copies."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfer.datasets import Manifest, read_source
from dfer.datasets.published import PUBLISHED
from dfer.doctor import Case, examine
from dfer.doctor.checks import CHECKS
from dfer.doctor.page import MARKS
from dfer.labels import emotion_set

DOCS = Path(__file__).parents[2] / "docs/datasets"
SPACES = {"afew": "dfew"}
"""Data set -> its emotions, where these are not called after it."""


def promised(name: str) -> dict[str, tuple[str, str]]:
    """Check -> its sign and text, of the block under the last heading of a page."""
    block = (DOCS / f"{name}.md").read_text(encoding="utf-8").partition("## Expected `dfer doctor` output")[2]
    lines = block.split("```")[1].strip().splitlines()
    found = [re.fullmatch(r"(\S) (\w+(?: \w+)*?)  +(.*)", line) for line in lines]
    assert len(found) > 2 and all(found), lines
    return {match[2]: (match[1], match[3]) for match in found if match}


def assert_says(said: tuple[str, str], told: tuple[str, str]) -> None:
    """The same sign and text; "..." stands for what is left out, and a text ends where the page's does."""
    pattern = ".*".join(map(re.escape, told[1].split("...")))
    assert said[0] == told[0] and re.match(pattern, said[1]), (said, told)


def examined(manifest: Manifest) -> dict[str, tuple[str, str]]:
    return {finding.check: _said(finding.verdict, finding.found) for finding in examine(manifest).findings}


def _said(verdict: str, found: str) -> tuple[str, str]:
    return MARKS[verdict], f"not checked: {found}" if verdict == "unchecked" else found


def complete(name: str) -> Manifest:
    """The rows that a complete copy has by the published figures; what these leave open is anything."""
    known, space = PUBLISHED[name], emotion_set(SPACES.get(name, name))
    parts = {split: {space[0]: clips} for split, clips in known.splits.items()} | dict(known.split_per_class)
    if known.tested_per_class:
        rows = [(fold, "", e) for fold, counts in known.tested_per_class.items() for e in _named(counts)]
    elif known.folds:
        folds = np.repeat(list(known.folds), [test for _, test in known.folds.values()])
        rows = [(fold, "", label) for fold, label in zip(folds, _named(known.per_class), strict=True)]
    else:
        rows = [(None, split, label) for split, counts in parts.items() for label in _named(counts)]
    table = pd.DataFrame(rows + [(None, "", "")] * (known.clips - len(rows)), columns=["fold", "split", "label"])
    table["id"] = [str(row) for row in range(len(table))]
    if name == "dfew":  # ten votes, six for the label, or five and five
        label = table["label"].map(lambda one: space.index(one) if one else 0).to_numpy()
        votes = 4 * np.eye(7, dtype=int)[(label + 1) % 7] + 6 * np.eye(7, dtype=int)[label]
        table[[f"votes_{e}" for e in space]] = votes
    if name == "mafw":
        table[[f"soft_{e}" for e in space]] = np.eye(len(space))[0]
        table["soft_from"] = "published distribution"
    if name == "ravdess":
        table["group"] = table["fold"].astype(str)
    if known.per_scene:
        table["scene"] = np.repeat(list(known.per_scene), list(known.per_scene.values()))
    return Manifest.build(
        table.assign(path=table["id"], kind="video"), emotions=space, root=Path("/nowhere"), source=name
    )


def _named(counts: dict[str, int]) -> list[str]:
    return np.repeat(list(counts), list(counts.values())).tolist()


@pytest.mark.parametrize("name", ["dfew", "ferv39k", "mafw", "ravdess", "afew"])
def test_a_complete_copy_is_told_as_its_page_says(name: str) -> None:
    case = Case(complete(name), PUBLISHED[name])
    for check, told in promised(name).items():
        finding = CHECKS[check](case)
        assert_says(_said(finding.verdict, finding.found), told)


def test_the_votes_of_crema_d_are_told_as_its_page_says(shared_data: Path, tmp_path: Path) -> None:
    shutil.copytree(shared_data / "crema_d/processedResults", tmp_path / "processedResults")
    found = examined(read_source("crema_d", tmp_path, votes_only=True))
    for check, told in promised("crema_d").items():
        assert_says(found[check], told)


@pytest.mark.slow
def test_the_images_of_ferplus_are_told_as_its_page_says(shared_data: Path) -> None:
    found = examined(read_source("ferplus", shared_data / "ferplus"))
    for check, told in promised("ferplus").items():
        assert_says(found[check], told)
