"""Files that appear in one go, and that one process at a time writes."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dfer.errors import DferError, UnwritableError
from dfer.files import is_unfinished, keep_inputs, replacing, require_file, sole_owner, write_text

HOLD = """
import sys, time
from pathlib import Path
from dfer.files import replacing, sole_owner
place = Path(sys.argv[1])
with (sole_owner if sys.argv[2] == "folder" else replacing)(place) as partial:
    if partial:
        partial.write_text("half")
    print("holds", flush=True)
    time.sleep(60)
"""


def holder(place: Path, kind: str = "file") -> subprocess.Popen[str]:
    """Another process that is in the middle of writing."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(place), kind], stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "holds\n"
    return process


def test_what_is_read_is_not_written_over_under_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "votes.csv").write_text("mine")
    (tmp_path / "link.csv").symlink_to("votes.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    monkeypatch.chdir(tmp_path)
    for name in ("votes.csv", "./votes.csv", "link.csv", tmp_path / "a" / ".." / "votes.csv"):
        with pytest.raises(DferError, match=r"votes\.csv is read|link\.csv is read"):
            keep_inputs(["new.csv", name], [tmp_path / "votes.csv", "loop.csv"])
    keep_inputs(["new.csv", "Votes2.csv"], ["votes.csv", "loop.csv", "link.csv"])


def test_nobody_can_guess_or_prepare_the_name_of_an_unfinished_file(tmp_path: Path) -> None:
    seen = set()
    for _ in range(2):
        with replacing(tmp_path / "a.json") as partial:
            assert partial.parent == tmp_path and partial.suffix == ".json" and is_unfinished(partial.name)
            assert partial.read_bytes() == b"" and not partial.is_symlink()
            seen.add(partial.name)
    assert len(seen) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_link_is_replaced_and_what_it_leads_to_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("keep")
    (tmp_path / "a.json").symlink_to(tmp_path / "victim")
    (tmp_path / ".a.partial.json").symlink_to(tmp_path / "victim")
    write_text(tmp_path / "a.json", "new")
    assert (tmp_path / "victim").read_text() == "keep"
    assert (tmp_path / "a.json").read_text() == "new" and not (tmp_path / "a.json").is_symlink()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_the_mode_of_a_replaced_file_is_kept_and_a_new_one_has_the_users(tmp_path: Path, mode: int) -> None:
    (tmp_path / "old").write_text("x")
    (tmp_path / "old").chmod(mode)
    with replacing(tmp_path / "old") as partial:
        assert stat.S_IMODE(partial.stat().st_mode) & ~mode & 0o077 == 0  # nobody reads more than before, meanwhile
        partial.write_text("new")
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == mode
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "new", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_of_two_writers_one_is_refused_and_the_file_is_whole(tmp_path: Path) -> None:
    other = holder(tmp_path / "a.json")
    try:
        with pytest.raises(UnwritableError, match=r"another process is writing .*a\.json; choose another place"):
            write_text(tmp_path / "a.json", "new")
        write_text(tmp_path / "b.json", "another file is free")
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
    left = [path.name for path in tmp_path.iterdir() if is_unfinished(path.name)]
    assert len(left) == 1
    write_text(tmp_path / "a.json", "new")  # the lock ended with its holder


def test_what_a_killed_process_left_is_removed_by_the_next_writer_of_that_file(tmp_path: Path) -> None:
    for name in ("a.json", "ab.json"):
        other = holder(tmp_path / name)
        other.kill()
        other.wait()
    code = (
        "import sys; from pathlib import Path; from dfer.files import write_text; write_text(Path(sys.argv[1]), 'new')"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.json")], check=True)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 2 and names[0].startswith(".ab.") and names[1] == "a.json"


def test_threads_of_one_process_are_two_writers_too(tmp_path: Path) -> None:
    refused: list[str] = []

    def write() -> None:
        try:
            write_text(tmp_path / "a", "other")
        except UnwritableError as error:
            refused.append(str(error))

    with replacing(tmp_path / "a") as partial:
        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        partial.write_text("mine")
    assert len(refused) == 1 and (tmp_path / "a").read_text() == "mine"


def test_a_folder_appears_in_one_go(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "old.jpg").write_text("x")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "clip", folder=True) as partial:
        (partial / "new.jpg").write_text("x")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["clip"]
    assert [path.name for path in (tmp_path / "clip").iterdir()] == ["old.jpg"]
    with replacing(tmp_path / "clip", folder=True) as partial:
        (partial / "new.jpg").write_text("x")
    assert [path.name for path in (tmp_path / "clip").iterdir()] == ["new.jpg"]


def test_folders_pipes_and_devices_are_no_place_for_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, told in (("folder", "a folder"), ("pipe", "a named pipe")):
        with pytest.raises(DferError, match=f"cannot write .*: it is {told}; choose another place"):
            write_text(tmp_path / name, "x")
    with pytest.raises(DferError, match="it is a device"):
        write_text(Path("/dev/null"), "x")


def test_a_run_has_one_owner_and_is_free_when_that_one_is_killed(tmp_path: Path) -> None:
    other = holder(tmp_path / "run", "folder")
    try:
        with (
            pytest.raises(DferError, match=r"another process works in .*run; wait for its end"),
            sole_owner(tmp_path / "run"),
        ):
            pass
    finally:
        other.kill()
        other.wait()
    with sole_owner(tmp_path / "run"):
        pass
    assert not list(tmp_path.iterdir())


def test_many_files_in_one_folder_are_written_in_time_that_grows_with_their_number(tmp_path: Path) -> None:
    looked: list[object] = []
    scan = os.scandir
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", lambda place: (looked.append(place), scan(place))[1])
        for number in range(50):
            write_text(tmp_path / f"{number}.txt", "x")
    assert len(looked) <= 1


def test_a_name_as_long_as_the_system_allows_can_be_written(tmp_path: Path) -> None:
    name = "ä" * 100 + ".json"
    write_text(tmp_path / name, "x")
    assert (tmp_path / name).read_text() == "x"


def test_a_missing_file_has_no_size(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"cannot be read: No such file or directory; expected a file"):
        require_file(tmp_path / "none")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_verb_that_is_asked_to_end_leaves_nothing_unfinished(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "dfer", "synth", str(tmp_path / "set"), "--clips", "2000"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not any(is_unfinished(path.name) for path in tmp_path.iterdir()) and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    assert process.wait(timeout=60) == 128 + number
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_a_device_pipe_or_folder_is_refused_as_these_are(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    targets = {tmp_path / "folder": "a folder", tmp_path / "pipe": "a named pipe", Path("/dev/null"): "a device"}
    for target, told in targets.items():
        link = tmp_path / "link"
        link.symlink_to(target)
        with pytest.raises(DferError, match=f"cannot write .*link: it is {told}"):
            write_text(link, "x")
        assert link.is_symlink() and len(list(tmp_path.iterdir())) == 3
        link.unlink()


def test_a_link_that_leads_nowhere_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "none")
    write_text(tmp_path / "link", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["link"] and not (tmp_path / "link").is_symlink()


def test_a_folder_does_not_take_the_place_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "keep").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(DferError, match="it is a link"), replacing(tmp_path / "link", folder=True):
        pass
    assert (tmp_path / "link" / "keep").exists()


def test_files_whose_long_names_begin_alike_do_not_disturb_each_other(tmp_path: Path) -> None:
    other = holder(tmp_path / f"{'x' * 90}a.json")
    try:
        before = {path.name for path in tmp_path.iterdir()}
        write_text(tmp_path / f"{'x' * 90}b.json", "x")
        assert before < {path.name for path in tmp_path.iterdir()}
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("name", ["\N{GRINNING FACE}" * 60 + ".json", "a. " + "b" * 240, "." + "c" * 240])
def test_a_name_of_many_bytes_or_a_long_suffix_can_be_written_and_is_tidied_up(tmp_path: Path, name: str) -> None:
    other = holder(tmp_path / name)
    other.kill()
    other.wait()
    assert is_unfinished(next(tmp_path.iterdir()).name)
    write_text(tmp_path / name, "x")
    assert [path.name for path in tmp_path.iterdir()] == [name]
