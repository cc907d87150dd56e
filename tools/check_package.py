"""Are the wheel and the source distribution whole? `python tools/check_package.py dist`, after `python -m build`.

Checks that the wheel has every file of the package and nothing else, that its description links to no file, that it
installs in an environment of its own (with the packages of this one, so that torch is not installed again), and that it
works there. Ends with 1 otherwise.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MEGABYTE = 1e6
LARGEST_WHEEL = 16.0 * MEGABYTE
LARGEST_SDIST = 16.0 * MEGABYTE
"""Some 13 MB are the weights of two networks, compressed; without them no wheel could be built that reads a video."""
WORKS = """
import sys, dfer
from dfer.training.config import shipped_recipes
assert dfer.__file__.startswith(sys.prefix), dfer.__file__
assert {"demo", "dfew_small"} <= set(shipped_recipes())
dfer.Predictor.from_pretrained()
from dfer.video.identity import Embedder; Embedder()
"""


def expected() -> set[str]:
    """The files of the package as they are called in a wheel."""
    files = [path for path in (ROOT / "src" / "dfer").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    recipes = {f"dfer/configs/{path.name}" for path in (ROOT / "configs").glob("*.toml")}
    clips = {f"dfer/examples/{path.name}" for path in (ROOT / "examples" / "crema_d").iterdir()}
    return {path.relative_to(ROOT / "src").as_posix() for path in files} | recipes | clips


def faults_of_files(wheel: Path, sdist: Path) -> list[str]:
    """What is missing, superfluous or too large."""
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if not name.split("/")[0].endswith(".dist-info")}
    with tarfile.open(sdist) as archive:
        folders = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    faults = [f"the wheel lacks {name}" for name in sorted(expected() - inside)]
    faults += [f"the wheel has {name}, which is not of the package" for name in sorted(inside - expected())]
    faults += [f"the source distribution lacks {name}" for name in ("src", "configs", "LICENSE") if name not in folders]
    for path, largest in ((wheel, LARGEST_WHEEL), (sdist, LARGEST_SDIST)):
        if path.stat().st_size > largest:
            faults.append(f"{path.name} has {path.stat().st_size / MEGABYTE:.1f} MB of {largest / MEGABYTE:.1f}")
    return faults


def faults_of_description(text: str) -> list[str]:
    """Links of a page on a package index that lead to files."""
    found = re.findall(r"\]\((?!https?://|#)([^()\s]+)\)", text)
    return [f"the description links to {target}, which is no file on a package index" for target in found]


def description(wheel: Path) -> str:
    """What a package index shows."""
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return archive.read(path).decode().split("\n\n", 1)[1]


def try_out(wheel: Path, folder: Path) -> None:
    """Install the wheel into a new environment and use it, outside of the checkout."""
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel.resolve())]
    subprocess.run(install, check=True)
    places = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True, capture_output=True
    )
    packages = Path(places.stdout.decode().strip()) / "borrowed.pth"
    packages.write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    environment = {"PATH": "/usr/bin:/bin"}
    for command in ([str(python.parent / "dfer"), "--help"], [str(python), "-c", WORKS]):
        subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def main() -> int:
    """Print what is wrong."""
    folder = Path(sys.argv[1])
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    faults = faults_of_files(wheel, sdist) + faults_of_description(description(wheel))
    with tempfile.TemporaryDirectory() as scratch:
        try_out(wheel, Path(scratch))
    sizes = ", ".join(f"{path.name} {path.stat().st_size / MEGABYTE:.1f} MB" for path in (wheel, sdist))
    print("\n".join([*faults, sizes]))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
