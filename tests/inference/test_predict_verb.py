"""`dfer predict` and `dfer export`: what they write, say and answer to the shell."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pandas as pd
import pytest

from dfer import DferError, Predictor, Timeline
from dfer.cli.predict import seconds
from dfer.datasets import read_source
from dfer.labels import DFEW
from dfer.models import Card, create_model, save_checkpoint
from dfer.video import Preprocessing
from dfer.video.stream import stream
from tests import forked

from ..test_cli import Outcome, here
from ..video.people import picture
from .toy import film, toy_predictor

RED, BLUE = {"red": (20.0, 40.0)}, {"blue": (200.0, 80.0)}


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A model that knows colours, and an empty folder to be in."""

    def load(model: str, **options: Any) -> Predictor:
        assert options == {"device": "auto", "prior": None, "abstain": None, "both_views": False}
        if model != "default":
            raise DferError(f"no model '{model}'")
        return toy_predictor()

    monkeypatch.setattr(Predictor, "from_pretrained", load)
    monkeypatch.chdir(tmp_path)


def predict(*arguments: object) -> Outcome:
    return here("predict", *arguments)


def test_without_an_output_the_answer_is_on_the_terminal() -> None:
    film(Path("a.mkv"), [RED | BLUE] * 20)
    done = predict("a.mkv")
    assert done.code == 0 and not done.err
    head, *_ = done.out.splitlines()
    assert head.startswith("a.mkv: 0.8 s, 2 people, ") and head.endswith("x real time")
    assert "person 0, seen from 0.0 to 0.8 s" in done.out and "angry" in done.out and "█" in done.out
    assert "0.0 to 0.8 s  sad, most at" in done.out


def test_every_kind_of_output_is_written_in_one_go() -> None:
    film(Path("a.mkv"), [RED] * 20)
    names = [f"out/x.{suffix}" for suffix in ("json", "csv", "parquet", "srt", "html", "png", "svg", "pdf", "mp4")]
    done = predict("a.mkv", *(word for name in names for word in ("-o", name)))
    assert done.code == 0 and all(Path(name).stat().st_size for name in names)
    assert done.out.splitlines()[0].endswith("-> " + ", ".join(names)) and len(done.out.splitlines()) == 1
    assert Timeline.load("out/x.json").video == "a.mkv"


def test_a_bad_file_among_many_is_named_and_the_rest_goes_on() -> None:
    film(Path("a.mkv"), [RED] * 3)
    film(Path("c.mkv"), [BLUE] * 3)
    Path("b.mkv").write_text("no video")
    done = predict("a.mkv", "b.mkv", "c.mkv", "-o", "out", "--format", "csv")
    assert done.code == 1 and sorted(path.name for path in Path("out").iterdir()) == ["a.csv", "c.csv"]
    told, count = done.err.splitlines()
    assert told.startswith("error: b.mkv: decoding failed") and count == "1 of 3 videos could not be read"


def test_of_several_videos_a_table_has_a_row_a_video_and_person() -> None:
    Path("day").mkdir()
    film(Path("day/a.mkv"), [RED | BLUE] * 25)
    film(Path("day/c.mkv"), [{}] * 3)
    Path("day/b.mkv").write_bytes(b"\x1aE\xdf\xa3 no more than a head")
    done = predict("day", "-o", "sum.csv", "-o", "sum.xlsx", "-o", "all", "--csv-sep", ";", "--csv-decimal", ",")
    table = pd.read_csv("sum.csv", sep=";", decimal=",")
    assert done.code == 1
    of_a = table[table["video"] == "day/a.mkv"]
    assert of_a["person"].tolist() == [0, 1] and of_a["strongest"].tolist() == ["angry", "sad"]
    assert of_a["seen_s"].tolist() == [1.0, 1.0] and of_a["share_angry"].tolist() == [1.0, 0.0]
    assert table.set_index("video")["note"]["day/c.mkv"] == "no face was found"
    assert pd.read_excel("sum.xlsx")["video"].tolist() == table["video"].tolist()
    lines = done.out.splitlines()
    assert lines[0].startswith("1 of ") and "day/a.mkv: 1.0 s, 2 people, person 0 angry " in lines[0]
    assert "all/a.json" in lines[0] and "2 people seen for 2.0 s" in done.out
    assert "share of time (segments): angry 50% (1), sad 50% (1)" in done.out
    assert done.out.rstrip().endswith("-> sum.csv, sum.xlsx")


