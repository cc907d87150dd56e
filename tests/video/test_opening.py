"""Which stream of a file is the film."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dfer.errors import DferError
from dfer.video.opening import COVER, DEFAULT, chosen_stream


def stream(disposition: int, width: int = 320) -> Any:
    return SimpleNamespace(disposition=disposition, frames=0, codec_context=SimpleNamespace(width=width, height=240))


def container(*streams: Any) -> Any:
    return SimpleNamespace(streams=SimpleNamespace(video=list(streams)))


def test_a_film_goes_before_its_cover_and_the_default_before_the_larger() -> None:
    cover, large, default = stream(COVER, 4000), stream(0, 640), stream(DEFAULT)
    assert chosen_stream(Path("a.mp4"), container(cover, large)) is large
    assert chosen_stream(Path("a.mp4"), container(cover, large, default)) is default


@pytest.mark.parametrize(
    ("streams", "told"), [((), "has no video stream$"), ((stream(COVER),), "only a picture of its")]
)
def test_a_song_with_a_cover_is_no_film(streams: tuple[Any, ...], told: str) -> None:
    with pytest.raises(DferError, match=told):
        chosen_stream(Path("song.mp3"), container(*streams))
