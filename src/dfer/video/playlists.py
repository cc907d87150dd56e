"""Playlists (.m3u8, HLS): a film in pieces that lie beside a list of their names. Nothing is fetched from a network."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

from dfer.errors import DferError

FIRST_LINE = b"#EXTM3U"
"""How a playlist begins."""
END = "#EXT-X-ENDLIST"
"""Says that nothing will be added; without it a player waits for more."""
ADDRESS = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]+:/{1,2}[^/\s\"',]", re.ASCII)
"""How a place on a network is written; a path keeps only one of two slashes."""
LARGEST = 2**24
"""Bytes of a playlist."""


def is_address(text: str) -> bool:
    """Whether a text names a place on a network.

    >>> is_address("https://example.org/a.mp4"), is_address("12:30 call.mp4"), is_address("C:/a.mp4")
    (True, False, False)
    """
    return ADDRESS.match(text) is not None and not text.lower().startswith("file:")


def is_playlist(path: Path) -> bool:
    """Whether a file begins as a playlist does."""
    with path.open("rb") as file:
        return file.read(16).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(FIRST_LINE)


def open_playlist(path: Path) -> Any:
    """A playlist as the decoder opens it, its pieces read from the playlist's own folder.

    Raises:
        DferError: it names no piece, or one that lies elsewhere on a network.
    """
    import av

    text = read(path)
    whole = text if END in text or "#EXT-X-STREAM-INF" in text else f"{text}\n{END}\n"
    return av.open(io.BytesIO(whole.encode()), format="hls", io_open=lambda url, *_: _piece(path, url))


def read(path: Path) -> str:
    """The text of a playlist that can be read without a network."""
    with path.open("rb") as file:
        text = file.read(LARGEST).decode("utf-8-sig", errors="replace")
    lines = [line.strip() for line in text.splitlines()]
    named = [line for line in lines if line and line[0] != "#"]
    if not named:
        raise DferError(f"{path}: the playlist is empty; expected the names of its pieces")
    quoted = [name for line in lines if line.startswith("#") for name in re.findall(r'URI="([^"]*)"', line)]
    for name in (*named, *quoted):
        if is_address(name):
            raise DferError(
                f"{path}: the playlist points to {name}, and nothing is fetched from a network; download the film first"
            )
    return text


def _piece(path: Path, url: str) -> IO[bytes]:
    """A piece of a playlist, or a playlist that it names."""
    if is_address(url):
        raise DferError(f"{path}: the playlist points to {url}, and nothing is fetched from a network")
    piece = path.parent / url.removeprefix("file:")
    if not piece.is_file():
        piece = path.parent / unquote(url)
    if piece.is_file() and is_playlist(piece):
        text = read(piece)
        return io.BytesIO((text if END in text else f"{text}\n{END}\n").encode())
    return piece.open("rb")
