"""One film in many containers: a table that a new container extends by a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import av
import numpy as np
from PIL import Image

from .films import noise

TICK = Fraction(1, 100)
"""All times are whole multiples of this: of what a GIF can say."""


class Container(NamedTuple):
    """How a film is written: the muxer, the codec, its options, those of the muxer, and whether frames may stay."""

    format: str
    codec: str
    options: Mapping[str, str] = MappingProxyType({})
    muxer: Mapping[str, str] = MappingProxyType({})
    varies: bool = True


B_FRAMES = {"bf": "3", "b_adapt": "0", "preset": "fast"}
HLS = {"hls_time": "0.2", "hls_list_size": "0"}
CONTAINERS = {
    "a.mp4": Container("mp4", "libx264", B_FRAMES),
    "a.MOV": Container("mov", "libx264", B_FRAMES),
    "a.mkv": Container("matroska", "libx264", B_FRAMES),
    "a.webm": Container("webm", "libvpx"),
    "a.avi": Container("avi", "libx264", B_FRAMES, varies=False),
    "xvid.avi": Container("avi", "mpeg4", {"bf": "2"}, varies=False),
    "a.mpg": Container("mpeg", "mpeg2video", {"bf": "2"}, varies=False),
    "a.vob": Container("vob", "mpeg2video", {"bf": "2"}, varies=False),
    "a.ts": Container("mpegts", "libx264", B_FRAMES),
    "late.ts": Container("mpegts", "libx264", B_FRAMES, {"output_ts_offset": "5000"}),
    "wraps.ts": Container("mpegts", "libx264", B_FRAMES, {"output_ts_offset": "95442.2"}),
    "a.MTS": Container("mpegts", "libx264", B_FRAMES, {"mpegts_m2ts_mode": "1"}),
    "a.flv": Container("flv", "libx264", B_FRAMES),
    "a.ogv": Container("ogg", "libvpx", varies=False),
    "a.3gp": Container("3gp", "mpeg4"),
    "a.gif": Container("gif", "gif"),
    "a.apng": Container("apng", "apng", varies=False),
    "a.m3u8": Container("hls", "libx264", {**B_FRAMES, "g": "5"}, HLS, varies=False),
    "a.nut": Container("nut", "libx264", B_FRAMES),
    "a.wmv": Container("asf", "wmv2", varies=False),
    "no suffix": Container("mp4", "libx264", B_FRAMES),
    "12:30 call.mp4": Container("mp4", "libx264", B_FRAMES),
    "-v.mp4": Container("mp4", "libx264", B_FRAMES),
}


def write(folder: Path, name: str, times: Sequence[Fraction], end: Fraction) -> Path:
    """A film of frames at given times, the last one until `end`, in a container of the table."""
    made = CONTAINERS[name]
    pictures = noise(len(times), 32, 48)
    path = folder / name
    with av.open(str(folder / "film"), "w", format=made.format, options=dict(made.muxer)) as container:
        stream = container.add_stream(made.codec, rate=25)
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = {"gif": "rgb8", "apng": "rgb24"}.get(made.codec, "yuv420p")
        stream.options = dict(made.options)
        stream.codec_context.time_base = TICK if made.varies else Fraction(1, 25)
        ends = dict(zip(times, [*times[1:], end], strict=True))
        packets = [packet for pair in zip(pictures, times, strict=True) for packet in _encode(stream, *pair)]
        for packet in [*packets, *stream.encode()]:
            shown = packet.pts * packet.time_base
            packet.duration = int((ends[shown] - shown) / packet.time_base)
            container.mux(packet)
    return (folder / "film").rename(path)


def _encode(stream: av.VideoStream, picture: np.ndarray, time: Fraction) -> list[av.Packet]:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    frame.time_base = stream.codec_context.time_base
    frame.pts = int(time / frame.time_base)
    return stream.encode(frame)


def write_webp(path: Path, milliseconds: Sequence[int]) -> Path:
    """An animated WebP whose frames are shown for so long."""
    first, *others = (Image.fromarray(picture) for picture in noise(len(milliseconds)))
    first.save(path, format="WEBP", save_all=True, append_images=others, duration=list(milliseconds), lossless=True)
    return path
