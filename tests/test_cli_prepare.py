"""`dfer prepare`: what its help says, and bad input in one line with exit code 2."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from dfer import Manifest
from dfer.datasets.sources import SOURCES

from .datasets.sources.trees import write_dfew
from .test_cli import here

DOCS = Path(__file__).parents[1] / "docs"


def test_the_help_names_every_reader_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    told = re.search(r"The reader: ([\w, ]+?)\.", here("prepare", "--help").out)
    assert told is not None
    assert sorted(re.findall(r"\w+", told[1].replace("or in general", ""))) == sorted(SOURCES)


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_option_of_a_reader_is_in_its_documentation(name: str) -> None:
    page = DOCS / "datasets" / f"{name}.md"
    text = (page if page.exists() else DOCS / "your_data.md").read_text(encoding="utf-8")
    options = list(inspect.signature(SOURCES[name].read).parameters)[1:]
    assert [option for option in options if f"{option}=" not in text and f"`{option}.csv`" not in text] == []


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("dfwe", "dfew"), r"no reader 'dfwe' \(did you mean 'dfew'\?\)"),
        (("mafw", "dfew"), r"looks like dfew: `dfer prepare dfew"),
        (("folder", "film.mp4"), r"expected a folder for each emotion.*; got the file film\.mp4"),
        (("table", "dfew"), r"expected a \.csv or \.xlsx .*dfew"),
        (("dfew", "nowhere"), r"nowhere does not exist; the reader dfew expects"),
        (
            ("dfew", "dfew", "-O", "clip=original"),
            r"reader dfew: unknown key clip \(did you mean 'clips'\?\)",
        ),
        (("dfew", "dfew", "-O", "clips=a", "-O", "clips=b"), r"clips is given twice, as 'a' and by --option clips=b"),
        (("dfew", "dfew", "--map", "a=sad", "-O", "map=b=sad"), r"map is given twice"),
        (("table", "dfew/mine.csv", "-o", "dfew/../dfew/mine.csv"), r"mine\.csv is read, and would be written over"),
        (("dfew", "dfew", "-O", "clips=c.csv", "-o", "dfew/c.csv"), r"dfew/c\.csv is read"),
        (("dfew", "dfew", "-O", "clips"), r"expected --option key=value, got 'clips'"),
        (
            ("dfew", "dfew", "-o", "film.mp4/x.csv"),
            r"cannot write .*/x\.csv: .*film\.mp4 is a file, not a folder",
        ),
        (("dfew", "dfew", "-o", "x.txt"), r"expected --out to end in \.csv or \.parquet"),
        (("dfew", "dfew", "--grey"), "--grey is for packed clips; add --pack or --faces"),
        (("dfew", "dfew", "--faces", "48", "--faces-as", "frames", "--grey"), "--grey is for packed clips"),
        (("dfew", "dfew", "--faces-as", "frames"), "--faces-as says what --faces writes; add --faces"),
        (("dfew", "dfew", "--faces", "48", "--faces-as", "frame"), r"cannot be 'frame' \(did you mean 'frames'\?\)"),
        (("dfew", "dfew", "--pack", "8", "--faces", "8"), r"expected --pack or --faces, got both"),
    ],
)
def test_bad_input_is_one_line(
    arguments: tuple[str, ...], fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_dfew(tmp_path / "dfew")
    (tmp_path / "film.mp4").touch()
    assert here("prepare", *arguments).is_refusal(fault)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dfew", "film.mp4"]


@pytest.mark.parametrize(("out", "packed"), [("mine.csv", "mine_packed"), ("./other.csv", "other")])
def test_clips_are_not_packed_into_the_folder_that_they_come_from(
    out: str, packed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for emotion in ("happy", "sad"):
        (tmp_path / "mine" / emotion).mkdir(parents=True)
        cv2.imwrite(f"mine/{emotion}/1.png", np.full((16, 16, 3), 90, np.uint8))
    before = sorted(Path("mine").rglob("*"))
    assert here("prepare", "folder", "mine", "-o", out, "--pack", "8").code == 0
    assert sorted(Path("mine").rglob("*")) == before
    for wanted in ("--pack", "--faces"):
        inside = here("prepare", "folder", "mine", "-o", "mine/sad/x.csv", wanted, "8")
        assert inside.is_refusal("expected --out outside of mine, whose folders are emotions")
    assert sorted(Path("mine").rglob("*")) == before
    assert list(Path(packed).glob("shard-*")) and Manifest.read(out).root == tmp_path / packed
