"""The embedded data set on disk: DFEW's layout, the same bytes for a seed, and nothing half done."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import openpyxl
import pandas as pd
import psutil
import pytest

from dfer import DferError
from dfer.datasets import Manifest, read_source
from dfer.datasets.synthetic import portrait, synthesise, write
from dfer.datasets.synthetic.write import Take, prepare_clip

CLIPS, SIZE = 37, 32
EMOTIONS = ["happy", "sad", "neutral", "angry", "surprise", "disgust", "fear"]
"""DFEW's, as its annotation numbers them from 1."""


FLAWS = r"[a-z_]+:[01]\.\d+( [a-z_]+:[01]\.\d+)*"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clear clip of each emotion in each fold and two others, one of them without a single label; of seed 0."""
    folder, told = tmp_path_factory.mktemp("synthetic") / "data", []
    synthesise(folder, clips=CLIPS, size=SIZE, workers=1, progress=lambda *done: told.append(done))
    assert told == [(number, CLIPS) for number in range(1, CLIPS + 1)], "progress is told after each clip"
    return folder


@pytest.fixture(scope="module")
def manifest(root: Path) -> Manifest:
    return read_source("dfew", root)


def digest(folder: Path) -> dict[str, str]:
    """Every file of a folder by name, and its content's hash."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def annotation(folder: Path) -> pd.DataFrame:
    rows = list(openpyxl.load_workbook(folder / "Annotation" / "annotation.xlsx").active.values)
    return pd.DataFrame(rows[1:], columns=list(rows[0])).set_index("order")


def split(folder: Path, part: str, fold: int) -> pd.DataFrame:
    return pd.read_csv(folder / "EmoLabel_DataSplit" / f"{part}(single-labeled)" / f"set_{fold}.csv")


# -- the layout -----------------------------------------------------------------------------------------------------


def test_the_files_lie_where_dfew_has_them(root: Path) -> None:
    assert {path.name for path in root.iterdir()} == {
        "Annotation", "EmoLabel_DataSplit", "Clip", "groups.csv", "truth.csv", "README.md",
    }  # fmt: skip
    assert sorted(path.name for path in (root / "EmoLabel_DataSplit").iterdir()) == [
        "test(single-labeled)", "train(single-labeled)",
    ]  # fmt: skip
    frames = sorted((root / "Clip" / "clip_224x224" / "00007").iterdir())
    assert [path.name for path in frames[:2]] == ["00007_00001.jpg", "00007_00002.jpg"]
    assert len(list((root / "Clip" / "clip_224x224").iterdir())) == CLIPS


def test_the_annotation_has_dfews_columns_and_ten_votes_a_clip(root: Path) -> None:
    table = annotation(root)
    votes = [f"{number}{emotion}" for number, emotion in enumerate(EMOTIONS, 1)]
    assert list(table.columns) == [*votes, "label"] and sorted(table.index) == list(range(1, CLIPS + 1))
    assert (table[votes].sum(axis=1) == 10).all() and (table[votes] >= 0).all(axis=None)


def test_a_label_is_the_emotion_with_six_votes_or_more_and_zero_where_there_is_none(root: Path) -> None:
    table = annotation(root)
    for *votes, label in table.itertuples(index=False):
        assert label == (votes.index(max(votes)) + 1 if max(votes) >= 6 else 0)
    assert (table["label"] == 0).sum() == 1


def test_the_five_folds_test_every_single_labelled_clip_once_and_never_train_on_it(root: Path) -> None:
    labels = annotation(root)["label"]
    single = set(labels.index[labels > 0])
    tested: list[int] = []
    for fold in range(1, 6):
        train, test = split(root, "train", fold), split(root, "test", fold)
        assert set(train["video_name"]) == single - set(test["video_name"])
        assert (labels[test["video_name"]].to_numpy() == test["label"]).all()
        tested += test["video_name"].tolist()
    assert sorted(tested) == sorted(single)


def test_every_emotion_has_a_single_labelled_clip_in_the_test_part_of_each_fold(root: Path) -> None:
    for fold in range(1, 6):
        assert set(split(root, "test", fold)["label"]) == {1, 2, 3, 4, 5, 6, 7}


def test_no_person_is_in_two_folds(root: Path) -> None:
    group = pd.read_csv(root / "groups.csv").set_index("video_name")["group"]
    assert sorted(group.index) == list(range(1, CLIPS + 1))
    for fold in range(1, 6):
        people = {part: set(group[split(root, part, fold)["video_name"]]) for part in ("train", "test")}
        assert people["test"] and not people["train"] & people["test"]


