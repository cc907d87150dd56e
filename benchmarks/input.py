"""What does it cost to make a batch for training? From frames on disk to normalised, mixed floats; in one thread.

Clips of 16 frames of 224 x 224 as JPEG, and packed at 160, become 16 x 112 x 112 RGB. Beside dfer stands what training
code of the field does for each frame: PIL opens it, crops, flips, changes its brightness, and makes a float tensor. The
limit is memory: what it costs to copy the finished batch, into memory that is at hand and into memory that is new, as
the first pass of any augmentation of floats needs it. Then the same for whole training: steps a second with clips that
are read, against a batch that lies ready; and what keeping freed memory (`dfer.training.memory`) brings.

All in processor time, in one run. What the field does is timed as it is used, with the system's own handling of freed
memory, and once more with freed memory kept, as dfer keeps it in training; rows of one kind are timed in turns. The
frames are drawn: a soft picture with a little noise, of 11 KB each.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from PIL import Image, ImageEnhance
from results import write_result

from dfer import Manifest, create_model
from dfer.datasets.pack import pack
from dfer.labels import DFEW
from dfer.training.clips import ClipDataset, batches
from dfer.training.config import Recipe, recipe_from
from dfer.training.learner import Learner
from dfer.training.losses import make_loss
from dfer.training.memory import memory_kept
from dfer.training.showing import Showing

CLIPS, FRAMES, FULL, PACKED, SIZE = 32, 16, 224, 160, 112
ROUNDS, STEPS = 7, 9
AUGMENT = {"crop": [0.7, 1.0], "flip": 0.5, "colour": 0.3}
TRAINED = {"tiny3d": {"frames": 16, "size": 48, "grey": False}, "frame_gru": {"frames": 6, "size": 48, "grey": True}}


def draw_folders(root: Path) -> Manifest:
    """Folders of JPEGs."""
    generator = np.random.default_rng(0)
    rows = []
    for clip in range(CLIPS):
        folder = root / f"{clip:03d}"
        folder.mkdir(parents=True)
        soft = generator.integers(0, 256, (12, 12, 3), np.uint8)
        picture = cv2.resize(soft, (FULL, FULL), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        for frame in range(FRAMES):
            noisy = np.roll(picture, frame, axis=1) + generator.normal(0, 2, picture.shape)
            pixels = noisy.clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"{frame + 1}.jpg"), pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])
        rows.append({"id": f"{clip:03d}", "path": f"{clip:03d}", "kind": "frames", "label": DFEW.emotions[clip % 7]})
    return Manifest.build(pd.DataFrame(rows), emotions=DFEW, root=root)


def of_the_field(folder: Path, generator: np.random.Generator) -> torch.Tensor:
    """One clip as training code of the field reads it, frame by frame."""
    side = int(FULL * generator.uniform(0.7, 1) ** 0.5)
    left, top = generator.integers(0, FULL - side + 1, 2).tolist()
    flip, brightness = generator.random() < 0.5, 1 + generator.uniform(-0.3, 0.3)
    frames = []
    for path in sorted(folder.iterdir(), key=lambda path: int(path.stem)):
        image = Image.open(path).convert("RGB").crop((left, top, left + side, top + side))
        image = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else image
        image = ImageEnhance.Brightness(image).enhance(brightness)
        frames.append(torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div(255))
    return torch.stack(frames, dim=1)


def recipe_of(**sections: object) -> Recipe:
    return recipe_from({"augment": AUGMENT, "midas": {"alpha": 0.8}, **sections})


def ours(manifest: Manifest, recipe: Recipe) -> Callable[[], torch.Tensor]:
    """One batch of all clips, mixed."""
    clips = ClipDataset(manifest, recipe.input, part=None, rule=None, jitter=True, size=recipe.data.load_size)
    showing, targets = Showing(recipe), torch.eye(7)[torch.arange(CLIPS) % 7]
    generator = torch.Generator().manual_seed(0)

    def batch() -> torch.Tensor:
        read = next(iter(batches(clips, [list(range(CLIPS))])))
        return showing(read.clips, targets, recipe.midas, augmenting=generator, mixing=generator).clips

    return batch


def milliseconds(candidates: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Processor time a clip, medians, taken in turns."""
    spent: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds + 1):
        for name, work in candidates.items():
            begin = time.process_time()
            work()
            spent[name].append(1000 * (time.process_time() - begin) / CLIPS)
    return {name: statistics.median(values[1:]) for name, values in spent.items()}


