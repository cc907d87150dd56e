"""Where clips come from: readers of published data sets, of folders and of tables, all to one Manifest."""

from __future__ import annotations

from dfer.datasets.manifest import Manifest
from dfer.datasets.sources import SOURCES, read_source

__all__ = ["SOURCES", "Manifest", "read_source"]