def test_the_frames_are_square_pictures_of_the_size_asked_for_that_change_within_a_clip(root: Path) -> None:
    for clip in sorted((root / "Clip" / "clip_224x224").iterdir()):
        frames = [cv2.imread(str(path)) for path in sorted(clip.iterdir())]
        assert 16 <= len(frames) <= 32
        assert {frame.shape for frame in frames} == {(SIZE, SIZE, 3)}
        assert all(frame.std() > 8 for frame in frames), "a picture, no blank"
        assert any((frames[0] != frame).any() for frame in frames[1:])


def test_the_truth_says_what_was_played_and_how_the_whole_panel_votes_in_the_long_run(root: Path) -> None:
    truth = pd.read_csv(root / "truth.csv").set_index("video_name")
    shares = truth[[f"p_{emotion}" for emotion in EMOTIONS]]
    assert np.allclose(shares.sum(axis=1), 1, atol=1e-4) and (shares >= 0).all(axis=None)
    votes = annotation(root).loc[truth.index].iloc[:, :7] / 10
    distance = np.abs(votes.to_numpy() - shares.to_numpy()).sum(axis=1) / 2
    assert distance.mean() < 0.25, "ten votes are a sample of it"
    clear = truth[truth["script"].str.startswith("clear")]
    assert len(clear) == 35 and clear["degradations"].isna().all()
    assert truth["degradations"].notna().any() and truth["degradations"].dropna().str.fullmatch(FLAWS).all()
    assert (shares.loc[clear.index].idxmax(axis=1) == "p_" + clear["script"].str.split().str[1]).mean() > 0.9


def test_the_readme_says_that_pictures_and_votes_are_synthetic(root: Path) -> None:
    text = (root / "README.md").read_text(encoding="utf-8")
    assert "37 clips of 10 made-up people" in text and "seed 0, 32 x 32 pixels" in text
    assert "Both pictures and votes are synthetic" in text


def test_it_is_read_as_dfew(root: Path, manifest: Manifest) -> None:
    assert len(manifest) == CLIPS and list(manifest.emotions) == EMOTIONS and not manifest.left_out
    table = annotation(root).sort_index()
    assert np.array_equal(manifest.votes, table.iloc[:, :7].to_numpy())
    assert np.array_equal(manifest.labels, table["label"].to_numpy() - 1)
    assert manifest.folds == [1, 2, 3, 4, 5] and set(manifest.table["kind"]) == {"frames"}
    counted = [len(list(manifest.resolve(path).iterdir())) for path in manifest.table["path"]]
    assert manifest.table["frames"].tolist() == counted
    assert set(manifest.table["group"]) == set(pd.read_csv(root / "groups.csv")["group"])


# -- the seed -------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_with_any_number_of_workers(root: Path, tmp_path: Path) -> None:
    synthesise(tmp_path / "two", clips=CLIPS, size=SIZE, workers=2)
    assert digest(tmp_path / "two") == digest(root)


def test_another_seed_gives_other_people_and_other_votes_and_an_own_data_set_is_replaced_whole(
    root: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(root, tmp_path / "data"))
    synthesise(data, clips=CLIPS - 1, size=SIZE, seed=1, workers=1)
    assert len(list((data / "Clip" / "clip_224x224").iterdir())) == CLIPS - 1
    first, other = digest(root), digest(data)
    assert first["Annotation/annotation.xlsx"] != other["Annotation/annotation.xlsx"]
    assert not {first[name] for name in first if name.endswith(".jpg")} & set(other.values())


