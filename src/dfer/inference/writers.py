"""What a timeline can be written as: a writer for each suffix. `Timeline` knows none of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dfer import tables
from dfer.errors import DferError
from dfer.files import keep_inputs, replacing, write_text
from dfer.inference.timeline import Timeline
from dfer.inference.timeline_writing import write_json, write_parquet
from dfer.video.frames import files_read

Writer = Callable[[Timeline, Path], None]


@dataclass(frozen=True)
class CsvStyle:
    """How numbers are written in a CSV file.

    Attributes:
        sep: between two columns, one character.
        decimal: between a number's whole part and its decimals, "." or ",".
    """

    sep: str = ","
    decimal: str = "."

    def __post_init__(self) -> None:
        if len(self.sep) != 1 or self.sep in '"\r\n' or self.sep.isalnum():
            raise DferError(f"expected --csv-sep as one character such as ; or a tab, got {self.sep!r}")
        if self.decimal not in (".", ",") or self.decimal == self.sep:
            raise DferError(
                f"expected --csv-decimal as . or , and another one than --csv-sep, got {self.decimal!r} and "
                f"{self.sep!r}"
            )

    @property
    def encoding(self) -> str:
        """UTF-8; with a byte order mark unless the style is the default, for Excel takes it for another one without."""
        return "utf-8" if self == CsvStyle() else "utf-8-sig"


def write_csv(timeline: Timeline, path: Path, *, style: CsvStyle = CsvStyle()) -> None:
    """The table of `Timeline.to_dataframe`."""
    with replacing(path) as partial_path:
        tables.write_csv(
            timeline.to_dataframe(), partial_path, sep=style.sep, decimal=style.decimal, encoding=style.encoding
        )


def _write_srt(timeline: Timeline, path: Path) -> None:
    from dfer.inference.subtitles import to_srt

    write_text(path, to_srt(timeline))


def _write_page(timeline: Timeline, path: Path) -> None:
    from dfer.inference.page import write_page

    write_page(timeline, path)


def _write_plot(timeline: Timeline, path: Path) -> None:
    from dfer.inference.draw import write_plot

    write_plot(timeline, path)


def _write_overlay(timeline: Timeline, path: Path) -> None:
    from dfer.inference.overlay import write_overlay

    write_overlay(timeline, path)


WRITERS: Mapping[str, Writer] = {
    ".json": write_json,
    ".csv": write_csv,
    ".srt": _write_srt,
    ".parquet": write_parquet,
    ".html": _write_page,
    ".png": _write_plot,
    ".svg": _write_plot,
    ".pdf": _write_plot,
    ".mp4": _write_overlay,
}
"""Values, subtitles, a page, a figure, the video with boxes and bars."""
SUFFIXES = tuple(WRITERS)


def write(timeline: Timeline, path: Path, *, style: CsvStyle = CsvStyle()) -> None:
    """Write a timeline as its suffix says.

    Args:
        timeline: what is written.
        path: the file; its folder is made.
        style: of a file .csv.

    Raises:
        DferError: another suffix, the video itself, a file that cannot be written, or, for .mp4, a video that cannot be
            read again.
    """
    keep_inputs([path], files_read(Path(timeline.video)) if timeline.video else [])
    writers = dict(WRITERS) | {".csv": partial(write_csv, style=style)}
    suffix = path.suffix.lower()
    if suffix not in writers:
        raise DferError(f"expected a file {', '.join(SUFFIXES)}, got {path}")
    writers[suffix](timeline, path)
