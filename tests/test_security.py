"""What a hostile file wants and does not get: to run, to read other files, to grow, to be written somewhere else."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dfer.datasets import read_source
from dfer.errors import DferError
from dfer.inference import Timeline
from dfer.metrics import Predictions
from dfer.models import load_checkpoint
from dfer.training import load_recipe
from dfer.video.frames import open_clip
from dfer.video.stream import stream

from .bait import Bait
from .datasets.sources.trees import write_files

Reader = Callable[[Path], object]
READERS: dict[str, Reader] = {
    "a.npy": lambda path: open_clip(path, "array").read(np.array([0])),
    "a.json": Timeline.load,
    "a.parquet": Timeline.load,
    "p.parquet": Predictions.read,
    "a.toml": load_recipe,
    "a.csv": lambda path: read_source("table", path),
    "a.xlsx": lambda path: read_source("table", path),
    "a.mp4": lambda path: list(stream(path)),
    "a.png": lambda path: list(stream(path)),
    "card.json": lambda path: load_checkpoint(path.parent),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("form", ["pickle", "npy"])
def test_no_reader_unpickles(tmp_path: Path, name: str, form: str) -> None:
    trap, path = tmp_path / "sprung", tmp_path / name
    if form == "pickle":
        path.write_bytes(pickle.dumps(Bait(trap)))
    else:
        array = io.BytesIO()
        np.save(array, np.array([Bait(trap)], dtype=object), allow_pickle=True)
        path.write_bytes(array.getvalue())
    with pytest.raises(DferError, match=r"^.{1,500}$"):
        READERS[name](path)
    assert not trap.exists()


CVAT = (
    '<?xml version="1.0" encoding="{encoding}"?>{head}<annotations><version>1.1</version><meta><task><id>3</id>'
    '<assignee><username>{text}</username></assignee></task></meta><image id="0" name="001.mp4" width="9" height="9">'
    '<tag label="happy"/></image></annotations>'
)
GROWS = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
) + "]>"  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_of_xml_neither_grow_nor_read_other_files(tmp_path: Path, encoding: str) -> None:
    write_files(tmp_path, "{0}.mp4", ["001"])  # type: ignore[list-item]
    (tmp_path / "secret").write_text("secret words")
    outside = f'<!DOCTYPE x [<!ENTITY j SYSTEM "{(tmp_path / "secret").as_uri()}">]>'
    for head in (GROWS, outside):
        text = CVAT.format(encoding=encoding, head=head, text="&j;")
        (tmp_path / "a.xml").write_bytes(text.encode(encoding))
        with pytest.raises(DferError, match=r"a\.xml") as raised:
            read_source("table", tmp_path / "a.xml")
        assert "secret words" not in str(raised.value)


def test_xml_without_entities_is_read(tmp_path: Path) -> None:
    write_files(tmp_path, "{0}.mp4", ["001"])  # type: ignore[list-item]
    (tmp_path / "a.xml").write_text(CVAT.format(encoding="utf-8", head="", text="eva"), encoding="utf-8")
    assert len(read_source("table", tmp_path / "a.xml")) == 1


@pytest.mark.parametrize("name", ["../outside.csv", "/tmp/outside.csv", "..\\outside.csv"])
def test_an_archive_writes_nothing(tmp_path: Path, name: str) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    with zipfile.ZipFile(inner / "FER2013Train.zip", "w") as archive:
        archive.writestr(name, "x")
        archive.writestr("FER2013Train/label.csv", 'fer0.png,"(0, 0, 48, 48)",1,2,0,0,0,0,0,0,0,0\n')
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DferError, match=r"^.{1,500}$"):
        read_source("ferplus", inner)
    assert sorted(tmp_path.rglob("*")) == before and not Path("/tmp/outside.csv").exists()


def test_a_playlist_is_not_a_way_to_read_other_files_aloud(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret words\n" * 100)
    (tmp_path / "a.m3u8").write_text("#EXTM3U\n#EXTINF:1,\n../../../../../../etc/passwd\n#EXTINF:1,\nsecret\n")
    with pytest.raises(DferError, match=r"^.{1,500}$") as raised:
        list(stream(tmp_path / "a.m3u8"))
    assert "secret words" not in str(raised.value) and "root:" not in str(raised.value)
