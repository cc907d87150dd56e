"""What saved predictions support: the same clips side by side, intervals, tests, groups, and what mends them."""

from dfer.comparison.alignment import aligned, read_run
from dfer.comparison.cells import Comparison, compare
from dfer.comparison.remedies import adjust, choose_tau
from dfer.comparison.significance import bootstrap, holm, interval, mcnemar, mean_and_deviation, welch
from dfer.comparison.subgroups import by_groups

__all__ = [
    "Comparison",
    "adjust",
    "aligned",
    "bootstrap",
    "by_groups",
    "choose_tau",
    "compare",
    "holm",
    "interval",
    "mcnemar",
    "mean_and_deviation",
    "read_run",
    "welch",
]
