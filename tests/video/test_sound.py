"""Sound beside new pictures: every sample that the old film has, at the old time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dfer.video.sound import Sound
from dfer.video.writing import VideoWriter

RATE = 44_100
NAMES = {"aac": ".mp4", "libmp3lame": ".mp4", "flac": ".mkv", "pcm_s16le": ".mkv", "libvorbis": ".mkv", "mp2": ".avi"}


def beep(codec: str, path: Path, *, seconds: float = 2.0, beep_s: float = 1.0) -> Path:
    """A film of grey frames that is silent until a beep; the beep lasts a tenth of a second."""
    if codec not in av.codecs_available:
        pytest.skip(f"no encoder {codec}")
    clock = np.arange(round(seconds * RATE)) / RATE
    wave = np.where((clock >= beep_s) & (clock < beep_s + 0.1), np.sin(2 * np.pi * 1000 * clock), 0)
    samples = (wave * 20_000).astype(np.int16)
    with av.open(str(path), "w") as out:
        pictures = out.add_stream("libx264", rate=25)
        pictures.width = pictures.height = 32
        pictures.pix_fmt = "yuv420p"
        sound = out.add_stream(codec, rate=RATE, layout="mono")
        for number in range(round(seconds * 25)):
            grey = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 128, np.uint8), format="rgb24")
            grey.pts, grey.time_base = number, Fraction(1, 25)
            out.mux(pictures.encode(grey))
        out.mux(pictures.encode())
        fifo = av.AudioFifo()
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        fifo.write(frame)
        resampler = av.AudioResampler(format=sound.codec_context.format.name, layout="mono", rate=RATE)
        for part in fifo.read_many(sound.codec_context.frame_size or 1024, partial=True):
            for piece in resampler.resample(part):
                out.mux(sound.encode(piece))
        out.mux(sound.encode(None))
    return path


def copied(film: Path, path: Path, *, start_s: float = 0.0, end_s: float = np.inf) -> Path:
    """A film of other pictures with the sound of a part of this one."""
    with VideoWriter(path, 16, 16, sound=(film, start_s, end_s)) as writer:
        for number in range(round((min(end_s, 2.0) - start_s) * 25)):
            writer.write(np.zeros((16, 16, 3), np.uint8), number / 25, (number + 1) / 25)
    return path


def heard(path: Path) -> tuple[np.ndarray, str]:
    """The loudness of each thousandth of a second, and the codec."""
    loudness = np.zeros(4000)
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        for frame in container.decode(stream):
            for part in resampler.resample(frame):
                start = float(part.pts * part.time_base)
                values = np.abs(part.to_ndarray()[0].astype(float))
                places = ((start + np.arange(len(values)) / RATE) * 1000).astype(int)
                inside = (places >= 0) & (places < 4000)
                np.maximum.at(loudness, places[inside], values[inside])
        return loudness, stream.codec_context.codec.canonical_name


@pytest.mark.parametrize("codec", NAMES)
def test_a_beep_comes_when_it_came(codec: str, tmp_path: Path) -> None:
    film = beep(codec, tmp_path / f"a{NAMES[codec]}")
    loudness, name = heard(copied(film, tmp_path / "out.mp4"))
    before, _ = heard(film)
    loud, was_loud = np.flatnonzero(loudness > 8000), np.flatnonzero(before > 8000)
    assert name in ("aac", "mp3", "flac")
    assert abs(loud[0] - was_loud[0]) <= 3 and abs(loud[-1] - was_loud[-1]) <= 3, "milliseconds"


@pytest.mark.parametrize("codec", ["aac", "flac", "libmp3lame"])
def test_what_mp4_takes_is_copied_packet_by_packet(codec: str, tmp_path: Path) -> None:
    film = beep(codec, tmp_path / f"a{NAMES[codec]}")

    def packets(path: Path) -> list[bytes]:
        with av.open(str(path)) as container:
            return [bytes(packet) for packet in container.demux(audio=0) if packet.size]

    assert packets(copied(film, tmp_path / "out.mp4")) == packets(film)


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_of_a_part_the_sound_begins_with_the_part(codec: str, tmp_path: Path) -> None:
    film = beep(codec, tmp_path / f"a{NAMES[codec]}")
    loudness, _ = heard(copied(film, tmp_path / "out.mp4", start_s=0.8, end_s=1.6))
    loud = np.flatnonzero(loudness > 8000)
    assert loud[0] == pytest.approx(200, abs=5) and loud[-1] == pytest.approx(300, abs=8)
    late, _ = heard(copied(film, tmp_path / "late.mp4", start_s=1.2))
    assert late.max() < 2000


def test_sound_that_starts_with_a_clock_of_its_own_stays_beside_its_pictures(tmp_path: Path) -> None:
    """A transport stream does not begin at 0; its frames and its sound are read from there."""
    film = beep("aac", tmp_path / "a.ts")
    loudness, _ = heard(copied(film, tmp_path / "out.mp4"))
    with av.open(str(film)) as container:
        origin_s = container.start_time / av.time_base
    before = np.flatnonzero(heard(film)[0] > 8000)[0] - 1000 * origin_s
    assert origin_s > 0 and np.flatnonzero(loudness > 8000)[0] == pytest.approx(before, abs=3)


def test_a_film_without_sound_or_without_a_clock_has_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    film = copied(tmp_path / "nothing.mp4", tmp_path / "silent.mp4")
    assert not caplog.records
    with av.open(str(copied(film, tmp_path / "out.mp4"))) as container:
        assert not container.streams.audio and len(container.streams.video) == 1


def test_damage_ends_the_sound_with_a_warning_and_not_the_film(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = beep("aac", tmp_path / "a.mp4")
    whole = Sound._read

    def damaged(self: Sound) -> object:
        for number, found in enumerate(whole(self)):
            if number == 20:
                raise av.InvalidDataError(1, "damaged")
            yield found

    monkeypatch.setattr(Sound, "_read", damaged)
    with av.open(str(copied(film, tmp_path / "out.mp4"))) as container:
        assert sum(1 for _ in container.decode(video=0)) == 50
    assert "a.mp4: its sound is left out from here on" in caplog.text
