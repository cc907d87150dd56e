"""Does `dfer predict` know what it does not know? "Mixed" and `--abstain` against votes, "cannot tell" against damage.

    python benchmarks/uncertainty.py data/ferplus.csv FILM ... [--model faces] [-o FILE.json]

    dfer prepare ferplus FERPLUS/ -o data/ferplus.csv --pack 48 --grey

"Mixed" is compared with the entropy of the voters. "Cannot tell" must tell pictures as they are from pictures in every
corruption of `dfer robustness` and every severity: faces of FER+'s test part, and frames of films, which are corrupted
whole and searched for the face again (a face that is not found any more has the score 1). The threshold of "mixed" is
fitted on the validation part of the model's run, the test part is read for the figures alone. `--abstain` is fitted on
one half of the validation part and tried on the other half, many times, and fitted on all of it and tried on the test
part, also corrupted.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from dfer import DferError, Manifest
from dfer.inference.doubts import CANNOT_TELL, MIXED
from dfer.inference.network import torch_network
from dfer.inference.population import adapted, ratio_of
from dfer.labels import STRATA, agreement, entropy
from dfer.metrics.selective import risk_at
from dfer.models import load_checkpoint
from dfer.models.abstention import confidence, held_out, least_confidence
from dfer.training.clips import ClipDataset
from dfer.video import Preprocessing
from dfer.video.alignment import align
from dfer.video.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from dfer.video.detection import shrunk
from dfer.video.legibility import cannot_tell
from dfer.video.mtcnn import Mtcnn
from dfer.video.quality import pose
from dfer.video.stream import Span, stream

Floats = np.ndarray[Any, np.dtype[np.float64]]

KINDS = tuple(name for name in CORRUPTIONS if name != "dropped_frames")  # a still loses no frame
RISKS = (0.05, 0.1, 0.15, 0.2)
HALVES = 500
"""How often the validation part is cut in two."""
EVERY_S, FRAMES, LONG_SIDE = 1.3, 6, 640
"""Of a film: seconds from frame to frame, how many, and their longer side, pixels."""


class Part:
    """Pictures with votes, what a network says of them, and what the picture allows."""

    def __init__(self, dataset: ClipDataset, model: str, pictures: np.ndarray[Any, Any]) -> None:
        network, self.card = load_checkpoint(model)
        run, preprocessing = torch_network(network, self.card, "cpu"), Preprocessing.from_card(self.card.preprocessing)
        rows = (preprocessing.shown(picture[None])[None] for picture in pictures)
        self.probs = np.concatenate([run(row) for row in rows])
        self.picture = np.array([cannot_tell(picture) for picture in pictures])
        self.votes, self.labels = dataset.votes, dataset.labels

    @property
    def shown(self) -> Floats:
        """(N, K) in the view that `dfer predict` shows."""
        return adapted(self.probs, ratio_of(self.card.prior, self.card.emotions, self.card.view))

    @property
    def wrong(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(N,) whether another emotion is named than the majority's, or there is none."""
        return self.shown.argmax(axis=1) != self.labels


def pictures_of(dataset: ClipDataset) -> np.ndarray[Any, Any]:
    """(N, H, W, 1) uint8."""
    return np.stack([np.asarray(dataset[place][0])[0, 0, :, :, None] for place in range(len(dataset))])


def mixed_scores(part: Part) -> dict[str, float]:
    """How the score goes with the disagreement of the voters, by rank; and what other scores would do."""
    found = {"mixed": 1 - part.probs.max(axis=1), "entropy": entropy(part.probs)}
    return {name: round(float(spearmanr(score, entropy(part.votes))[0]), 4) for name, score in found.items()}


def fitted_mixed(part: Part) -> float:
    """The score at which as many pictures are ambiguous as are not."""
    ambiguous = agreement(part.votes) < STRATA[-1].high
    fit = LogisticRegression(C=1e6).fit(1 - part.probs.max(axis=1, keepdims=True), ambiguous)
    return round(float(-fit.intercept_[0] / fit.coef_[0, 0]), 3)


def telling(scores: list[tuple[str, int, float]]) -> dict[str, Any]:
    """AUROC of clean against corrupted, of (kind, severity, score): all, and by kind and severity."""
    kinds, severities, values = (np.array(column) for column in zip(*scores, strict=True))

    def auroc(rows: np.ndarray[Any, Any]) -> float:
        chosen = rows | (severities == 0)
        return round(float(roc_auc_score(severities[chosen] > 0, values[chosen])), 3)

    return {
        "n": len(values), "all": auroc(severities > 0),
        "by_kind": {kind: auroc(kinds == kind) for kind in KINDS},
        "by_severity": {severity: auroc(severities == severity) for severity in SEVERITIES},
        "called_so": {str(severity): round(float((values[severities == severity] >= CANNOT_TELL).mean()), 3)
                      for severity in (0, *SEVERITIES)},
    }  # fmt: skip


def on_stills(pictures: np.ndarray[Any, Any], seed: int, most: int = 1000) -> list[tuple[str, int, float]]:
    """Each picture as it is, and in each corruption at a severity that is drawn."""
    generator = np.random.default_rng(seed)
    found = [("clean", 0, cannot_tell(picture)) for picture in pictures[:most]]
    for picture in pictures[:most]:
        for kind in KINDS:
            severity = int(generator.choice(SEVERITIES))
            found.append((kind, severity, cannot_tell(corrupt(picture[None], kind, severity, generator)[0])))
    return found


