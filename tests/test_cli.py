"""The command line: every verb on a toy, and every kind of bad input as one line and exit code 2."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest
import typer

from dfer import DferError, Manifest, __version__, cli
from dfer.arrays import open_array

from .forked import run as run_forked
from .training.toy import toy_manifest

VERBS = (
    "predict", "explain", "export", "people", "synth", "prepare", "doctor", "raters", "split", "estimate", "train",
    "evaluate", "robustness", "demo", "compare", "ablate", "models", "recipes",
)  # fmt: skip
QUICK = tuple(
    word
    for setting in ("optim.epochs=1", "optim.unmixed_epochs=0", "optim.batch=4", "input.size=16", "input.frames=4")
    for word in ("--set", setting)
)


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    def is_refusal(self, pattern: str) -> bool:
        """Whether it ended as bad input must: exit code 2 and one line on stderr, of that pattern."""
        (line,) = self.err.splitlines() or [""]
        assert self.code == 2 and line.startswith("error: ") and "Traceback" not in self.err, self
        assert re.search(pattern, line), line
        return True


Dfer = Callable[..., Outcome]


def here(*arguments: object) -> Outcome:
    """Runs the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["dfer", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return Outcome(int(ended.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture
def dfer() -> Dfer:
    return here


def process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs the command line in a process of its own."""
    environment = os.environ | {"COLUMNS": "80", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "dfer", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, **options)


@dataclass(frozen=True)
class Made:
    """The way from nothing to a report, once: where things are and what was said."""

    root: Path
    data: Path
    run: Path
    said: dict[str, Outcome]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("made")
    root, data, run = folder / "dfew", folder / "clips.csv", folder / "run"
    steps: dict[str, tuple[object, ...]] = {
        "synth": ("synth", root, "--clips", 35, "--size", 32, "--workers", 1),
        "prepare": ("prepare", "dfew", root, "-o", data, "--pack", 32, "--workers", 1),
        "train": ("train", "demo", "--data", data, "-o", run, "--fold", 2, *QUICK),
        "evaluate": ("evaluate", run),
    }
    return Made(root, data, run, {name: here(*arguments) for name, arguments in steps.items()})


def copy_of(made: Made, folder: Path) -> Path:
    """The data set with tables of its own, which a test may spoil; the clips are linked."""
    root = folder / "dfew"
    for name in ("Annotation", "EmoLabel_DataSplit"):
        shutil.copytree(made.root / name, root / name)
    (root / "Clip").symlink_to(made.root / "Clip")
    return root


def lists(root: Path) -> list[Path]:
    found = sorted((root / "EmoLabel_DataSplit").rglob("*.csv"))
    assert len(found) == 10
    return found


def edit(root: Path, change: Callable[[pd.DataFrame], None]) -> Path:
    """Change annotation.xlsx."""
    path = root / "Annotation" / "annotation.xlsx"
    table = pd.read_excel(path)
    change(table)
    table.to_excel(path, index=False)
    return path


# -- the way that is meant ----------------------------------------------------------------------------------------


def test_synth_prepare_train_and_evaluate_succeed_and_each_says_what_comes_next(made: Made) -> None:
    for name, said in made.said.items():
        assert said.code == 0 and "Traceback" not in said.err and "error" not in said.err, (name, said)
    assert f"next: dfer prepare dfew {made.root}" in made.said["synth"].out
    assert "happy" in made.said["prepare"].out and "fold 2: " in made.said["prepare"].out
    assert "epoch   1  loss" in made.said["train"].out
    assert f"next: dfer evaluate {made.run}" in made.said["train"].out
    assert "WAR" in made.said["evaluate"].out and f"report: {made.run}/report.html" in made.said["evaluate"].out


def test_what_the_verbs_leave_is_what_they_say(made: Made) -> None:
    manifest = Manifest.read(made.data)
    assert len(manifest) == 35 and set(manifest.table["kind"]) == {"array"} and manifest.source == "dfew"
    assert open_array(manifest.resolve(manifest.table["path"][0])).shape[1:] == (32, 32, 3)
    recipe = (made.run / "fold2" / "recipe.toml").read_text()
    assert "epochs = 1\n" in recipe and "size = 16\n" in recipe
    report = json.loads((made.run / "report.json").read_text())
    _, test = manifest.partition(2)
    assert [cell["n"] for cell in report["cells"]] == [int(test.sum())]
    assert (made.run / "report.html").read_text(encoding="utf-8").lower().startswith("<!doctype html>")


def test_several_runs_stand_side_by_side(made: Made, tmp_path: Path, dfer: Dfer) -> None:
    other = shutil.copytree(made.run, tmp_path / "other")
    done = dfer("evaluate", made.run, other, "-o", tmp_path / "both")
    assert done.code == 0 and "run" in done.out and "other" in done.out
    assert dfer("evaluate", made.run, made.run).is_refusal("expected different runs")
    seeds = [shutil.copytree(made.run, tmp_path / cell / "seed0") for cell in ("plain", "mixed")]
    report = dfer("evaluate", *seeds, "-o", tmp_path / "seeds")
    assert report.code == 0 and "plain" in report.out and "mixed" in report.out and "seed0" not in report.out


def test_whether_time_matters_is_told_with_what_its_page_says(made: Made, tmp_path: Path, dfer: Dfer) -> None:
    done = dfer("robustness", "--temporal", made.run, "-o", tmp_path)
    assert done.code == 0 and f"page: {tmp_path}/temporal.html" in done.out
    (told,) = json.loads((tmp_path / "temporal.json").read_text(encoding="utf-8"))["runs"]
    assert told["scores"]["war"] == json.loads((made.run / "report.json").read_text())["cells"][0]["war"]
    lost = [100 * loss["losses"]["war"]["difference"] for loss in told["losses"]]
    (row,) = re.findall(r"│ run .*", done.out)
    shown = [float(number) for number in re.findall(r"([+-]?[0-9.]+) \(", row)]
    assert shown == pytest.approx(lost, abs=0.051) and len(shown) == len(told["losses"]) == 3
    assert dfer("robustness", "--temporal", made.run, "--only", "noise").is_refusal("--temporal changes their order")


def test_resume_after_the_end_changes_nothing_and_no_resume_is_refused(made: Made, dfer: Dfer) -> None:
    arguments = ("train", "demo", "--data", made.data, "-o", made.run, "--fold", 2, *QUICK)
    before = (made.run / "fold2" / "model" / "model.safetensors").stat().st_mtime_ns
    again = dfer(*arguments, "--resume")
    assert again.code == 0 and "nothing to go on with" not in again.out
    assert (made.run / "fold2" / "model" / "model.safetensors").stat().st_mtime_ns == before
    assert dfer(*arguments).is_refusal("holds a run already")
    assert dfer(*arguments, "--resume", "--set", "seed=5").is_refusal("another recipe")


@pytest.mark.slow
def test_the_demo_is_the_whole_way_and_is_made_anew_each_time(
    tmp_path: Path, dfer: Dfer, monkeypatch: pytest.MonkeyPatch, in_threads: None
) -> None:
    from dfer import demo

    # with so few people, those who validate would take all clips of some emotion
    quick = [*QUICK[1::2], "data.validation=0.0"]
    full = demo.load_recipe(Path("demo"), quick)
    monkeypatch.setattr(demo, "CLIPS", 35)
    monkeypatch.setattr(demo, "FRAME_SIZE", 32)
    monkeypatch.setattr(demo, "load_recipe", lambda *_: full)
    done = dfer("demo", "-o", tmp_path / "demo")
    assert done.code == 0, done.err
    for cell in ("hard labels", "soft labels", "hard labels + MIDAS", "soft labels + MIDAS"):
        assert cell in done.out
    report = json.loads((tmp_path / "demo" / "report.json").read_text())
    assert len(report["cells"]) == 4 and (tmp_path / "demo" / "report.html").exists()
    assert {cell["training"]["clips"] + sum(cell["training"]["left_out"].values()) for cell in report["cells"]} == {7}
    assert {cell["n_votes"] for cell in report["cells"]} == {28}  # four times as many are tested
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert dfer("demo", "-o", tmp_path / "mine").is_refusal("was not made by `dfer demo`")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


# -- help ---------------------------------------------------------------------------------------------------------


def test_help_names_every_verb_and_fits_in_eighty_columns() -> None:
    done = process("--help")
    assert done.returncode == 0 and all(f" {verb} " in done.stdout for verb in VERBS)
    assert "--version" in done.stdout and "--debug" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_every_option_a_text(dfer: Dfer, verb: str) -> None:
    for flag in ("--help", "-h"):
        assert f"dfer {verb} [OPTIONS]" in dfer(verb, flag).out
    command = typer.main.get_command(cli.app).commands[verb]  # type: ignore[attr-defined]
    assert command.help and all(parameter.help for parameter in command.params if parameter.name != "help")


def test_the_version_is_the_packages(dfer: Dfer) -> None:
    done = dfer("--version")
    assert (done.code, done.out.strip()) == (0, f"dfer {__version__}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("teach",), "no verb 'teach'"),
        (("trainn", "demo"), "(did you mean 'train'?)"),
        (("--vresion",), "(did you mean '--version'?)"),
        (("train", "demo"), "add --data and the manifest that"),
        (("train", "demo", "--init", ""), "--init is empty; expected faces"),
        (("train", "demo", "--data", "x.csv", "--reusme"), "no option '--reusme' (did you mean '--resume'?)"),
        (("train", "demo", "--data"), "--data"),
        (("prepare", "dfew"), "dfer prepare --help"),
        (("synth", "x", "--clips", "many"), "got many; see"),
        (("synth", "x", "--clips", ""), "got nothing; see"),
        (("prepare", "dfew", "x", "--workers", "0"), "'--workers': it should be greater than or equal to 1, got 0;"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_what_is_wrong(dfer: Dfer, arguments: tuple[str, ...], said: str) -> None:
    done = dfer(*arguments)
    assert done.code == 2 and said in done.err and not done.out
    assert done.err.startswith("error: ") and done.err.count("\n") == 1


def test_no_arguments_show_the_help(dfer: Dfer) -> None:
    done = dfer()
    assert all(verb in done.out + done.err for verb in VERBS)


# -- bad input: prepare -------------------------------------------------------------------------------------------


def test_a_missing_root_and_an_unknown_reader_are_refused(tmp_path: Path, dfer: Dfer) -> None:
    out = ("-o", tmp_path / "x.csv")
    for source in ("dfew", "ferplus", "folder", "table"):
        assert dfer("prepare", source, tmp_path / "nowhere", *out).is_refusal("nowhere does not exist")
    assert dfer("prepare", "dfwe", tmp_path, *out).is_refusal(r"no reader 'dfwe'.*did you mean 'dfew'")
    assert dfer("prepare", "folder", tmp_path, *out, "-O", "emotion=x").is_refusal(r"unknown key emotion .*'emotions'")
    assert dfer("prepare", "folder", tmp_path, *out, "-O", "emotions").is_refusal("key=value")
    assert dfer("prepare", "folder", tmp_path, "-o", tmp_path / "x.txt").is_refusal(r"\.csv or \.parquet")
    assert not (tmp_path / "x.csv").exists()


def test_a_reader_refuses_another_data_set_and_names_the_right_one(made: Made, tmp_path: Path, dfer: Dfer) -> None:
    for reader in ("ferplus", "folder"):
        refused = dfer("prepare", reader, made.root, "-o", tmp_path / "x.csv")
        assert refused.is_refusal(rf"does not look like {reader}.*dfer prepare dfew")


def test_lists_that_count_from_nought_are_read_as_such(made: Made, tmp_path: Path, dfer: Dfer) -> None:
    root = copy_of(made, tmp_path)
    for path in lists(root):
        table = pd.read_csv(path)
        table["label"] -= 1
        table.to_csv(path, index=False)
    assert dfer("prepare", "dfew", root, "-o", tmp_path / "x.csv").code == 0
    labels = [Manifest.read(path).table["label"].tolist() for path in (tmp_path / "x.csv", made.data)]
    assert labels[0] == labels[1]


def test_lists_of_mixed_base_or_of_another_order_of_emotions_are_found_out(
    made: Made, tmp_path: Path, dfer: Dfer
) -> None:
    for name, spoil, said in (
        ("mixed", lambda index, label: label - (index % 2), "from 0 to 7|different labels"),
        ("order", lambda _, label: label.replace({1: 2, 2: 1}), "another order of emotions.*happy.*sad"),
    ):
        root = copy_of(made, tmp_path / name)
        for index, path in enumerate(lists(root)):
            table = pd.read_csv(path)
            table["label"] = spoil(index, table["label"])
            table.to_csv(path, index=False)
        assert dfer("prepare", "dfew", root, "-o", tmp_path / "x.csv").is_refusal(said)


def contradict(table: pd.DataFrame) -> None:
    table.loc[table["label"] > 0, "label"] = table["label"] % 7 + 1


def negative(table: pd.DataFrame) -> None:
    table.iloc[2, 0] = -1


def fractional(table: pd.DataFrame) -> None:
    table[table.columns[0]] = table[table.columns[0]].astype(float)
    table.iloc[2, 0] = 2.5


def not_a_number(table: pd.DataFrame) -> None:
    table[table.columns[0]] = table[table.columns[0]].astype(float)
    table.iloc[2, 0] = np.nan


def twice(table: pd.DataFrame) -> None:
    table.loc[3, "order"] = table.loc[2, "order"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (contradict, "is not the emotion with most votes"),
        (negative, "votes that are negative.*0*3"),
        (fractional, "votes that are fractional"),
        (not_a_number, "votes that are NaN"),
        (twice, "names 1 clips? twice"),
    ],
)
def test_an_annotation_that_cannot_be_is_refused(
    made: Made, tmp_path: Path, dfer: Dfer, spoil: Callable[[pd.DataFrame], None], said: str
) -> None:
    root = copy_of(made, tmp_path)
    edit(root, spoil)
    assert dfer("prepare", "dfew", root, "-o", tmp_path / "x.csv").is_refusal(said)
    assert not (tmp_path / "x.csv").exists()


def test_an_annotation_that_is_no_workbook_is_refused(made: Made, tmp_path: Path, dfer: Dfer) -> None:
    root = copy_of(made, tmp_path)
    path = root / "Annotation" / "annotation.xlsx"
    path.write_bytes(path.read_bytes()[:2000])
    assert dfer("prepare", "dfew", root, "-o", tmp_path / "x.csv").is_refusal("cannot be read as a table")
    openpyxl.Workbook().save(path)
    assert dfer("prepare", "dfew", root, "-o", tmp_path / "x.csv").is_refusal("has nothing in its sheets")


def clips(folder: Path, *names: str, frames: int = 5) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        np.save(folder / f"{name}.npy", np.full((frames, 24, 24, 3), 90, np.uint8))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("b,0,0,0", "not one vote"),
        ("b,-1,0,3", "negative"),
        ("b,1.5,0,3", "fractional"),
        ("b,nan,0,3", "NaN|not a number"),
        ("b,three,0,3", "not a number"),
        ("a,2,0,3", "not unique"),
    ],
)
def test_a_table_of_votes_that_cannot_be_is_refused_with_the_clip(
    tmp_path: Path, dfer: Dfer, row: str, said: str
) -> None:
    clips(tmp_path, "a", "b")
    (tmp_path / "votes.csv").write_text(f"clip,happy,sad,neutral\na,1,2,3\n{row}\n")
    refused = dfer("prepare", "table", tmp_path / "votes.csv", "-o", tmp_path / "x.csv")
    assert refused.is_refusal(said) and re.search(rf"\b{row[0]}\b", refused.err)


def test_clips_that_cannot_be_read_are_named_left_out_and_counted(tmp_path: Path, dfer: Dfer) -> None:
    for label in ("happy", "sad", "neutral"):
        clips(tmp_path / "set" / label, "good", "better")
    (tmp_path / "set" / "sad" / "cut.npy").write_bytes((tmp_path / "set" / "sad" / "good.npy").read_bytes()[:500])
    (tmp_path / "set" / "sad" / "empty.mp4").write_bytes(b"")
    (tmp_path / "set" / "neutral" / "noise.mp4").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "set" / "happy" / "holes").mkdir()
    (tmp_path / "set" / "happy" / "holes" / "1.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    done = dfer("prepare", "folder", tmp_path / "set", "-o", tmp_path / "x.csv", "--pack", 16, "--workers", 1)
    assert done.code == 0 and "left out 4 clips that could not be read" in done.err
    manifest = Manifest.read(tmp_path / "x.csv")
    assert len(manifest) == 6 and sum(manifest.left_out.values()) == 4 and "left out 4" in done.out
    for name in ("sad/cut.npy", "sad/empty.mp4", "neutral/noise.mp4", "happy/holes"):
        assert f"  {name}: " in done.err
    failures = pd.read_csv(tmp_path / "x" / "failures.csv")
    assert len(failures) == 4 and failures["reason"].str.len().gt(0).all()


def test_clips_of_one_frame_go_all_the_way(tmp_path: Path, dfer: Dfer) -> None:
    for part in ("train", "test"):
        for label in ("happy", "sad", "neutral"):
            clips(tmp_path / "set" / part / label, "one", "two", "three", frames=1)
    data, run = tmp_path / "x.csv", tmp_path / "run"
    names = ("-O", "emotions=happy,sad,neutral")
    assert dfer("prepare", "folder", tmp_path / "set", "-o", data, "--pack", 16, "--workers", 1, *names).code == 0
    hard = ("--set", "labels.rule=hard", "--set", "data.validation=0")
    assert dfer("train", "demo", "--data", data, "-o", run, *QUICK, *hard).code == 0
    assert dfer("evaluate", run).code == 0
    predictions = pd.read_csv(run / "split" / "predictions.csv")
    assert len(predictions) == 9 and set(predictions["frames"]) == {"0 0 0 0"}


# -- bad input: train and evaluate --------------------------------------------------------------------------------


def test_a_class_without_a_clip_in_a_fold_is_named(made: Made, tmp_path: Path, dfer: Dfer) -> None:
    manifest = Manifest.read(made.data)
    kept = (manifest.table["label"] != "fear").to_numpy() | (manifest.table["fold"] == 2).to_numpy(
        dtype=bool, na_value=False
    )
    manifest.select(kept).write(tmp_path / "x.csv")
    hard = ("--set", "labels.rule=hard")
    refused = dfer("train", "demo", "--data", tmp_path / "x.csv", "-o", tmp_path / "run", "--fold", 2, *QUICK, *hard)
    assert refused.is_refusal("no training clip of fold 2 shows fear")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("demo", "--set", "optim.lrr=1"), r"unknown key optim\.lrr \(did you mean 'lr'"),
        (("demo", "--set", "labels.rul=hard"), r"has no key 'rul'"),
        (("demo", "--set", "model.widdth=8"), r"unknown key widdth \(did you mean 'width'"),
        (("demo", "--set", "optim.lr"), "key=value"),
        (("demo", "--set", "model.name=tiny3"), "tiny3d"),
        (("dmeo",), "cannot read the recipe dmeo"),
        (("demo", "--fold", "9"), "--fold all or one of 1, 2, 3, 4, 5, got 9"),
        (("demo", "--fold", "two"), "got two"),
    ],
)
def test_a_wrong_recipe_or_fold_is_refused(
    made: Made, tmp_path: Path, dfer: Dfer, arguments: tuple[str, ...], said: str
) -> None:
    refused = dfer("train", arguments[0], "--data", made.data, "-o", tmp_path / "run", *arguments[1:])
    assert refused.is_refusal(said) and not (tmp_path / "run").exists()


def test_what_is_no_manifest_is_refused(made: Made, tmp_path: Path, dfer: Dfer) -> None:
    (tmp_path / "own.csv").write_text("clip,happy\na,3\n")
    for path, said in ((tmp_path / "none.csv", "no manifest at"), (tmp_path / "own.csv", "not a manifest")):
        assert dfer("train", "demo", "--data", path, "-o", tmp_path / "run").is_refusal(said)
    assert dfer("evaluate", tmp_path / "none").is_refusal("expected the folder of a run")
    assert dfer("evaluate", tmp_path).is_refusal("expected runs of `dfer train`")


def test_a_checkpoint_of_other_emotions_is_refused(made: Made, tmp_path: Path, dfer: Dfer) -> None:
    run = Path(shutil.copytree(made.run, tmp_path / "run", ignore=shutil.ignore_patterns("predictions.csv")))
    for part in ("train", "test"):
        for label in ("happy", "sad", "neutral"):
            clips(tmp_path / "set" / part / label, "one")
    rows = pd.DataFrame([
        {"id": f"{label}{fold}", "path": f"train/{label}/one.npy", "kind": "array", "label": label, "fold": fold}
        for label in ("happy", "sad", "neutral") for fold in (1, 2)
    ])  # fmt: skip
    from dfer import EmotionSet

    three = EmotionSet("three", ("happy", "sad", "neutral"))
    Manifest.build(rows, emotions=three, root=tmp_path / "set").write(tmp_path / "x.csv")
    assert dfer("evaluate", run, "--data", tmp_path / "x.csv").is_refusal(
        "the model of .* knows happy, sad, .* the data have"
    )


def test_a_damaged_model_is_refused(made: Made, tmp_path: Path, dfer: Dfer) -> None:
    run = Path(shutil.copytree(made.run, tmp_path / "run", ignore=shutil.ignore_patterns("predictions.csv")))
    path = run / "fold2" / "model" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    assert dfer("evaluate", run).is_refusal("damaged")


def test_a_folder_that_cannot_be_written_is_refused_by_every_verb(made: Made, tmp_path: Path, dfer: Dfer) -> None:
    (tmp_path / "file").write_text("no folder")
    below = tmp_path / "file" / "x"
    for arguments in (
        ("synth", below, "--clips", 35, "--size", 32),
        ("prepare", "dfew", made.root, "-o", below / "x.csv"),
        ("prepare", "dfew", made.root, "-o", below / "x.csv", "--pack", 16),
        ("train", "demo", "--data", made.data, "-o", below, "--fold", 1, *QUICK),
        ("evaluate", made.run, "-o", below),
        ("demo", "-o", below),
    ):
        assert dfer(*arguments).is_refusal(r"cannot (write|draw)|Not a directory"), arguments
    assert (tmp_path / "file").read_text() == "no folder"


def limited(limit: int, *arguments: object) -> None:
    """Runs the command line where no file may grow beyond so many bytes: a disk that fills up."""
    import resource

    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    sys.argv = ["dfer", *map(str, arguments)]
    cli.main()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX's")
@pytest.mark.parametrize("verb", ["synth", "prepare", "pack", "train", "evaluate"])
def test_a_disk_that_fills_up_is_one_line(made: Made, tmp_path: Path, verb: str) -> None:
    run = Path(shutil.copytree(made.run, tmp_path / "run"))
    limit, arguments = {
        "synth": (300, ("synth", tmp_path / "x", "--clips", 35, "--size", 32, "--workers", 1)),
        "prepare": (300, ("prepare", "dfew", made.root, "-o", tmp_path / "x.csv")),
        "pack": (2000, ("prepare", "dfew", made.root, "-o", tmp_path / "x.csv", "--pack", 32, "--workers", 1)),
        "train": (100_000, ("train", "demo", "--data", made.data, "-o", tmp_path / "y", "--fold", 1, *QUICK)),
        "evaluate": (5000, ("evaluate", run, "-o", tmp_path / "out")),
    }[verb]
    done = run_forked(limited, limit, *arguments, folder=tmp_path, COLUMNS="80", PYTHONDONTWRITEBYTECODE="1")
    assert Outcome(done.returncode, done.stdout, done.stderr).is_refusal(r"cannot write|File too large")
    assert not (tmp_path / "x.csv").exists() and not (tmp_path / "x" / "README.md").exists()


# -- how it ends --------------------------------------------------------------------------------------------------


def test_an_error_is_one_line_without_debug_and_a_traceback_with_it(tmp_path: Path) -> None:
    plain = process("prepare", "dfew", tmp_path / "no[where]")
    assert Outcome(plain.returncode, plain.stdout, plain.stderr).is_refusal(r"no\[where\] does not exist")
    for arguments in (("--debug", "prepare", "dfew"), ("prepare", "dfew", "--debug")):
        debug = process(*arguments, tmp_path / "nowhere")
        assert debug.returncode == 1 and "Traceback" in debug.stderr and "DferError" in debug.stderr


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DferError("first\nsecond [bold]third[/bold] \\"), "error: first second [bold]third[/bold] \\"),
        (OSError(28, "No space left on device", "/big/file"), "error: /big/file: No space left on device"),
    ],
)
def test_whatever_an_error_says_is_printed_as_it_is_in_one_line(
    dfer: Dfer, monkeypatch: pytest.MonkeyPatch, error: Exception, line: str
) -> None:
    monkeypatch.setattr("dfer.datasets.synthetic.synthesise", raising(error))
    done = dfer("synth", "x")
    assert (done.code, done.err.rstrip("\n")) == (2, line)


def test_a_bug_is_no_bad_input(dfer: Dfer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dfer.datasets.synthetic.synthesise", raising(ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError):
        dfer("synth", "x")


def test_ctrl_c_is_exit_code_130_and_says_how_to_go_on(
    made: Made, tmp_path: Path, dfer: Dfer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfer.datasets.synthetic.synthesise", raising(KeyboardInterrupt()))
    assert dfer("synth", "x") == Outcome(130, "", "interrupted\n")
    monkeypatch.setattr("dfer.experiments.train_folds", raising(KeyboardInterrupt()))
    done = dfer("train", "demo", "--data", made.data, "-o", tmp_path / "run")
    assert (done.code, done.err) == (130, "interrupted; --resume goes on from the last saved state\n")


def test_of_several_processes_one_speaks(
    made: Made, dfer: Dfer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("dfer.experiments.train_folds", lambda *_, **__: None)
    for rank, silent in (("0", False), ("1", True)):
        monkeypatch.setenv("RANK", rank)
        done = dfer("train", "demo", "--data", made.data, "-o", tmp_path / "run")
        assert done.code == 0 and (done.out == "") == silent
    monkeypatch.delenv("RANK")
    assert dfer("--version").out


def interrupted(*arguments: str) -> None:
    """Runs the command line, which gets the signal of Ctrl-C when it says that its first epoch is done."""
    write = sys.stdout.write

    def interrupt(text: str) -> int:
        if "epoch   1" in text:
            os.kill(os.getpid(), signal.SIGINT)
        return write(text)

    sys.stdout.write = interrupt  # type: ignore[method-assign]
    sys.argv = ["dfer", *arguments]
    cli.main()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="signals of POSIX")
def test_a_run_that_was_interrupted_at_the_keyboard_resumes_and_logs_each_epoch_once(
    made: Made, dfer: Dfer, tmp_path: Path
) -> None:
    run, epochs = tmp_path / "run", 4
    more = ("--set", f"optim.epochs={epochs}", "--resume")
    arguments = ["train", "demo", "--data", str(made.data), "-o", str(run), "--fold", "1", *QUICK, *more]
    ended = run_forked(interrupted, *arguments, folder=tmp_path)
    assert ended.returncode == 130
    assert f"{run} holds nothing to go on with; a new run begins" in " ".join(ended.stdout.split())
    assert ended.stderr.strip() == "interrupted; --resume goes on from the last saved state"
    assert not (run / "fold1" / "train.json").exists()
    resumed = dfer(*arguments)
    assert resumed.code == 0 and "nothing to go on with" not in resumed.out
    lines = (run / "fold1" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(1, epochs + 1))
    assert (run / "fold1" / "train.json").exists()


def test_models_recipes_and_the_keys_of_a_recipe_are_shown(dfer: Dfer, tmp_path: Path) -> None:
    shown = dfer("models", "tiny3d", "faces", "--frames", 2, "--size", 16)
    assert shown.code == 0 and "2 x 16 x 16 RGB" in shown.out and "1 x 150 x 150 grey" in shown.out
    assert all(name in dfer("recipes").out for name in ("demo", "finetune_faces"))
    text = dfer("train", "demo", "--show", "--init", "faces", "--set", "optim.lr=0.25").out
    (tmp_path / "shown.toml").write_text(text, encoding="utf-8")
    again = dfer("train", tmp_path / "shown.toml", "--show")
    assert again.out == text and 'weights = "faces"' in text and "lr = 0.25" in text
    assert dfer("models", "tiny4d").is_refusal(r"model tiny4d: no model 'tiny4d' \(did you mean 'tiny3d'\?\)")
    assert "16 x 160 x 160 RGB" in dfer("models", "mae_dfer").out, "a network of one size is shown clips of that size"


@pytest.mark.parametrize("seeds", ["0,0", "1,01", "²", "1-3", "", "0,", "-1", "9" * 5000])
def test_seeds_that_are_none_or_one_twice_are_one_line(seeds: str, tmp_path: Path) -> None:
    data = toy_manifest(tmp_path)
    command = ("ablate", "demo", "--data", data, "-o", tmp_path / "out", "-g", "optim.lr=1e-3,2e-3", f"--seeds={seeds}")
    assert here(*command).is_refusal("expected --seeds as different whole numbers such as 0,1,2, got")
    assert not (tmp_path / "out").exists()
