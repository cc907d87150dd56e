"""Pictures that claim to be huge are refused before they are decoded, in bounded memory."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from dfer.errors import DferError
from dfer.video.frames import open_clip, read_image
from dfer.video.limits import require_decodable, require_size
from dfer.video.stream import stream

from .films import write_video

MEASURED = """
import resource, sys
from pathlib import Path
from dfer.errors import DferError
from dfer.video.stream import stream
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))
try:
    print(sum(1 for _ in stream(Path(sys.argv[1]))))
except DferError as error:
    print(error)
print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])
"""


def png(width: int, height: int) -> bytes:
    """A black PNG, made a row at a time."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer, row = zlib.compressobj(9), bytes(1 + (width + 7) // 8)
    data = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def gif(width: int, height: int) -> bytes:
    """Two frames of one pixel on a canvas of any size."""
    frame = b"\x21\xf9\x04\0\x0a\0\0\0\x2c" + struct.pack("<HHHH", 0, 0, 1, 1) + b"\0\x02\x02\x44\x01\0"
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0\0\0\0\xff\xff\xff" + 2 * frame + b"\x3b"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
@pytest.mark.parametrize(
    ("name", "data"),
    [("b.png", png(40_000, 30_000)), ("named.mp4", png(40_000, 30_000)), ("b.gif", gif(65_535, 65_535)),
     ("named.jpg", gif(60_000, 60_000))],
    ids=["png", "png named mp4", "gif", "gif named jpg"],
)  # fmt: skip
def test_a_file_that_would_decode_to_gigabytes_is_refused_in_little_memory(
    tmp_path: Path, name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    command = [sys.executable, "-c", MEASURED, str(tmp_path / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    *told, kilobytes = done.stdout.splitlines()
    assert len(told) == 1 and f"{name}: a picture of " in told[0], done.stderr
    assert "expected at most 100 megapixels (DFER_MAX_MEGAPIXELS changes this limit)" in told[0]
    assert int(kilobytes) < 600_000


def test_the_limit_can_be_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.zeros((300, 400, 3), np.uint8)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").shape == (300, 400, 3)
    monkeypatch.setenv("DFER_MAX_MEGAPIXELS", "0.1")
    with pytest.raises(DferError, match=r"a\.png: a picture of 400 x 300 pixels; expected at most 0\.1 megapixels"):
        read_image(tmp_path / "a.png")
    monkeypatch.setenv("DFER_MAX_MEGAPIXELS", "many")
    with pytest.raises(DferError, match=r"expected DFER_MAX_MEGAPIXELS as a number of megapixels, got 'many'"):
        require_size(1, 1, "x")


def test_a_film_is_refused_by_the_size_of_its_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = write_video(tmp_path / "a.mp4", np.zeros((3, 200, 300, 3), np.uint8))
    assert len(list(stream(film))) == 3
    monkeypatch.setenv("DFER_MAX_MEGAPIXELS", "0.05")
    with pytest.raises(DferError, match=r"a\.mp4: a picture of 300 x 200 pixels"):
        next(stream(film))
    with pytest.raises(DferError, match=r"a\.mp4: a picture of 300 x 200 pixels"):
        open_clip(film, "video")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif"])
def test_pictures_within_the_limit_are_what_they_were(tmp_path: Path, suffix: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / f"a{suffix}"), pixels)
    wanted = cv2.cvtColor(cv2.imread(str(tmp_path / f"a{suffix}")), cv2.COLOR_BGR2RGB)
    assert (read_image(tmp_path / f"a{suffix}") == wanted).all()


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("pipe.png", "/dev/zero", "/dev/null"):
        for kind in ("image", "video"):
            with pytest.raises(DferError, match=r"expected a file, got a (named pipe|device)"):
                clip = open_clip(tmp_path / name, kind)
                clip.read(np.array([0]))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("kind", [b"IDAT", b"tEXt"])
def test_a_chunk_that_claims_more_than_the_file_has_takes_no_memory(tmp_path: Path, kind: bytes) -> None:
    data = png(40, 30)
    place = data.index(b"IDAT") - 4
    (tmp_path / "a.png").write_bytes(data[:place] + b"\x7f\xff\xff\xff" + kind + data[place + 8 :])
    command = [sys.executable, "-c", MEASURED, str(tmp_path / "a.png")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    told, kilobytes = done.stdout.splitlines()
    assert told.endswith("a.png: not an image that can be decoded (damaged or another format)"), done.stderr
    assert int(kilobytes) < 600_000


def test_what_lies_behind_the_end_of_a_png_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(40, 30) + b"\xff" * 50)
    assert read_image(tmp_path / "a.png").shape == (30, 40, 3)


def test_a_limit_above_that_of_pillow_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = gif(15_000, 15_000)
    with pytest.raises(DferError, match=r"a\.gif: a picture of 225000000 pixels; expected at most 100 megapixels"):
        require_decodable(data, Path("a.gif"))
    monkeypatch.setenv("DFER_MAX_MEGAPIXELS", "300")
    require_decodable(data, Path("a.gif"))
