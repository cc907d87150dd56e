"""How long until something happens? `import dfer` and `dfer --help`, beside Python itself and beside `import torch`.

The bounds to hold: `import dfer` within 0.3 s and without torch, `dfer --help` within 1 s.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from results import write_result

ROUNDS = 7
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import dfer": ["-c", "import dfer, sys; assert 'torch' not in sys.modules"],
    "dfer --help": ["-m", "dfer", "--help"],
    "import torch": ["-c", "import torch"],
}


def seconds(arguments: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - begin


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))
    medians = {name: statistics.median(values) for name, values in times.items()}
    base = medians["python -c pass"]
    for name, value in medians.items():
        print(f"{name:20}{value:8.3f} s{value / base:8.1f} x python")
    write_result("start", {"seconds": {name: round(value, 3) for name, value in medians.items()}, "rounds": ROUNDS})


if __name__ == "__main__":
    main()