def test_one_video_of_a_folder_has_a_summary_and_a_file_by_its_name_has_not() -> None:
    Path("day").mkdir()
    film(Path("day/a.mkv"), [RED] * 5)
    assert predict("day", "-o", "sum.csv").code == predict("day/a.mkv", "-o", "rows.csv").code == 0
    assert "share_angry" in pd.read_csv("sum.csv").columns and len(pd.read_csv("rows.csv")) == 5
    assert predict("day/a.mkv", "-o", "sum.xlsx").code == 0 and len(pd.read_excel("sum.xlsx")) == 1


def test_what_could_not_be_read_has_a_row_of_its_own() -> None:
    film(Path("a.mkv"), [RED] * 5)
    done = predict("a.mkv", "gone.mkv", "-o", "sum.csv")
    notes = pd.read_csv("sum.csv").set_index("video")["note"]
    assert done.code == 1 and "cannot be read: No such file" in notes["gone.mkv"] and "1 could not be read" in done.out


def test_a_summary_that_cannot_be_written_is_refused_before_anything_is_read() -> None:
    film(Path("a.mkv"), [RED] * 5)
    Path("file").write_text("")
    done = predict("a.mkv", "a2.mkv", "-o", "file/sum.csv")
    assert done.is_refusal("cannot write file/sum.csv") and not done.out


@pytest.mark.parametrize(("name", "option"), [("me.mp4", ()), ("out", ("--format", "mp4"))])
def test_a_camera_is_not_started_for_a_film_that_cannot_be_made(
    name: str, option: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: pytest.fail("the camera was started"))
    assert predict("--camera", 0, "-o", name, *option).is_refusal(r"pictures are not kept.* no \.mp4")


def test_how_a_table_is_written_needs_a_table() -> None:
    film(Path("a.mkv"), [RED] * 5)
    assert predict("a.mkv", "-o", "a.json", "--csv-sep", ";").is_refusal("are for a .csv")
    assert predict("a.mkv", "-o", "a.csv", "--csv-decimal", ",").is_refusal("another one than --csv-sep")


def test_if_all_are_bad_the_exit_code_is_that_of_bad_input() -> None:
    assert predict("a.mkv", "b.mkv").code == 2
    assert predict("a.mkv").is_refusal(r"a\.mkv cannot be read: No such file")


def test_a_pipe_is_refused_without_waiting_for_what_comes_through_it() -> None:
    for name in ("a.mp4", "a.png"):
        os.mkfifo(name)
        done = forked.dfer("predict", name, folder=Path.cwd())
        assert done.returncode == 2 and done.stderr.startswith(f"error: {name}: ") and "pipe" in done.stderr


def test_a_disk_that_refuses_ends_everything() -> None:
    film(Path("a.mkv"), [RED] * 3)
    film(Path("b.mkv"), [RED] * 3)
    Path("out").write_text("a file where a folder is wanted")
    done = predict("a.mkv", "b.mkv", "-o", "out/{name}.json")
    assert done.is_refusal("cannot write out/a.json")


def test_folders_and_patterns_are_filled_in() -> None:
    Path("day").mkdir()
    for name in ("a", "b"):
        film(Path(f"day/{name}.mkv"), [RED] * 3)
    assert predict("day", "-o", "one").code == predict("day/*.mkv", "-o", "two/{name}.json").code == 0
    assert [sorted(path.name for path in Path(folder).iterdir()) for folder in ("one", "two")] == [
        ["a.json", "b.json"]
    ] * 2


def test_a_part_of_the_video_by_the_clock() -> None:
    film(Path("a.mkv"), [RED] * 50)
    done = predict("a.mkv", "-o", "a.json", "--start", "0:00.4", "--end", "1.2", "--every", "0.2", "--people", "1")
    (red,) = json.loads(Path("a.json").read_text())["people"]
    assert done.code == 0 and red["times_s"] == pytest.approx([0.4, 0.6, 0.8, 1.0], abs=0.021)


