"""The command line. Verbs only, a module for each group of them; what they do lives elsewhere.

A clip that is left out is named, counted and said. Libraries are imported inside the verbs, so that `dfer --help` is
quick. The order of the imports below is the order of the verbs in the help.
"""

from __future__ import annotations

# isort: off
from dfer.cli.app import app, main
from dfer.cli import predict, exporting, people, clipping, data, doctor, raters, split, estimate, training, ablating
from dfer.cli import comparing, reporting, listing, studio
# isort: on

__all__ = [
    "ablating",
    "app",
    "clipping",
    "comparing",
    "data",
    "doctor",
    "estimate",
    "exporting",
    "listing",
    "main",
    "people",
    "predict",
    "raters",
    "reporting",
    "split",
    "studio",
    "training",
]
