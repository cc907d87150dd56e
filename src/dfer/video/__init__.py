"""From a file to frames with times, and from frames to what a network sees. No torch."""

from dfer.video.frames import Clip, open_clip
from dfer.video.preprocessing import Preprocessing, resize_square
from dfer.video.sampling import jittered, uniform, windows

__all__ = ["Clip", "Preprocessing", "jittered", "open_clip", "resize_square", "uniform", "windows"]
