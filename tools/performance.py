"""Writes docs/performance.md from benchmarks/results/*.json: `python tools/performance.py`; `make bench` ends with it.

Every number of the page is one of those files'. What the page says about them holds within the bounds that the
benchmarks name; who measures anew reads the sentences again.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
DRAWN = ROOT / "docs" / "images" / "growth.svg"
HEAD = """What things cost, against what others do and against what the machine can do. `make bench` measures most of it
anew and writes this page; each section names its benchmark. Ratios are of one run, side by side; times are of the
machine that ran it, two shared cores, and mostly of one thread's processor time."""
WIDTH = 128
"""Characters of a line of text."""


def rows_of(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def section(title: str, name: str, text: str, table: str = "", *, result: str = "") -> str:
    numbers = f"[numbers](../benchmarks/results/{result or name}.json)"
    benchmark = f"[`benchmarks/{name}.py`](../benchmarks/{name}.py), {numbers}"
    parts = (f"## {title}", filled(text), table, f"Measured by {benchmark}.")
    return "\n\n".join(part for part in parts if part)


def filled(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), WIDTH, break_long_words=False, break_on_hyphens=False)


def of_input(found: dict[str, Any]) -> str:
    spent, faster, copies = (found[key] for key in ("milliseconds_a_clip", "speed_of_the_field", "times_a_copy"))
    rows = [(name, f"{spent[name]:.2f}", f"{faster[name]:.1f}", f"{copies[name]:.1f}") for name in spent]
    text = (
        f"From frames on disk to a batch for training: {found['frames']} frames of RGB, {found['size']} x "
        f"{found['size']}, cropped, mirrored, brightened, mixed by MIDAS and normalised. From folders of JPEGs"
        " of 224 x 224 most of the time is that of the JPEG decoder, which gives them at half the side: with nothing "
        f"else to do, it would be {faster['the JPEG decoder alone, to half the side']:.1f} times as fast as the field. "
        "dfer keeps freed memory in training, which "
        "makes PIL's way faster, too (third row). Packed clips cost less than copying the finished batch into new "
        "memory, and five to six times a copy into memory that is at hand."
    )
    return section(
        "Input of training",
        "input",
        text,
        rows_of(("", "ms a clip", "times as fast as the field", "times a copy"), rows),
    )


def of_training(found: dict[str, Any]) -> str:
    rows = []
    for name, values in found["training"].items():
        spent = values["milliseconds"]
        former = spent["ready, freed memory returned"]
        rows.append((f"`{name}`", f"{spent['read']:.2f}", f"{100 * values['share_of_ready']:.0f} %", f"{former:.2f}"))
    text = (
        "A step of training in fp32, with clips that are read and augmented in the same thread: what share of"
        " the speed with a batch that lies ready is reached; and what a step costs with a ready batch where "
        "freed memory goes back to the system, as it does outside of dfer."
    )
    return section(
        "Steps of training", "input", text,
        rows_of(("", "ms a clip", "of the speed with a ready batch", "ms, freed memory returned"), rows),
    )  # fmt: skip


def of_ways(found: dict[str, Any]) -> str:
    ways = ("AdamW in one kernel", "channels last", "torch.compile", "checkpointing")
    rows = []
    for name, values in found["networks"].items():
        plain, less = values["plain"], values["checkpointing"]
        times = (f"{values[way]['of_plain']:.2f}" if way in values else "" for way in ways)
        rows.append((f"`{name}`", plain["ms"], *times, f"{plain['megabytes']} / {less['megabytes']}"))
    wrong = found["error where a gradient lies in another order"]["AdamW in one kernel"]
    text = (
        "Ways to make a step of training faster or smaller, in fp32 on one thread, with a batch that lies ready: times "
        "as shares of the plain step's, and the memory that is kept for the backward pass. dfer takes none of them. "
        "AdamW in one kernel (`fused=True`) saves 3 to 6 %, and on a CPU it is wrong, without a word, where a gradient "
        f"lies in memory in another order than its weight: by {wrong:.1f} times the length of the step. Channels last "
        "and `torch.compile` (tried with the two small ones) make no step faster by more than the noise. Checkpointing "
        "keeps less and takes 30 to 50 % longer; `optim.accumulate` keeps less without that. In all of them the "
        "gradients are as near to those in float64 as the plain step's."
    )
    head = ("", "plain, ms", *ways, "MB kept, plain / checkpointing")
    return section("Other steps of training", "step", text, rows_of(head, rows))


