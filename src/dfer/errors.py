"""The one error that is meant for the user, and the way culprits are listed and names suggested in it.

Every message says what was expected, what came, which clip or key, and what to do. The command line prints
it in one line and exits with code 2; from Python it is an ordinary `ValueError`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import compress, islice
from typing import Any

UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
    "|[\U000e0000-\U000e007f]"
)
"""Characters that act on a terminal or a text instead of being seen: control codes, marks of direction, spaces without
width, halves of surrogate pairs."""
SEEN_SPACE = "\N{NARROW NO-BREAK SPACE}"
"""The one of them that numbers and their units are set with."""
FROM_WORKER = re.compile(r"Caught \w+ in .*\nOriginal Traceback")
LONGEST = 500
"""Characters of a message."""
LONGEST_NAME = 80
"""Characters of a name in a list of culprits."""
MOST_KNOWN = 20
"""Names that are listed where another was given."""


class DferError(ValueError):
    """Bad input, told to the user in one sentence, one line of at most `LONGEST` characters."""

    def __init__(self, *told: object) -> None:
        super().__init__(*(_sentence(text) if isinstance(text, str) else text for text in told))


def _sentence(text: str) -> str:
    if FROM_WORKER.match(text):  # torch hands an error of another process on as the text of its traceback
        text = text.rstrip().rpartition("\n")[2].partition(": ")[2]
    return shortened(printable(" ".join(text.splitlines())), LONGEST)


class UnwritableError(DferError):
    """A file that cannot be written: no fault of the input, so work on the next clip would fail as well."""


def listed(items: Iterable[object], limit: int = 5) -> str:
    """The first `limit` items by name and the count of the rest.

    >>> listed(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    remaining = iter(items)
    shown = ", ".join(shortened(str(item), LONGEST_NAME) for item in islice(remaining, limit))
    more = sum(1 for _ in remaining)
    return f"{shown} and {more} more" if more else shown


def shortened(text: str, longest: int = 120) -> str:
    """At most so many characters of a text; three dots stand for the middle that is left out.

    >>> shortened("a very long name of a clip", 11)
    'a ve...clip'
    """
    if len(text) <= longest:
        return text
    half = max(1, (longest - 3) // 2)
    return f"{text[:half]}...{text[-half:]}"


def printable(text: str, *, lines: bool = False) -> str:
    """A text whose characters are all seen: control codes become symbols, others that act on a text become escapes.

    With `lines`, line ends stay.

    >>> printable("a\\x1b[31m.mp4"), printable("two\\nlines"), printable("\\u202egnp.exe")
    ('a␛[31m.mp4', 'two␊lines', '\\\\u202egnp.exe')
    """
    if lines:
        return "\n".join(UNSEEN.sub(_seen, line) for line in text.split("\n"))
    return UNSEEN.sub(_seen, text)


def _seen(found: re.Match[str]) -> str:
    character = found.group()
    if character == SEEN_SPACE:
        return character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "\N{SYMBOL FOR DELETE}" if code == 0x7F else f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def refuse(wrong: Any, names: Iterable[object], fault: str, *, of: str = "clips", advice: str = "") -> None:
    """Raise where some of `wrong` are true: how many there are, what is wrong with them, and their names.

    Args:
        wrong: (N,) truth values.
        names: N of them.
        fault: what follows "2 clips", such as "have no path".
        of: what the names are names of.
        advice: what to do.

    >>> refuse([False, True], ["a", "b"], "have no path", advice="leave them out")
    Traceback (most recent call last):
    dfer.errors.DferError: 1 clips have no path: 'b'; leave them out
    """
    if wrong.any() if hasattr(wrong, "any") else any(wrong):  # an array knows at once
        culprits = list(compress(names, wrong))
        told = listed(f"'{name}'" for name in dict.fromkeys(culprits))
        raise DferError(f"{len(culprits)} {of} {fault}: {told}{f'; {advice}' if advice else ''}")


def require_known(what: str, name: object, known: Iterable[object]) -> None:
    """Raise `not_known` where a name is none of the known ones."""
    known = list(known)
    if name not in known:
        raise not_known(what, name, known)


def not_known(what: str, name: object, known: Iterable[object]) -> DferError:
    """The error for a name that is none of the known ones; it suggests the nearest.

    >>> str(not_known("no reader", "dfw", ["mafw", "dfew"]))
    "no reader 'dfw' (did you mean 'dfew'?); expected one of mafw, dfew"
    """
    names = [str(each) for each in known if each != ""]  # "" stands for a default
    expected = f"one of {listed(names, MOST_KNOWN)}" if names else "none"
    return DferError(f"{what} '{shortened(str(name))}'{nearest(str(name), names)}; expected {expected}")


def nearest(name: str, known: Iterable[str]) -> str:
    """For a message: " (did you mean 'x'?)" when something known is spelt like `name`, in any case, else nothing."""
    if len(name) > LONGEST_NAME:
        return ""
    names = {each.casefold(): each for each in known}
    close = get_close_matches(name.casefold(), list(names), n=1)
    return f" (did you mean '{names[close[0]]}'?)" if close else ""


class OneLine(logging.Formatter):
    """A message of a log is one line, whatever the names in it."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(super().formatMessage(record))
