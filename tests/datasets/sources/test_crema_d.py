"""CREMA-D: votes by modality, clips wherever they lie and their stand-ins; the real table and six real clips."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfer.datasets import Manifest, read_source
from dfer.datasets.published import PUBLISHED
from dfer.errors import DferError
from dfer.labels import CREMA_D, entropy
from dfer.video import open_clip

from .acted_trees import (
    CREMA_D_ROWS,
    GOOD_CLIPS,
    POINTER,
    vote_lines,
    write_crema_d,
    write_videos,
    write_vote_rows,
)
from .trees import write_frames

BAD = {"bad clip, named in the data set's README": 1}
TABLE = "processedResults/tabulatedVotes.csv"


def read(root: Path, **options: str) -> Manifest:
    return read_source("crema_d", root, **options)


def assert_is_the_tree(manifest: Manifest) -> None:
    """The rows of the face alone, by hand; the tie has no label."""
    assert manifest.table["id"].tolist() == list(GOOD_CLIPS)
    assert manifest.emotions == CREMA_D and manifest.source == "crema_d" and manifest.folds == []
    assert manifest.table["label"].tolist() == ["neutral", "", "angry", "sad", "fear"]
    votes = [[0, 0, 0, 0, 9, 0], [0, 0, 0, 5, 5, 0], [5, 2, 0, 0, 3, 0], [0, 2, 1, 0, 1, 6], [0, 0, 8, 0, 2, 0]]
    assert manifest.votes.tolist() == votes
    assert manifest.table["group"].tolist() == ["1001", "1001", "1018", "1019", "1091"]


def test_the_votes_on_the_face_alone_are_read_by_default(tmp_path: Path) -> None:
    manifest = read(write_crema_d(tmp_path))
    assert_is_the_tree(manifest)
    assert manifest.left_out == BAD
    assert manifest.table["path"][0] == "VideoFlash/1001_IEO_NEU_XX.flv" and set(manifest.table["kind"]) == {"video"}


def test_what_was_acted_and_who_acted_it_are_kept_beside_the_votes(tmp_path: Path) -> None:
    table = read(write_crema_d(tmp_path)).table
    assert table["acted"].tolist() == ["neutral", "happy", "angry", "disgust", "fear"]
    assert table["level"].tolist() == ["XX", "LO", "XX", "MD", "HI"]
    assert table["sentence"].tolist() == ["IEO", "IEO", "DFA", "DFA", "WSI"]
    people = [["51", "Male", "Caucasian", "Not Hispanic"], ["25", "Female", "African American", "Hispanic"]]
    assert table.loc[[0, 2], ["age", "sex", "race", "ethnicity"]].to_numpy().tolist() == people
    assert set(table["modality"]) == {"video"}


def test_mean_levels_are_weights_and_unknown_where_nobody_voted_so(tmp_path: Path) -> None:
    nobody = np.nan
    weights = read(write_crema_d(tmp_path)).weights
    assert np.array_equal(weights[1], [nobody, nobody, nobody, 57, 40.5, nobody], equal_nan=True)
    assert np.array_equal(weights[2], [41.5, 62, nobody, nobody, 46, nobody], equal_nan=True)


@pytest.mark.parametrize(
    ("modality", "ids", "votes"),
    [
        ("voice", ["1001_IEO_NEU_XX", "1001_IEO_HAP_LO", "1018_DFA_ANG_XX"], [0, 0, 0, 1, 10, 0]),
        ("both", ["1001_IEO_NEU_XX"], [0, 0, 0, 0, 9, 1]),
    ],
)
def test_another_modality_is_read_when_it_is_asked_for(
    tmp_path: Path, modality: str, ids: list[str], votes: list[int]
) -> None:
    manifest = read(write_crema_d(tmp_path), modality=modality)
    assert manifest.table["id"].tolist() == ids and manifest.votes[0].tolist() == votes
    assert set(manifest.table["modality"]) == {modality}
    assert manifest.left_out["clip on disk without votes"] == 6 - len(ids)


def test_the_acted_emotion_is_the_label_when_it_is_asked_for_and_votes_stay(tmp_path: Path) -> None:
    manifest = read(write_crema_d(tmp_path), label="acted")
    assert manifest.table["label"].tolist() == manifest.table["acted"].tolist()
    assert manifest.votes[1].tolist() == [0, 0, 0, 5, 5, 0]


def test_folds_by_actor_follow_the_published_order(tmp_path: Path) -> None:
    manifest = read(write_crema_d(tmp_path), folds="actors")
    assert manifest.table["fold"].tolist() == [1, 1, 1, 2, 5]


def test_the_whole_vote_table_can_be_read_without_a_clip(tmp_path: Path) -> None:
    manifest = read(write_crema_d(tmp_path, clips=["1018_DFA_ANG_XX"]), votes_only=True)
    assert len(manifest) == 6 and manifest.left_out == {}
    assert manifest.table["path"].tolist() == [f"VideoFlash/{name}.flv" for name in manifest.table["id"]]
    (tmp_path / "deeper").mkdir()
    for name in ("processedResults", "VideoDemographics.csv"):
        (tmp_path / name).rename(tmp_path / "deeper" / name)
    paths = read(tmp_path, votes_only=True).table["path"].tolist()
    assert paths[:2] == [f"deeper/VideoFlash/{name}.flv" for name in GOOD_CLIPS[:2]]
    assert paths[2] == "VideoFlash/1018_DFA_ANG_XX.flv"


def test_converted_clips_are_found_wherever_they_lie(tmp_path: Path) -> None:
    write_crema_d(tmp_path, clips=[])
    write_videos(tmp_path / "converted/a", ["1001_IEO_NEU_XX.mp4", "1001_ieo_hap_lo.MP4"])
    write_frames(tmp_path / "faces/1018_DFA_ANG_XX", ["1.png", "2.png"])
    write_videos(tmp_path, ["1019_DFA_DIS_MD.avi", "1091_WSI_FEA_HI.webm", "1064_TIE_SAD_XX.mp4"])
    manifest = read(tmp_path)
    assert_is_the_tree(manifest)
    assert manifest.table["kind"].tolist() == ["video", "video", "frames", "video", "video"]
    assert manifest.table["path"][1] == "converted/a/1001_ieo_hap_lo.MP4"


def test_clips_that_are_not_there_or_not_downloaded_are_left_out_by_name_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_crema_d(tmp_path, clips=["1001_IEO_NEU_XX"])
    write_videos(tmp_path / "VideoFlash", ["1001_IEO_HAP_LO.flv"], POINTER)
    write_videos(tmp_path / "AudioWAV", ["1018_DFA_ANG_XX.wav", "1001_IEO_NEU_XX.wav"])
    (tmp_path / "faces/1019_DFA_DIS_MD").mkdir(parents=True)
    write_videos(tmp_path / "again", ["1001_IEO_NEU_XX.mp4", "1002_IEO_NEU_XX.mp4"])
    manifest = read(tmp_path)
    assert manifest.table["id"].tolist() == ["1001_IEO_NEU_XX"]
    assert manifest.left_out == BAD | {
        "git-LFS pointer in place of the video": 1,
        "sound or other file in place of a video": 1,
        "folder without a frame": 1,
        "no clip on disk": 1,
        "clip on disk without votes": 1,
        "second copy of a clip": 1,
    }
    assert "git-LFS pointer in place of the video: 1001_IEO_HAP_LO" in caplog.text


def test_a_download_beside_its_pointer_is_the_clip(tmp_path: Path) -> None:
    write_crema_d(tmp_path)
    write_videos(tmp_path / "VideoFlash", [f"{name}.flv" for name in GOOD_CLIPS], POINTER)
    write_videos(tmp_path / "mp4", [f"{name}.mp4" for name in GOOD_CLIPS])
    manifest = read(tmp_path)
    assert_is_the_tree(manifest)
    assert manifest.table["path"][0] == "mp4/1001_IEO_NEU_XX.mp4" and manifest.left_out == BAD


@pytest.mark.parametrize(
    ("names", "content", "told"),
    [
        (["{}.flv"], POINTER, r"\(6: git-LFS pointer in place of the video\); get VideoFlash .*`git lfs pull`"),
        (["{}.wav"], "RIFF", r"\(6: sound or other file in place of a video\); get VideoFlash .*votes_only=true"),
        ([], "", r"none of the 6 clips is under .*\(6: no clip on disk\)"),
    ],
)
def test_a_tree_without_a_single_clip_is_refused_with_the_cause(
    tmp_path: Path, names: list[str], content: str, told: str
) -> None:
    write_crema_d(tmp_path, clips=[])
    clips = [pattern.format(name) for pattern in names for name in (*GOOD_CLIPS, "1064_TIE_SAD_XX")]
    write_videos(tmp_path / "VideoFlash", clips, content)
    with pytest.raises(DferError, match=told):
        read(tmp_path)


def test_a_vote_table_that_was_not_downloaded_is_refused(tmp_path: Path) -> None:
    (write_crema_d(tmp_path) / TABLE).write_text(POINTER)
    with pytest.raises(DferError, match=r"tabulatedVotes\.csv is a git-LFS pointer, not a table: .*`git lfs pull`"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            '"200001",0,0,0,0,9,0',
            '"200001",0,0,0,0,8,0',
            r"1 rows of .* have votes that do not sum to numResponses: '200001'",
        ),
        (
            '"200002",0,0,0,5,5,0',
            '"200002",0,0,0,,5,0',
            r"1 rows of .* have votes that do not sum to numResponses: '200002'",
        ),
        ('10,0.5,"A"', '10,0.5,"D"', r"1 rows of .* have an emoVote that is not the emotion with most votes: '200083'"),
        ('"H:N"', '"H"', r"1 rows of .* have an emoVote that is not the emotion with most votes: '200002'"),
        ('"200002"', '"2"', r"1 rows of .* have no name from 100001 to 399999, which tells the modality: '2'"),
        ("1019_DFA_DIS_MD", "1018_DFA_ANG_XX", r"2 rows of .* name a clip that another row names: '200083', '201500'"),
        ("1019_DFA_DIS_MD", "1019-DFA", r"1 rows of .* name no clip of CREMA-D: '201500'"),
        ('"fileName"', '"file"', r"expected the columns of CREMA-D's tabulatedVotes.csv; missing: fileName"),
    ],
)
def test_a_vote_table_that_contradicts_itself_is_refused_by_row(tmp_path: Path, old: str, new: str, fault: str) -> None:
    path = write_crema_d(tmp_path) / TABLE
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(DferError, match=fault):
        read(tmp_path)


def test_winners_of_a_tie_may_be_named_in_any_order(tmp_path: Path) -> None:
    path = write_crema_d(tmp_path) / TABLE
    path.write_text(path.read_text().replace('"H:N"', '"N:H"'))
    assert_is_the_tree(read(tmp_path))


def test_a_vote_table_that_was_saved_anew_still_reads(tmp_path: Path) -> None:
    path = write_crema_d(tmp_path) / TABLE
    pd.read_csv(path).sample(frac=1, random_state=0).to_csv(path, index=False, lineterminator="\r\n")
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    table = read(tmp_path).table.set_index("id")
    assert sorted(table.index) == sorted(GOOD_CLIPS) and table.loc["1019_DFA_DIS_MD", "label"] == "sad"


def test_a_vote_table_without_its_row_names_is_refused(tmp_path: Path) -> None:
    path = write_crema_d(tmp_path) / TABLE
    pd.read_csv(path, index_col=0).to_csv(path, index=False)
    with pytest.raises(DferError, match=r"10 rows of .* have no name from 100001 to 399999, which tells the modality"):
        read(tmp_path)


def test_a_table_without_the_wanted_modality_is_refused(tmp_path: Path) -> None:
    write_crema_d(tmp_path)
    only = {row: cells for row, cells in CREMA_D_ROWS.items() if row > 300000}
    write_vote_rows(tmp_path / TABLE, vote_lines(only))
    with pytest.raises(DferError, match=r"no row of modality video \(2xxxxx\)"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda _: b"", r"cannot be read as a table .it is empty"),
        (lambda data: data[: len(data) // 2], r"cannot be read as a table .row \d+: unexpected end of data"),
        (lambda data: data[:40] + b"\xff" + data[40:], r"is not in UTF-8"),
        (lambda data: data.replace(b",", b" "), r"cannot be read as a table .row 1: "),
        (
            lambda data: data.replace(b'01",0,0,0,0,9', b'01",-1,1,0,0,9'),
            r"1 of 6 clips have votes that are negative: '1001_IEO_NEU_XX'",
        ),
        (
            lambda data: data.replace(b",5,2,0,0,3", b",5.5,1.5,0,0,3"),
            r"1 of 5 clips have votes that are fractional: '1018_DFA_ANG_XX'",
        ),
    ],
)
def test_a_damaged_vote_table_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes], fault: str) -> None:
    path = write_crema_d(tmp_path) / TABLE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DferError, match=fault):
        read(tmp_path)


def test_demographics_are_optional_and_a_damaged_table_of_them_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_crema_d(tmp_path) / "VideoDemographics.csv"
    text = path.read_text()
    path.write_text(text.replace("1091,", "1092,"))
    assert read(tmp_path).table["age"].fillna("").tolist() == ["51", "51", "25", "29", ""]
    path.write_text(text.replace("1018,", "1001,"))
    with pytest.raises(DferError, match=r"VideoDemographics\.csv: expected a row an actor"):
        read(tmp_path)
    path.unlink()
    assert "age" not in read(tmp_path).table and "no VideoDemographics.csv" in caplog.text


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"modality": "vidio"},
            r"it should be 'voice', 'video' or 'both', got 'vidio' \(did you mean 'video'",
        ),
        ({"label": "played"}, r"label: it should be 'votes' or 'acted', got 'played'"),
        ({"folds": "5"}, r"folds: it should be '' or 'actors', got '5'"),
        ({"votes_only": "maybe"}, r"votes_only: it should be a valid boolean.* got 'maybe'"),
        ({"classes": "6"}, r"options of the reader crema_d: unknown key classes; known here: modality, label"),
    ],
)
def test_unknown_options_are_refused(tmp_path: Path, options: dict[str, str], told: str) -> None:
    with pytest.raises(DferError, match=told):
        read(write_crema_d(tmp_path), **options)


def test_another_reader_points_to_this_one(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"looks like crema_d: `dfer prepare crema_d"):
        read_source("dfew", write_crema_d(tmp_path))


def test_the_six_real_clips_have_the_votes_that_their_raters_gave(shared_data: Path) -> None:
    manifest = read(shared_data / "crema_d")
    table = manifest.table.set_index("acted")
    assert len(table) == 6 and manifest.left_out == {"no clip on disk": 7432} | {next(iter(BAD)): 4}
    votes = {"angry": [5, 2, 0, 0, 3, 0], "disgust": [6, 2, 0, 0, 2, 0], "fear": [1, 3, 2, 0, 2, 1]}
    votes |= {"happy": [0, 0, 0, 7, 2, 0], "neutral": [1, 0, 0, 0, 9, 0], "sad": [0, 1, 1, 0, 7, 0]}
    for acted, row in votes.items():
        assert table.loc[acted, [f"votes_{name}" for name in CREMA_D]].tolist() == row
    clip = open_clip(manifest.resolve(manifest.table["path"][0]), "video")
    assert len(clip) > 30 and clip.read(np.array([0])).shape[3] == 3


@pytest.mark.parametrize(
    ("modality", "responses", "agreement", "unanimous", "majority", "ties", "spread", "as_acted"),
    [
        ("voice", 68568, 0.637, 383, 5012, 644, 0.463, 3099),
        ("video", 71654, 0.701, 1008, 5523, 470, 0.390, 4931),
        ("both", 71778, 0.726, 1119, 5913, 420, 0.357, 5374),
    ],
)
def test_the_statistics_of_the_real_votes_are_the_published_ones(
    shared_data: Path, modality: str, responses: int, agreement: float, unanimous: int, majority: int, ties: int,
    spread: float, as_acted: int,
) -> None:  # fmt: skip
    manifest = read(shared_data / "crema_d", modality=modality, votes_only=True)
    votes, table = manifest.votes, manifest.table
    top = votes.max(axis=1) / votes.sum(axis=1)
    assert len(manifest) == 7442 and votes.sum() == responses
    assert round(top.mean(), 3) == agreement and (top == 1).sum() == unanimous and (top > 0.5).sum() == majority
    assert (manifest.labels < 0).sum() == ties and (table["label"] == table["acted"]).sum() == as_acted
    assert round(float(entropy(votes).mean()), 3) == spread


def test_the_real_table_has_the_published_classes_actors_and_folds(shared_data: Path) -> None:
    manifest = read(shared_data / "crema_d", votes_only=True, folds="actors")
    perceived = {"neutral": 2076, "happy": 1266, "disgust": 1057, "angry": 968, "fear": 822, "sad": 783, "": 470}
    assert manifest.table["label"].value_counts().to_dict() == perceived
    assert manifest.table["acted"].value_counts().to_dict() == dict.fromkeys(CREMA_D, 1271) | {"neutral": 1087}
    assert manifest.table["group"].nunique() == 91
    sizes = [(int(train.sum()), int(test.sum())) for train, test in map(manifest.partition, manifest.folds)]
    assert sizes == [(5979, 1463), (5972, 1470), (5966, 1476), (5966, 1476), (5885, 1557)]


def test_a_complete_copy_would_have_the_published_counts(shared_data: Path, tmp_path: Path) -> None:
    names = read(shared_data / "crema_d", votes_only=True).table["id"]
    write_crema_d(tmp_path, names)
    (tmp_path / TABLE).write_bytes((shared_data / "crema_d" / TABLE).read_bytes())
    manifest = read(tmp_path, folds="actors")
    known = PUBLISHED["crema_d"]
    assert len(manifest) == known.clips and (manifest.labels >= 0).sum() == known.single
    assert manifest.table["label"][manifest.labels >= 0].value_counts().to_dict() == known.per_class
    for fold, sizes in known.folds.items():
        assert tuple(int(part.sum()) for part in manifest.partition(fold)) == sizes


def test_a_vote_table_with_two_columns_without_a_name_is_refused(tmp_path: Path) -> None:
    path = write_crema_d(tmp_path) / "processedResults/tabulatedVotes.csv"
    path.write_text(path.read_text(encoding="utf-8").replace('"agreement"', '""', 1), encoding="utf-8")
    with pytest.raises(DferError, match=r"tabulatedVotes\.csv: expected the columns .* twice: ''"):
        read_source("crema_d", tmp_path)
