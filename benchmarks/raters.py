"""How long do rater models take? 220,000 answers of 2,443 raters about 22,326 clips: as many as CREMA-D has.

The bound to hold: Dawid-Skene within 60 s. The answers are simulated: every rater has a skill of his own.
`--all` times MACE and GLAD too, which take many minutes at this size.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from results import write_result

from dfer.labels import CREMA_D
from dfer.labels.annotators import MODELS, consensus
from dfer.labels.answers import Answers

ANSWERS, RATERS, CLIPS = 220_000, 2_443, 22_326


def simulate() -> tuple[Answers, np.ndarray]:
    """Answers, and the true emotion of each clip."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, len(CREMA_D), CLIPS)
    clip = np.arange(ANSWERS) % CLIPS
    rater = generator.integers(0, RATERS, ANSWERS)
    right = generator.random(ANSWERS) < generator.beta(6, 3, RATERS)[rater]
    said = np.where(right, truth[clip], generator.integers(0, len(CREMA_D), ANSWERS))
    names = np.array(CREMA_D.emotions)
    told = Answers.build([f"{c:05d}" for c in clip], [f"{r:04d}" for r in rater], names[said], CREMA_D)
    return told, truth


def main() -> None:
    begin = time.perf_counter()
    answers, truth = simulate()
    seconds = {"reading": round(time.perf_counter() - begin, 1)}
    right = {}
    for model in MODELS:
        if model in ("mace", "glad") and "--all" not in sys.argv:
            continue
        begin = time.perf_counter()
        found = consensus(answers, model)
        seconds[model] = round(time.perf_counter() - begin, 1)
        right[model] = round(float((found.probs.argmax(axis=1) == truth).mean()), 4)
        print(f"{model:14}{seconds[model]:8.1f} s   {100 * right[model]:.1f} % of the clips right", flush=True)
    write_result("raters", {"answers": len(answers), "raters": RATERS, "seconds": seconds, "right": right})


if __name__ == "__main__":
    main()
