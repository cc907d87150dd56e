"""Importing is cheap and does nothing: heavy libraries come in with what needs them, and nobody sees an import."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "dfer"
HEAVY = ("torch", "pandas", "cv2", "scipy", "sklearn", "matplotlib", "av", "accelerate")

BLOCK = """
import sys
from importlib.abc import MetaPathFinder

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "accelerate", "safetensors"):
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, Blocked())
"""

WITHOUT_TORCH = """
import numpy as np
import pandas as pd
from pathlib import Path
import dfer
from dfer.datasets import Manifest, read_source
from dfer.datasets.pack import pack
from dfer.datasets.splits import hold_out
from dfer.metrics import Predictions, ece, uar, war
from dfer.reports.report import build_report
from dfer.labels import DFEW, soft_labels
from dfer.video import Preprocessing, open_clip, uniform
import dfer.datasets.synthetic, dfer.cli

folder = Path(sys.argv[1])
for label in ("happy", "sad"):
    (folder / label).mkdir()
    np.save(folder / label / "clip.npy", np.zeros((3, 8, 8, 3), np.uint8))
manifest = read_source("folder", folder)
assert len(manifest) == 2
clip = open_clip(manifest.resolve(manifest.table["path"][0]), "array")
assert Preprocessing(frames=2, size=8).read(clip, uniform(len(clip), 2)).shape == (2, 8, 8, 3)
assert soft_labels([[3, 1]]).tolist() == [[0.75, 0.25]]
assert war([[0.8, 0.2]], [0]) == 1.0
try:
    import torch
except ImportError:
    print("torch was blocked")
"""

SILENT = """
import importlib, random, sys, threading
import numpy as np

def load():
    for name in sys.argv[1].split(","):
        importlib.import_module(name)

def states():
    import torch
    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist(), torch.get_num_threads()

load()  # with the libraries of others, which may do as they like
for name in [name for name in sys.modules if name.partition(".")[0] == "dfer"]:
    del sys.modules[name]
before, threads = states(), threading.active_count()
load()
assert states() == before, "an import drew random numbers, seeded a generator or set torch's threads"
assert threading.active_count() == threads, "an import started a thread"
"""


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def modules() -> list[str]:
    """Every module of the package, from its files."""
    files = [path.relative_to(SOURCE.parent).with_suffix("") for path in SOURCE.rglob("*.py")]
    names = [".".join(path.parts).removesuffix(".__init__") for path in files]
    return sorted(name for name in names if not name.endswith("__main__"))


@pytest.mark.parametrize("module", ["dfer", "dfer.cli", "dfer.errors", "dfer.version"])
def test_a_light_import_brings_in_no_heavy_library(module: str) -> None:
    done = python(f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])")
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_public_names_are_all_there_and_load_when_they_are_used() -> None:
    done = python(
        "import sys, dfer; assert dir(dfer) == dfer.__all__; assert 'torch' not in sys.modules; "
        "print(len({getattr(dfer, name) for name in dfer.__all__}) == len(dfer.__all__)); "
        "assert 'torch' in sys.modules; dfer.nothing_of_that_name"
    )
    assert done.stdout.strip() == "True" and "has no attribute 'nothing_of_that_name'" in done.stderr


def test_the_model_that_ships_is_loaded_without_the_compiler_of_torch() -> None:
    done = python("import sys, dfer; dfer.load_checkpoint('faces'); print('torch._dynamo' in sys.modules)")
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr


def test_labels_data_sets_video_and_evaluation_work_where_torch_is_not_installed(tmp_path: Path) -> None:
    done = python(BLOCK + WITHOUT_TORCH, tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "torch was blocked"), done.stderr


def test_importing_every_module_says_nothing_seeds_nothing_and_starts_nothing() -> None:
    names = modules()
    assert {"dfer.training.loop", "dfer.models.tiny3d", "dfer.datasets.sources.dfew", "dfer.cli"} <= set(names)
    done = python(SILENT, ",".join(names))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("room", ["augment", "metrics", "comparison", "reports", "training", "experiments"])
def test_no_module_is_called_as_a_function_that_it_defines(room: str) -> None:
    package = importlib.import_module(f"dfer.{room}")
    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"dfer.{room}.{found.name}")
        assert getattr(package, found.name) is module
        own = getattr(module, found.name, None)
        assert getattr(own, "__module__", None) != module.__name__