def training(root: Path, manifest: Manifest, name: str) -> dict[str, float]:
    """Milliseconds a clip of a step with clips that are read, and with a batch that lies ready."""
    shown = TRAINED[name]
    large = int(shown["size"] * 1.25)
    small, _ = pack(manifest, root / name, size=large, grey=bool(shown["grey"]), workers=1)
    recipe = recipe_of(model={"name": name}, input=shown, data={"load_size": large})
    network = create_model(name, len(DFEW), in_channels=recipe.input.channels)
    loss = make_loss(recipe.loss, torch.full((7,), 1 / 7), None)
    learner = Learner(recipe, Accelerator(cpu=True), network, loss, steps_per_epoch=100)
    clips = ClipDataset(small, recipe.input, part=None, rule=None, jitter=True, size=large)
    positions, targets, voters = [list(range(CLIPS))], torch.eye(7)[torch.arange(CLIPS) % 7], torch.ones(CLIPS)
    showing, generator = learner.showing, torch.Generator()
    read = next(iter(batches(clips, positions))).clips
    ready = showing(read, targets, recipe.midas, augmenting=generator, mixing=generator)
    ready = ready._replace(clips=ready.clips.clone())

    def with_reading() -> None:
        learner.step(next(iter(batches(clips, positions))).clips, targets, voters, number=0)

    def with_ready_batch() -> None:
        learner.showing = lambda *_, **__: ready  # type: ignore[assignment]
        learner.step(read, targets, voters, number=0)
        learner.showing = showing

    without = milliseconds({"ready, freed memory returned": with_ready_batch}, STEPS)
    with memory_kept():
        return milliseconds({"read": with_reading, "ready": with_ready_batch}, STEPS) | without


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        folders = draw_folders(Path(temporary) / "folders")
        packed, _ = pack(folders, Path(temporary) / "packed", size=PACKED, workers=1)
        shown = {"frames": FRAMES, "size": SIZE, "mean": [0.5], "std": [0.25]}
        from_folders = ours(folders, recipe_of(input=shown))
        from_packed = ours(packed, recipe_of(input=shown, data={"load_size": PACKED}))
        turned = ours(packed, recipe_of(input=shown, data={"load_size": PACKED}, augment=AUGMENT | {"rotation": 10}))
        paths = [folders.resolve(path) for path in folders.table["path"]]
        finished, other = from_packed().clone(), from_packed().clone()
        kept: list[torch.Tensor] = []
        files = [path.read_bytes() for folder in paths for path in folder.iterdir()]

        def decoded(flag: int) -> None:
            for held in files:
                cv2.imdecode(np.frombuffer(held, np.uint8), flag)

        def the_field() -> torch.Tensor:
            return torch.stack([of_the_field(path, generator) for path in paths])

        spent = milliseconds({
            "the field's way, from folders": the_field,
            "copy into new memory": lambda: kept.append(finished.clone()),
        }, ROUNDS)  # fmt: skip
        kept.clear()
        with memory_kept():  # as in training
            spent |= milliseconds({
                "the field's way, freed memory kept": the_field,
                "dfer, from folders": from_folders,
                "dfer, packed": from_packed,
                "dfer, packed, with rotation": turned,
                "the JPEG decoder alone": lambda: decoded(cv2.IMREAD_COLOR),
                "the JPEG decoder alone, to half the side": lambda: decoded(cv2.IMREAD_REDUCED_COLOR_2),
                "copy into memory at hand": lambda: other.copy_(finished),
            }, ROUNDS)  # fmt: skip
        field, copy = spent["the field's way, from folders"], spent["copy into new memory"]
        print(f"{'':36}{'ms a clip':>10}{'x as fast as the field':>24}{'x a copy':>10}")
        for name, value in spent.items():
            print(f"{name:36}{value:10.2f}{field / value:24.1f}{value / copy:10.1f}")
        speeds = {}
        for name in TRAINED:
            steps = training(Path(temporary), folders, name)
            speeds[name] = {"milliseconds": steps, "share_of_ready": steps["ready"] / steps["read"]}
            print(
                f"training {name}: {100 * speeds[name]['share_of_ready']:.0f} % of the speed with a ready batch", steps
            )
    result = {"clips": CLIPS, "frames": FRAMES, "size": SIZE, "threads": 1, "torch": torch.__version__}
    write_result("input", result | {
        "milliseconds_a_clip": {name: round(value, 3) for name, value in spent.items()},
        "speed_of_the_field": {name: round(field / value, 2) for name, value in spent.items()},
        "times_a_copy": {name: round(value / copy, 2) for name, value in spent.items()},
        "training": speeds,
    })  # fmt: skip


if __name__ == "__main__":
    main()
