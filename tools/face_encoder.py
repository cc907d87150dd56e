"""Makes the weights that the shipped model is trained from, out of dlib's published face-recognition network.

    python tools/face_encoder.py WEIGHTS data/ferplus.csv -o data/dlib_face.safetensors

WEIGHTS is the folder with face_recognition_model-weights_manifest.json and its .bin file. The batch norms get the
statistics of pictures of the manifest's training part, see `dfer.models.encoders.dlib_face.calibrate`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from dfer import ClipDataset, Manifest, Preprocessing
from dfer.models.encoders.dlib_face import DlibFace, calibrate, read_published
from dfer.training import to_network
from dfer.training.config import load_recipe

RECIPE = Path(__file__).resolve().parents[1] / "configs" / "ferplus_faces.toml"
PICTURES = 1024


def shown(manifest: Manifest, preprocessing: Preprocessing) -> torch.Tensor:
    """Random pictures (PICTURES, 3, H, W) of the training part, as the network will be shown them."""
    clips = ClipDataset(manifest, preprocessing, part="train", subset="all")
    chosen = np.random.default_rng(0).choice(len(clips), min(PICTURES, len(clips)), replace=False)
    pictures = torch.stack([clips[int(position)].clip for position in chosen])
    return to_network(pictures, preprocessing)[:, :, 0].expand(-1, 3, -1, -1)


def main() -> None:
    """Read, calibrate, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("data/dlib_face.safetensors"))
    arguments = parser.parse_args()
    network = DlibFace().eval()
    network.load_state_dict(read_published(arguments.weights)[0], strict=False)
    pictures = shown(Manifest.read(arguments.manifest), load_recipe(RECIPE).input)
    with torch.inference_mode():
        before = network(pictures[:64])
        calibrate(network, pictures)
        cosine = torch.cosine_similarity(before, network(pictures[:64])).min()
    state = {f"encoder.{key}": value.contiguous() for key, value in network.state_dict().items()}
    save_file(state, arguments.out)
    size = arguments.out.stat().st_size / 1e6
    print(f"{arguments.out}: {size:.1f} MB; cosine of features before and after at least {cosine:.6f}")


if __name__ == "__main__":
    main()
