"""Fits the numbers of `dfer.video.legibility` and writes them: `python tools/legibility.py data/ferplus.csv`.

    dfer prepare ferplus FERPLUS/ -o data/ferplus.csv --pack 48 --grey

Faces of FER+'s training part are shown as they are and corrupted in every way that a still can be, each at a severity
that is drawn, at sizes from the pictures' own to four times as large, a little turned and moved as crops of films are.
The target is the severity over five, 0 for a face as it is. The validation and the test part are not read.
Three minutes on one core; the same seed gives the same numbers.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.nn import functional

from dfer import Manifest
from dfer.training.clips import ClipDataset
from dfer.video import Preprocessing
from dfer.video.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from dfer.video.legibility import NUMBERS, SIDE, TRAITS, Numbers, traits

PLACE = Path(__file__).resolve().parents[1] / "src" / "dfer" / "video" / NUMBERS
KINDS = tuple(name for name in CORRUPTIONS if name != "dropped_frames")  # a still loses no frame
FACES = 6000
SIZES = (48, 48, 72, 96, 144, 192)
"""Sides of the pictures that are corrupted, pixels."""
HIDDEN, LIMIT, EPOCHS, RATE, DECAY, TREMBLE = 16, 3.0, 60, 0.01, 0.1, 0.15
"""Of the network and how it is fitted; `TREMBLE`: deviations of the noise on its input."""
CLEAN = 3.0
"""The weight of a face as it is beside that of a corrupted one: there are seven of these for each."""


def moved(face: np.ndarray[Any, Any], generator: np.random.Generator) -> np.ndarray[Any, Any]:
    """A square picture as a crop of `SIDE` pixels, turned, scaled and moved a little, as a detector's faces are."""
    if face.shape[0] > SIDE:
        face = cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    side = face.shape[0]
    scale = SIDE / side * generator.uniform(0.95, 1.1)
    matrix = cv2.getRotationMatrix2D((side / 2 - 0.5, side / 2 - 0.5), generator.uniform(-12, 12), scale)
    matrix[:, 2] += SIDE / 2 - side / 2 + generator.uniform(-4, 4, 2)
    return cv2.warpAffine(face, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def examples(faces: list[np.ndarray[Any, Any]], seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Traits (n, TRAITS) and severities (n,) of each face as it is and in every corruption."""
    generator = np.random.default_rng(seed)
    rows, severities = [], []
    for face in faces:
        for kind in (None, *KINDS):
            size = int(generator.choice(SIZES))
            shown = face if size == face.shape[0] else cv2.resize(face, (size, size), interpolation=cv2.INTER_CUBIC)
            severity = 0
            if kind:
                severity = int(generator.choice(SEVERITIES))
                shown = corrupt(shown[None, :, :, None], kind, severity, generator)[0, :, :, 0]
            rows.append(traits(moved(shown, generator)))
            severities.append(severity)
    return np.array(rows), np.array(severities)


def fitted(rows: np.ndarray[Any, Any], severities: np.ndarray[Any, Any], seed: int) -> Numbers:
    """The network that gives severities over five with the least cross-entropy."""
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    shown = torch.tensor(np.clip((rows - mean) / deviation, -LIMIT, LIMIT), dtype=torch.float32)
    wanted = torch.tensor(severities / max(SEVERITIES), dtype=torch.float32)
    weight = torch.where(wanted == 0, CLEAN, 1.0)
    torch.manual_seed(seed)
    hidden, out = torch.nn.Linear(TRAITS, HIDDEN), torch.nn.Linear(HIDDEN, 1)
    optimiser = torch.optim.AdamW([*hidden.parameters(), *out.parameters()], lr=RATE, weight_decay=DECAY)
    for epoch in range(EPOCHS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - epoch / EPOCHS)
        for part in torch.randperm(len(shown)).split(512):
            noisy = shown[part] + TREMBLE * torch.randn(len(part), TRAITS)
            logits = out(torch.tanh(hidden(noisy)))[:, 0]
            losses = functional.binary_cross_entropy_with_logits(logits, wanted[part], reduction="none")
            optimiser.zero_grad()
            (losses * weight[part]).mean().backward()
            optimiser.step()
    digits: dict[str, Any] = {
        "mean": mean, "deviation": deviation, "hidden": hidden.weight.detach().numpy(),
        "offsets": hidden.bias.detach().numpy(), "out": out.weight.detach().numpy()[0],
    }  # fmt: skip
    plain = {key: np.round(value.astype(float), 4).tolist() for key, value in digits.items()}
    return Numbers(limit=LIMIT, offset=round(float(out.bias.item()), 4), **plain)


def main(manifest: Manifest, seed: int) -> None:
    """Draw the faces, fit and write."""
    pictures = Preprocessing(frames=1, size=min(SIZES), grey=True)
    train = ClipDataset(manifest, pictures, part="train", subset="all", jitter=False, dtype=torch.uint8)
    chosen = np.random.default_rng(seed).choice(len(train), FACES, replace=False)
    faces = [np.asarray(train[int(place)][0])[0, 0] for place in chosen]
    numbers = fitted(*examples(faces, seed), seed)
    PLACE.write_text(json.dumps(asdict(numbers), separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{PLACE}: {PLACE.stat().st_size / 1000:.1f} kB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    main(Manifest.read(arguments.manifest), arguments.seed)
