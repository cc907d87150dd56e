"""Label spaces against the orders that their sources print, and mapping by name."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfer.errors import DferError
from dfer.labels import CREMA_D, DFEW, FERPLUS, FERV39K, KNOWN, MAFW, EmotionSet, emotion_set, map_columns

HEADERS = {
    "dfew": "1happy 2sad 3neutral 4angry 5surprise 6disgust 7fear",
    "ferv39k": "Happy Sad Neutral Angry Surprise Disgust Fear",
    "mafw": "anger disgust fear happiness neutral sadness surprise contempt anxiety helplessness disappointment",
    "crema_d": "A D F H N S",
    "ferplus": "neutral happiness surprise sadness anger disgust fear contempt",
    "ravdess": "neutral calm happy sad angry fearful disgust surprised",
}


@pytest.mark.parametrize("name", HEADERS)
def test_the_columns_that_a_source_prints_are_its_set_in_order(name: str) -> None:
    columns = HEADERS[name].split()
    assert [KNOWN[name].index(column) for column in columns] == list(range(len(KNOWN[name])))
    assert len(columns) == len(KNOWN[name])


def test_every_known_set_is_listed_under_its_own_name() -> None:
    assert set(KNOWN) == set(HEADERS)
    assert all(emotion_set(name.upper()) is known and known.name == name for name, known in KNOWN.items())


def test_acted_emotions_in_crema_d_file_names_are_understood() -> None:
    acted = ["ANG", "DIS", "FEA", "HAP", "NEU", "SAD"]
    assert [CREMA_D.canonical(code) for code in acted] == list(CREMA_D)


def test_letters_mean_something_in_crema_d_alone() -> None:
    assert "A" in CREMA_D and "A" not in DFEW and "1happy" not in CREMA_D


def test_an_emotion_is_found_by_name_alias_and_any_case() -> None:
    assert [DFEW.index(name) for name in ("happy", " HAPPINESS ", "Joy", "1Happy")] == [0, 0, 0, 0]
    assert DFEW[0] == "happy" and "contempt" not in DFEW and 0 not in DFEW


def test_an_unknown_emotion_is_refused_with_the_set_the_nearest_name_and_the_known_ones() -> None:
    with pytest.raises(DferError, match=r"'dfew' has no emotion 'surprse' \(did you mean 'surprise'\?\).*happy, sad"):
        DFEW.index("surprse")


def test_many_emotions_are_compared_by_look_ups_and_not_with_each_other() -> None:
    class Counted(str):
        compared = 0

        def __eq__(self, other: object) -> bool:
            Counted.compared += 1
            return str(self) == other

        __hash__ = str.__hash__

        def strip(self, _: str | None = None, /) -> Counted:
            return self

        def casefold(self) -> Counted:
            return self

    names = tuple(Counted(f"e{k}") for k in range(2_000))
    many = EmotionSet("many", names, {f"alias{k}": name for k, name in enumerate(names)})
    assert many.index("alias1999") == 1_999 and many.index("e7") == 7
    assert Counted.compared < 50 * len(names)
    with pytest.raises(DferError, match="names an emotion twice: e5"):
        EmotionSet("twice", (*names, "E5"))


def test_an_unknown_set_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(DferError, match=r"no emotion set 'dfw' \(did you mean 'dfew'\?\)"):
        emotion_set("dfw")


def test_sets_are_equal_by_the_order_of_their_emotions_whatever_their_name() -> None:
    assert DFEW == FERV39K and hash(DFEW) == hash(FERV39K)
    assert EmotionSet("dfew", tuple(reversed(DFEW.emotions))) != DFEW


def test_a_set_survives_pickling_and_copying() -> None:
    for same in (pickle.loads(pickle.dumps(CREMA_D)), copy.deepcopy(CREMA_D)):
        assert same == CREMA_D and same.name == "crema_d" and same.index("ang") == 0


def test_a_users_own_set_keeps_its_names_and_understands_shared_spellings() -> None:
    own = EmotionSet("own", ("Joy", "Sadness", "calm"))
    assert list(own) == ["Joy", "Sadness", "calm"]
    assert [own.index(name) for name in ("happy", "sad", "CALM")] == [0, 1, 2]


def test_a_name_wins_over_a_shared_spelling() -> None:
    both = EmotionSet("both", ("happy", "joy"))
    assert both.index("joy") == 1 and both.index("happiness") == 0


@pytest.mark.parametrize(
    ("emotions", "aliases", "message"),
    [
        ((), {}, "expected names"),
        (("happy", " "), {}, "expected names"),
        (("happy", "Happy"), {}, "names an emotion twice: happy"),
        (("happy", "sad"), {"a": "angry"}, "wrong: a -> angry"),
        (("happy", "sad"), {"sad": "happy"}, "wrong: sad -> happy"),
    ],
)
def test_a_set_that_contradicts_itself_is_refused(
    emotions: tuple[str, ...], aliases: dict[str, str], message: str
) -> None:
    with pytest.raises(DferError, match=message):
        EmotionSet("own", emotions, aliases)


def test_crema_d_maps_into_ferplus_by_name() -> None:
    assert [FERPLUS[k] for k in CREMA_D.mapping_to(FERPLUS)] == list(CREMA_D)


def test_mapping_to_a_set_that_lacks_emotions_names_them() -> None:
    with pytest.raises(DferError, match=r"'dfew'.*lacks contempt, anxiety, helplessness, disappointment of 'mafw'"):
        MAFW.mapping_to(DFEW)


def test_columns_move_by_name_and_new_emotions_are_zero() -> None:
    moved, dropped = map_columns([[6, 5, 4, 3, 2, 1, 0]], DFEW, FERPLUS)
    assert moved.tolist() == [[4, 6, 2, 5, 3, 1, 0, 0]] and dropped.tolist() == [0]


def test_emotions_that_the_target_lacks_are_dropped_only_on_request_and_counted() -> None:
    votes = [[1, 0, 0, 5, 0, 0, 0, 4], [0, 0, 0, 0, 0, 0, 0, 9]]
    with pytest.raises(DferError, match="lacks contempt"):
        map_columns(votes, FERPLUS, DFEW)
    moved, dropped = map_columns(votes, FERPLUS, DFEW, missing="drop")
    assert moved.tolist() == [[0, 5, 1, 0, 0, 0, 0], [0] * 7]
    assert dropped.tolist() == [4, 9]


def test_two_spellings_of_one_emotion_are_added_up() -> None:
    moved, _ = map_columns([[2, 3]], EmotionSet("both", ("happy", "joy")), EmotionSet("one", ("happy",)))
    assert moved.tolist() == [[5]]


@pytest.mark.parametrize(
    ("values", "missing", "message"),
    [
        ([[1, 2]], "error", r"values \(N, 7\)"),
        ([[0] * 7], "ignore", "cannot be 'ignore'; expected one of error"),
    ],
)
def test_columns_of_another_shape_or_policy_are_refused(values: list, missing: str, message: str) -> None:
    with pytest.raises(DferError, match=message):
        map_columns(values, DFEW, FERPLUS, missing=missing)


@given(st.permutations(MAFW.emotions), st.lists(st.integers(0, 11), min_size=11, max_size=11))
def test_there_and_back_again_changes_nothing(order: list[str], row: list[int]) -> None:
    shuffled = EmotionSet("shuffled", tuple(order))
    there, _ = map_columns([row], MAFW, shuffled)
    back, _ = map_columns(there, shuffled, MAFW)
    assert back.tolist() == [row]
    assert np.array_equal(there[0, MAFW.mapping_to(shuffled)], row)
