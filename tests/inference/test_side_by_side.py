"""`dfer predict` on many videos, in processes side by side: what is written, told and refused is the same."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from dfer.errors import DferError
from dfer.files import is_unfinished
from dfer.inference import Predictor
from dfer.inference import side_by_side as module
from dfer.inference.batch import Video, last_longer
from dfer.video.stream import Span
from tests import forked

from ..video.films import write_video
from ..video.people import picture

CLIPS = sorted((Path(__file__).parents[2] / "examples" / "crema_d").glob("*.flv"))


@pytest.fixture
def day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two faces, half a film, what is none, and a picture."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "day"
    folder.mkdir()
    for clip in CLIPS:
        shutil.copy(clip, folder)
    (folder / "half.flv").write_bytes(CLIPS[0].read_bytes()[: CLIPS[0].stat().st_size // 2])
    (folder / "none.mp4").write_text("nothing")
    (folder / "still.mkv").write_bytes(write_video(tmp_path / "one.mkv", picture({})[None]).read_bytes())
    return folder


def told(*words: object) -> subprocess.CompletedProcess[str]:
    """What `dfer` says in the folder where the test is."""
    return forked.dfer(*words, folder=Path.cwd(), COLUMNS="80")


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_lines_and_faults_are_those_of_one_after_the_other(day: Path) -> None:
    options = ("--format", "json", "--format", "csv", "--device", "cpu", "--every", "0.1")
    one, two = (
        told("predict", day.name, "-o", f"out{count}", "-o", f"out{count}.csv", *options, "--workers", count)
        for count in (1, 2)
    )
    assert one.returncode == two.returncode == 1 and one.stderr == two.stderr
    assert len(written(Path("out1"))) == 8 and written(Path("out1")) == written(Path("out2"))
    assert Path("out1.csv").read_bytes() == Path("out2.csv").read_bytes()
    speed = re.compile(r"[0-9.]+x real time|out[12]")
    assert speed.sub("", one.stdout) == speed.sub("", two.stdout)


def test_a_model_that_is_not_there_is_told_once(day: Path) -> None:
    done = told("predict", day.name, "-o", "out", "--model", "nowhere", "--workers", 2)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "nowhere" in done.stderr
    assert not Path("out").exists()


def test_a_disk_that_refuses_ends_everything(day: Path) -> None:
    Path("out").write_text("a file where a folder is wanted")
    done = told("predict", day.name, "-o", "out/{name}.json", "--every", 1, "--workers", 2)
    (*_, line) = done.stderr.splitlines()
    assert done.returncode == 2 and line.startswith("error: cannot write out/1001_DFA_HAP_XX.json")


def test_ctrl_c_ends_all_of_them_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    names = [f"{number}.mkv" for number in range(6)]
    write_video(tmp_path / names[0], np.stack([picture({})] * 60))
    for name in names[1:]:
        shutil.copy(tmp_path / names[0], tmp_path / name)
    command = [sys.executable, "-m", "dfer", "predict", *names, "-o", "out/{name}.mp4", "--workers", "2"]
    running = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    until = time.monotonic() + 300
    out = tmp_path / "out"
    while not out.exists() or not any(is_unfinished(path.name) for path in out.iterdir()):
        assert running.poll() is None and time.monotonic() < until
        time.sleep(0.02)
    workers = psutil.Process(running.pid).children(recursive=True)
    os.killpg(running.pid, signal.SIGINT)
    told = running.communicate(timeout=60)[1].decode()
    assert running.returncode == 130 and "interrupted" in told and "Traceback" not in told
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    assert not any(is_unfinished(path.name) for path in out.iterdir())


def test_how_long_videos_last_is_asked_of_no_more_than_need_be(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for number in range(50):
        (tmp_path / "frames" / f"{number}.jpg").write_bytes(b"")  # 2 s at 25 frames a second
    videos = [Video(path, path.name) for path in (*CLIPS, tmp_path / "frames", tmp_path / "gone.mkv")]
    assert last_longer(videos, 5.5) and not last_longer(videos, 7.5), "1.9, 2.1, 2 and half a second"
    assert last_longer([*videos[:1], Video(Path("/"), "never asked")], 1)
    assert not last_longer([], 0)


@pytest.mark.parametrize(
    ("device", "cores", "gpu", "expected"),
    [
        ("cpu", 8, 2 * 2**30, 2),
        ("auto", 8, None, 2),
        ("auto", 8, 2**30 + 1, 1),
        ("cuda", 8, 0, 1),
        ("cpu", 1, 0, 1),
        ("cpu", 3, 0, 1),
        ("cpu", 4, 0, 2),
    ],
)
def test_long_videos_are_read_side_by_side_as_far_as_cores_and_memory_go(
    device: str, cores: int, gpu: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WORTH_S", 1)
    monkeypatch.setattr("dfer.machine.usable_cores", lambda: cores)
    monkeypatch.setattr("dfer.machine.free_memory", lambda: 64 * 2**30)
    monkeypatch.setattr(module, "free_gpu_memory", lambda: gpu)
    videos = [Video(clip, clip.name) for clip in CLIPS]
    assert module.worth_processes(videos, device) == expected
    assert module.worth_processes(videos[:1], device) == 1
    monkeypatch.setattr(module, "WORTH_S", 120)
    assert module.worth_processes(videos, device) == 1


def test_a_program_reads_films_side_by_side_as_the_verb_does(tmp_path: Path) -> None:
    films = [*CLIPS, tmp_path / "none.mp4"]
    films[-1].write_text("nothing")
    jobs = [module.Job(Video(film, film.stem), (tmp_path / "out" / f"{film.stem}.json",)) for film in films]
    how, load = module.How(Span(end_s=0.4)), module.Load(device="cpu")
    results = list(module.read_side_by_side(load, jobs, how, workers=2))
    assert [job for job, _ in results] == jobs
    predictor = Predictor.from_pretrained(device="cpu")
    for job, result in results[:-1]:
        predictor(job.video.path, span=how.span).save(tmp_path / "alone.json")
        assert job.paths[0].read_bytes() == (tmp_path / "alone.json").read_bytes()
        assert result().timeline.video == str(job.video.path) and result().speed > 0
    with pytest.raises(DferError, match=r"none\.mp4"):
        results[-1][1]()
