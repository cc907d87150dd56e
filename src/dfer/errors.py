"""The one error that is meant for the user, and the way culprits are listed in it.

Every message says what was expected, what came, which clip or key, and what to do. The command line prints
it in one line and exits with code 2; from Python it is an ordinary `ValueError`.
"""

from __future__ import annotations

from collections.abc import Iterable


class DferError(ValueError):
    """Bad input, told to the user in one sentence."""


def listed(items: Iterable[object], limit: int = 5) -> str:
    """The first `limit` items by name and the count of the rest.

    >>> listed(["a", "b", "c"], limit=2)
    'a, b and 1 more'
    """
    names = [str(item) for item in items]
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
