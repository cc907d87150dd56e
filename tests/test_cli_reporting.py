"""`dfer report | tables | figures | calibrate`, and `dfer evaluate` of a model on another data set."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import torch

from dfer import EmotionSet, Manifest, Predictions, create_model, load_checkpoint
from dfer.metrics.functional import EPSILON
from dfer.models import Card, save_checkpoint
from dfer.video import Preprocessing

from .metrics.toy import toy_predictions
from .test_cli import here
from .training.toy import toy_manifest

SHOWN = Preprocessing(frames=4, size=16)


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    toy_predictions(0).write(tmp_path / "mine.csv")
    toy_predictions(1).write(tmp_path / "theirs.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dfer.cli.terminal.console._width", 200)
    return tmp_path


def test_tables_of_any_network_are_scored_side_by_side(tables: Path) -> None:
    done = here("report", "mine.csv", "theirs.parquet", "-o", "out")
    assert done.code == 0, done.err
    told = json.loads((tables / "out" / "report.json").read_text(encoding="utf-8"))
    judged = Predictions.read("mine.csv")
    right = (judged.probs.argmax(axis=1) == judged.labels)[judged.labels >= 0]
    assert [cell["name"] for cell in told["cells"]] == ["mine", "theirs"]
    assert told["cells"][0]["war"] == pytest.approx(right.mean())
    page = (tables / "out" / "report.html").read_text(encoding="utf-8")
    assert "No log of the training" not in page and 'href="#curves"' not in page


@pytest.mark.parametrize("lacking", ["label", "votes_"])
def test_a_table_of_somebody_else_needs_labels_or_votes_only(tables: Path, lacking: str) -> None:
    table = pd.read_csv("mine.csv", dtype=str, keep_default_na=False)
    kept = [column for column in table if not column.startswith((lacking, "fold", "frames"))]
    table[kept].to_csv("theirs.csv", index=False)
    done = here("report", "theirs.csv", "-o", "out")
    assert done.code == 0, done.err
    cell = json.loads(Path("out/report.json").read_text(encoding="utf-8"))["cells"][0]
    whole = Predictions.read("mine.csv")
    if lacking == "label":
        shares = whole.votes / whole.votes.sum(axis=1, keepdims=True)
        terms = np.where(shares > 0, shares * np.log(np.where(shares > 0, shares, 1) / whole.probs), 0)
        assert cell["kl"] == pytest.approx(terms.sum(axis=1).mean()) and cell["war"] is None
    else:
        assert cell["kl"] is None and cell["n"] == (whole.labels >= 0).sum()
    table[[column for column in kept if not column.startswith(("label", "votes_"))]].to_csv("none.csv", index=False)
    refused = here("report", "none.csv", "-o", "out")
    assert refused.code == 2 and "missing: label" in refused.err


def test_tables_are_printed_for_papers(tables: Path) -> None:
    here("report", "mine.csv", "-o", "one")
    here("report", "theirs.parquet", "-o", "other")
    said = here("tables", "one", "other", "--csv")
    assert said.code == 0, said.err
    rows = list(csv.DictReader(io.StringIO(said.out)))
    told = json.loads((tables / "other" / "report.json").read_text(encoding="utf-8"))["cells"][0]
    assert [row["run"] for row in rows][:2] == ["mine", "theirs"]
    assert rows[1]["WAR ↑"] == f"{100 * told['war']:.1f}" and rows[1]["KL ↓"] == f"{told['kl']:.3f}"
    latex = here("tables", "one", "--latex").out.splitlines()
    assert latex[0].startswith(r"\begin{tabular}") and latex[-1] == r"\end{tabular}"
    assert all(line.count(" & ") == 8 for line in latex if line.endswith(r"\\"))
    assert here("tables", "one").out.startswith("| run | n | WAR ↑ |")


def test_latex_of_a_hostile_name_has_no_command_of_its_own(tables: Path) -> None:
    Path("a_b%$x\\input{y}.csv").write_bytes(Path("mine.csv").read_bytes())
    here("report", "a_b%$x\\input{y}.csv", "-o", "one")
    line = here("tables", "one", "--latex").out.splitlines()[4]
    assert line.startswith(r"a\_b\%\$x\textbackslash{}input\{y\} & ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("tables", "nothing"), r"nothing cannot be read: No such file"),
        (("tables", "."), r"\. holds none of report\.json"),
        (("tables", "mine.csv"), r"mine\.csv cannot be read as JSON"),
        (("tables", "other.json"), r"other\.json: expected the JSON of `dfer evaluate`"),
        (("tables", "cut.json"), r"cut\.json is damaged: KeyError"),
        (("tables", "one", "--csv", "--latex"), r"expected one of --latex, --csv and --markdown"),
        (("figures", "cut.json"), r"expected the values of report\.json"),
        (("calibrate", "mine.csv", "--fit", "theirs.parquet", "-o", "x.csv"), r"not in mine\.csv.* and 85 more"),
        (("calibrate", "mine.csv", "--fit", "theirs.parquet", "-o", "./theirs.parquet"), r"theirs\.parquet is read"),
        (("calibrate", "mine.csv", "--fit", "theirs.parquet", "-o", "mine.csv"), r"mine\.csv is read"),
        (("evaluate", "model"), r"expected the folder of a run"),
    ],
)
def test_bad_input_is_one_line(tables: Path, arguments: tuple[str, ...], told: str) -> None:
    Path("other.json").write_text('{"format": "somebody.else/3"}', encoding="utf-8")
    Path("cut.json").write_text('{"format": "dfer.report/1"}', encoding="utf-8")
    done = here(*arguments)
    assert done.code == 2 and len(done.err.splitlines()) == 1
    assert re.search(told, done.err), done.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id;label;prob_happy;prob_sad\na;sad;0,1;0,9\n", "found id;label;prob_happy;prob_sad; separate them"),
        ("id,label,probs\na,sad,[0.1 0.9]\n", "expected columns prob_<emotion>, found id, label, probs; rename"),
        ('# dfer.manifest/1 {"source": "dfew"}\nid,path\na,b\n', "t.csv: it is a manifest; expected a table of pred"),
        ("ID,Label,prob_happy,prob_sad\na,sad,.1,.9\n", "missing: id, label; found: ID, Label, prob_happy, prob_sad"),
        ("id,label,prob_happy,prob_sad\na,sad,10,90\nb,sad,40,60\n", "'a', 'b'; the first .*sum to 100, 100; "),
        ("id,label,prob_happy,prob_sad\na,sad,.1,.9\nb,sad,41%,59%\n", r"'prob_happy', got others at clips b \('41%'"),
        ("id,label,prob_happy,prob_sad\n", "expected predictions of clips with a label or votes, found none in t"),
        ("id,label,prob_happy,prob_sad\na,,.1,.9\n", "expected predictions of clips with a label or votes"),
    ],
)  # fmt: skip
def test_tables_as_people_write_them_are_told_what_is_wrong(tables: Path, text: str, told: str) -> None:
    Path("t.csv").write_text(text, encoding="utf-8")
    done = here("report", "t.csv", "-o", "out")
    assert done.is_refusal(told)
    assert not Path("out").exists()


def test_a_manifest_of_other_clips_is_refused(tables: Path) -> None:
    toy_manifest(tables / "toy")
    assert here("report", "mine.csv", "--data", "toy/clips.csv", "-o", "out").is_refusal(
        "the manifest lacks 90 of 90 predicted clips: clip 0, clip 1, .*; give the manifest of these clips with --data"
    )


def test_figures_of_a_run_that_was_not_evaluated_say_what_to_do(tables: Path) -> None:
    (tables / "run").mkdir()
    assert here("figures", "run").is_refusal("run holds no report.json; run `dfer evaluate run` first")


def test_figures_are_files_that_stand_alone(tables: Path) -> None:
    here("report", "mine.csv", "-o", "one")
    done = here("figures", "one")
    assert done.out.split() == ["one/figures/mine-confusion.svg", "one/figures/mine-reliability.svg"]
    told = json.loads(Path("one/report.json").read_text(encoding="utf-8"))
    drawing = ElementTree.parse("one/figures/mine-confusion.svg").getroot()
    texts = ["".join(part.itertext()).strip() for part in drawing.iter() if part.tag.endswith("}text")]
    counts = np.array(told["cells"][0]["confusion"])
    assert f"happy ({counts[0].sum()})" in texts and f"{100 * counts[0, 0] / counts[0].sum():.0f}" in texts
    before = Path("one/figures/mine-confusion.svg").read_bytes()
    table = pd.read_csv("mine.csv").assign(map_x=0.5, map_y=-0.5)
    table.to_csv("placed.csv", index=False)
    here("report", "placed.csv", "-o", "two")
    assert here("figures", "two").out.split()[2:] == ["two/figures/placed-map.svg"]
    drawing = ElementTree.parse("two/figures/placed-map.svg").getroot()
    spots = next(part for part in drawing.iter() if part.get("id") == "PathCollection_1")
    assert len([part for part in spots.iter() if part.tag.endswith(("}path", "}use"))]) == len(table), "a spot a clip"
    here("figures", "one", "--format", "pdf")
    assert Path("one/figures/mine-confusion.pdf").read_bytes().startswith(b"%PDF")
    assert b"http" not in re.sub(rb'xmlns[^>]*|"http://www.w3.org[^"]*"|<rdf.*?</rdf:RDF>', b"", before, flags=re.S)


@pytest.fixture
def halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network that is too sure by a factor of three, on clips to fit a temperature on and on others."""
    monkeypatch.chdir(tmp_path)
    run = toy_predictions(0, clips=800)
    sharp = run.probs**3 / (run.probs**3).sum(axis=1, keepdims=True)
    for name, rows in (("validation", slice(0, 400)), ("test", slice(400, 800))):
        part = run.select(np.arange(800)[rows])
        Predictions(part.ids, part.fold, part.labels, sharp[rows], part.votes, part.frames, part.emotions).write(
            tmp_path / f"{name}.csv"
        )
    return tmp_path


