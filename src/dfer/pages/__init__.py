"""Pages: HTML files that hold all they show and load nothing, with one style for all of them.

Style, charts (SVG) and filmstrips (JPEG) lie in the file, and a content security policy says so to the browser. There
is no script, except in the page of a film, which names its own by a hash in that policy. A room that writes a page
keeps its template in its own folder `templates`, extends `page.html.jinja`, and computes beforehand what the page says
and where its marks lie.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from dfer.documents import json_text
from dfer.errors import DferError, listed, printable
from dfer.files import replacing
from dfer.version import __version__

Frame = NDArray[np.uint8]

UNDEFINED = "–"
"""A number that does not exist."""
SPACE = "\N{NARROW NO-BREAK SPACE}"
"""Between a number and its unit."""
STRIP_FRAMES = 6
"""Most frames of a filmstrip; of more, as many are taken at even distances."""
STRIP_HEIGHT = 96
"""Pixels; twelve strips of six frames stay well below a megabyte."""
STRIP_QUALITY = 82
"""Of the JPEG, 0 to 100."""

EMOTION_COLOURS = {
    "happy": ("#c08a00", "#e0b040"), "sad": ("#2f6db3", "#6aa5e8"), "neutral": ("#7b838b", "#9aa2aa"),
    "angry": ("#c8322b", "#ee6a60"), "surprise": ("#e0701f", "#f59a55"), "disgust": ("#3f8a3a", "#70bd6a"),
    "fear": ("#8e4ba8", "#c08ad8"), "contempt": ("#85851f", "#bcbc55"), "anxiety": ("#1590a0", "#4fc0cf"),
    "helplessness": ("#9a2d5e", "#dd7aa5"), "disappointment": ("#6a62d0", "#a49df5"),
}  # fmt: skip
"""Emotions with a colour of their own, on bright and on dark pages: e0 to e10 in the style sheet, in this order.
Other emotions take what is left."""


def render(package: str, template: str, *, kind: str, title: str, source: str = "", **values: Any) -> str:
    """A page as HTML.

    Args:
        package: the room whose folder `templates` holds the template.
        template: its file; it extends `page.html.jinja`.
        kind: what page it is ("report"), said above the title.
        title: the page's heading.
        source: the data that it is about, said beside the kind.
        **values: what the template uses; one that it uses and that is not given is an error.
    """
    page = _environment(package).get_template(template)
    return page.render(kind=kind, title=title, source=source, version=__version__, **values)


def style_sheet() -> str:
    """The style of all pages as CSS, for pages that load it as a file."""
    return _environment("dfer.pages").get_template("page.css").render()


def write_page(out: Path, name: str, numbers: Any, page: str) -> None:
    """Write NAME.json and NAME.html; a broken-off write leaves what was there before.

    Args:
        out: folder, made if need be.
        name: of both files, without a suffix.
        numbers: a result, for `dfer.documents.json_text`.
        page: of `render`.

    Raises:
        DferError: the folder cannot be written.
    """
    with replacing(out / f"{name}.json") as json_file, replacing(out / f"{name}.html") as html_file:
        for file, text in ((json_file, json_text(numbers)), (html_file, page)):
            # a name that is not valid Unicode (of a file, say) becomes an escape, which JSON reads back
            file.write_text(text, encoding="utf-8", errors="backslashreplace")


@cache
def _environment(package: str) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("dfer.pages")]),
        autoescape=True,
        finalize=_seen,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {"known": known, "duration": duration}
    environment.globals["emotion_colours"] = list(EMOTION_COLOURS.values())
    return environment


def _seen(value: Any) -> Any:
    """Characters of a name that XML forbids, or that turn the text around, are shown."""
    return printable(value, lines=True) if isinstance(value, str) and not isinstance(value, Markup) else value


def known(value: Any) -> str:
    """A value that may not have been recorded."""
    if value is None:
        return UNDEFINED
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def duration(seconds: float | None) -> str:
    """Seconds, minutes or hours, whichever reads best.

    >>> duration(90), duration(5400)
    ('90\u202fs', '90.0\u202fmin')
    """
    if seconds is None:
        return UNDEFINED
    for unit, size in (("s", 1), ("min", 60), ("h", 3600)):
        if seconds < 120 * size or unit == "h":
            return f"{seconds / size:.{0 if unit == 's' else 1}f}{SPACE}{unit}"
    raise AssertionError("unreachable")


def emotion_colours(emotions: Sequence[str]) -> dict[str, str]:
    """A class of the style sheet for each emotion, the same in every page where the emotion is a known one."""
    return {emotion: f"e{place}" for emotion, place in _colour_places(emotions).items()}


def bright_colours(emotions: Sequence[str]) -> dict[str, str]:
    """The colour of each emotion on bright pages, #rrggbb, for plots and overlays.

    >>> bright_colours(["happy", "sad"])
    {'happy': '#c08a00', 'sad': '#2f6db3'}
    """
    pairs = list(EMOTION_COLOURS.values())
    return {emotion: pairs[place][0] for emotion, place in _colour_places(emotions).items()}


def _colour_places(emotions: Sequence[str]) -> dict[str, int]:
    """Which of `EMOTION_COLOURS` each emotion has."""
    own = {name: place for place, name in enumerate(EMOTION_COLOURS)}
    left = [place for name, place in own.items() if name not in emotions] or list(own.values())
    others = itertools.cycle(left)
    return {emotion: own[emotion] if emotion in own else next(others) for emotion in emotions}


def filmstrip(name: str, frames: Sequence[Frame]) -> dict[str, Any]:
    """Frames side by side as one JPEG in a data URI, no higher than `STRIP_HEIGHT`.

    Args:
        name: of the clip, for messages.
        frames: at least one, each (H, W, C) uint8 RGB, C = 3, or 1 for grey.

    Returns:
        "uri", "width" and "height" in pixels, "frames".

    Raises:
        DferError: frames that are no pictures.
    """
    chosen = [frames[k] for k in np.linspace(0, len(frames) - 1, min(len(frames), STRIP_FRAMES)).round().astype(int)]
    wrong = [frame.shape for frame in chosen if frame.ndim != 3 or frame.shape[2] not in (1, 3) or not frame.size]
    if wrong or any(frame.dtype != np.uint8 for frame in chosen):
        raise DferError(f"expected frames (H, W, 3) or (H, W, 1) of uint8 for clip {name}, got {listed(wrong)}")
    height = min(STRIP_HEIGHT, *(frame.shape[0] for frame in chosen))
    strip = np.hstack([_resized(frame, height) for frame in chosen])
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(strip, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, STRIP_QUALITY])
    uri = f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}"
    return {"uri": uri, "width": strip.shape[1], "height": height, "frames": len(chosen)}


def _resized(frame: Frame, height: int) -> Frame:
    """(height, w, 3) with the frame's proportions; grey becomes three equal channels."""
    width = max(1, round(frame.shape[1] * height / frame.shape[0]))
    size = (width, height)
    colour = np.ascontiguousarray(np.broadcast_to(frame, (*frame.shape[:2], 3)))
    return np.asarray(cv2.resize(colour, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