def test_a_folder_of_frames_has_the_rate_that_is_said() -> None:
    Path("frames").mkdir()
    for number in (1, 2, 4):
        cv2.imwrite(f"frames/{number}.png", cv2.cvtColor(picture(RED), cv2.COLOR_RGB2BGR))
    done = predict("frames", "-o", "a.json", "--fps", "10")
    (red,) = json.loads(Path("a.json").read_text())["people"]
    assert done.code == 0 and red["times_s"] == pytest.approx([0, 0.1, 0.3]) and red["files"][-1] == "4.png"
    assert done.out.startswith("frames: 0.4 s")


def test_a_film_is_turned_and_so_is_its_overlay() -> None:
    film(Path("a.mkv"), [RED] * 5)
    done = predict("a.mkv", "-o", "a.json", "-o", "a.mp4", "--rotate", "90")
    told = json.loads(Path("a.json").read_text())
    x, y, *_ = told["people"][0]["boxes"][0]
    assert done.code == 0 and told["rotate"] == 90
    assert (x, y) == pytest.approx((180 - 40 - 60, 20), abs=2), "clockwise: what was at the left is at the top"
    with av.open("a.mp4") as container:
        video = container.streams.video[0]
        assert video.height > video.width


@pytest.mark.parametrize("degrees", ["45", "-90"])
def test_turns_that_cannot_be_are_refused(degrees: str) -> None:
    film(Path("a.mkv"), [RED])
    assert predict("a.mkv", "--rotate", degrees).is_refusal(
        f"expected to rotate by 0, 90, 180, 270 degrees, got {degrees}"
    )


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf", "1e-99", "1e9"])
def test_rates_that_cannot_be_are_refused(rate: str) -> None:
    film(Path("a.mkv"), [RED])
    assert predict("a.mkv", "--fps", rate).is_refusal(r"expected fps from 0\.001 to 10000, got")


def test_a_camera_has_a_number_from_nought_on() -> None:
    assert predict("--camera", "-1").is_refusal("camera")
    with pytest.raises(DferError, match="expected the number of a camera, from 0, got -5"):
        next(stream(-5))


def test_an_address_is_refused_in_a_sentence_of_its_own() -> None:
    told = r"expected a file; nothing is fetched from a network, download the film first"
    assert predict("https://example.org/a.mp4").is_refusal(told)


def test_what_lies_in_a_folder_and_is_not_read_is_named(caplog: pytest.LogCaptureFixture) -> None:
    Path("day").mkdir()
    film(Path("day/a.mkv"), [RED] * 3)
    Path("day/notes.txt").write_text("nothing")
    assert predict("day", "-o", "out").code == 0
    assert caplog.messages == ["left out day/notes.txt: neither video nor image"]


def test_a_video_without_a_face_is_no_failure() -> None:
    film(Path("a.mkv"), [{}] * 3)
    done = predict("a.mkv", "-o", "a.json")
    assert done.code == 0 and "no face was found" in done.out and json.loads(Path("a.json").read_text())["people"] == []


def test_a_camera_is_read_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = film(Path("cam.avi"), [RED] * 6), cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: real(str(path)))
    done = predict("--camera", 0, "-o", "a.json")
    assert done.code == 0 and "camera 0: " in done.out
    assert len(Timeline.load("a.json").people[0].times) == 6


def test_a_former_summary_stays_where_a_run_ends_before_its_first_film(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.mkv", "b.mkv"):
        film(Path(name), [RED] * 3)
    assert predict("a.mkv", "b.mkv", "-o", "sum.csv").code == 0
    former = Path("sum.csv").read_bytes()

    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "stream", interrupted)
    assert predict("a.mkv", "b.mkv", "-o", "sum.csv", "--workers", 1).code == 130
    assert Path("sum.csv").read_bytes() == former


def test_an_output_that_cannot_be_written_takes_no_other_with_it() -> None:
    film(Path("a.mkv"), [RED] * 3)
    Path("file").touch()
    done = predict("a.mkv", "-o", "file/a.json", "-o", "a.csv")
    assert done.is_refusal("cannot write file/a.json") and len(pd.read_csv("a.csv")) == 3


