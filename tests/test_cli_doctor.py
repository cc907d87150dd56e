"""`dfer doctor`: what it prints and writes, and its exit codes: 0 sound, 1 not, 2 bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from .doctor.toy import toy
from .test_cli import here, process


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest of two clips; the second is not on disk."""
    np.save(tmp_path / "a.npy", np.zeros((20, 8, 8, 3), np.uint8))
    votes = [[9, 1, 0], [4, 3, 3]]
    toy(root=tmp_path, path=["a.npy", "b.npy"], kind=["array"] * 2, votes=votes).write(tmp_path / "clips.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def test_a_missing_clip_is_told_and_the_exit_code_says_not_sound(data: Path) -> None:
    done = here("doctor", "clips.csv")
    assert done.code == 1 and done.err == ""
    assert "1 of 2 clips cannot be used: 1 missing (c1)" in done.out and "→ get these files again" in done.out
    assert "20 on 2 clips" in done.out and "Not sound: 1 fault" in done.out


def test_a_sound_data_set_ends_with_zero(data: Path) -> None:
    np.save(data / "b.npy", np.ones((20, 8, 8, 3), np.uint8))
    done = here("doctor", "clips.csv", "--decode")
    assert done.code == 0, done
    assert "all 2 clips can be decoded" in done.out and "Sound, with" in done.out


def test_page_and_json_are_written_where_one_says(data: Path) -> None:
    done = here("doctor", "clips.csv", "-o", "out", "--json", "found.json", "--near", "--faces")
    assert done.code == 1 and "page: out/doctor.html" in done.out
    assert "Not sound" in (data / "out" / "doctor.html").read_text(encoding="utf-8")
    told = json.loads((data / "found.json").read_text(encoding="utf-8"))
    assert not told["sound"] and told["figures"]["votes"]["responses"] == 20
    here("doctor", "clips.csv", "-o", "page.html")
    assert (data / "page.html").is_file()


def test_json_on_stdout_is_nothing_else(data: Path) -> None:
    done = process("doctor", "clips.csv", "--json", "-", "-o", "page.html", cwd=data)
    assert done.returncode == 1 and json.loads(done.stdout)["sound"] is False
    assert (data / "page.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["none.csv"], "no manifest at .*none.csv"),
        (["table.csv"], "not a manifest"),
        (["clips.csv", "--published", "dfwe"], "did you mean 'dfew'"),
        (["clips.csv", "-o", "table.csv/page.html"], "cannot write"),
        (["clips.csv", "--json", "clips.csv"], "clips.csv is read, and would be written over"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(data: Path, arguments: list[str], told: str) -> None:
    (data / "table.csv").write_text("clip,happy\na,1\n", encoding="utf-8")
    assert here("doctor", *arguments).is_refusal(told)
    assert (data / "clips.csv").read_text(encoding="utf-8").startswith("# dfer.manifest")
