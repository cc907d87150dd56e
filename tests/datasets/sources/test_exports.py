"""Exports of tools, written here after each tool's description of its format; values counted by hand."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from dfer.datasets import Manifest, read_source
from dfer.datasets.answers import read_answers
from dfer.datasets.sources.label_space import Vocabulary
from dfer.errors import DferError

from .trees import write_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path, "{0}.mp4", ["001", "002"])  # type: ignore[list-item]
    return tmp_path


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def votes(manifest: Manifest) -> dict[str, dict[str, float]]:
    table = manifest.table.filter(regex="^(votes|other)_")
    return {
        str(clip).removesuffix(".mp4"): {str(k).removeprefix("votes_"): v for k, v in row.items() if v}
        for clip, row in zip(manifest.table["path"], table.to_dict("records"), strict=True)
    }


def annotation(rater: Any, *words: str, **more: Any) -> dict[str, Any]:
    result = [{"from_name": "emotion", "to_name": "v", "type": "choices", "value": {"choices": list(words)}}]
    result += [{"from_name": "quality", "to_name": "v", "type": "choices", "value": {"choices": ["good"]}}]
    return {"id": 1, "completed_by": rater, "result": result, "was_cancelled": False, **more}


TASKS = [
    {
        "id": 7,
        "data": {"video": "/data/upload/2/00ff00ff-001.mp4", "note": "dark"},
        "annotations": [
            annotation(1, "Happy"),
            annotation(2, "Happy", reviews=[{"accepted": True}, {"accepted": False}]),
            annotation(3, "Sad", "Happy"),
            annotation(4, was_cancelled=True),
        ],
        "predictions": [{"result": [{"value": {"choices": ["Sad"]}}]}],
    },
    {
        "id": 8,
        "data": {"video": "/data/local-files/?d=002.mp4", "note": ""},
        "annotations": [annotation({"email": "a@x.org"}, "Sad"), annotation(2, "Other")],
    },
]


def test_label_studio_s_json(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(folder, "project.json", json.dumps(TASKS))
    manifest = read_source("table", path)
    assert votes(manifest) == {"001": {"happy": 1, "other_rejected": 1}, "002": {"sad": 1, "other_other": 1}}
    assert manifest.left_out == {"answer with several emotions": 1, "skipped by the rater": 1}
    assert "project.json is read as an export of Label Studio" in caplog.text
    assert read_answers(path).raters == ("1", "a@x.org")


def test_label_studio_s_rows_as_json_and_csv(folder: Path) -> None:
    rows = [
        {"annotation_id": 1, "annotator": 5, "id": 70, "lead_time": 3.2, "video": "/data/upload/2/00ff00ff-001.mp4",
         "feeling": "Happy", "created_at": "2026-01-01"},
        {"annotation_id": 2, "annotator": 6, "id": 70, "lead_time": 1.0, "video": "/data/upload/2/00ff00ff-001.mp4",
         "feeling": {"choices": ["Sad", "Happy"]}, "created_at": "2026-01-01"},
        {"annotation_id": 3, "annotator": 5, "id": 71, "lead_time": 2.0, "video": "/data/upload/2/12345678-002.mp4",
         "feeling": "Sad", "created_at": "2026-01-01"},
    ]  # fmt: skip
    expected = {"001": {"happy": 1}, "002": {"sad": 1}}
    assert votes(read_source("table", write(folder, "min.json", json.dumps(rows)))) == expected
    lines = ["annotation_id,annotator,created_at,feeling,id,lead_time,video"]
    for row in rows:
        cell = row["feeling"] if isinstance(row["feeling"], str) else json.dumps(row["feeling"]).replace('"', '""')
        head = f"{row['annotation_id']},{row['annotator']},{row['created_at']}"
        lines.append(f'{head},"{cell}",{row["id"]},{row["lead_time"]},{row["video"]}')
    path = write(folder, "project.csv", "\n".join(lines))
    assert votes(read_source("table", path)) == expected
    assert read_answers(path).raters == ("5",)


def test_mechanical_turk_s_batch(folder: Path) -> None:
    head = "HITId,AssignmentId,WorkerId,AssignmentStatus,Input.video_url,Input.seed,Answer.emotion,Approve,Reject\n"
    rows = [
        ("A1", "Approved", "001", "happiness", ""), ("A2", "Rejected", "001", "sad", ""),
        ("A3", "Submitted", "001", "sad", "x"), ("A1", "Approved", "002", "sad", ""), ("A2", "Approved", "002", "", ""),
    ]  # fmt: skip
    text = "".join(f"H,A,{w},{s},https://s3.x.org/b/{c}.mp4,7,{e},,{r}\n" for w, s, c, e, r in rows)
    path = write(folder, "Batch_1.csv", head + text)
    manifest = read_source("table", path)
    assert votes(manifest) == {"001": {"happy": 1, "other_rejected": 2}, "002": {"sad": 1}}
    assert manifest.table["label"].tolist() == ["", "sad"] and manifest.left_out == {"answer without an emotion": 1}
    answers = read_answers(path)
    assert answers.raters == ("A1",) and answers.left_out["answer that names no emotion: rejected"] == 2


@pytest.mark.parametrize(
    ("columns", "happy", "sad"),
    [
        ("Answer.emotion.happy,Answer.emotion.sad", "true,false", "false,true"),
        ("Answer.emotion.label", "happy", "sad"),
        ("Answer.taskAnswers", '"[{""emotion"":{""label"":""happy""}}]"', '"[{""emotion"":{""label"":""sad""}}]"'),
        (
            "Answer.taskAnswers",
            '"[{""emotion"":{""happy"":true,""sad"":false}}]"',
            '"[{""emotion"":{""happy"":false,""sad"":true}}]"',
        ),
    ],
)
def test_mechanical_turk_s_answers_in_their_shapes(folder: Path, columns: str, happy: str, sad: str) -> None:
    text = f"HITId,WorkerId,AssignmentStatus,Input.clip,{columns}\n"
    text += f"H1,A,Approved,001,{happy}\nH1,B,Approved,001,{happy}\nH2,A,Approved,002,{sad}\n"
    assert votes(read_source("table", write(folder, "b.csv", text))) == {"001": {"happy": 2}, "002": {"sad": 1}}


def test_mechanical_turk_s_assignments_with_several_clips(folder: Path) -> None:
    text = "HITId,WorkerId,AssignmentStatus,Input.clip1,Input.clip2,Answer.emotion1,Answer.emotion2\n"
    text += "H,A,Approved,001.mp4,002.mp4,happy,sad\nH,B,Approved,002.mp4,001.mp4,happy,sad\n"
    expected = {"001": {"happy": 1, "sad": 1}, "002": {"sad": 1, "happy": 1}}
    assert votes(read_source("table", write(folder, "b.csv", text))) == expected


def test_qualtrics_three_header_rows(folder: Path) -> None:
    imports = ",".join(f'"{{""ImportId"":""{name}""}}"' for name in ("a", "b", "c", "d", "e", "f"))
    text = (
        "StartDate,Status,ResponseId,Q1,Q2,Q9\n"
        'Start Date,Response Type,Response ID,"What does 001.mp4 show?","What does 002.mp4 show?",Your age?\n'
        f"{imports}\n"
        "2026-01-02,IP Address,R_1,Happy,Sad,31\n2026-01-02,IP Address,R_2,Happy,None of these,44\n"
        "2026-01-02,Spam,R_3,Sad,Sad,1\n2026-01-02,Survey Preview,R_0,Sad,Sad,9\n2026-01-03,IP Address,R_4,,Sad,20\n"
    )
    path = write(folder, "survey.csv", text)
    manifest = read_source("table", path)
    assert votes(manifest) == {
        "001": {"happy": 2, "other_rejected": 1},
        "002": {"sad": 2, "other_none": 1, "other_rejected": 1},
    }
    assert manifest.table["label"].tolist() == ["happy", ""]
    assert manifest.left_out == {"preview of the survey": 2, "answer without an emotion": 1}
    assert read_answers(path).raters == ("R_1", "R_2", "R_4")


def test_qualtrics_columns_of_a_loop_and_numbers_for_choices(folder: Path) -> None:
    text = (
        "StartDate,RecordedDate,ResponseId,001_emotion,002_emotion\n"
        "Start Date,Recorded Date,Response ID,Feeling?,Feeling?\n"
        "x,x,R_1,1,2\nx,x,R_2,1,1\n"
    )
    path = write(folder, "survey.csv", text)
    with pytest.raises(DferError, match=r"no question has emotions as its answers .*--map word=emotion"):
        read_source("table", path)
    assert votes(read_source("table", path, map="1=happy,2=sad")) == {
        "001": {"happy": 2},
        "002": {"happy": 1, "sad": 1},
    }


def cvat(body: str, meta: str = "<task><id>3</id><assignee><username>eva</username></assignee></task>") -> str:
    head = '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>'
    return f"{head}<meta>{meta}</meta>{body}</annotations>"


def test_cvat_s_images_tags_and_attributes(tmp_path: Path) -> None:
    write_files(tmp_path, "{0}.jpg", ["a", "b", "c"])  # type: ignore[list-item]
    body = (
        '<image id="0" name="a.jpg" width="9" height="9"><tag label="happy" source="manual"/></image>'
        '<image id="1" name="b.jpg" width="9" height="9"><tag label="sad"/><tag label="happy"/></image>'
        '<image id="2" name="c.jpg" width="9" height="9"><tag label="sad"/></image>'
    )
    path = write(tmp_path, "annotations.xml", cvat(body))
    manifest = read_source("table", path)
    assert manifest.table["path"].tolist() == ["a.jpg", "c.jpg"] and manifest.votes.tolist() == [[1, 0], [0, 1]]
    assert manifest.left_out == {"answer with several emotions": 1} and read_answers(path).raters == ("eva",)
    marks = '<attribute name="emotion">{}</attribute><attribute name="age">9</attribute>'
    face = f'<box label="face" xtl="0" ytl="0" xbr="1" ybr="1">{marks}</box>'
    body = "".join(
        f'<image name="{clip}.jpg">{face.format(word)}</image>' for clip, word in (("a", "sad"), ("b", "Fear"))
    )
    with zipfile.ZipFile(tmp_path / "task.zip", "w") as archive:
        archive.writestr("annotations.xml", cvat(body))
    manifest = read_source("table", tmp_path / "task.zip")
    assert dict(zip(manifest.table["path"], manifest.table["label"], strict=True)) == {"a.jpg": "sad", "b.jpg": "fear"}


def test_a_film_in_cvat_has_the_emotion_of_most_frames(folder: Path) -> None:
    def track(*words: str) -> str:
        boxes = "".join(
            f'<box frame="{k}" outside="{int(not word)}"><attribute name="emotion">{word or "sad"}</attribute></box>'
            for k, word in enumerate(words)
        )
        return f'<track id="0" label="face">{boxes}</track>'

    meta = "<task><id>3</id><mode>interpolation</mode></task><source>001.mp4</source>"
    path = write(folder, "eva.xml", cvat(track("happy", "sad", "happy", "", "", ""), meta))
    answers = read_answers(path)
    assert (answers.clips, answers.raters) == (("001.mp4",), ("eva",))
    assert answers.votes.tolist() == [[1]] and list(answers.emotions) == ["happy"]
    write(folder, "eva.xml", cvat(track("happy", "sad"), meta))
    with pytest.raises(DferError, match=r"no answer names an emotion; 1: several emotions for the same time"):
        read_answers(path)


def eaf(tiers: str, media: str = 'MEDIA_URL="file:///D:/x/001.mp4" RELATIVE_MEDIA_URL="./001.mp4"') -> str:
    times = "".join(f'<TIME_SLOT TIME_SLOT_ID="ts{k}" TIME_VALUE="{1000 * k}"/>' for k in range(10))
    sound = '<MEDIA_DESCRIPTOR MEDIA_URL="file:///D:/x/001.wav" MIME_TYPE="audio/x-wav"/>'
    head = f'<HEADER TIME_UNITS="milliseconds">{sound}<MEDIA_DESCRIPTOR {media} MIME_TYPE="video/mp4"/></HEADER>'
    return f"<ANNOTATION_DOCUMENT>{head}<TIME_ORDER>{times}</TIME_ORDER>{tiers}</ANNOTATION_DOCUMENT>"


def tier(name: str, annotator: str, *marks: tuple[int, int, str]) -> str:
    inner = "".join(
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="{name}{k}" TIME_SLOT_REF1="ts{start}" '
        f'TIME_SLOT_REF2="ts{end}">'
        f"<ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
        for k, (start, end, value) in enumerate(marks)
    )
    return f'<TIER TIER_ID="{name}" ANNOTATOR="{annotator}" LINGUISTIC_TYPE_REF="d">{inner}</TIER>'


def test_elan_s_tiers_are_one_answer_each_the_emotion_that_lasts_longest(folder: Path) -> None:
    tiers = (
        tier("words", "eva", (0, 9, "well, hello"))
        + tier("emotion eva", "eva", (0, 2, "happy"), (2, 3, "sad"), (3, 5, "happy"))
        + tier("emotion ben", "", (0, 2, "happy"), (2, 9, "Sadness"))
        + tier("emotion kim", "kim", (0, 4, "happy"), (4, 8, "sad"))
        + tier("emotion lea", "lea", (0, 4, "unknown"))
    )
    path = write(folder, "scene.eaf", eaf(tiers))
    manifest = read_source("table", path)
    assert votes(manifest) == {"001": {"happy": 1, "sad": 1, "other_unknown": 1}}
    assert manifest.left_out == {"several emotions for the same time": 1}
    assert read_answers(path).raters == ("emotion ben", "eva")


def test_elan_s_annotations_that_refer_to_others_last_as_long_as_those(folder: Path) -> None:
    parent = tier("spans", "", (0, 1, "one"), (1, 5, "two"))
    marks = "".join(
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="r{k}" ANNOTATION_REF="spans{k}">'
        f"<ANNOTATION_VALUE>{word}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
        for k, word in enumerate(("happy", "sad"))
    )
    child = f'<TIER TIER_ID="emotion" PARENT_REF="spans" LINGUISTIC_TYPE_REF="c">{marks}</TIER>'
    assert votes(read_source("table", write(folder, "a.eaf", eaf(parent + child)))) == {"001": {"sad": 1}}


def test_elan_without_emotions_says_what_is_there(folder: Path) -> None:
    path = write(folder, "a.eaf", eaf(tier("mood", "eva", (0, 2, "frh"))))
    with pytest.raises(DferError, match=r"no tier holds emotions; there are mood with frh; .*--map word=emotion"):
        read_source("table", path)
    assert votes(read_source("table", path, map="frh=happy")) == {"001": {"happy": 1}}
    assert read_answers(path, words=Vocabulary("", {"frh": "happy"})).raters == ("eva",)


@pytest.mark.parametrize("answer", ["happy", '"' + "[" * 5000 + '"'])
def test_odd_rows_of_mechanical_turk_are_no_traceback(tmp_path: Path, answer: str) -> None:
    head = "HITId,WorkerId,AssignmentStatus,Input.video,Answer.emotion"
    (tmp_path / "t.csv").write_text(f"{head}\n1,anna,Approved,a.mp4,happy\n2,ben,Approved,b.mp4,{answer}\n3\n")
    answers = read_answers(tmp_path / "t.csv")
    given = 2 if answer == "happy" else 1
    assert len(answers) == given and answers.left_out == {"answer without an emotion": 3 - given}


@pytest.mark.parametrize("rest", ["x", 3.5, None, ["video"], [{"a": 1}]])
def test_entries_of_label_studio_that_are_no_objects_are_refused(folder: Path, rest: Any) -> None:
    row = {"annotation_id": 1, "annotator": 5, "id": 70, "video": "001.mp4", "feeling": "Happy"}
    for first in (row, TASKS[0]):
        with pytest.raises(DferError, match=r"p\.json: entry 2 is no task"):
            read_source("table", write(folder, "p.json", json.dumps([first, rest])))


def test_a_message_on_a_table_names_the_table(folder: Path) -> None:
    path = write(folder, "p.csv", "clip,rater,emotion\n001,a,happy\n001,b,\u00e9\n002,a,sad\n")
    with pytest.raises(DferError, match=r"p\.csv: no known set of emotions has all of"):
        read_source("table", path)
