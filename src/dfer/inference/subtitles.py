"""A timeline's segments as subtitles (SubRip, .srt), for any player."""

from __future__ import annotations

from itertools import pairwise

from dfer.inference.timeline import Timeline


def to_srt(timeline: Timeline) -> str:
    """One subtitle for each stretch of time in which the same segments last; a line a person and emotion.

    People are told apart by name or number where there is more than one.
    """
    several = len(timeline.people) > 1 or any(person.name for person in timeline.people)
    lines = [
        (segment.start_s, segment.end_s, f"{person.label}: " * several + f"{segment.emotion} {segment.score:.0%}")
        for person in timeline.people
        for segment in person.segments
    ]
    cuts = sorted({time for start, end, _ in lines for time in (start, end)})
    subtitles: list[str] = []
    for begin, finish in pairwise(cuts):
        text = "\n".join(line for start, end, line in lines if start <= begin and finish <= end)
        if text:
            subtitles.append(f"{len(subtitles) + 1}\n{_clock(begin)} --> {_clock(finish)}\n{text}\n")
    return "\n".join(subtitles)


def _clock(seconds: float) -> str:
    """Hours, minutes, seconds and thousandths.

    >>> _clock(3661.5)
    '01:01:01,500'
    """
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02},{thousandths:03}"
