"""The verb on the people of a timeline: `dfer people`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dfer.cli.app import app
from dfer.cli.terminal import say
from dfer.errors import DferError

if TYPE_CHECKING:
    from dfer.inference import Timeline


@app.command()
def people(
    timeline: Annotated[Path, typer.Argument(help="A .json or .parquet file that predict wrote.")],
    name: Annotated[
        list[str] | None, typer.Option(help="Give a person a name: ID=NAME, such as 0=Anna; may be repeated.")
    ] = None,
    merge: Annotated[
        list[str] | None,
        typer.Option(help="Make one person of several ids, such as 2,3; may be repeated, and is done before --name."),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="Make two people of one: ID@SECONDS, such as 2@7.5, from which time on it is somebody else, who gets "
            "the next free id; may be repeated, and is done before --merge."
        ),
    ] = None,
    out: Annotated[
        list[Path] | None,
        typer.Option(
            "--out",
            "-o",
            help="A file to write: .json .parquet .csv .srt .html .mp4 .png .svg .pdf; may be repeated; by default "
            "the timeline itself.",
        ),
    ] = None,
) -> None:
    """Show who is in a timeline, give people names, make one person of two, or two of one."""
    from dfer.inference import Timeline
    from dfer.inference.people import divided, merged, named

    found = Timeline.load(timeline)
    for text in split or []:
        found = divided(found, *moment(text))
    for text in merge or []:
        found = merged(found, [number(part, text) for part in text.split(",")])
    if name:
        found = named(found, _names(name))
    written = out or ([timeline] if name or merge or split else [])
    for path in written:
        found.save(path)
    _show(found)
    if written:
        say(f"-> {', '.join(map(str, written))}")


def _names(texts: list[str]) -> dict[int, str]:
    """The name of each person that gets one."""
    names: dict[int, str] = {}
    for id_, called in map(pair, texts):
        if id_ in names:
            raise DferError(f"person {id_} is given two names, {names[id_]!r} and {called!r}; give one of them")
        names[id_] = called
    return names


def pair(text: str) -> tuple[int, str]:
    """The id and the name of "0=Anna".

    >>> pair("0=Anna")
    (0, 'Anna')
    """
    id_, sign, called = text.partition("=")
    if not sign:
        raise DferError(f"expected --name as ID=NAME, such as 0=Anna, got {text!r}")
    return number(id_, text), called


def moment(text: str) -> tuple[int, float]:
    """The id and the time of "2@7.5".

    >>> moment("2@7.5")
    (2, 7.5)
    """
    id_, _, seconds = text.partition("@")
    try:
        at_s = float(seconds)
    except ValueError:
        raise DferError(f"expected --split as ID@SECONDS, such as 2@7.5, got {text!r}") from None
    return number(id_, text), at_s


def number(part: str, text: str) -> int:
    """An id as the command line gives it."""
    if not part.strip().isdecimal():
        raise DferError(f"expected the number of a person, got {part!r} in {text!r}")
    return int(part)


def _show(timeline: Timeline) -> None:
    """A line a person."""
    for person in timeline.people:
        called = f"{person.id}  {person.name}".rstrip()
        if not person.seen.any():
            say(f"{called}: never seen")
            continue
        times = person.times[person.seen]
        top = int(person.overall.argmax())
        mostly = f"{timeline.emotions[top]} {person.overall[top]:.0%}"
        say(f"{called}: seen from {times[0]:.1f} to {times[-1]:.1f} s, {mostly}")
    if not timeline.people:
        say("nobody is in this timeline")
