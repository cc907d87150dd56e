"""Many runs: folds and their folder, grids, cross-fitted estimates, robustness."""

from dfer.experiments.runs import evaluate_runs, fold_name, train_folds

__all__ = [
    "evaluate_runs",
    "fold_name",
    "train_folds",
]
