"""The colours of emotions in plots and overlays: those of the pages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from dfer.pages import emotion_colours


@cache
def _light_scheme() -> dict[str, str]:
    """e0, e1, ... -> #rrggbb: a style sheet names a colour for bright pages first."""
    text = files("dfer.pages").joinpath("templates", "page.css").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for name, colour in re.findall(r"--(e\d+): (#[0-9a-f]{6})", text):
        found.setdefault(name, colour)
    return found


def colours(emotions: Sequence[str]) -> dict[str, str]:
    """Emotion -> #rrggbb.

    >>> colours(["happy", "sad"])
    {'happy': '#c08a00', 'sad': '#2f6db3'}
    """
    return {emotion: _light_scheme()[name] for emotion, name in emotion_colours(emotions).items()}


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0..255, of #rrggbb.

    >>> rgb("#c08a00")
    (192, 138, 0)
    """
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return red, green, blue
