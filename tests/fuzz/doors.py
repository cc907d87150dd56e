"""Every door through which a stranger's file comes in: a seed of it, how it is read, and what must hold of the result.

A door writes its seeds into an empty folder and names one file to damage; it reads the folder again, and checks that
what was accepted is sane. What is refused is a `DferError`; anything else is a finding.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from dfer.datasets import Manifest, read_source
from dfer.errors import DferError
from dfer.labels import EmotionSet, soft_labels
from dfer.metrics import Predictions
from tests.datasets.sources.trees import write_dfew
from tests.inference.toy import toy_person, toy_timeline
from tests.metrics.toy import toy_predictions
from tests.video.films import noise, write_video

THREE = EmotionSet("three", ("happy", "sad", "neutral"))
MOST_FRAMES = 200
"""Frames that are read of a damaged film."""


@dataclass(frozen=True)
class Door:
    """One format.

    Attributes:
        seed: writes into a folder and gives the files of which one is damaged.
        read: reads the folder, given the damaged file, and checks what it got.
    """

    seed: Callable[[Path], list[Path]]
    read: Callable[[Path, Path], object]


def check(condition: object, what: str) -> None:
    """What was accepted is not sane."""
    if not condition:
        raise AssertionError(f"nonsense accepted: {what}")


# -- tables ------------------------------------------------------------------------------------------------------------


def small_manifest(folder: Path) -> Manifest:
    rows = [
        {"id": f"c{n}", "path": f"c{n}.npy", "kind": "array", "group": f"p{n % 2}", "fold": n % 2 + 1, "split": "",
         "label": THREE.emotions[n % 3], "frames": 4, "votes_happy": 3.0, "votes_sad": float(n), "votes_neutral": 1.0}
        for n in range(6)
    ]  # fmt: skip
    return Manifest.build(pd.DataFrame(rows), emotions=THREE, root=folder, source="toy", left_out={"no clip": 2})


def manifest_seed(suffix: str) -> Callable[[Path], list[Path]]:
    def seed(folder: Path) -> list[Path]:
        small_manifest(folder).write(folder / f"m{suffix}")
        return [folder / f"m{suffix}"]

    return seed


def read_manifest(_: Path, file: Path) -> None:
    sane_manifest(Manifest.read(file))


def sane_manifest(manifest: Manifest) -> None:
    votes = manifest.votes
    told = votes[~np.isnan(votes).any(axis=1)]
    check(np.isfinite(told).all() and (told >= 0).all() and (told <= 1e9).all(), "votes outside 0..1e9")
    check(manifest.table["id"].is_unique and not (manifest.table["id"] == "").any(), "ids")
    check(((manifest.labels >= -1) & (manifest.labels < len(manifest.emotions))).all(), "labels")
    voted = told[told.sum(axis=1) > 0]
    if len(voted):
        targets = soft_labels(voted)
        check(np.allclose(targets.sum(axis=1), 1), "targets that do not sum to one")


def predictions_seed(suffix: str) -> Callable[[Path], list[Path]]:
    def seed(folder: Path) -> list[Path]:
        toy_predictions(0, clips=8, folds=2).write(folder / f"p{suffix}")
        return [folder / f"p{suffix}"]

    return seed


def read_predictions(_: Path, file: Path) -> None:
    found = Predictions.read(file)
    check(np.isfinite(found.probs).all() and (found.probs >= 0).all(), "probabilities")
    check(np.allclose(found.probs.sum(axis=1), 1, atol=1e-3), "probabilities that do not sum to one")
    told = found.votes[~np.isnan(found.votes).all(axis=1)]
    check(np.isfinite(told).all() and (told >= 0).all(), "votes")


COUNTS = "clip,happy,sad,neutral\nc0.npy,3,1,0\nc1.npy,0,5,1\nc2.npy,2,2,2\n"
ANSWERS = "clip,rater,emotion\nc0.npy,a,happy\nc0.npy,b,sad\nc1.npy,a,sad\nc1.npy,b,neutral\nc2.npy,c,happy\n"


def clips(folder: Path) -> None:
    for n in range(3):
        np.save(folder / f"c{n}.npy", noise(4, 8, 8, seed=n))


def table_seed(text: str, suffix: str) -> Callable[[Path], list[Path]]:
    def seed(folder: Path) -> list[Path]:
        clips(folder)
        path = folder / f"votes{suffix}"
        if suffix == ".xlsx":
            pd.read_csv(io.StringIO(text)).to_excel(path, index=False)
        else:
            path.write_text(text, encoding="utf-8")
        return [path]

    return seed


def read_table(_: Path, file: Path) -> None:
    sane_manifest(read_source("table", file))


def task(clip: str, *words: str) -> dict[str, Any]:
    """A task of Label Studio."""
    return {
        "id": 1, "data": {"video": clip},
        "annotations": [
            {"id": n, "completed_by": n, "was_cancelled": False,
             "result": [{"from_name": "e", "to_name": "v", "type": "choices", "value": {"choices": [word]}}]}
            for n, word in enumerate(words)
        ],
    }  # fmt: skip


def ferplus_seed(folder: Path) -> list[Path]:
    names = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF"]
    rows = [[f"fer{n:07d}.png", "(0, 0, 48, 48)", *[str(int(k == n % 8) * 8 + 1) for k in range(10)]] for n in range(4)]
    for part in ("FER2013Train", "FER2013Valid"):
        with zipfile.ZipFile(folder / f"{part}.zip", "w") as archive:
            archive.writestr(f"{part}/label.csv", "\n".join(",".join([r[0], f'"{r[1]}"', *r[2:]]) for r in rows))
            for row in rows:
                picture = cv2.imencode(".png", noise(1, 48, 48)[0][..., 0])[1].tobytes()
                archive.writestr(f"{part}/{row[0]}", picture)
    head = ",".join(["Usage", "Image name", *names])
    text = "\n".join([head, *(",".join(["Training", row[0], *row[2:]]) for row in rows)])
    (folder / "fer2013new.csv").write_text(text, encoding="utf-8")
    return [folder / "FER2013Train.zip", folder / "fer2013new.csv"]


def read_ferplus(folder: Path, _: Path) -> None:
    sane_manifest(read_source("ferplus", folder))


def dfew_seed(folder: Path) -> list[Path]:
    write_dfew(folder)
    lists = sorted((folder / "EmoLabel_DataSplit").rglob("*.csv"))
    return [folder / "Annotation" / "annotation.xlsx", lists[0]]


def read_dfew(folder: Path, _: Path) -> None:
    sane_manifest(read_source("dfew", folder))


# -- pictures and films ------------------------------------------------------------------------------------------------


def film_seed(suffix: str) -> Callable[[Path], list[Path]]:
    def seed(folder: Path) -> list[Path]:
        path = folder / f"film{suffix}"
        frames = noise(10, 24, 32)
        if suffix in (".gif", ".webp", ".png", ".avif"):
            from PIL import Image

            first, *rest = [Image.fromarray(frame) for frame in frames[:4]]
            first.save(path, save_all=True, append_images=rest, duration=40)
        else:
            write_video(path, frames)
        return [path]

    return seed


def read_film(_: Path, file: Path) -> None:
    from dfer.video.stream import stream

    former = -math.inf
    for number, frame in enumerate(stream(file)):
        check(math.isfinite(frame.time_s) and frame.time_s > former, "times that do not increase")
        check(frame.pixels.dtype == np.uint8 and frame.pixels.shape[2] == 3, "pixels")
        former = frame.time_s
        if number > MOST_FRAMES:
            break


def picture_seed(suffix: str) -> Callable[[Path], list[Path]]:
    def seed(folder: Path) -> list[Path]:
        cv2.imwrite(str(folder / f"p{suffix}"), noise(1, 20, 30)[0])
        return [folder / f"p{suffix}"]

    return seed


def read_picture(_: Path, file: Path) -> None:
    from dfer.video.frames import read_image

    image = read_image(file)
    check(image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3, "pixels")


def packed_seed(folder: Path) -> list[Path]:
    np.save(folder / "c.npy", noise(4, 8, 8))
    return [folder / "c.npy"]


def shard_seed(folder: Path) -> list[Path]:
    from dfer.shards import shard_writer

    with shard_writer(folder / "c.arrow") as add:
        for name in ("a", "b"):
            add(name, name, noise(4, 8, 8), 0)
    return [folder / "c.arrow"]


def read_shard(_: Path, file: Path) -> None:
    for name in ("a", "b"):
        read_packed(_, file.with_name(f"{file.name}#{name}"))


def read_packed(_: Path, file: Path) -> None:
    from dfer.video import open_clip

    clip = open_clip(file, "array")
    check(0 < len(clip) < 1_000, "frames")
    clip.read(np.arange(min(len(clip), 3)))


def zip_seed(folder: Path) -> list[Path]:
    with zipfile.ZipFile(folder / "f.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/1.png", cv2.imencode(".png", noise(1, 8, 8)[0])[1].tobytes())
    return [folder / "f.zip"]


def read_zip(folder: Path, file: Path) -> None:
    from dfer.video.frames import read_image

    try:
        read_image(file / "a" / "1.png")
    finally:
        import dfer.video.frames as frames

        frames._open_zip.cache_clear()


def playlist_seed(folder: Path) -> list[Path]:
    write_video(folder / "piece.ts", noise(10, 24, 32))
    text = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.4,\npiece.ts\n#EXT-X-ENDLIST\n"
    (folder / "list.m3u8").write_text(text, encoding="utf-8")
    return [folder / "list.m3u8", folder / "piece.ts"]


def read_playlist(folder: Path, _: Path) -> None:
    read_film(folder, folder / "list.m3u8")


# -- timelines, models, runs -------------------------------------------------------------------------------------------


def timeline_seed(suffix: str) -> Callable[[Path], list[Path]]:
    def seed(folder: Path) -> list[Path]:
        toy_timeline(toy_person(0), toy_person(1)).save(folder / f"t{suffix}")
        return [folder / f"t{suffix}"]

    return seed


def read_timeline(_: Path, file: Path) -> None:
    from dfer.inference import Timeline

    timeline = Timeline.load(file)
    for person in timeline.people:
        check((np.diff(person.times) > 0).all() and np.isfinite(person.times).all(), "times")
        seen = person.probs[person.seen]
        check(np.allclose(seen.sum(axis=1), 1, atol=1e-2) and (seen >= 0).all(), "probabilities")
        check(np.isfinite(person.boxes[person.seen]).all(), "boxes")
        check(all(part.start_s <= part.end_s for part in person.segments), "segments")
    json.dumps(timeline.to_dict(), allow_nan=False)


def checkpoint_seed(folder: Path) -> list[Path]:
    import torch

    from dfer.models import Card, create_model, save_checkpoint
    from dfer.video import Preprocessing

    torch.manual_seed(0)
    card = Card("frame_gru", {"widths": [4, 8]}, THREE, asdict(Preprocessing(frames=2, size=16)))
    save_checkpoint(folder / "model", create_model("frame_gru", 3, widths=(4, 8)), card)
    return [folder / "model" / "card.json", folder / "model" / "card.json", folder / "model" / "model.safetensors"]


def read_checkpoint(folder: Path, _: Path) -> None:
    import torch

    from dfer.models import load_checkpoint
    from dfer.video import Preprocessing

    network, card = load_checkpoint(folder / "model")
    shown = Preprocessing.from_card(card.preprocessing)
    with torch.inference_mode():
        logits = network(torch.zeros(1, 1 if shown.grey else 3, shown.frames, shown.size, shown.size))
    check(torch.isfinite(logits).all() and logits.shape == (1, len(card.emotions)), "logits")


RECIPE = """
seed = 3
selection = "last"
[data]
validation = 0.2
[input]
frames = 4
size = 16
[labels]
rule = "smooth"
[midas]
alpha = 0.8
[model]
name = "tiny3d"
width = 8
[optim]
epochs = 3
batch = 4
lr = 1e-2
"""


def recipe_seed(folder: Path) -> list[Path]:
    (folder / "r.toml").write_text(RECIPE, encoding="utf-8")
    return [folder / "r.toml"]


def read_recipe(folder: Path, file: Path) -> None:
    from dfer.training import load_recipe

    recipe = load_recipe(file)
    (folder / "again.toml").write_text(recipe.toml(), encoding="utf-8")
    check(load_recipe(folder / "again.toml") == recipe, "a recipe that is not read back")


def override_seed(folder: Path) -> list[Path]:
    (folder / "set").write_text("optim.lr=1e-3", encoding="utf-8")
    return [folder / "set"]


def read_override(_: Path, file: Path) -> None:
    from dfer.training import load_recipe

    load_recipe(Path("demo"), [file.read_bytes().decode("utf-8", errors="surrogateescape")])


def report_seed(folder: Path) -> list[Path]:
    from dfer.comparison import compare
    from dfer.reports import DataSet, write_comparison
    from dfer.reports.given import report_on

    report_on({"a": toy_predictions(0, clips=20)}, folder, data=DataSet("x", 20))
    write_comparison(
        compare({"a": [toy_predictions(0, clips=20)], "b": [toy_predictions(1, clips=20)]}, draws=50), folder
    )
    return [folder / "report.json", folder / "compare.json"]


def read_report(folder: Path, file: Path) -> None:
    from dfer.reports.drawings import write_figures
    from dfer.reports.tables import FORMS, tables_of

    for table in tables_of([file]):
        for form in FORMS.values():
            list(form(table))
    if file.name == "report.json" and hash(file.read_bytes()) % 50 == 0:  # a figure takes long
        write_figures(file, folder / "figures")


def constant_seed(folder: Path) -> list[Path]:
    from dfer.comparison.constant import Constant, write_constant

    constant = Constant((0.5, 0.25, 0.25), (1.0, 0.0, 0.0))
    write_constant(folder / "constant.json", constant, fold=1, emotions=THREE)
    return [folder / "constant.json"]


def read_constant(folder: Path, _: Path) -> None:
    from dfer.comparison.constant import read_constants

    for constant in read_constants(folder, THREE).values():
        check(math.isclose(sum(constant.mean_vote), 1, abs_tol=1e-3), "a constant that does not sum to one")


def run_seed(folder: Path) -> list[Path]:
    from dfer.experiments import train_folds
    from tests.training.toy import toy_manifest, toy_recipe

    data = toy_manifest(folder / "data", clips=12, folds=2)
    recipe = toy_recipe(optim={"epochs": 1}, midas={}, data={"validation": 0.0})
    train_folds(recipe, Manifest.read(data), folder / "run", folds=[1])
    run = folder / "run"
    return [
        run / "fold1" / "train.json",
        run / "fold1" / "metrics.jsonl",
        run / "data.json",
        run / "fold1" / "recipe.toml",
    ]


def read_run(folder: Path, _: Path) -> None:
    from dfer.experiments.runs import manifest_of, trained_folds
    from dfer.training import load_recipe
    from dfer.training.record import read_log, read_summary

    run = folder / "run"
    manifest_of([run])
    trained_folds(run)
    read_summary(run / "fold1")
    for epoch in read_log(run / "fold1"):
        check(epoch.epoch >= 0, "an epoch")
    load_recipe(run / "fold1" / "recipe.toml")


def state_seed(folder: Path) -> list[Path]:
    import torch

    from dfer.models import create_model
    from dfer.training.state import Place, save_state

    torch.manual_seed(0)
    network = create_model("frame_gru", 3, widths=(4, 8))
    optimizer = torch.optim.AdamW(network.parameters())
    place = Place(data="abc", step=3, loss=1.5, clips=12, seconds=2.0)
    save_state(folder / "s.safetensors", place, optimizer=optimizer, modules={"model": network})
    return [folder / "s.safetensors"]


def read_state(_: Path, file: Path) -> None:
    import torch

    from dfer.models import create_model
    from dfer.training.state import load_state

    network = create_model("frame_gru", 3, widths=(4, 8))
    load_state(file, optimizer=torch.optim.AdamW(network.parameters()), modules={"model": network})
    check(all(torch.isfinite(value).all() for value in network.state_dict().values()), "weights that are not finite")


PICTURES = (".png", ".jpg", ".webp", ".bmp", ".tif")
FILMS = (".mp4", ".mkv", ".ts", ".avi", ".gif", ".webp")
DOORS: dict[str, Door] = {
    "manifest .csv": Door(manifest_seed(".csv"), read_manifest),
    "manifest .parquet": Door(manifest_seed(".parquet"), read_manifest),
    "predictions .csv": Door(predictions_seed(".csv"), read_predictions),
    "predictions .parquet": Door(predictions_seed(".parquet"), read_predictions),
    "votes .csv": Door(table_seed(COUNTS, ".csv"), read_table),
    "votes .xlsx": Door(table_seed(COUNTS, ".xlsx"), read_table),
    "answers .csv": Door(table_seed(ANSWERS, ".csv"), read_table),
    "answers .xlsx": Door(table_seed(ANSWERS, ".xlsx"), read_table),
    "Label Studio .json": Door(
        table_seed(json.dumps([task("c0.npy", "happy", "sad"), task("c1.npy", "sad")]), ".json"), read_table
    ),
    "FER+": Door(ferplus_seed, read_ferplus),
    "DFEW .xlsx": Door(dfew_seed, read_dfew),
    "timeline .json": Door(timeline_seed(".json"), read_timeline),
    "timeline .parquet": Door(timeline_seed(".parquet"), read_timeline),
    "packed clip .npy": Door(packed_seed, read_packed),
    "packed clips .arrow": Door(shard_seed, read_shard),
    "pictures in .zip": Door(zip_seed, read_zip),
    **{f"picture {suffix}": Door(picture_seed(suffix), read_picture) for suffix in PICTURES},
    **{f"film {suffix}": Door(film_seed(suffix), read_film) for suffix in FILMS},
    "playlist .m3u8": Door(playlist_seed, read_playlist),
    "recipe .toml": Door(recipe_seed, read_recipe),
    "recipe --set": Door(override_seed, read_override),
    "model": Door(checkpoint_seed, read_checkpoint),
    "report, comparison": Door(report_seed, read_report),
    "constants": Door(constant_seed, read_constant),
    "run's folder": Door(run_seed, read_run),
    "state": Door(state_seed, read_state),
}  # fmt: skip
REFUSED = DferError
