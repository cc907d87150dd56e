"""A video in, emotions over time out: who shows what, when. Give it videos, or it takes the clips beside it."""

import sys
from pathlib import Path

from dfer import Predictor

clips = sys.argv[1:] or sorted(Path(__file__).parent.glob("crema_d/*.flv"))

predictor = Predictor.from_pretrained()
for clip in clips:
    timeline = predictor(clip)
    for person in timeline.people:
        print(f"{Path(clip).name}, person {person.id}:")
        for segment in person.segments:
            print(f"  {segment.start_s:5.1f} to {segment.end_s:5.1f} s  {segment.emotion} ({segment.score:.0%})")
        for emotion, share in zip(timeline.emotions, person.overall, strict=True):
            print(f"  {emotion:12} {'█' * round(30 * share)} {share:.0%}")
    timeline.save(Path(clip).with_suffix(".json").name)  # also .csv, .srt, .png, .mp4
