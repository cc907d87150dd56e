"""Votes of ten people to soft labels, by several rules, and how ambiguous each clip is."""

import numpy as np

from dfer.labels import DFEW, entropy, hard_labels, soft_labels

votes = np.array([
    [0, 6, 4, 0, 0, 0, 0],  # six sad, four neutral
    [10, 0, 0, 0, 0, 0, 0],  # all happy
    [2, 2, 2, 1, 1, 1, 1],  # nobody knows
])  # fmt: skip

print("emotions           ", *DFEW)
for rule, options in [("frequency", {}), ("dirichlet", {"strength": 2.0}), ("softmax", {"of": "frequency"})]:
    for row in soft_labels(votes, rule, **options):
        print(f"{rule:20}", *(f"{value:.2f}" for value in row))
print("single labels       ", *(DFEW[k] if k >= 0 else "none" for k in hard_labels(votes, ties="drop")))
print("normalised entropy  ", *(f"{value:.2f}" for value in entropy(votes)))
