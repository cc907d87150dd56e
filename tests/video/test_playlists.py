"""Playlists: pieces from the folder, and nothing from a network."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dfer.errors import DferError
from dfer.inference.batch import find_videos
from dfer.video import playlists
from dfer.video.decoding import Film
from dfer.video.playlists import END
from dfer.video.stream import Span, stream

from .containers import write


@pytest.fixture
def playlist(tmp_path: Path) -> Path:
    return write(tmp_path, "a.m3u8", [Fraction(index, 25) for index in range(50)], Fraction(2))


def times(path: Path) -> list[float]:
    return [shown.time_s for shown in Film(path, tolerant=True)]


def test_a_recording_that_was_never_ended_is_read_from_its_beginning_to_its_end(playlist: Path) -> None:
    text = playlist.read_text()
    assert END in text
    playlist.write_text(text.replace(END, ""))
    assert times(playlist) == pytest.approx(np.arange(50) / 25, abs=1e-3)
    assert [frame.time_s for frame in stream(playlist, span=Span(start_s=1.6))] == pytest.approx(np.arange(40, 50) / 25)


def test_a_playlist_of_playlists_is_read(playlist: Path) -> None:
    master = playlist.with_name("master.m3u8")
    master.write_text(f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000\n{playlist.name}\n")
    assert times(master) == pytest.approx(np.arange(50) / 25, abs=1e-3)


def test_pieces_that_are_missing_are_told(playlist: Path, caplog: pytest.LogCaptureFixture) -> None:
    pieces = sorted(playlist.parent.glob("*.ts"))
    assert len(pieces) > 1
    pieces[-1].unlink()
    assert 0 < len(times(playlist)) < 50 and f"left out 1 pieces that are not there: {pieces[-1].name}" in caplog.text
    for piece in pieces[:-1]:
        piece.unlink()
    with pytest.raises(DferError, match=r"a\.m3u8: none of the playlist's \d+ pieces is there"):
        times(playlist)


@pytest.mark.parametrize("line", [
    "https://example.org/a.ts", "http://127.0.0.1:9/a.ts", '#EXT-X-KEY:METHOD=AES-128,URI="https://example.org/key"',
    '#EXT-X-MAP:URI="rtmp://example.org/a.mp4"',
])  # fmt: skip
def test_what_points_to_a_network_is_refused(playlist: Path, line: str) -> None:
    text = playlist.read_text()
    playlist.write_text(text.replace("#EXTINF", f"{line}\n#EXTINF", 1))
    master = playlist.with_name("master.m3u8")
    master.write_text(f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000\n{playlist.name}\n")
    for path in (playlist, master):
        with pytest.raises(DferError, match=r"a\.m3u8: the playlist points to .*nothing is fetched from a network"):
            times(path)


@pytest.mark.parametrize("text", ["#EXTM3U\n", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-ENDLIST\n"])
def test_an_empty_playlist_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.m3u8").write_text(text)
    with pytest.raises(DferError, match=r"a\.m3u8: the playlist is empty; expected the names of its pieces"):
        times(tmp_path / "a.m3u8")


@pytest.mark.parametrize("address", ["https://example.org/a.mp4", "http://example.org/a b.mp4", "rtsp://10.0.0.1/live"])
def test_an_address_in_place_of_a_file_has_a_sentence_of_its_own(address: str) -> None:
    for given in (address, Path(address)):  # a path has lost one of the slashes
        told = rf"^{re.escape(address)}: expected a file; nothing is fetched from a network, download the film"
        with pytest.raises(DferError, match=told):
            stream(given)
        with pytest.raises(DferError, match=told):
            find_videos([Path(given)])


@pytest.mark.parametrize("line", ["#EXT-X-STREAM-INF:BANDWIDTH=100000", "#EXTINF:1,"])
@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_playlists_that_name_themselves_or_each_other_are_refused(tmp_path: Path, line: str, names: list[str]) -> None:
    for name, other in zip(names, [*names[1:], names[0]], strict=True):
        (tmp_path / f"{name}.m3u8").write_text(f"#EXTM3U\n{line}\n{other}.m3u8\n")
    with pytest.raises(DferError, match=r"a\.m3u8: the playlist names itself, or playlists of playlists; expected"):
        times(tmp_path / "a.m3u8")


def test_a_piece_that_is_named_twice_is_missing_once(tmp_path: Path) -> None:
    (tmp_path / "a.m3u8").write_text("#EXTM3U\n#EXTINF:1,\na.ts\n#EXTINF:1,\na.ts\n")
    with pytest.raises(DferError, match=r"none of the playlist's 1 pieces is there: a\.ts"):
        times(tmp_path / "a.m3u8")


def test_a_playlist_that_is_named_often_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.m3u8").write_text("#EXTM3U\n" + "#EXT-X-STREAM-INF:BANDWIDTH=1\nb.m3u8\n" * 500)
    (tmp_path / "b.m3u8").write_text("#EXTM3U\n" + "#EXTINF:1,\np.ts\n" * 500)
    (tmp_path / "p.ts").write_bytes(b"x")
    seen: list[str] = []
    text = playlists._text
    monkeypatch.setattr(playlists, "_text", lambda path: seen.append(path.name) or text(path))
    playlists.read(tmp_path / "a.m3u8")
    assert seen == ["a.m3u8", "b.m3u8"]