def of_store(found: dict[str, Any]) -> str:
    keys = ("KB a clip", "ms to write", "ms to open", "ms in order", "ms at random", "clips after a cut")
    rows = [
        (name, *(values[key] for key in keys), "yes" if values["memory-mapped"] else "no")
        for name, values in found["formats"].items()
    ]
    text = (
        f"Packed clips of {found['frames']} frames of {found['size']} x {found['size']} in several formats, "
        f"{found['clips']} of them: size, time to write and to read, whether the file is memory-mapped, and "
        "how many clips can be read after a tenth of the file was cut off. dfer writes Arrow with uint8: it "
        "is read fastest, without a copy, in any order, and by every reader of Arrow. A shard that was cut is"
        " named and packed anew, so a format whose head is left would gain little. JPEGs take a tenth of the "
        "space, and decoding them costs more than all the rest of the input."
    )
    return section("The store", "store", text, rows_of(("", *keys, "mapped"), rows))


def of_jpegs(found: dict[str, Any]) -> str:
    keys, side = list(next(iter(found["ways"].values()))), found["size"]
    cells = {name: ["exact" if values[key] is None else values[key] for key in keys]
             for name, values in found["ways"].items()}  # fmt: skip
    rows = [(name, *values) for name, values in cells.items()]
    text = (
        f"Packed clips as pixels and as JPEGs (`dfer prepare --pack {side} --jpeg 95`): {found['frames']} frames of "
        f"{side} x {side} of real faces. PSNR says how near the decoded pixels are to the packed ones; above 40 dB "
        "hardly any difference is seen. Pixels are read fastest; JPEGs pay where the clips do not fit on the disk or "
        "into memory otherwise, or where a network waits for its own work longer than for its input."
    )
    return section("Packed as JPEGs", "jpeg", text, rows_of(("", *keys), rows))


def of_mixing(found: dict[str, Any]) -> str:
    rows = [(name, found["milliseconds"][name], found["ratio_to_copy"][name]) for name in found["milliseconds"]]
    text = f"MIDAS on a batch of {' x '.join(map(str, found['shape']))}, in any loop (`dfer.Midas`):"
    return section("Mixing", "midas", text, rows_of(("", "ms", "times a copy"), rows))


def of_threads(found: dict[str, Any]) -> str:
    states = list(next(iter(found["clips_per_second"].values())))
    rows = [
        (f"`{name}`", *(f"{values[state]['1']:g} / {values[state]['2']:g}" for state in states))
        for name, values in found["clips_per_second"].items()
    ]
    text = "Clips a second in training with one thread / with two, while other programs keep cores busy:"
    return section("Threads", "threads", text, rows_of(("", *states), rows))


def of_large_sets(prepare: dict[str, Any], doctor: dict[str, Any], scale: dict[str, Any]) -> str:
    rows = [
        (f"`dfer prepare`, {prepare['clips']:,} clips", prepare["seconds"]["dfer prepare"], "",
         f"walking the folders: {prepare['seconds']['os.walk']}"),
        (f"`dfer doctor`, {doctor['clips']:,} clips on disk", doctor["seconds"]["dfer doctor"], "",
         f"asking for the sizes: {doctor['seconds']['size of every file']}"),
        *((f"`dfer {name}`, {scale['compared' if name == 'compare' else 'clips']:,} clips",
           scale[name]["seconds"], scale[name]["megabytes"], "") for name in ("split", "doctor", "compare")),
    ]  # fmt: skip
    table = rows_of(("", "seconds", "MB", "the floor, seconds"), rows)
    return section("Large data sets", "scale", "Tables of a million clips, and folders of 16,000:", table)


def of_decoding(found: dict[str, Any]) -> str:
    films = found["films"]
    ways = list(next(iter(films.values()))["milliseconds_a_frame"])
    rows = [(way, *(f"{film['milliseconds_a_frame'][way]:.3g}" for film in films.values())) for way in ways]
    apart = max(value for film in films.values() for value in film["largest_difference"].values())
    text = (
        "Films in H.264, every frame to an array of RGB, milliseconds of one thread a frame. dfer reads with PyAV and "
        "keeps one converter of colours for a film; making one for each frame, as `to_ndarray` does, takes longer than "
        "converting a small frame. All of them give the same frames (largest difference of a pixel: "
        f"{apart}). There is no second decoder to choose: torchcodec (0.13, where it is installed) takes about "
        "as long, and could not open the FLV in examples/."
    )
    return section("Reading films", "decoding", text, rows_of(("", *films), rows))


