"""From a file to frames with times, to the faces in them, and to what a network sees. No torch."""

from dfer.video.detection import Detector, Face
from dfer.video.faces import FaceFrame, TrackedFace, find_faces, open_faces
from dfer.video.frames import Clip, open_clip
from dfer.video.preprocessing import Preprocessing, resize_square
from dfer.video.quality import Quality
from dfer.video.sampling import jittered, uniform, windows
from dfer.video.stream import Span, TimedFrame

__all__ = [
    "Clip", "Detector", "Face", "FaceFrame", "Preprocessing", "Quality", "Span", "TimedFrame", "TrackedFace",
    "find_faces", "jittered", "open_clip", "open_faces", "resize_square", "uniform", "windows",
]  # fmt: skip
