"""Options of readers: text, as the command line gives it."""

from __future__ import annotations

from collections.abc import Collection

from dfer.errors import DferError, nearest


def check_option(option: str, value: str, known: Collection[str]) -> None:
    """Raises a DferError when a value is none of the known ones; "" among them is the default and not named."""
    names = [name for name in known if name]
    if value not in known:
        raise DferError(f"expected {option} to be {' or '.join(names)}, got '{value}'{nearest(value, names)}")