def on_films(films: list[Path], seed: int) -> tuple[list[tuple[str, int, float]], dict[str, float]]:
    """Frames of films, corrupted whole and searched again; and how well simpler scores do, AUROC."""
    generator, detector = np.random.default_rng(seed), Mtcnn()
    found: list[tuple[str, int, float]] = []
    simpler: dict[str, list[float]] = {"detector": [], "turned": []}
    for film in films:
        for shown in list(stream(film, span=Span(every_s=EVERY_S)))[:FRAMES]:
            frame, _ = shrunk(shown.pixels, LONG_SIDE)
            if not detector(frame):
                continue
            for kind, severity in (("clean", 0), *((kind, severity) for kind in KINDS for severity in SEVERITIES)):
                picture = corrupt(frame[None], kind, severity, generator)[0] if severity else frame
                face = max(detector(picture), key=lambda each: float(each.box[2] * each.box[3]), default=None)
                found.append((kind, severity, 1.0 if face is None else cannot_tell(align(picture, face.landmarks, 96))))
                simpler["detector"].append(1.0 if face is None else 1 - face.score)
                simpler["turned"].append(1.0 if face is None else abs(pose(face.landmarks)[0]))
    bad = [severity > 0 for _, severity, _ in found]
    return found, {name: round(float(roc_auc_score(bad, values)), 3) for name, values in simpler.items()}


def abstaining(validation: Part, tests: dict[str, Part], seed: int) -> dict[str, Any]:
    """What is named at a risk, and how often it is wrong."""
    sure, generator = confidence(validation.probs, validation.shown), np.random.default_rng(seed)
    results: dict[str, Any] = {}
    for risk in RISKS:
        tries = []
        for _ in range(HALVES):
            order = generator.permutation(len(sure))
            one, other = order[: len(order) // 2], order[len(order) // 2 :]
            try:
                least = least_confidence(held_out(sure[one], validation.wrong[one]), risk)
            except DferError:
                least = np.inf
            named = (sure[other] >= least) & (validation.picture[other] < CANNOT_TELL)
            tries.append((named.mean(), validation.wrong[other][named].mean() if named.any() else 0.0))
        coverages, risks = np.array(tries).T
        row = {"halves": {"coverage": float(coverages.mean()), "risk": float(risks.mean()),
                          "above": float((risks > risk).mean())}}  # fmt: skip
        least = least_confidence(held_out(sure, validation.wrong), risk)
        for name, part in tests.items():
            enough = confidence(part.probs, part.shown) >= least
            for told, named in (("", enough & (part.picture < CANNOT_TELL)), (" without cannot tell", enough)):
                row[name + told] = {"coverage": float(named.mean()), "risk": float(part.wrong[named].mean())}
        results[str(risk)] = {
            name: {key: round(value, 4) for key, value in values.items()} for name, values in row.items()
        }
    return results


def at_coverage(part: Part) -> dict[str, Any]:
    """The risk at coverage 1, .9 and .8, of the plain maximum and of the confidence; all pictures, and with a label."""
    scores = {"maximum": part.shown.max(axis=1), "confidence": confidence(part.probs, part.shown)}
    groups = {"all": np.ones(len(part.labels), bool), "with a majority": part.labels >= 0}
    return {
        group: {
            name: {str(c): round(risk_at(score[rows], part.wrong[rows], c), 4) for c in (1.0, 0.9, 0.8)}
            for name, score in scores.items()
        }
        for group, rows in groups.items()
    }


def main() -> None:
    """Print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("films", type=Path, nargs="*")
    parser.add_argument("--model", default="faces")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, default=Path(__file__).parent / "results" / "uncertainty.json")
    arguments = parser.parse_args()
    manifest, stills = Manifest.read(arguments.manifest), Preprocessing(frames=1, size=48, grey=True)
    read: dict[str, Any] = {"subset": "all", "jitter": False}
    datasets = {
        name: ClipDataset(manifest, stills, part=name, dtype=torch.uint8, **(read if name != "test" else {}))
        for name in ("validation", "test")
    }
    pictures = {name: pictures_of(dataset) for name, dataset in datasets.items()}
    generator = np.random.default_rng(arguments.seed)
    worse = np.stack([
        corrupt(picture[None], str(generator.choice(KINDS)), int(generator.choice(SEVERITIES)), generator)[0]
        for picture in pictures["test"]
    ])  # fmt: skip
    parts = {name: Part(datasets[name], arguments.model, shown) for name, shown in pictures.items()}
    corrupted = Part(datasets["test"], arguments.model, worse)
    films, simpler = on_films(arguments.films, arguments.seed) if arguments.films else ([], {})
    result = {
        "model": arguments.model, "view": parts["test"].card.view,
        "mixed": {name: mixed_scores(part) for name, part in parts.items()},
        "mixed_threshold": {"fitted": fitted_mixed(parts["validation"]), "used": MIXED},
        "cannot_tell": {"stills": telling(on_stills(pictures["test"], arguments.seed))}
        | ({"films": telling(films), "simpler scores on films": simpler} if films else {}),
        "at_coverage": {"test": at_coverage(parts["test"]), "corrupted": at_coverage(corrupted)},
        "abstain": abstaining(parts["validation"], {"test": parts["test"], "corrupted": corrupted}, arguments.seed),
    }  # fmt: skip
    text = json.dumps(result, indent=1)
    print(text)
    arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
