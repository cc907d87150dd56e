"""Do the installed packages have faults that are known? `python tools/audit.py .venv-audit`.

pip-audit asks the Python Package Index about each package. It is installed in an environment of its own, so that it
changes no version of ours. Where it cannot be installed, or the index does not answer, this is said and no failure; a
known fault is one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path


def main(home: Path) -> int:
    """Print what is known, what is not, and how many packages could not be asked about."""
    program = home / "bin" / "pip-audit"
    try:
        if not program.exists():
            subprocess.run([sys.executable, "-m", "venv", home], check=True)
            install = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "pip-audit"]
            subprocess.run(install, check=True, capture_output=True)
        command = [program, "--progress-spinner", "off", "--format", "json", "--path", sysconfig.get_path("purelib")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        packages = json.loads(done.stdout)["dependencies"]
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        print(f"not checked for known faults: {error}")
        return 0
    unknown = [package for package in packages if "skip_reason" in package]
    faulty = [package for package in packages if package.get("vulns")]
    for package in faulty:
        for fault in package["vulns"]:
            mended = " ".join(fault["fix_versions"]) or "no version"
            print(f"{package['name']} {package['version']}: {fault['id']}, mended in {mended}")
    if len(unknown) == len(packages):  # a mirror without advisories; to pip-audit this is a clean result
        print(f"not checked for known faults: the index knows nothing of any of the {len(packages)} packages")
        return 0
    print(f"{len(packages)} packages: {len(faulty)} with known faults, {len(unknown)} that the index knows nothing of")
    return bool(faulty)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
