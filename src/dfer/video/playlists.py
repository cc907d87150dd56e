"""Playlists (.m3u8, HLS): a film in pieces that lie beside a list of their names. Nothing is fetched from a network."""

from __future__ import annotations

import io
import logging
import re
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

from dfer.errors import DferError, listed

logger = logging.getLogger(__name__)

FIRST_LINE = b"#EXTM3U"
"""How a playlist begins."""
END = "#EXT-X-ENDLIST"
"""Says that nothing will be added; without it a player waits for more."""
ADDRESS = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]+:/{1,2}[^/\s\"',]", re.ASCII)
"""How a place on a network is written; a path keeps only one of two slashes."""
DEEPEST = 2
"""Playlists one in another: of the sizes of a film, and of its pieces in each."""
VARIANTS = "#EXT-X-STREAM-INF"
"""Stands in a playlist of playlists."""
LARGEST = 2**24
"""Bytes of a playlist."""


def is_address(text: str) -> bool:
    """Whether a text names a place on a network.

    >>> is_address("https://example.org/a.mp4"), is_address("12:30 call.mp4"), is_address("C:/a.mp4")
    (True, False, False)
    """
    return ADDRESS.match(text) is not None and not text.lower().startswith("file:")


def refuse_address(source: str | Path) -> None:
    """Refuse what names a place on a network instead of a file."""
    if is_address(str(source)) and not Path(source).exists():
        address = re.sub(":/+", "://", str(source), count=1)  # a Path keeps one slash of the two
        raise DferError(f"{address}: expected a file; nothing is fetched from a network, download the film first")


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

    return av.open(
        io.BytesIO(read(path).encode()),
        format="hls",
        io_open=lambda url, *_: _piece(path, url),
        metadata_errors="replace",
    )


def read(path: Path) -> str:
    """The text of a playlist whose pieces are all there, with its end.

    Raises:
        DferError: see `open_playlist`; also of the playlists that it names.
    """
    return _read(path, ())


def _read(path: Path, outer: tuple[Path, ...]) -> str:
    """As `read`; `outer` are the playlists that led here."""
    if len(outer) >= DEEPEST:
        told = "expected films, or playlists of films"
        raise DferError(f"{outer[0]}: the playlist names itself, or playlists of playlists; {told}")
    text = _text(path)
    names = _names(text)
    if not names:
        raise DferError(f"{path}: the playlist is empty; expected the names of its pieces")
    address = next(filter(is_address, names), None)
    if address is not None:
        told = "and nothing is fetched from a network; download the film first"
        raise DferError(f"{path}: the playlist points to {address}, {told}")
    missing = dict.fromkeys(name for name in names if not _place(path, name).is_file())
    if len(missing) == len(set(names)):
        raise DferError(f"{path}: none of the playlist's {len(missing)} pieces is there: {listed(missing)}")
    if missing:
        logger.warning("%s: left out %d pieces that are not there: %s", path, len(missing), listed(missing))
    for place in dict.fromkeys(_place(path, name) for name in names if name not in missing):
        if is_playlist(place):
            _read(place, (*outer, path))
    lines = [line for line in text.splitlines() if line.strip() not in missing]
    return "\n".join([*lines, *([] if END in text or VARIANTS in text else [END]), ""])


def pieces(path: Path) -> list[Path]:
    """The files that a playlist names; none where it cannot be read."""
    try:
        return [_place(path, name) for name in _names(_text(path))]
    except OSError:
        return []


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(LARGEST).decode("utf-8-sig", errors="replace")


def _names(text: str) -> list[str]:
    """What a playlist names: pieces, other playlists, keys."""
    lines = [line.strip() for line in text.splitlines()]
    plain = [line for line in lines if line and line[0] != "#"]
    return plain + [name for line in lines if line.startswith("#") for name in re.findall(r'URI="([^"]*)"', line)]


def _place(path: Path, name: str) -> Path:
    """Where something lies that a playlist names."""
    place = path.parent / name.removeprefix("file://").removeprefix("file:")
    return place if place.is_file() else path.parent / unquote(name)


def _piece(path: Path, url: str) -> IO[bytes]:
    """A piece of a playlist as the decoder reads it; nothing for one that is not there."""
    place = _place(path, url)
    if is_address(url) or not place.is_file():
        return io.BytesIO()
    return io.BytesIO(read(place).encode()) if is_playlist(place) else place.open("rb")
