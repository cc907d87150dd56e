"""Measures the model that ships, and writes docs/model_card.md.

    python tools/model_card.py data/fer.csv CREMA_D/ VIDEOS/

data/fer.csv is `dfer prepare ferplus`, whose test part no training read; CREMA_D/ holds the vote table and some clips,
VIDEOS/ some films with annotations.json, see `benchmarks/annotated_videos.py`.
Numbers go to docs/results/shipped/model_card.json, what the model says of each image to shipped.parquet beside it, from
which all scores on images are computed.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray
from results.keep import keep
from ship import PLACE

from dfer import Manifest, Predictions, Predictor, comparison, metrics
from dfer.comparison.constant import CONSTANT, Constant, constants_of, references, write_constant
from dfer.comparison.paired import judge
from dfer.datasets import read_source
from dfer.documents import json_text, jsonable
from dfer.experiments.tempering import tempered
from dfer.inference.population import adapted, ratio_of
from dfer.labels import CREMA_D, FERPLUS, STRATA, EmotionSet, entropy, hard_labels, map_columns, strata
from dfer.metrics.protocol import StratumScores, measure
from dfer.models import Card, load_checkpoint
from dfer.reports.verdict import interval as wilson
from dfer.training.clips import ClipDataset
from dfer.training.predict import predict_probs
from dfer.video import Preprocessing

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "benchmarks"))
from annotated_videos import judged as judged_videos  # noqa: E402 (of the folder benchmarks)

DOCS = HERE.parent / "docs"
SCORES = ("war", "uar", "kl", "js", "ece", "vote_ece")
DRAWS = 2_000
SEVEN = EmotionSet("seven", tuple(emotion for emotion in FERPLUS if emotion != "contempt"))
KEPT = DOCS / "results" / "shipped"
PEER = KEPT / "peer_fer.parquet"
"""What PyPI's fer says of the same pictures; `benchmarks/peers.py` writes it."""
PEER_FILMS = HERE.parent / "benchmarks" / "results" / "peers.json"
"""How often it is right on the films, also by `benchmarks/peers.py`."""
FORMER_FILMS = PEER_FILMS.with_name("annotated_videos.json")
"""How often earlier networks were right on them, by `benchmarks/annotated_videos.py`."""
PEERS = (
    ("npm @vladmandic/face-api 1.7.15", 64.5, 63.4, 2.29, 0.265, 45.7, "0.33"),
    ("PyPI fer 25.10.3", 63.4, 62.2, 0.81, 0.083, 44.0, "0.09"),
    ("npm @vladmandic/human 3.3.6", 62.7, 62.6, 0.99, 0.143, 44.3, "0.82"),
    ("PyPI facex 1.1.0", 43.8, 45.7, 3.63, 0.436, 32.5, "2.6"),
)
"""On FER+'s test split (n = 3,517), seven emotions, crops fed straight in, measured in November 2026: name, WAR, UAR,
KL, ECE, WAR on the more ambiguous half, megabytes."""
PEERS_CONSTANT = (35.8, 14.3, 1.19, 0.036)
"""WAR, UAR, KL and ECE of the mean vote on that split: how much easier or harder it is than ours."""


def predict(manifest: Manifest) -> Predictions:
    """What the model says of the test part, without its temperature."""
    model, card = load_checkpoint(PLACE)
    rows = np.flatnonzero(manifest.partition()[1])
    probs, frames = predict_probs(model, ClipDataset(manifest, Preprocessing(**card.preprocessing), rule=None), rows)
    ids, votes = manifest.table["id"].to_numpy()[rows], manifest.votes[rows]
    fold = np.zeros(len(rows), np.int64)
    return Predictions(ids, fold, manifest.labels[rows], probs, votes, frames, manifest.emotions)


def with_intervals(predictions: Predictions, groups: NDArray[Any]) -> dict[str, Any]:
    """Each score with its 95 % interval over pictures; doubles of a picture count as one."""
    scores = measure(predictions, SCORES)
    between: dict[str, Any] = dict(judge([[predictions]], [], groups=groups).intervals[0])
    voted, draw = predictions.select(predictions.voted), np.random.default_rng(0)
    samples = np.array([
        metrics.vote_ece(voted.probs[rows], voted.shares[rows])
        for rows in (draw.integers(0, len(voted), len(voted)) for _ in range(DRAWS))
    ])  # fmt: skip
    # samples with repeated clips are rougher, which makes a small calibration error larger in all of them
    between["vote_ece"] = comparison.interval(samples + (scores["vote_ece"] - samples.mean()))
    return {"n": scores.n, "n_votes": scores.n_votes} | {
        key: {"value": scores[key], "interval": between[key]} for key in SCORES
    }


