"""Where clips come from: readers of published data sets, a user's own tables and folders, all to one Manifest."""

from dfer.datasets.manifest import Manifest
from dfer.datasets.sources import read_source

__all__ = ["Manifest", "read_source"]
