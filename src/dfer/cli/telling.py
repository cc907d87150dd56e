"""What `dfer predict` says on the terminal of what a video shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from dfer.cli.terminal import console, say

if TYPE_CHECKING:
    from dfer.inference import Person, Predictor, Reading, Timeline
    from dfer.inference.side_by_side import How, Job, Seen

BAR = 24
"""Characters of a bar of 100 %."""
WORTH_A_LINE = 0.02
"""Less likely emotions are not listed."""
MOST_PEOPLE, MOST_SEGMENTS = 8, 12
"""That are listed of a video, and of a person."""


@dataclass(frozen=True)
class Told:
    """A job, and how much is said of it.

    Attributes:
        job: the video and its files.
        in_full: whether segments and distributions are said, too.
        place: such as "3 of 47"; "" for a single video.
    """

    job: Job
    in_full: bool
    place: str = ""

    def tell(self, timeline: Timeline, speed: float | None = None) -> None:
        """Say in a line what a video shows; all of it where nothing is written."""
        from dfer.inference.summary import NOBODY, strongest

        count, paths = len(timeline.people), self.job.paths
        told = f"{count} {'person' if count == 1 else 'people'}, {strongest(timeline)}" if count else NOBODY
        told += "" if speed is None else f", {speed:.1f}x real time"
        arrow = " -> " + ", ".join(map(str, paths)) if paths else ""
        say(f"{self.place}  {timeline.video}: {timeline.duration_s:.1f} s, {told}{arrow}".lstrip())
        if self.in_full:
            _show(timeline)


def read_with_bar(predictor: Predictor, told: Told, how: How) -> Seen:
    """A video's timeline, and how fast it was read; on a terminal with a bar."""
    from dfer.inference.side_by_side import read
    from dfer.video.decoding import length_s

    path, span = told.job.video.path, how.span
    length = length_s(path)
    end_s = min(length or 0.0, span.end_s or length or 0.0)
    progress = Progress(
        TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip
    with progress:
        name = f"{told.place}  {path.name}".lstrip()
        task = progress.add_task(name, total=end_s - span.start_s if end_s > span.start_s else None, note="")

        def watch(looked_at: float, speed: float) -> None:
            progress.update(task, completed=looked_at, note=f"{looked_at:.0f} s, {speed:.1f}x real time")

        return read(predictor, path, how, watch=watch)


def watch_camera(predictor: Predictor, camera: int, how: How) -> Timeline:
    """Bars that move, until the camera or the user stops."""
    turn = how.rotate or 0
    recording = predictor.recording(camera, rotate=turn)
    moments = predictor.stream(camera, span=how.span, people=how.people, rotate=turn)
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            for moment in moments:
                recording.add(moment)
                live.update(_live(moment.faces, predictor, moment.time_s), refresh=console.is_terminal)
    except KeyboardInterrupt:
        moments.close()
    return recording.timeline()


def _show(timeline: Timeline) -> None:
    """Who showed what, when."""
    longest = sorted(timeline.people, key=lambda person: -int(person.seen.sum()))
    for person in sorted(longest[:MOST_PEOPLE], key=lambda person: person.id):
        say("", f"{person.label}, {_spans(person)}")
        console.print(_bars(timeline.emotions.emotions, person.overall.tolist()))
        for segment in person.segments[:MOST_SEGMENTS]:
            say(
                f"  {segment.start_s:7.1f} to {segment.end_s:.1f} s  "
                + (segment.doubt or f"{segment.emotion}, most at {segment.apex_s:.1f} s ({segment.score:.0%})")
            )
        if len(person.segments) > MOST_SEGMENTS:
            say(f"          and {len(person.segments) - MOST_SEGMENTS} more")
    if len(longest) > MOST_PEOPLE:
        say("", f"and {len(longest) - MOST_PEOPLE} people who are seen for less long")


def _spans(person: Person) -> str:
    times = person.times[person.seen]
    return f"seen from {times[0]:.1f} to {times[-1]:.1f} s"


def _bars(emotions: tuple[str, ...], probs: list[float]) -> Text:
    """A line for each emotion that is worth one, the most likely first."""
    from dfer.pages import bright_colours

    shade, wide = bright_colours(emotions), max(map(len, emotions))
    text = Text()
    for share, emotion in sorted(zip(probs, emotions, strict=True), reverse=True):
        if share >= WORTH_A_LINE:
            bar = "█" * max(1, round(share * BAR))
            text.append(f"  {emotion:{wide}}  ")
            text.append(f"{bar:{BAR}}", shade[emotion])
            text.append(f" {share:4.0%}\n")
    text.rstrip()
    return text


def _live(faces: tuple[Reading, ...], predictor: Predictor, time_s: float) -> Any:
    told = f"{time_s:.1f} s  " + ("Ctrl-C ends" if faces else "no face; Ctrl-C ends")
    parts: list[Any] = [Text(told, style="dim")]
    for face in faces[:MOST_PEOPLE]:
        parts += [Text(f"person {face.id}"), _bars(predictor.emotions.emotions, face.probs.tolist())]
    return Group(*parts)
