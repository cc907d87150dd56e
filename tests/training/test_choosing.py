"""Which clips a recipe chooses: by label, by number of votes, by how far people agree; the others are counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dfer import DferError
from dfer.datasets import Manifest, read_source
from dfer.datasets.synthetic import synthesise
from dfer.labels import STRATA, single_label
from dfer.training import Recipe, load_recipe, recipe_from
from dfer.training.choosing import choose_clips
from dfer.training.config import StratumName

from .toy import EMOTIONS

VOTES = [
    [10, 0, 0],  # 0  clear
    [0, 9, 1],   # 1  clear
    [1, 0, 7],   # 2  mixed, 8 votes
    [7, 3, 0],   # 3  mixed
    [6, 4, 0],   # 4  ambiguous, and still a single label
    [5, 5, 0],   # 5  ambiguous
    [4, 3, 3],   # 6  ambiguous
    [0, 2, 2],   # 7  ambiguous, 4 votes
    [9, 1, 0],   # 8  tested
    [0, 0, 10],  # 9  tested
]  # fmt: skip
LABELS = ["happy", "sad", "neutral", "happy", "happy", "", "", "", "happy", "neutral"]


def clips(votes: list[list[float]] = VOTES, labels: list[str] = LABELS) -> Manifest:
    rows = pd.DataFrame({"id": [f"c{n}" for n in range(len(votes))], "label": labels, "kind": "array"})
    rows = rows.assign(path=rows["id"] + ".npy", fold=[1] * 8 + [2] * 2)
    return Manifest.build(
        rows.join(pd.DataFrame(votes, columns=[f"votes_{name}" for name in EMOTIONS])),
        emotions=EMOTIONS,
        root=Path("nowhere"),
    )


def recipe(**data: Any) -> Recipe:
    return recipe_from({"data": {"validation": 0.0, "subset": "all"} | data})


@pytest.mark.parametrize(
    ("data", "chosen", "left_out"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6, 7], {}),
        ({"subset": "single"}, [0, 1, 2, 3, 4], {"no single label": 3}),
        ({"subset": "ambiguous"}, [5, 6, 7], {"has a single label": 5}),
        ({"min_votes": 8}, [0, 1], {"fewer than 8 votes for one emotion": 6}),
        ({"min_votes": 7}, [0, 1, 2, 3], {"fewer than 7 votes for one emotion": 4}),
        ({"stratum": ["mixed", "clear"]}, [0, 1, 2, 3], {"not in stratum mixed, clear": 4}),
        ({"stratum": "ambiguous"}, [4, 5, 6, 7], {"not in stratum ambiguous": 4}),
        # a clip that several reasons keep out is counted once, for the first
        ({"subset": "single", "min_votes": 7, "stratum": ["mixed"]}, [2, 3],
         {"no single label": 3, "fewer than 7 votes for one emotion": 1, "not in stratum mixed": 2}),
    ],
)  # fmt: skip
def test_clips_are_chosen_as_the_hand_worked_table_says(
    data: dict[str, Any], chosen: list[int], left_out: dict[str, int]
) -> None:
    found = choose_clips(recipe(**data), clips(), 2)
    assert found.train.tolist() == chosen and found.left_out == left_out
    assert len(found.train) + sum(found.left_out.values()) == 8


def documented(line: str) -> list[str]:
    """The overrides of an example in docs/recipes.md."""
    text = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
    (command,) = [each for each in text.splitlines() if each.startswith("dfer train dfew_small") and line in each]
    return [part.split()[0] for part in command.split("--set ")[1:]]


@pytest.mark.parametrize(("example", "chosen"), [("min_votes", [0, 1]), ("stratum", [0, 1, 2, 3])])
def test_the_documented_examples_leave_out_what_the_text_says(tmp_path: Path, example: str, chosen: list[int]) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("[data]\nvalidation = 0.0\n")
    found = choose_clips(load_recipe(path, documented(example)), clips(), 2)
    assert found.train.tolist() == chosen


def test_the_names_of_the_strata_in_a_recipe_are_those_of_the_labels() -> None:
    assert set(StratumName.__args__) == {stratum.name for stratum in STRATA}


def test_clips_of_a_subset_are_the_same_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("[data]\nvalidation = 0.0\n")
    resolved = load_recipe(path, ["data.subset=ambiguous", "data.min_votes=4", 'data.stratum=["ambiguous", "mixed"]'])
    assert choose_clips(resolved, clips(), 2).train.tolist() == [5, 6]
    assert load_recipe(path, ["data.stratum=clear"]).data.stratum == ("clear",)
    assert load_recipe(path, ["data.stratum=clear, mixed"]).data.stratum == ("clear", "mixed")
    path.write_text(resolved.toml())
    assert load_recipe(path) == resolved


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.subset=unclear", "data.subset: .*'single', 'all' or 'ambiguous'"),
        ("data.stratum=murky", r"data\.stratum\.0: .*'clear', 'mixed' or 'ambiguous'"),
        ("data.min_votes=-1", "data.min_votes: "),
        ("data.minvotes=3", r"unknown key data\.minvotes \(did you mean 'min_votes'\?\)"),
    ],
)
def test_a_choice_that_does_not_exist_is_refused(tmp_path: Path, override: str, message: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("")
    with pytest.raises(DferError, match=message):
        load_recipe(path, [override])


def test_a_choice_that_nobody_meets_says_how_many_each_reason_kept_out() -> None:
    with pytest.raises(DferError, match=r"left out 5: has a single label; 3: fewer than 20 votes for one emotion\)"):
        choose_clips(recipe(subset="ambiguous", min_votes=20), clips(), 2)


def test_clips_without_votes_are_in_no_stratum_and_have_no_votes() -> None:
    votes = [*VOTES[:7], [np.nan] * 3, *VOTES[8:]]
    labels = [*LABELS[:7], "sad", *LABELS[8:]]
    data = {"labels": {"rule": "hard"}, "data": {"validation": 0.0, "subset": "all", "min_votes": 1}}
    found = choose_clips(recipe_from(data), clips(votes, labels), 2)
    assert 7 not in found.train and found.left_out["fewer than 1 votes for one emotion"] == 1
    assert 7 not in choose_clips(recipe(stratum=[stratum.name for stratum in STRATA]), clips(votes, labels), 2).train


def test_a_run_trains_on_clips_without_a_majority_and_tests_on_the_official_ones(tmp_path: Path) -> None:
    synthesise(tmp_path / "dfew", clips=60, size=32, workers=1)
    manifest = read_source("dfew", tmp_path / "dfew")
    majority = single_label(manifest.votes) >= 0  # DFEW's own rule, six of ten, as a test of its label column
    found = choose_clips(recipe(subset="ambiguous"), manifest, 1)
    assert len(found.train) and not majority[found.train].any()
    _, test = manifest.partition(1)
    assert majority[test].all() and found.left_out == {"has a single label": int(majority.sum() - test.sum())}
    assert set(found.train) == set(np.flatnonzero(~majority))
