"""`dfer raters`: what it says, writes and refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfer import EmotionSet, Manifest
from dfer.labels import CREMA_D

from .test_cli import here

NAMES = ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear")


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """Six raters of 40 clips, one of whom guesses; an empty answer and one given twice."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 7, (40, 1))
    said = np.where(generator.random((40, 6)) < 0.8, truth, generator.integers(0, 7, (40, 6)))
    said[:, 5] = generator.integers(0, 7, 40)
    rows = [(clip + 1, f"r{rater}", NAMES[said[clip, rater]]) for clip, rater in np.ndindex(40, 6)]
    rows += [(1, "r0", NAMES[said[0, 0]]), (2, "r9", "")]
    path = tmp_path / "answers.csv"
    pd.DataFrame(rows, columns=["clip", "rater", "emotion"]).to_csv(path, index=False)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The same clips, but for the last, and another one."""
    ids = [f"{number:05d}" for number in [*range(1, 40), 99]]
    rows = pd.DataFrame({"id": ids, "path": ids, "kind": "video", "label": "sad"})
    Manifest.build(rows, emotions=EmotionSet("dfew", NAMES), root=tmp_path).write(tmp_path / "data.csv")
    return tmp_path / "data.csv"


def test_raters_are_judged_and_clips_get_soft_labels(answers: Path, data: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "soft.csv", tmp_path / "raters.html"
    done = here("raters", answers, "--data", data, "-o", out, "--page", page)
    assert done.code == 0, done.err
    for line in (
        "6 raters, 40 clips, dawid_skene",
        "careless: 1 of 6 (r5)",
        "left out 1: answer without an emotion",
        "left out 1: earlier answer of a rater to the same clip",
        "39 of 40 clips in",
        "clips without answers: 1 (00099)",
        "clips that it lacks: 1 (40)",
    ):
        assert line in done.out
    soft = Manifest.read(out)
    assert set(soft.table["soft_from"]) == {"raters: dawid_skene", ""}
    assert np.allclose(soft.soft[:39].sum(axis=1), 1) and np.isnan(soft.soft[39]).all()
    assert "6 raters, 1 of them careless" in page.read_text(encoding="utf-8")


def test_the_answers_of_crema_d_are_read_as_its_page_says(tmp_path: Path) -> None:
    said = {"1001_IEO_NEU_XX": "NNNH", "1001_IEO_HAP_LO": "HHNH", "1018_DFA_ANG_XX": "AADA"}
    rows = [(f"p{k}", 2, clip, letter) for clip, letters in said.items() for k, letter in enumerate(letters)]
    rows += [("p0", 1, "1001_IEO_NEU_XX", "S")]  # of the voice
    columns = ["localid", "queryType", "clipName", "respEmo"]
    pd.DataFrame(rows, columns=columns).assign(respLevel=60, dispEmo=1).to_csv(tmp_path / "finished.csv")
    clips = pd.DataFrame({"id": list(said), "path": list(said), "kind": "video", "label": "happy"})
    Manifest.build(clips, emotions=CREMA_D, root=tmp_path).write(tmp_path / "data.csv")
    page = (Path(__file__).parents[1] / "docs/datasets/crema_d.md").read_text(encoding="utf-8")
    command = page.partition("dfer raters ")[2].partition("```")[0].replace("\\\n", " ").split()
    places = {"CREMA-D/finishedResponses.csv": "finished.csv", "data/crema_d.csv": "data.csv"}
    places |= {"data/crema_d_soft.csv": "soft.csv"}
    done = here("raters", *(tmp_path / places[word] if word in places else word for word in command))
    assert done.code == 0 and "4 raters, 3 clips" in done.out and "left out 1: row of another kind" in done.out
    assert Manifest.read(tmp_path / "soft.csv").soft.argmax(axis=1).tolist() == [4, 3, 0]  # neutral, happy, angry


def test_without_data_the_raters_are_shown_and_nothing_is_written(answers: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    done = here("raters", answers, "--model", "distribution")
    assert done.code == 0 and "weight of an answer" in done.out and sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "dawidskene"), r"no rater model 'dawidskene' \(did you mean 'dawid_skene'\?\)"),
        (("--data", "data.csv"), "--data and --out go together"),
        (("--page", "raters.txt"), "--page to end in .html"),
        (("--column", "rater"), "expected --column key=value, got 'rater'"),
        (("--where", "kind=2"), "no column 'kind'"),
        (("--where", "rater=r1", "--where", "rater=r2"), "rater is given twice, as 'r1' and by --where rater=r2"),
        (("--column", "clip=clip", "--column", "clip=rater"), "clip is given twice"),
        (("--map", "a=sad", "-O", "map=a=happy"), "map is given twice, as 'a=sad' and by --option map=a=happy"),
        (("--emotions", "happy,sad"), "answers that are none of the emotions happy, sad"),
    ],
)
def test_bad_input_is_one_line(answers: Path, options: tuple[str, ...], message: str) -> None:
    assert here("raters", answers, *options).is_refusal(message)


def test_the_table_of_votes_is_not_written_over(answers: Path, data: Path, tmp_path: Path) -> None:
    before = answers.read_bytes()
    (tmp_path / "again.csv").symlink_to(answers)
    for out in (answers, tmp_path / "again.csv"):
        assert here("raters", answers, "--data", data, "-o", out).is_refusal("is read, and would be written over")
    assert answers.read_bytes() == before


def test_abbreviations_a_sheet_and_repeated_answers(tmp_path: Path) -> None:
    """Two raters are asked four times of each of three faces; one of them by abbreviations of his own."""
    said = {"a": ["ntr", "ntr", "hap", "ntr"], "b": ["hap"] * 4, "c": ["weg", "ntr", "hap", "ntr"]}
    rows = [(clip, rater, word) for rater in ("r1", "r2") for clip, words in said.items() for word in words]
    table = pd.DataFrame(rows, columns=["clip", "rater", "emotion"])
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        pd.DataFrame({"clip": ["x"], "rater": ["y"], "emotion": ["sad"]}).to_excel(
            book, sheet_name="trial", index=False
        )
        table.to_excel(book, sheet_name="main", index=False)
    command = ("raters", tmp_path / "t.xlsx", "--model", "majority", "-O", "sheet=main")
    assert here(*command).is_refusal("in none at all: 'hap'.*'ntr'.*'weg'.*--map word=emotion")
    mapped = (*command, "--map", "ntr=neutral,hap=happy,weg=unknown")
    done = here(*mapped)
    assert done.code == 0, done.err
    assert "2 raters, 3 clips" in done.out and "several answers to one clip all count" in done.out
    assert "left out 2: answer that names no emotion: unknown" in done.out
    assert (
        "left out" in here(*mapped, "--repeats", "last").out
        and "earlier answer" in here(*mapped, "--repeats", "last").out
    )
    assert here(*command, "-O", "sheets=x").is_refusal(r"no option 'sheets' \(did you mean 'sheet'\?\)")
    assert here(*mapped, "--repeats", "first").is_refusal("repeats cannot be 'first'; expected one of last, all")


@pytest.mark.slow
def test_the_real_raters_of_fourteen_faces_are_judged(shared_data: Path) -> None:
    own = "ntr=neutral,sup=surprise,hap=happy,ang=angry,dis=disgust,fea=fear"
    done = here("raters", shared_data / "raters_faces/answers.csv", "--map", own, "--model", "distribution")
    assert done.code == 0 and "94 raters, 14 clips" in done.out and "all count" in done.out
    assert "careless: 0 of 94" in done.out and "left out" not in done.out
