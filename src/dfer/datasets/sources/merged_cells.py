"""Merged cells of a spreadsheet: which ones can be read as if their text stood in every row that they cover.

A clip, a person or a rater may be written once beside several rows. A count or an answer of two clips may not: nobody
knows whose it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dfer.datasets.sources.column_names import NAMES, plain
from dfer.datasets.sources.grids import FAMILIES, USUAL, Grid, Merged
from dfer.datasets.sources.label_space import known
from dfer.errors import DferError, listed

OF_ONE_CLIP = frozenset((*NAMES["emotion"], *NAMES["label"], *NAMES["count"], *NAMES["path"]))
"""Columns whose cells belong to one clip each."""


def check_merged(grid: Grid, start: int, own: Mapping[str, str] = USUAL) -> None:
    """Raises when a merged cell below the header belongs to two clips or to two columns, naming the cells.

    Args:
        grid: the cells, merged ones filled.
        start: the position of the header.
        own: what -> the user's own name of its column.
    """
    header = [plain(cell) for cell in grid.rows[start]]
    clip = _clip_column(header, own)
    body = [area for area in grid.merged if area.rows[1] > grid.numbers[start]]
    of_clips = [area for area in body if area.columns == (clip, clip)]
    advice = "part the cells, and write into each row what belongs to it"
    wide = [area.name for area in body if area.columns[0] < area.columns[1] and _text(grid, area)]
    if wide:
        raise DferError(f"{grid.place}: {listed(wide)} are merged over several columns; {advice}")
    for area in body:
        name = header[area.columns[0]] if area.columns[0] < len(header) else ""
        clips = list(dict.fromkeys(grid.rows[row - 1][clip] for row in range(area.rows[0], area.rows[1] + 1)))
        if len(clips) < 2 or area in of_clips or not _of_one_clip(name, own, area, of_clips):
            continue
        raise DferError(
            f"{grid.place}: {area.name} ('{_text(grid, area)}' in the column {grid.rows[start][area.columns[0]]}) is "
            f"one cell of {len(clips)} clips, {listed(clips)}; {advice}"
        )


def _of_one_clip(name: str, own: Mapping[str, str], area: Merged, of_clips: Collection[Merged]) -> bool:
    """Whether a merged cell of this column cannot belong to several clips."""
    if name in NAMES["rater"] or name == plain(own.get("rater", "")):  # one rater's rows, if each row names its clip
        return any(area.rows[0] <= other.rows[1] and other.rows[0] <= area.rows[1] for other in of_clips)
    return name in OF_ONE_CLIP or name == plain(own.get("emotion", "")) or name.startswith(FAMILIES) or known(name)


def _clip_column(header: list[str], own: Mapping[str, str]) -> int:
    names = (plain(own["clip"]),) if "clip" in own else NAMES["id"]
    return next((header.index(name) for name in names if name in header), 0)


def _text(grid: Grid, area: Merged) -> str:
    row = grid.rows[area.rows[0] - 1]
    return row[area.columns[0]] if area.columns[0] < len(row) else ""
