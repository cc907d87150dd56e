"""Writes the tables of docs/scale.md from benchmarks/results: what a clip costs, and the bill for many of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
CLIP_S = 3.0
"""Length of the film that a clip is cut from."""
CORE_HOUR, GPU_HOUR, TB_MONTH = 0.04, 2.50, 20.0
"""Prices, US dollars: assumed, of the order of what clouds asked for in 2026."""
CORES = 64
"""Of a machine."""
GFLOPS, GPU_TFLOPS = 3 * 86.4, 0.4 * 989
"""Of a training step of m3dfel for a clip, forward and twice that backward; of an H100 in bf16 at 40 % of its peak."""
EPOCHS = 50
COUNTS = (10**5, 10**6, 10**9)
Table = list[list[str]]


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def costs() -> dict[str, tuple[float, str]]:
    """What a clip costs: seconds of one core, and where the number is from."""
    clip, faces, film = load("scale_costs"), load("faces"), load("predict")
    return {
        "read 16 JPEGs": (clip["decode_jpeg_ms"] / 1000, "scale_costs.py"),
        "decode the same 16 frames of a film": (clip["decode_film_ms"] / 1000, "scale_costs.py"),
        "pack 16 JPEGs to 112 pixels": (clip["pack_ms"] / 1000, "scale_costs.py"),
        "read a packed clip": (clip["read_packed_ms"] / 1000, "scale_costs.py"),
        f"find and follow faces in {CLIP_S:g} s of film": (CLIP_S / faces["times_real"], "faces.py"),
        f"`dfer predict`, {CLIP_S:g} s of film": (CLIP_S / film["runtimes"]["onnx"]["x_processor_time"], "predict.py"),
        "a training step of `tiny3d`": (clip["train_tiny3d_ms"] / 1000, "scale_costs.py"),
        "a training step of `m3dfel`": (clip["train_m3dfel_ms"] / 1000, "scale_costs.py"),
    }


def unit_table() -> Table:
    rows = [["one clip", "ms of one core", "measured by"]]
    return rows + [[name, _number(cost * 1000), f"`{source}`"] for name, (cost, source) in costs().items()]


def size_table() -> Table:
    clip = load("scale_costs")
    rows = [["one clip of 16 frames", "kB"]]
    for name, key in (("JPEGs of 224 pixels", "jpeg_bytes"), ("H.264, 224 pixels", "film_bytes"),
                      ("packed, 112 pixels", "packed_bytes")):  # fmt: skip
        rows.append([name, f"{clip[key] / 1000:,.0f}"])
    return rows


def bill_table() -> Table:
    """Hours and dollars."""
    unit, size = costs(), load("scale_costs")["packed_bytes"]
    core = {name: cost for name, (cost, _) in unit.items()}
    work = {
        "pack JPEGs": core["pack 16 JPEGs to 112 pixels"],
        "or find faces in films": core[f"find and follow faces in {CLIP_S:g} s of film"],
        "`dfer predict`": core[f"`dfer predict`, {CLIP_S:g} s of film"],
    }
    rows = [["", *(f"10^{len(str(count)) - 1} clips" for count in COUNTS)]]
    for name, seconds in work.items():
        rows.append([name, *(_cores(count * seconds / 3600) for count in COUNTS)])
    training = GFLOPS / GPU_TFLOPS / 1000 * EPOCHS
    rows.append([f"train `m3dfel`, {EPOCHS} epochs (computed)", *(_gpus(count * training / 3600) for count in COUNTS)])
    rows.append(["packed clips", *(_storage(count * size / 1e12) for count in COUNTS)])
    return rows


def _cores(hours: float) -> str:
    days = hours / CORES / 24
    machines = f"{days:,.0f} for a day" if days >= 1.5 else f"one for {_hours(hours / CORES)}"
    return f"{_number(hours)} core hours, {_dollars(hours * CORE_HOUR)}; {machines}"


def _gpus(hours: float) -> str:
    return f"{_number(hours)} GPU hours, {_dollars(hours * GPU_HOUR)}"


def _number(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _dollars(value: float) -> str:
    return f"${value:,.0f}" if value >= 10 else f"${value:.2f}"


def _hours(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{max(1, round(hours * 60))} min"


def _storage(terabytes: float) -> str:
    return f"{_number(terabytes)} TB, {_dollars(terabytes * TB_MONTH)} a month"


def manifest_table() -> Table:
    """What a Manifest takes."""
    rows = [["clips", "file", "`Manifest.read`", "`dfer split`", "`dfer doctor`"]]
    for row in load("scale_manifest")["rows"]:
        verbs = [row[verb] for verb in ("read", "split", "doctor")]
        rows.append([f"{row['clips']:,}", f"{row['bytes'] / 1e6:,.0f} MB", *map(_run, verbs)])
    return rows


def _run(found: dict[str, Any]) -> str:
    if not found["fits"]:
        return f"ends for want of memory after {found['seconds']:.0f} s"
    return f"{found['seconds']:.0f} s, {found['megabytes'] / 1000:.1f} GB"


TABLES = {"units": unit_table, "sizes": size_table, "bill": bill_table, "manifest": manifest_table}


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name, make in TABLES.items():
        head, *rows = make()
        lines = [head, ["---"] * len(head), *rows]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        pattern = rf"(?<=<!-- {name} -->\n\n).*?(?=<!-- /{name} -->)"
        text, count = re.subn(pattern, lambda _, table=table: table + "\n\n", text, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"{PAGE} has no place for the table '{name}'")
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
