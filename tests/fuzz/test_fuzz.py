"""What the harness found once stays mended, and a small run of it finds nothing new."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.doors import DOORS
from tests.fuzz.harness import FOUND, Seeds, input_of, outcome
from tests.fuzz.mutators import mutated

KEPT = sorted(FOUND.glob("*/about.json"))


@pytest.mark.parametrize("about", KEPT, ids=lambda path: path.parent.name)
def test_what_was_found_is_refused_or_accepted(about: Path, tmp_path: Path) -> None:
    told = json.loads(about.read_text(encoding="utf-8"))
    seeds = Seeds(tmp_path)
    folder, _ = seeds.of(told["door"])
    kind, said = outcome(DOORS[told["door"]], folder, folder / told["file"], (about.parent / "data").read_bytes())
    assert kind != "finding", said


@pytest.mark.parametrize("name", DOORS)
def test_the_undamaged_seed_of_every_door_is_accepted(name: str, tmp_path: Path) -> None:
    folder, files = Seeds(tmp_path).of(name)
    for file in files:
        kind, said = outcome(DOORS[name], folder, file, file.read_bytes())
        assert kind == "accepted", said


def test_an_input_depends_on_its_seed_and_number_alone(tmp_path: Path) -> None:
    seeds, names = Seeds(tmp_path), ["votes .csv", "recipe .toml"]
    first = [input_of(seeds, 5, number, names) for number in range(20)]
    assert [input_of(seeds, 5, number, names) for number in range(19, -1, -1)][::-1] == first
    assert [data for *_, data in first] != [input_of(seeds, 6, number, names)[2] for number in range(20)]


def test_nonsense_tracebacks_and_litter_are_findings(tmp_path: Path) -> None:
    from tests.fuzz.doors import Door, check

    def litter(folder: Path, _: Path) -> None:
        (folder / ".x.0123456789abcdef01234567.partial").write_text("")

    def nonsense(*_: Path) -> None:
        check(False, "x")

    (tmp_path / "f").write_bytes(b"1")
    for read, told in ((litter, "unfinished"), (nonsense, "nonsense"), (lambda *_: 1 / 0, "ZeroDivisionError")):
        kind, said = outcome(Door(lambda _: [], read), tmp_path, tmp_path / "f", b"2")
        assert kind == "finding" and told in said
        assert (tmp_path / "f").read_bytes() == b"1"


@pytest.mark.slow
def test_a_small_run_finds_nothing() -> None:
    command = [sys.executable, "-m", "tests.fuzz.harness", "--inputs", "400", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-2000:]
    assert "| **all** | 400 |" in done.stdout


def test_every_mutation_gives_bytes() -> None:
    import random

    for number in range(2000):
        rng = random.Random(number)
        assert isinstance(mutated(rng.choice([b"", b"x", b"[1, 2]", b'{"a": 1}\n{"b": 2}', b"a,b\n1,2\n"]), rng), bytes)