def test_a_place_that_no_file_can_have_costs_one_film_and_not_the_rest() -> None:
    for name in ("a.mkv", "b.mkv", "c.mkv"):
        film(Path(name), [RED] * 3)
    Path("out/b.csv").mkdir(parents=True)
    done = predict("a.mkv", "b.mkv", "c.mkv", "-o", "out", "--format", "csv", "-o", "sum.csv")
    notes = pd.read_csv("sum.csv").set_index("video")["note"].fillna("")
    assert done.code == 1 and "cannot write out/b.csv: it is a folder" in notes["b.mkv"]
    assert notes["a.mkv"] == notes["c.mkv"] == "" and Path("out/c.csv").is_file()


def test_ctrl_c_ends_a_camera_and_keeps_what_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = film(Path("cam.avi"), [RED] * 60), cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: real(str(path)))
    predictor = toy_predictor()
    whole = predictor.stream

    def interrupted(*arguments: Any, **options: Any) -> Any:
        for index, moment in enumerate(whole(*arguments, **options)):
            if index == 10:
                raise KeyboardInterrupt
            yield moment

    predictor.stream = interrupted
    monkeypatch.setattr(Predictor, "from_pretrained", lambda *_, **__: predictor)
    done = predict("--camera", 0, "-o", "a.json")
    assert done.code == 0 and len(Timeline.load("a.json").people[0].times) == 10


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "expected videos, or a camera"),
        (("a.mkv", "--camera", 0), "expected videos, or a camera"),
        (("a.mkv", "--start", "soon"), "expected a time as seconds"),
        (("a.mkv", "--start", "3", "--end", "2"), "0 <= start < end"),
        (("a.mkv", "-o", "a.xml"), "expected a file .json"),
        (("a.mkv", "--model", "elsewhere"), "no model 'elsewhere'"),
        (("*.mp4",), "nothing fits this pattern"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(arguments: tuple[object, ...], told: str) -> None:
    film(Path("a.mkv"), [RED] * 3)
    assert predict(*arguments).is_refusal(told)


def test_times_are_read_as_one_writes_them() -> None:
    assert [seconds(text) for text in ("90", "1:30", "0:01:30", "1:30.5")] == [90, 90, 90, 90.5]
    for text in ("1:2:3:4", "nan", "1:NaN", "inf", "-1", "1:-5", "", ":"):
        with pytest.raises(DferError, match="expected a time"):
            seconds(text)


def test_a_model_is_exported_beside_its_weights() -> None:
    pytest.importorskip("onnxscript")
    card = Card("tiny3d", {"width": 4}, DFEW, Preprocessing(frames=2, size=16).to_dict())
    save_checkpoint("run/model", create_model("tiny3d", 7, width=4), card)
    done = here("export", "run")
    assert done.code == 0 and "run/model/model.onnx: differs from torch by at most" in done.out
    assert Path("run/model/model.onnx").is_file()


def test_a_model_is_exported_with_8_bits_a_number_and_its_loss_on_clips_is_told(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    generator = np.random.default_rng(0)
    for label in ("happy", "sad"):
        (tmp_path / "clips" / label).mkdir(parents=True)
        for number in range(12):
            frames = generator.integers(0, 256, (3, 16, 16, 3), np.uint8)
            np.save(tmp_path / "clips" / label / f"{label}{number}.npy", frames)
    read_source("folder", tmp_path / "clips").write(tmp_path / "clips.csv")
    card = Card("tiny3d", {"width": 4}, DFEW, Preprocessing(frames=2, size=16).to_dict())
    save_checkpoint(tmp_path / "model", create_model("tiny3d", 7, width=4), card)
    done = here("export", tmp_path / "model", "--int8", "--data", tmp_path / "clips.csv")
    assert done.code == 0 and "on 12 clips that it was not fitted to" in done.out.replace("\n", " "), done
    assert (tmp_path / "model" / "model.int8.onnx").is_file() and (tmp_path / "model" / "model.onnx").is_file()


@pytest.mark.parametrize("options", [("--int8",), ("--data", "clips.csv")])
def test_8_bits_and_the_clips_to_fit_them_on_go_together(options: tuple[str, ...]) -> None:
    assert here("export", "run", *options).is_refusal("--int8 and --data go together")
