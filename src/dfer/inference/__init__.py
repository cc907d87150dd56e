"""Raw video in, emotions over time out: `Predictor` makes a `Timeline`."""

from dfer.inference.predictor import Predictor
from dfer.inference.recording import Moment, Reading, Recording
from dfer.inference.segments import Segment
from dfer.inference.timeline import Person, Timeline

__all__ = ["Moment", "Person", "Predictor", "Reading", "Recording", "Segment", "Timeline"]