def test_a_table_is_calibrated_by_another_one(halves: Path) -> None:
    done = here("calibrate", "test.csv", "--fit", "validation.csv", "-o", "calm.csv")
    assert done.code == 0, done.err
    temperature = float(re.findall(r"temperature ([\d.]+), fitted on 400 clips", done.out)[0])
    sharp, calm = Predictions.read("test.csv"), Predictions.read("calm.csv")
    softer = sharp.probs.clip(EPSILON) ** (1 / temperature)
    assert temperature > 2
    assert np.allclose(calm.probs, softer / softer.sum(axis=1, keepdims=True), atol=1e-3)
    assert (calm.probs.argmax(axis=1) == sharp.probs.argmax(axis=1)).all()


def test_a_model_keeps_the_temperature_in_its_card(halves: Path) -> None:
    emotions = Predictions.read("validation.csv").emotions
    torch.manual_seed(0)
    network = create_model("tiny3d", len(emotions), width=8)
    save_checkpoint("model", network, Card("tiny3d", {"width": 8}, emotions, asdict(SHOWN)))
    done = here("calibrate", "model", "--fit", "validation.csv", "-o", "calm")
    assert done.code == 0, done.err
    before, after = load_checkpoint("model"), load_checkpoint("calm")
    assert f"temperature {after[1].calibration['temperature']:.3f}" in done.out
    assert all(torch.equal(one, other) for one, other in zip(
        before[0].state_dict().values(), after[0].state_dict().values(), strict=True))  # fmt: skip
    # and what --abstain needs: how many clips reach a confidence, and how many of these are wrong or have no majority
    sharp, table = Predictions.read("validation.csv"), after[1].abstention
    assert (table["confidence"][0], table["named"][0]) == (-1, len(sharp))
    assert table["wrong"][0] == (sharp.probs.argmax(axis=1) != sharp.labels).sum()
    again = here("calibrate", "calm", "--fit", "validation.csv", "-o", "twice")
    assert again.code == 2 and "calm is calibrated already" in again.err


