"""The one error that is meant for the user, and the way culprits are listed and names suggested in it.

Every message says what was expected, what came, which clip or key, and what to do. The command line prints
it in one line and exits with code 2; from Python it is an ordinary `ValueError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class DferError(ValueError):
    """Bad input, told to the user in one sentence."""


class UnwritableError(DferError):
    """A file that cannot be written: no fault of the input, so work on the next clip would fail as well."""


def listed(items: Iterable[object], limit: int = 5) -> str:
    """The first `limit` items by name and the count of the rest.

    >>> listed(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    names = [str(item) for item in items]
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def shortened(text: str, longest: int = 120) -> str:
    """At most so many characters of a text; three dots stand for the middle that is left out.

    >>> shortened("a very long name of a clip", 11)
    'a ve...clip'
    """
    if len(text) <= longest:
        return text
    half = max(1, (longest - 3) // 2)
    return f"{text[:half]}...{text[-half:]}"


def nearest(name: str, known: Iterable[str]) -> str:
    """For a message: " (did you mean 'x'?)" when something known is spelt like `name`, else nothing."""
    close = get_close_matches(name, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
