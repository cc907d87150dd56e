"""How often a model is right on real videos that somebody annotated second by second.

    python benchmarks/annotated_videos.py FOLDER [MODEL ...] [-o FILE.json]

FOLDER has annotations.json: {"clips": {file: [[start_s, end_s, emotion, "others that also pass"], ...]}}. A frame
within an annotated stretch is right if the most probable emotion of the largest face is the annotated one ("strict"),
or also one that passes ("accepted"); a frame without a face is wrong. Each frame counts for the time that it is shown.
Each model is scored in several views: its probabilities divided by its training part's prior to a power.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dfer.inference import Predictor, Timeline
from dfer.inference.population import adapted, ratio_of
from dfer.inference.segments import SMOOTHING_S, smooth

POWERS = (0.0, 0.25, 0.5, 0.6, 0.75, 1.0)
Stretch = tuple[float, float, str, str]
"""Start and end in seconds, the emotion, and others that also pass, separated by spaces."""
Row = tuple[str, str, str, float]
"""Of a frame: the annotated emotion, others that also pass, the one that was found, seconds."""


def main_face(timeline: Timeline) -> tuple[np.ndarray, np.ndarray]:
    """Times (T,) and unsmoothed probs (T, K) of the person with the largest boxes, all others left out."""
    if not timeline.people:
        return np.zeros(0), np.zeros((0, len(timeline.emotions)))
    seconds = [np.nansum(each.boxes[:, 2] * each.boxes[:, 3]) for each in timeline.people]
    person = timeline.people[int(np.argmax(seconds))]
    return person.times, person.probs


def score(rows: list[Row]) -> dict[str, Any]:
    """Shares of time."""
    total = sum(row[3] for row in rows)
    strict = {}
    for emotion in sorted({row[0] for row in rows}):
        mine = [row for row in rows if row[0] == emotion]
        strict[emotion] = round(sum(r[3] for r in mine if r[2] == emotion) / sum(r[3] for r in mine), 3)
    right = sum(r[3] for r in rows if r[2] == r[0]) / total
    accepted = sum(r[3] for r in rows if r[2] == r[0] or r[2] in r[1].split()) / total
    return {
        "seconds": round(total, 1), "strict": round(right, 4), "accepted": round(accepted, 4),
        "mean_recall": round(float(np.mean(list(strict.values()))), 4), "recall": strict,
    }  # fmt: skip


def annotated(folder: Path) -> dict[str, list[Stretch]]:
    """The stretches of each film of a folder."""
    found: dict[str, list[Stretch]] = json.loads((folder / "annotations.json").read_text())["clips"]
    return found


def within(stretches: list[Stretch], times: np.ndarray, found: Sequence[str]) -> list[Row]:
    """What was found in the annotated frames of a film, "" where there was no face."""
    lasts = np.diff(times, append=times[-1:] + 0.04)
    return [
        (emotion, others, found[k], float(lasts[k]))
        for start, end, emotion, others in stretches
        for k in np.flatnonzero((times >= start) & (times < end))
    ]


def judged(predictor: Predictor, folder: Path) -> dict[str, Any]:
    """The scores of a model in each view, over all clips."""
    rows: dict[float, list[Row]] = {power: [] for power in POWERS}
    for name, stretches in annotated(folder).items():
        times, probs = main_face(predictor(folder / name))
        for power in POWERS:
            ratio = ratio_of(predictor.card.prior, predictor.emotions, str(power))
            seen = smooth(times, adapted(probs, ratio), SMOOTHING_S)
            found = ["" if np.isnan(row[0]) else predictor.emotions[int(row.argmax())] for row in seen]
            rows[power] += within(stretches, times, found)
    return {str(power): score(found) for power, found in rows.items()}


def main() -> None:
    """Print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="*", default=["faces"])
    parser.add_argument("-o", "--out", type=Path, default=Path(__file__).parent / "results" / "annotated_videos.json")
    arguments = parser.parse_args()
    found = {}
    for model in arguments.models:
        predictor = Predictor.from_pretrained(model, prior="trained", smoothing_s=0)
        views = found[Path(model).name] = judged(predictor, arguments.folder)
        for power, scores in views.items():
            recalls = " ".join(f"{emotion} {value:.2f}" for emotion, value in scores["recall"].items())
            print(
                f"{model:24} /prior^{power:4}  strict {scores['strict']:.1%}  accepted {scores['accepted']:.1%}  "
                f"mean recall {scores['mean_recall']:.1%}  {recalls}",
                flush=True,
            )
    arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
