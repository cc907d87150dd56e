"""What runs are called on the terminal and on pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dfer.errors import DferError, listed


def run_names(paths: Sequence[Path]) -> list[str]:
    """The names of folders or tables; of equal ones as much more of the path as tells them apart.

    Raises:
        DferError: one of them is there twice.

    >>> run_names([Path("runs/soft"), Path("runs/hard/predictions.csv")])
    ['soft', 'predictions']
    >>> run_names([Path("a.csv"), Path("a.parquet"), Path(".").resolve() / "b"])
    ['a.csv', 'a.parquet', 'b']
    >>> run_names([Path("grid/soft/seed0"), Path("grid/hard/seed0")])
    ['soft', 'hard']
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise DferError(f"expected different runs, got {listed(paths, 12)}")
    bare = [path.with_suffix("") if path.suffix in (".csv", ".parquet") else path for path in paths]
    told = bare if len(set(bare)) == len(paths) else paths
    parts = [(path.resolve() if path.name in ("", "..") else path).parts for path in told]
    lengths = range(1, 2 + max(map(len, parts), default=0))
    enough = next(length for length in lengths if len({part[-length:] for part in parts}) == len(parts))
    names = [part[-enough:] for part in parts]
    while len({name[-1] for name in names}) == 1 < min(map(len, names)):
        names = [name[:-1] for name in names]
    return ["/".join(name) for name in names]