def constant_rows(predictions: Predictions, constant: Constant) -> list[dict[str, Any]]:
    """The scores of the training part's mean vote and most frequent label, the latter without probabilities."""
    return [
        reference.row().as_dict()
        | {"vote_ece": measure(reference.predictions, ("vote_ece",))["vote_ece"] if reference.key == "kl" else None}
        for reference in references(predictions, {0: constant})
    ]


def by_emotion(predictions: Predictions) -> list[dict[str, Any]]:
    """Recall with Wilson's interval, and the row of the confusion matrix."""
    judged = predictions.select(predictions.labelled)
    table = metrics.confusion(judged.probs, judged.labels)
    return [
        {
            "emotion": emotion, "n": int(row.sum()), "recall": row[k] / row.sum() if row.sum() else None,
            "interval": wilson(int(row[k]), int(row.sum())), "predicted": row.astype(int).tolist(),
        }
        for k, (emotion, row) in enumerate(zip(predictions.emotions, np.asarray(table), strict=True))
    ]  # fmt: skip


def by_stratum(predictions: Predictions) -> list[StratumScores]:
    """The scores by how far the voters agree."""
    place = strata(predictions.votes)
    return [
        StratumScores(**vars(measure(predictions.select(place == k), SCORES)), **stratum._asdict())
        for k, stratum in enumerate(STRATA)
    ]


def on_seven(predictions: Predictions, prior: NDArray[np.float64]) -> dict[str, Any]:
    """Without contempt, by the most voted emotion, as peers are measured; beside a constant, and a peer.

    Args:
        predictions: of the test part.
        prior: (8,) the mean of the training part's votes.
    """
    keep = [FERPLUS.index(emotion) for emotion in SEVEN]
    voted = predictions.select(predictions.votes[:, keep].sum(axis=1) > 0)
    votes = voted.votes[:, keep]
    shares, labels = votes / votes.sum(axis=1, keepdims=True), hard_labels(votes, ties="drop")
    one, doubt = labels >= 0, entropy(votes)
    ambiguous = one & (doubt > np.median(doubt[one]))
    peer = Predictions.read(PEER)
    place = {name: row for row, name in enumerate(peer.ids)}
    rows = {
        "model": voted.probs[:, keep],
        "constant": np.tile(prior[keep], (len(voted), 1)),
        "fer": peer.probs[[place[name] for name in voted.ids]][:, [peer.emotions.index(name) for name in SEVEN]],
    }
    probs = {name: table / table.sum(axis=1, keepdims=True) for name, table in rows.items()}
    return {"n": int(one.sum()), "n_votes": len(voted)} | {
        name: {
            "war": metrics.war(table[one], labels[one]),
            "uar": metrics.uar(table[one], labels[one]),
            "kl": float(metrics.kl_divergence(table, shares).mean()),
            "ece": metrics.ece(table[one], labels[one]),
            "war_ambiguous": metrics.war(table[ambiguous], labels[ambiguous]),
        }
        for name, table in probs.items()
    }


def on_video(folder: Path) -> list[dict[str, Any]]:
    """Clips of CREMA-D: the answer for the whole clip, beside the votes of those who saw the face alone."""
    manifest, predictor = read_source("crema_d", folder), Predictor.from_pretrained(runtime="torch")
    found = []
    for clip, path, acted, votes in zip(
        manifest.table["id"], manifest.table["path"], manifest.table["acted"], manifest.votes, strict=True
    ):
        person = max(predictor(manifest.resolve(path)).people, key=lambda person: int(person.seen.sum()))
        mapped, lost = map_columns(person.overall[None], FERPLUS, CREMA_D, missing="drop")
        rows, shares = {"model": mapped / mapped.sum(), "uniform": np.full((1, 6), 1 / 6)}, votes[None] / votes.sum()
        found.append(
            {
                "clip": clip,
                "acted": acted,
                "frames": int(person.seen.sum()),
                "dropped": float(lost[0]),
                "votes": votes.astype(int).tolist(),
                "probs": rows["model"][0].tolist(),
                "kl": {name: float(metrics.kl_divergence(row, shares)[0]) for name, row in rows.items()},
                "most_voted": CREMA_D[int(votes.argmax())],
                "most_likely": CREMA_D[int(rows["model"].argmax())],
            }
        )
    return found


