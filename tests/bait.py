"""An object for pickles that must never be loaded."""

from __future__ import annotations

from pathlib import Path


class Bait:
    """Unpickling it makes a file."""

    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.trap,)
