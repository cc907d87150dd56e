"""The doctor's page: what the checks found, and the figures of the votes, as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dfer.datasets import Manifest
from dfer.doctor.checks import Examination
from dfer.doctor.counts import clip_frames
from dfer.doctor.findings import VERDICTS, Case, Finding, count
from dfer.errors import DferError
from dfer.files import write_text
from dfer.pages import STRIP_FRAMES, emotion_colours, filmstrip, render
from dfer.video import open_clip, uniform

MARKS = {"fault": "✗", "note": "!", "ok": "✓", "unchecked": "–"}
"""Verdict -> its sign."""
WORDS = {"fault": "fault", "note": "to know", "ok": "sound", "unchecked": "not checked"}
"""Verdict -> what its sign says."""
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 220, 52, 36, 10
"""Of the histogram, and its margins."""


def write_page(path: Path, examination: Examination, figures: Mapping[str, Any]) -> None:
    """Write the page; a broken-off write leaves what was there before.

    Args:
        path: the file.
        examination: of `examine`.
        figures: of `statistics`.

    Raises:
        DferError: it cannot be written.
    """
    write_text(path, render_page(examination, figures))


def render_page(examination: Examination, figures: Mapping[str, Any]) -> str:
    """The page as HTML."""
    manifest = examination.case.manifest
    return render(
        "dfer.doctor", "doctor.html.jinja",
        kind="doctor", title=verdict(examination), source=manifest.source,
        findings=ordered(examination.findings),
        marks=MARKS, words=WORDS, left_out=manifest.left_out,
        lengths=length_text(examination.case), histogram=histogram((figures["votes"] or {}).get("histogram", [])),
        strips=_strips(manifest, figures["ambiguous"]), colours=emotion_colours(list(manifest.emotions)),
        **figures,
    )  # fmt: skip


def verdict(examination: Examination) -> str:
    """The examination in a line.

    What is to be known does not make a data set unsound; it makes results on it mean something else.
    """
    by = {name: sum(finding.verdict == name for finding in examination.findings) for name in WORDS}
    notes = f"{count(by['note'], 'thing')} to know" if by["note"] else "nothing to note"
    if by["fault"]:
        return f"Not sound: {count(by['fault'], 'fault')}, {notes}"
    return f"Sound, with {notes}"


def histogram(counts: Sequence[int]) -> dict[str, Any]:
    """Where the bars of the histogram of entropy lie, in the units of its drawing."""
    most = max(counts, default=0)
    step = (WIDTH - LEFT) / max(len(counts), 1)
    floor = HEIGHT - BOTTOM
    bars = [
        {
            "x": round(LEFT + k * step + 1, 1), "width": round(step - 2, 1),
            "y": round(floor - (floor - TOP) * number / most, 1), "height": round((floor - TOP) * number / most, 1),
            "said": f"entropy {k / len(counts):.2f} to {(k + 1) / len(counts):.2f}: {count(number, 'clip')}",
        }
        for k, number in enumerate(counts) if number
    ]  # fmt: skip
    ticks = [(round(LEFT + (WIDTH - LEFT) * k / 4, 1), f"{k / 4:g}") for k in range(5)]
    return {"bars": bars, "ticks": ticks, "most": most, "floor": floor, "left": LEFT, "width": WIDTH, "height": HEIGHT}


def length_text(case: Case) -> str:
    """Least and most frames, "" where they are not known."""
    frames = clip_frames(case)
    known = frames[frames > 0]
    if not len(known):
        return ""
    least, most = int(known.min()), int(known.max())
    return f"{least:,} to {most:,} frames" if most > 1 else "stills of one frame"


def _strips(manifest: Manifest, clips: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Filmstrips by id, of those clips that can be read."""
    wanted = manifest.table["id"].isin([clip["id"] for clip in clips])
    table = manifest.table[wanted].set_index("id")
    strips = {}
    for clip in clips:
        try:
            shown = open_clip(manifest.resolve(table["path"][clip["id"]]), table["kind"][clip["id"]])
            frames = shown.read(uniform(len(shown), min(len(shown), STRIP_FRAMES)))
            strips[clip["id"]] = filmstrip(clip["id"], list(frames))
        except DferError:  # `files` and `pictures` say why; the page says that there is nothing to show
            continue
    return strips


def ordered(findings: Sequence[Finding]) -> list[Finding]:
    """Faults first, then what is to be known, what is sound, what was not checked; else as they were made."""
    return sorted(findings, key=lambda finding: VERDICTS.index(finding.verdict))
