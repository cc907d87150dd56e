"""Work on a real Ray cluster of two machines, both of which are this one."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import psutil
import pytest

from dfer import DferError, cluster, processes
from dfer.cluster import on_cluster
from dfer.datasets import Manifest
from dfer.datasets.pack import pack
from dfer.labels import EmotionSet
from dfer.processes import worker_pool

from .calls import fail, sleep, write_chunk
from .inference.toy import film
from .test_cli import here
from .training.toy import toy_manifest, toy_recipe

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of two machines with one core each."""
    pytest.importorskip("ray", reason="needs the extra ray")
    from ray.cluster_utils import Cluster

    paths = os.pathsep.join([str(ROOT), *sys.path])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", paths)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("OMP_NUM_THREADS", "1")
        node: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
        machines = Cluster(initialize_head=True, head_node_args=node)
        machines.add_node(num_cpus=1, object_store_memory=80 * 2**20)
        patch.chdir(tmp_path_factory.mktemp("shared"))
        import ray

        ray.init(address=machines.address, logging_level="error")  # once, for each connection starts new workers
        yield machines.address
        ray.shutdown()
        machines.shutdown()


@pytest.fixture(autouse=True)
def _shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def files(folder: Path) -> dict[str, bytes]:
    """All that is in a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def workers() -> list[psutil.Process]:
    """The processes of the cluster that are in a call."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.cmdline()[:1] == ["ray::_work"]:
                found.append(process)
    return found


