"""Names of clips and persons that are spelt in several ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfer.datasets.spelling import clip_parts, joined, near_names, one_name
from dfer.errors import DferError


@pytest.mark.parametrize(
    "spellings",
    [
        ["P1", "p1", "P01", "P001", " P1 "],
        ["anna", "Anna", "ANNA"],
        ["film.avi", "Film", "film.MKV"],
        ["clip_007", "clip_7.mp4", "CLIP_07"],
        ["0", "00", "000.png"],
    ],
)
def test_case_padding_and_suffix_make_no_difference(spellings: list[str]) -> None:
    assert near_names(spellings) == [spellings]
    assert len(set(joined(spellings)[0])) == 1


@pytest.mark.parametrize("names", [["P1", "P10"], ["v0.5", "v0.05"], ["a.b", "a.c"], ["anna", "anne"], ["1_1", "11"]])
def test_other_differences_do(names: list[str]) -> None:
    assert near_names(names) == [] and joined(names) == (names, [])


def test_the_most_frequent_spelling_stands_for_all() -> None:
    assert joined(["P01", "P1", "P1", "", "b"])[0] == ["P1", "P1", "P1", "", "b"]


@given(
    st.integers(0, 500),
    st.integers(0, 4),
    st.sampled_from(["", ".mp4", ".MP4", ".avi"]),
    st.sampled_from(["", "./", "/"]),
)
def test_a_number_s_spellings_are_one_clip(number: int, padding: int, suffix: str, before: str) -> None:
    assert clip_parts(f"{before}{'0' * padding}{number}{suffix}") == (str(number),)


def test_addresses_name_the_file_that_they_lead_to() -> None:
    for address in ("https://x.org/v/a%20b.mp4?token=1", "s3://bucket/v/a b.mp4", r"C:\v\a b.mp4", "file:///v/a b.mp4"):
        assert clip_parts(address)[-2:] == ("v", "a b")


def test_files_that_lie_there_decide() -> None:
    files = {"1.mp4": "1.mp4", "001.mp4": "001.mp4", "1": "1.mp4"}
    found = one_name(["1.mp4", "001.mp4", "1", "01"], lambda name: files.get(name, ""))
    assert found == {"1.mp4": "1.mp4", "001.mp4": "001.mp4", "1": "1.mp4", "01": "01"}
    with pytest.raises(DferError, match="the clip '7' may be one of a/7, b/7"):
        one_name(["7", "a/7", "b/7"])
    assert one_name(["7", "a/7", "b/7"], lambda name: name)["7"] == "7"
