"""The same votes, whichever way they are written, are the same counts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfer.datasets import read_source
from dfer.datasets.answers import read_answers

from .trees import write_files
from .vote_writers import WRITERS, Votes, answers_of, emotions_of

EMOTIONS = ("happy", "sad", "neutral", "contempt")
COUNTS = st.dictionaries(st.sampled_from(EMOTIONS), st.integers(1, 4), min_size=1)
VOTES = st.dictionaries(st.sampled_from(["001", "002", "010", "100"]), COUNTS, min_size=2)


@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(votes=VOTES)
def test_every_way_to_write_votes_gives_the_same_counts(
    name: str, votes: Votes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("votes")
    write_files(folder / "clips", "{0}.mp4", list(votes))  # type: ignore[arg-type]
    manifest = read_source("table", WRITERS[name](folder, votes), clips=str(folder / "clips"))
    assert sorted(manifest.emotions) == emotions_of(votes)
    counted = {
        path.removesuffix(".mp4"): {e: n for e, n in zip(manifest.emotions, row, strict=True) if n}
        for path, row in zip(manifest.table["path"], manifest.votes.tolist(), strict=True)
    }
    assert counted == votes
    totals = {clip: sum(counts.values()) for clip, counts in votes.items()}
    majority = {
        clip: next((e for e, n in counts.items() if 2 * n > totals[clip]), "") for clip, counts in votes.items()
    }
    labels = dict(zip(manifest.table["path"].str.removesuffix(".mp4"), manifest.table["label"], strict=True))
    assert labels == majority


@pytest.mark.parametrize("name", [name for name in WRITERS if "counts" not in name and "sheet" not in name])
def test_raters_are_read_from_every_table_of_answers(name: str, tmp_path: Path) -> None:
    votes = {"001": {"happy": 2, "sad": 1}, "002": {"sad": 3}, "010": {"neutral": 1, "sad": 1, "happy": 1}}
    path = WRITERS[name](tmp_path, votes)
    if name in ("sep=;", "UTF-16 with tabs", "bars", "title lines", "tally", "title in merged cells"):
        pytest.skip("counts: nobody knows whose they are")
    answers = read_answers(path)
    found = {
        (f"{int(re.findall('[0-9]+', answers.clips[clip])[0]):03d}", answers.emotions[emotion])
        for clip, emotion in zip(answers.clip, answers.emotion, strict=True)
    }
    assert found == {(clip, emotion) for clip, _, emotion in answers_of(votes)}
    assert len(answers) == 9 and len(answers.raters) == 3
