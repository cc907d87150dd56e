"""A video in, emotions over time out: who shows what, when. Give it a video, or it takes a clip that lies beside it."""

import sys
from pathlib import Path

from dfer import DferError, Predictor

clips = sys.argv[1:] or sorted(map(str, Path(__file__).parent.rglob("*.mp4")))[:1]

try:
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
    print(f"{len(clips)} read; emotions: {', '.join(predictor.emotions)}")
except DferError as error:  # what is wrong with a file or a model, in one sentence
    print(error)
