"""The rounds as a whole: on a sound data set, on DFEW's traps read by the reader for tables, and on real votes."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfer.datasets import Manifest, read_source
from dfer.doctor import CHECKS, examine
from dfer.doctor.findings import VERDICTS
from dfer.errors import DferError
from dfer.labels import FERPLUS

from .toy import toy


@pytest.fixture
def sound(tmp_path: Path) -> Manifest:
    """Six clips of three persons, two folds, three emotions, ten votes each, as arrays of 20 frames."""
    generator = np.random.default_rng(0)
    names = [f"{k}.npy" for k in range(6)]
    for name in names:
        np.save(tmp_path / name, generator.integers(0, 256, (20, 16, 16, 3), dtype=np.uint8))
    return toy(
        root=tmp_path, path=names, kind=["array"] * 6, fold=[1, 1, 1, 2, 2, 2], frames=[20] * 6,
        group=["a", "a", "b", "c", "c", "d"], label=["happy", "sad", "neutral"] * 2, votes=[*(10 * np.eye(3))] * 2,
    )  # fmt: skip


def test_a_sound_data_set_has_no_fault_and_every_check_speaks(sound: Manifest) -> None:
    examination = examine(sound, looks=("decode", "near"))
    assert examination.sound
    assert [finding.check for finding in examination.findings] == list(CHECKS)
    told = {finding.check: finding.verdict for finding in examination.findings}
    unknown = {"clips", "class counts", "label order", "other votes", "soft labels", "frames", "faces", "validation"}
    assert {check for check, verdict in told.items() if verdict == "unchecked"} == unknown
    assert {verdict for check, verdict in told.items() if check not in unknown} == {"ok"}


def test_a_fault_makes_it_unsound_and_what_is_to_be_known_does_not(sound: Manifest) -> None:
    short = Manifest.build(sound.table.assign(frames=8), emotions=sound.emotions, root=sound.root)
    assert examine(short).sound
    (sound.root / "3.npy").unlink()
    examination = examine(sound)
    assert not examination.sound
    assert [(f.check, f.clips) for f in examination.findings if f.verdict == "fault"] == [("files", ("c3",))]


def test_every_finding_has_a_known_verdict_and_says_what_to_do_about_faults(sound: Manifest) -> None:
    (sound.root / "3.npy").unlink()
    for finding in examine(sound).findings:
        assert finding.verdict in VERDICTS and finding.found
        assert finding.advice or finding.verdict in ("ok", "unchecked")


def test_nothing_is_changed_by_looking(sound: Manifest) -> None:
    before = sound.table.copy()
    files = {path.name: path.read_bytes() for path in sound.root.iterdir()}
    examine(sound, looks=("near",))
    assert sound.table.equals(before)
    assert {path.name: path.read_bytes() for path in sound.root.iterdir()} == files


def test_progress_is_told_to_the_end(sound: Manifest) -> None:
    told: dict[str, tuple[int, int]] = {}
    examine(sound, looks=("decode",), watch=lambda what: lambda done, total: told.update({what: (done, total)}))
    assert told["looking at files"] == told["decoding clips"] == (6, 6)


def test_figures_of_another_data_set_are_taken_where_one_says(sound: Manifest) -> None:
    found = {finding.check: finding.found for finding in examine(sound, published="dfew").findings}
    assert found["clips"].startswith("6 clips of 15,906 published")
    with pytest.raises(DferError, match=r"no published figures of 'dfwe' \(did you mean 'dfew'"):
        examine(sound, published="dfwe")


def test_ferplus_as_published_tests_on_pictures_that_it_trains_on_and_as_read_does_not(shared_data: Path) -> None:
    root, rows = shared_data / "ferplus", []
    for part, split in (("FER2013Train", "train"), ("FER2013Valid", "test")):
        with zipfile.ZipFile(root / f"{part}.zip") as archive:
            paths = [f"{part}.zip/{name}" for name in archive.namelist() if name.endswith(".png")]
        rows += [{"id": path, "path": path, "kind": "image", "split": split, "label": "happy"} for path in paths]
    published = Manifest.build(pd.DataFrame(rows), emotions=FERPLUS, root=root, source="ferplus")
    found = {finding.check: finding for finding in examine(published).findings}["doubles"]
    assert found.verdict == "fault" and "279 test clips" in found.found  # counted by the MD5 sums of all images
    as_read = {finding.check: finding for finding in examine(read_source("ferplus", root)).findings}
    assert as_read["doubles"].verdict == "note" and as_read["groups"].verdict == "ok"


def test_crema_d_without_its_clips_is_not_sound_to_train_on(shared_data: Path) -> None:
    examination = examine(read_source("crema_d", shared_data / "crema_d", votes_only=True))
    assert [finding.check for finding in examination.findings if finding.verdict == "fault"] == ["files"]
    assert examine(read_source("crema_d", shared_data / "crema_d"), looks=("near",)).sound