def folders_of_pictures(root: Path, clips: int) -> Manifest:
    """A clip is a folder of four JPEGs; one of them has none that can be read."""
    generator, rows = np.random.default_rng(0), []
    for clip in range(clips):
        name = f"clip{clip:03d}"
        (root / name).mkdir(parents=True)
        for frame in range(4):
            pixels = generator.integers(0, 255, (12, 16, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
            cv2.imwrite(str(root / name / f"{frame}.jpg"), pixels)
        rows.append({"id": name, "path": name, "kind": "frames", "votes_happy": clip % 5, "votes_sad": 4})
    for path in (root / "clip007").iterdir():
        path.write_bytes(b"no picture")
    return Manifest.build(pd.DataFrame(rows), emotions=EmotionSet("two", ("happy", "sad")), root=root)


def test_clips_packed_by_a_cluster_whose_worker_is_killed_are_those_of_one_machine(
    address: str, tmp_path: Path
) -> None:
    manifest = folders_of_pictures(tmp_path / "clips", 300)
    here_, left_out = pack(manifest, tmp_path / "here", size=64, workers=1)
    told: list[tuple[int, int]] = []
    killed: list[int] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        if done > 40 and not killed and (busy := workers()):
            busy[0].kill()
            killed.append(busy[0].pid)

    with on_cluster(address):
        there, left_out_there = pack(manifest, tmp_path / "there", size=64, progress=progress)
    assert killed and told[-1] == (300, 300) and told == sorted(told)
    assert files(tmp_path / "here") == files(tmp_path / "there")
    assert here_.table.equals(there.table) and here_.left_out == there.left_out
    assert list(left_out_there["id"]) == list(left_out["id"]) == ["clip007"]


def test_what_a_killed_worker_had_finished_is_not_done_again_and_what_it_had_begun_is_removed(
    address: str, tmp_path: Path
) -> None:
    paths = [[tmp_path / "out" / f"{chunk}_{part}" for part in range(10)] for chunk in range(6)]
    killed = None
    with on_cluster(address), worker_pool(None) as pool:
        futures = [pool.submit(write_chunk, chunk) for chunk in paths]
        until = time.monotonic() + 60
        while killed is None and time.monotonic() < until:
            time.sleep(0.02)
            for chunk in paths:
                done = [path.with_suffix(".log") for path in chunk if path.with_suffix(".log").exists()]
                if 2 <= len(done) <= 7 and killed is None:  # in the middle
                    killed = int(done[0].read_text() or 0)
                    os.kill(killed, signal.SIGKILL)
        who = [future.result() for future in futures]
    assert killed and sum(pids.count(0) for pids in who) > 0  # finished by the one that was killed
    names = {path.name for chunk in paths for path in chunk}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names | {f"{name}.log" for name in names}
    assert all(path.read_text() == "whole" for chunk in paths for path in chunk)
    logs = [path.read_text().splitlines() for path in (tmp_path / "out").glob("*.log")]
    assert all(len(lines) == 1 for lines in logs) and len({lines[0] for lines in logs}) >= 2


def test_an_error_of_a_worker_is_that_of_the_call_and_ends_the_work_of_the_others(address: str) -> None:
    with on_cluster(address):
        with worker_pool(None) as pool:
            futures = [pool.submit(fail, number) for number in range(3)]
            assert [futures[0].result(), futures[2].result()] == [0, 2]
            error = futures[1].exception()
        assert type(error) is DferError and str(error) == "the second is bad"
        begun = time.monotonic()
        with pytest.raises(DferError, match="the second is bad"), worker_pool(None) as pool:
            pool.submit(sleep, 0)
            pool.submit(fail, 1).result()
        with worker_pool(None) as pool:  # both machines are free again
            assert list(pool.map(fail, (2, 3, 4, 5))) == [2, 3, 4, 5]
        assert time.monotonic() - begun < 300


def test_a_worker_of_another_version_or_without_the_folder_is_one_sentence(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on_cluster(address), worker_pool(None) as pool:
        monkeypatch.setattr(cluster, "__version__", "9.9")
        with pytest.raises(DferError, match=r"has dfer .*, this machine 9\.9; install the same on both"):
            pool.submit(fail, 0).result()
        monkeypatch.undo()
        gone = tmp_path / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()
        monkeypatch.setattr(Path, "cwd", lambda: gone)
        with pytest.raises(DferError, match=f"does not see {gone}: No such file"):
            pool.submit(fail, 0).result()
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)


def test_films_read_by_a_cluster_are_those_of_one_machine(address: str, tmp_path: Path) -> None:
    (tmp_path / "day").mkdir()
    for name, colour in (("a", {"red": (20.0, 40.0)}), ("b", {"blue": (200.0, 80.0)})):
        film(tmp_path / "day" / f"{name}.mkv", [colour] * 10)
    (tmp_path / "day" / "broken.mkv").write_bytes(b"\x1aE\xdf\xa3 no more than a head")
    wanted = ("--format", "json", "--format", "csv", "--device", "cpu")
    one = here("predict", "day", "-o", "here", "-o", "here.csv", *wanted)
    two = here("predict", "day", "-o", "there", "-o", "there.csv", *wanted, "--ray", address)
    assert one.code == two.code == 1 and len(files(tmp_path / "here")) == 4
    assert files(tmp_path / "here") == files(tmp_path / "there")
    assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()
    assert one.err == two.err
    speed = re.compile(r"[0-9.]+x real time|here|there")
    assert speed.sub("", one.out) == speed.sub("", two.out)


def test_a_grid_trained_by_a_cluster_is_that_of_one_machine(address: str, tmp_path: Path) -> None:
    data = toy_manifest(tmp_path / "toy", clips=24)
    recipe = tmp_path / "toy.toml"
    recipe.write_text(toy_recipe(data={"subset": "all"}, optim={"epochs": 1, "threads": 1}).toml())
    grid = ("ablate", recipe, "--data", data, "--grid", "midas.alpha=0.2,0.8", "--seeds", "0", "--fold", "1")
    one, two = here(*grid, "-o", "here"), here(*grid, "-o", "there", "--ray", address)
    assert one.code == two.code == 0, two.err
    models = sorted(path.relative_to("here") for path in Path("here").rglob("model.safetensors"))
    assert len(models) == 2
    for path in [*models, *(model.parent.parent / "predictions.csv" for model in models)]:
        assert ("here" / path).read_bytes() == ("there" / path).read_bytes()
    assert len(re.findall(r"epoch +1 ", two.out)) == len(re.findall(r"epoch +1 ", one.out)) == 2


def test_a_cluster_that_is_not_there_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    monkeypatch.setattr(cluster, "_is_connected", lambda: False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{free.getsockname()[1]}"
    for given, told in ((nobody, "no cluster answers"), ("over there", "expected --ray local, auto or HOST:PORT")):
        assert here("predict", tmp_path, tmp_path, "--ray", given).code == 2
        with pytest.raises(DferError, match=told), on_cluster(given):
            pass
    with pytest.raises(DferError, match="leave --workers 3 out"), on_cluster(nobody, workers=3):
        pass


def test_without_the_extra_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_is_connected", lambda: False)
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DferError, match=r"--ray needs the package ray: pip install 'dfer\[ray\]'"), on_cluster("local"):
        pass
    with on_cluster(None):
        assert not processes.works_elsewhere()


def test_a_blocked_import_is_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DferError, match=r"pip install 'dfer\[ray\]'"), on_cluster("local"):
        pass


def test_a_worker_without_dfer_or_that_dies_again_and_again_is_one_sentence() -> None:
    class WorkerCrashedError(Exception):
        pass

    told = cluster._of_cluster(RuntimeError("The remote function failed\n ModuleNotFoundError: No module named 'dfer'"))
    assert str(told).startswith("a worker of the cluster has no dfer ")
    assert "died 6 times at the same work" in str(cluster._of_cluster(WorkerCrashedError()))
