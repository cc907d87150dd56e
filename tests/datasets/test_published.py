"""Published figures hang together: parts and classes sum to the whole."""

from __future__ import annotations

import pytest

from dfer.datasets.published import PUBLISHED
from dfer.datasets.sources import SOURCES
from dfer.labels import KNOWN


@pytest.mark.parametrize("name", PUBLISHED)
def test_parts_and_classes_sum_to_the_whole(name: str) -> None:
    known = PUBLISHED[name]
    single = known.clips if known.single is None else known.single
    assert sum(known.per_class.values()) in (0, single)
    assert sum(known.per_scene.values()) in (0, known.clips)
    assert sum(known.splits.values()) in (0, known.clips)
    for split, classes in known.split_per_class.items():
        assert sum(classes.values()) == known.splits[split]
    for fold, classes in known.tested_per_class.items():
        assert sum(classes.values()) == known.folds[fold][1]


@pytest.mark.parametrize("name", [name for name, known in PUBLISHED.items() if known.folds])
def test_every_clip_that_is_tested_is_so_in_one_fold_and_trained_on_in_the_others(name: str) -> None:
    known = PUBLISHED[name]
    tested = sum(test for _, test in known.folds.values())
    assert tested in (known.clips, known.single)
    assert {train + test for train, test in known.folds.values()} == {tested}


def test_figures_belong_to_readers_and_name_emotions_that_are_known() -> None:
    assert set(PUBLISHED) <= set(SOURCES)
    words = {word for space in KNOWN.values() for word in space}
    for known in PUBLISHED.values():
        counted = [known.per_class, *known.split_per_class.values(), *known.tested_per_class.values()]
        assert {name for classes in counted for name in classes} <= words | {"calm"}


def test_classes_of_folds_and_splits_sum_to_those_of_the_whole() -> None:
    dfew, ferv39k = PUBLISHED["dfew"], PUBLISHED["ferv39k"]
    for parts, whole in ((dfew.tested_per_class, dfew.per_class), (ferv39k.split_per_class, ferv39k.per_class)):
        assert {name: sum(part[name] for part in parts.values()) for name in whole} == dict(whole)