def of_prediction(predict: dict[str, Any], start: dict[str, Any]) -> str:
    rows = [
        (name, values["x_real_time"], values["x_processor_time"],
         ", ".join(f"{part} {100 * values[part]:.0f} %" for part in ("decode", "detect, track", "classify")))
        for name, values in predict["runtimes"].items()
    ]  # fmt: skip
    text = (
        "Reading a video of one face, 640 x 360, 30 frames a second. The first result comes after "
        f"{predict['first_result']['wall_s']} s; `import dfer` takes {start['seconds']['import dfer']} s."
    )
    return section(
        "Prediction", "predict", text, rows_of(("", "times real time", "by processor time", "shares of the time"), rows)
    )


def of_growth(found: dict[str, Any]) -> str:
    rows = [
        (f"{each['work']}, by {each['grows']}", " → ".join(f"{size:,}" for size in each["sizes"]),
         " → ".join(f"{second:.2f}" for second in each["seconds"]), f"{each['exponent']:.2f}")
        for each in found["growth"]
    ]  # fmt: skip
    text = (
        "How the time grows with the work, on small tables, small networks and short films. The exponent is the slope"
        " of the logarithms: at 1, ten times the work takes ten times as long; below 1 it takes less. Part of the time "
        "is the same for any amount of work, so slopes of small work are flat."
    )
    picture = f"![Time against work, each beside the straight line of linear growth](images/{DRAWN.name})"
    table = rows_of(("", "sizes", "seconds", "exponent"), rows)
    return section("Growth", "growth", text, f"{picture}\n\n{table}")


def draw_growth(found: dict[str, Any], path: Path = DRAWN) -> None:
    """Time against work, as multiples of the smallest, beside the line of what is linear."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "dfer", "font.size": 9}):
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.add_subplot(xscale="log", yscale="log", xlabel="times the work", ylabel="times the time")
        axes.plot([1, 10], [1, 10], color="#66717D", linestyle="--", label="linear")
        for each, mark in zip(found["growth"], "os^vD<>P*", strict=True):
            work, spent = ([value / values[0] for value in values] for values in (each["sizes"], each["seconds"]))
            axes.plot(work, spent, marker=mark, label=f"{each['work']}, by {each['grows']}: {each['exponent']:.2f}")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks([1, 2, 3, 4, 10], ["1", "2", "3", "4", "10"])
            axis.set_ticks([], minor=True)
        figure.legend(loc="outside right center", frameon=False)
        figure.savefig(path, metadata={"Date": None, "Creator": None})


def read(name: str) -> dict[str, Any]:
    """What a benchmark measured."""
    found: dict[str, Any] = json.loads((ROOT / "benchmarks/results" / f"{name}.json").read_text(encoding="utf-8"))
    return found


def of_many(found: dict[str, Any]) -> str:
    rows = [(f"{number} at a time", each["wall_s"], each["processor_s"]) for number, each in found["at_a_time"].items()]
    text = (
        f"`dfer predict --workers`, {found['films']} films of {found['seconds_each']} s, as above, on two cores, with "
        "the start of the processes; what is written is the same to the last byte. One process keeps most of two cores "
        "busy, and a second one gains nothing. So by default there is a process for every two cores. What more cores "
        "gain was not measured."
    )
    return section(
        "Many films", "predict", text, rows_of(("", "seconds", "seconds of processors"), rows), result="predict_many"
    )


def render() -> str:
    """The page."""
    parts = [
        "# Performance", filled(HEAD), of_input(read("input")), of_training(read("input")), of_ways(read("step")),
        of_store(read("store")), of_jpegs(read("jpeg")), of_mixing(read("midas")), of_threads(read("threads")),
        of_large_sets(read("prepare"), read("doctor"), read("scale")), of_growth(read("growth")),
        of_decoding(read("decoding")), of_prediction(read("predict"), read("start")),
        of_many(read("predict_many")),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    draw_growth(read("growth"))
    print(PAGE)