class TestOnAnotherDataSet:
    """A network of (sad, joy, disgust, neutral) on data of (happy, sad, neutral), and on data of others."""

    @pytest.fixture
    def model(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        toy_manifest(tmp_path / "data")
        torch.manual_seed(0)
        emotions = EmotionSet("mine", ("sad", "joy", "disgust", "neutral"))
        card = Card("tiny3d", {}, emotions, asdict(SHOWN), calibration={"temperature": 2.0})
        save_checkpoint(tmp_path / "model", create_model("tiny3d", 4), card)
        return tmp_path / "model"

    def test_emotions_are_mapped_by_name_and_others_left_out(self, model: Path) -> None:
        done = here("evaluate", "model", "--data", "data/clips.csv", "-o", "out")
        assert done.code == 0, done.err
        manifest, table = Manifest.read("data/clips.csv"), Predictions.read("out/model.csv")
        assert table.places is not None and table.places.max() == 1
        assert list(table.emotions) == ["happy", "sad", "neutral"]
        assert (table.labels == manifest.labels).all() and np.array_equal(table.votes, manifest.votes)
        network, _ = load_checkpoint(model)
        frames = np.load("data/frames/000.npy")
        seen = SHOWN.read(_Frames(frames), np.array(list(map(int, table.frames[0].split()))))
        clip = torch.from_numpy(np.ascontiguousarray(seen)).permute(3, 0, 1, 2)[None].float() / 255
        from dfer.models import to_network

        with torch.no_grad():
            logits = network(to_network(clip, SHOWN))[0].double().numpy()
        wanted = np.exp(logits / 2)[[1, 0, 3]]
        assert np.allclose(table.probs[0], wanted / wanted.sum(), atol=1e-5)
        page = json.loads(Path("out/report.json").read_text(encoding="utf-8"))
        assert any("also knows disgust" in sentence for sentence in page["protocol"])

    def test_clips_of_emotions_that_the_model_lacks_are_counted(self, model: Path) -> None:
        manifest = Manifest.read("data/clips.csv")
        frame = manifest.table.rename(columns={"votes_happy": "votes_awe"})
        frame["label"] = frame["label"].replace("happy", "awe")
        names = EmotionSet("other", ("awe", "sad", "neutral"))
        Manifest.build(frame, emotions=names, root=Path("data"), source="toy").write("data/other.csv")
        done = here("evaluate", "model", "--data", "data/other.csv", "-o", "out")
        assert done.code == 0, done.err
        told = json.loads(Path("out/report.json").read_text(encoding="utf-8"))
        gone = (frame["label"] == "awe").sum() + (
            (frame["label"].fillna("") == "") & (frame["votes_sad"] + frame["votes_neutral"] == 0)
        ).sum()
        assert told["emotions"] == ["sad", "neutral"] and told["data"]["clips"] == len(manifest) - gone
        assert list(told["data"]["left_out"].values()) == [gone]

    def test_data_without_two_common_emotions_are_refused(self, model: Path) -> None:
        frame = pd.DataFrame(
            [{"id": "a", "path": "frames/000.npy", "kind": "array", "label": "awe", "frames": 6, "fold": 1}]
        )
        names = EmotionSet("other", ("awe", "calm", "sad"))
        Manifest.build(frame, emotions=names, root=Path("data"), source="toy").write("data/other.csv")
        done = here("evaluate", "model", "--data", "data/other.csv", "-o", "out")
        assert done.code == 2 and "expected two emotions or more in both" in done.err
        assert not Path("out").exists()

    def test_what_is_missing_is_said(self, model: Path) -> None:
        done = here("evaluate", "model")
        assert done.code == 2 and "model is a model: name the manifest with --data" in done.err


class _Frames:
    """Frames in memory as a clip."""

    def __init__(self, frames: np.ndarray) -> None:
        self.frames = frames

    def read(self, indices: np.ndarray, *, least: int = 0) -> np.ndarray:
        return self.frames[indices]


@pytest.mark.parametrize("form", ["--markdown", "--latex", "--csv"])
@pytest.mark.parametrize("name", [None, 3, ["a"], {"a": 1}])
def test_a_name_in_a_report_that_is_no_text_is_one_sentence(tables: Path, form: str, name: object) -> None:
    here("report", "mine.csv", "-o", "one")
    path = tables / "one" / "report.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    told["cells"][0]["name"] = name
    path.write_text(json.dumps(told), encoding="utf-8")
    assert here("tables", "one", form).is_refusal("report.json is damaged")
