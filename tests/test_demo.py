"""Which clips the demo trains on, and which it tests."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dfer import EmotionSet, Manifest
from dfer.demo import few_to_train_on, four_cells
from dfer.training import load_recipe


def test_the_people_of_one_fold_are_trained_on_with_all_their_clips_and_all_others_are_tested() -> None:
    # the clip "b" has no single label, so no list names it
    rows = pd.DataFrame(
        {
            "id": list("abcd"), "path": list("abcd"), "kind": "video", "group": ["ann", "ann", "ben", "cat"],
            "fold": [1, None, 2, 5], "votes_happy": [8, 5, 9, 1], "votes_sad": [2, 5, 1, 9],
        }
    )  # fmt: skip
    manifest = few_to_train_on(Manifest.build(rows, emotions=EmotionSet("two", ("happy", "sad")), root=Path("/clips")))
    assert manifest.table["split"].tolist() == ["train", "train", "test", "test"]
    assert not manifest.folds
    train, test = manifest.partition(None)
    assert (train.tolist(), test.tolist()) == ([True, True, False, False], [False, False, True, True])


def test_the_four_cells_differ_in_labels_and_mixing_only() -> None:
    cells = [recipe.model_dump(mode="json") for recipe in four_cells(load_recipe(Path("demo"))).values()]
    compared = [{key: cell[key] for key in cell if key not in ("labels", "midas")} for cell in cells]
    assert all(cell == compared[0] for cell in compared)
    assert len({(str(cell["labels"]), str(cell["midas"])) for cell in cells}) == 4