# -- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"clips": 34}, r"at least 35 clips \(5 folds of 7 emotions\), got 34"),
        ({"clips": 100_000}, "at most 99999"),
        ({"seed": -1}, "seed >= 0"),
        ({"size": 16}, r"size of 32\.\.1024"),
        ({"size": 2048}, r"size of 32\.\.1024"),
        ({"workers": 0}, "workers >= 1"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_written(
    tmp_path: Path, options: dict[str, int], said: str
) -> None:
    with pytest.raises(DferError, match=said):
        synthesise(tmp_path / "data", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.tex").write_text("years of work", encoding="utf-8")
    with pytest.raises(DferError, match=r"did not write \(thesis\.tex\); choose an empty folder"):
        synthesise(tmp_path / "data", clips=CLIPS, size=SIZE)
    with pytest.raises(DferError, match="is a file"):
        synthesise(tmp_path / "data" / "thesis.tex", clips=CLIPS, size=SIZE)
    assert digest(tmp_path) == {"data/thesis.tex": hashlib.sha256(b"years of work").hexdigest()}


def test_a_folder_that_looks_like_dfew_but_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Annotation").mkdir()
    with pytest.raises(DferError, match=r"did not write \(Annotation\)"):
        synthesise(tmp_path, clips=CLIPS, size=SIZE)


def test_an_own_data_set_that_something_was_put_into_is_not_replaced(root: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(root, tmp_path / "data"))
    (data / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DferError, match=r"did not write \(notes\.txt\)"):
        synthesise(data, clips=CLIPS, size=SIZE)
    assert (data / "notes.txt").is_file()


# -- a kill, a full disk --------------------------------------------------------------------------------------------


def test_a_disk_that_fills_up_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = Path.write_bytes, 0

    def full(self: Path, content: bytes) -> int:
        nonlocal written
        written += 1
        if written > 100:
            raise OSError(28, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DferError, match=r"cannot write .*data: No space left on device"):
        synthesise(tmp_path / "data", clips=CLIPS, size=SIZE, workers=1)
    assert written > 100 and list(tmp_path.iterdir()) == []


PROGRAM = """
import sys
from pathlib import Path
from dfer.datasets.synthetic import synthesise
if __name__ == "__main__":
    synthesise(Path(sys.argv[1]), clips=2000, size=32, workers=2)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="kills with a signal")
def test_a_killed_run_leaves_the_former_data_set_no_half_one_and_no_process(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, program = Path(shutil.copytree(root, tmp_path / "data")), tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    process = subprocess.Popen([sys.executable, str(program), str(data)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob(".data.*.partial/Clip/clip_224x224/*"))) < 5:
        assert process.poll() is None and time.monotonic() < deadline, "should be drawing"
        time.sleep(0.1)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(workers) >= 2
    assert psutil.wait_procs(workers, timeout=20)[1] == [], "the workers end with it"
    assert digest(data) == digest(root)
    monkeypatch.setattr(write, "frames_of", lambda *_, **__: iter([np.zeros((SIZE, SIZE, 3), np.uint8)]))
    synthesise(data, clips=CLIPS, size=SIZE, workers=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "program.py"], "the next run tidies up"


def test_a_worker_that_dies_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    # a program without the guard of its main module: each worker would begin the program anew, and dies
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nfrom pathlib import Path\nfrom dfer.datasets.synthetic import synthesise\n"
        "synthesise(Path(sys.argv[1]), clips=35, size=32, workers=2)\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path / "data")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("dfer.errors.DferError: a worker process died")
    assert [path.name for path in tmp_path.iterdir()] == ["program.py"]


# -- portraits, and clips before they are drawn ---------------------------------------------------------------------


def test_a_portrait_is_the_same_picture_each_time_and_differs_by_emotion_and_person() -> None:
    def key(emotion: str, identity: int) -> bytes:
        return portrait(emotion, identity=identity, size=48).tobytes()

    assert portrait("happy", size=48).shape == (48, 48, 3) and portrait("happy", size=48).dtype == np.uint8
    assert key("Happiness", 3) == key("happy", 3)
    assert len({key(emotion, identity) for emotion in EMOTIONS for identity in range(4)}) == 28


def test_intensity_zero_is_neutral_for_every_emotion() -> None:
    rest = portrait("neutral", size=48)
    assert all(np.array_equal(portrait(emotion, intensity=0, size=48), rest) for emotion in EMOTIONS)
    weak, strong = (portrait("fear", intensity=share, size=48).astype(int) for share in (0.3, 1.0))
    assert 0 < np.abs(weak - rest).sum() < np.abs(strong - rest).sum()


@pytest.mark.parametrize(
    ("emotion", "options", "said"),
    [
        ("hapy", {}, r"no emotion 'hapy' \(did you mean 'happy'\?\)"),
        ("happy", {"intensity": 1.5}, r"intensity of 0\.\.1, got 1\.5"),
        ("happy", {"intensity": float("nan")}, "got nan"),
        ("happy", {"identity": -1}, "identity >= 0"),
        ("happy", {"size": 8}, "size of 32"),
    ],
)
def test_an_impossible_portrait_is_refused(emotion: str, options: dict[str, float], said: str) -> None:
    with pytest.raises(DferError, match=said):
        portrait(emotion, **options)  # type: ignore[arg-type]


def test_a_clip_is_prepared_alike_however_many_were_prepared_before_it() -> None:
    from dfer.datasets.synthetic.scripts import Role

    def parts(clip: Take) -> tuple[object, ...]:
        return clip.script, clip.played.units.tobytes(), tuple(clip.played.poses), clip.votes.tobytes()

    role = Role(number=12, identity=3, fold=4, emotion="sad", clear=False)
    first = prepare_clip(role, 5)
    prepare_clip(role._replace(number=11), 5)
    assert parts(prepare_clip(role, 5)) == parts(first) != parts(prepare_clip(role, 6))