def viewed(predictions: Predictions, card: Card, view: str) -> Predictions:
    """The same predictions for another population."""
    return replace(predictions, probs=adapted(predictions.probs, ratio_of(card.prior, card.emotions, view)))


def measured(manifest: Manifest, crema_d: Path, videos: Path, card: Card) -> dict[str, Any]:
    """All numbers of the page."""
    keep(predict(manifest), KEPT / "shipped.parquet")
    raw = Predictions.read(KEPT / "shipped.parquet")
    after = tempered(raw, card.calibration["temperature"])
    train, test = manifest.partition()
    groups = manifest.table["group"].to_numpy()[test]
    judged, voted = after.select(after.labelled), after.select(after.voted)
    (constant,) = constants_of(manifest.votes, manifest.labels, {0: train}).values()
    write_constant(KEPT / CONSTANT, constant, fold=0, emotions=manifest.emotions)
    other = card.calibration["temperature_labels"]
    return {
        "card": {"model": card.model, "options": card.options, "data": card.data, "recipe": card.recipe},
        "prior": card.prior,
        "bytes": sum(path.stat().st_size for path in PLACE.iterdir()),
        "temperature": card.calibration["temperature"],
        "before": with_intervals(raw, groups),
        "after": with_intervals(after, groups),
        "for_labels": {"temperature": other, **measure(tempered(raw, other), SCORES).as_dict()},
        "views": {
            view: measure(viewed(after, card, view), SCORES).as_dict() for view in dict.fromkeys((card.view, "uniform"))
        },
        "view": card.view,
        "videos": judged_videos(Predictor.from_pretrained(prior="trained", runtime="torch", smoothing_s=0), videos),
        "by_emotion": by_emotion(after),
        "by_stratum": by_stratum(after),
        "reliability": metrics.reliability(judged.probs, judged.labels),
        "vote_reliability": metrics.vote_reliability(voted.probs, voted.shares),
        "constants": constant_rows(after, constant),
        "seven": on_seven(after, np.array(constant.mean_vote)),
        "crema_d": on_video(crema_d),
    }


def films(numbers: dict[str, Any]) -> list[dict[str, Any]]:
    """The table of films: this network in each view, an earlier one as trained and as shown, and the peer."""
    former = json.loads(FORMER_FILMS.read_text(encoding="utf-8"))["first_edition"]
    peer = json.loads(PEER_FILMS.read_text(encoding="utf-8"))["fer_on_films"]
    shown = {power: f"{power} (shown)" if power == str(numbers["view"]) else power for power in numbers["videos"]}
    return [
        *({"name": "this one", "power": shown[power], "row": row} for power, row in numbers["videos"].items()),
        *({"name": "first edition", "power": power, "row": former[power]} for power in ("0.0", numbers["view"])),
        {"name": "PyPI fer 25.10.3", "power": "", "row": peer},
    ]


def prepared(numbers: dict[str, Any]) -> dict[str, Any]:
    """What the page shows in another order than the numbers have."""
    clips = numbers["crema_d"]

    def shown(key: str, least: float) -> list[list[tuple[str, float]]]:
        rows = [zip(CREMA_D, clip[key], strict=True) for clip in clips]
        return [sorted((pair for pair in row if pair[1] >= least), key=lambda pair: -pair[1]) for row in rows]

    return {
        "films": films(numbers),
        "pairs": list(zip(numbers["reliability"], numbers["vote_reliability"], strict=True)),
        "crema_votes": shown("votes", 1),
        "crema_probs": shown("probs", 0.05),
        "crema_mean": {name: np.mean([clip["kl"][name] for clip in clips]) for name in ("model", "uniform")},
        "missed": [row["emotion"] for row in numbers["by_emotion"] if (row["recall"] or 0) < 0.5],
        "agreeing": sum(clip["most_voted"] == clip["most_likely"] for clip in clips),
    }


def main(data: Path, crema_d: Path, videos: Path) -> None:
    """Measure, and write both files."""
    _, card = load_checkpoint(PLACE)
    numbers = jsonable(measured(Manifest.read(data), crema_d, videos, card))
    (KEPT / "model_card.json").write_text(json_text(numbers), encoding="utf-8")
    pages = Environment(loader=FileSystemLoader(HERE), undefined=StrictUndefined, keep_trailing_newline=True,
                        trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    page = pages.get_template("model_card.md.jinja").render(
        numbers, emotions=list(FERPLUS), peers=PEERS, peers_constant=PEERS_CONSTANT, **prepared(numbers),
    )  # fmt: skip
    (DOCS / "model_card.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
