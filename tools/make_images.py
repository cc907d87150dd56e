"""Draws the pictures of the README: `python tools/make_images.py`.

All but one are made anew, in less than a minute, from the embedded data set's default seed, and nothing is read from
disk; the timeline is what the model that ships says of a clip in examples/.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from numpy.typing import NDArray

from dfer import Predictor, midas, soft_labels
from dfer.datasets.synthetic.scripts import Role, cast
from dfer.datasets.synthetic.write import NEEDED_VOTES, frames_of, prepare_clip
from dfer.labels import DFEW

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
CLIP = ROOT / "examples" / "crema_d" / "1001_DFA_HAP_XX.flv"
SEED, CLIPS = 0, 600
WIDTH = 1600
DOTS = 200
"""Pixels an inch: type of 9 points is 25 pixels high."""

COLOURS = {
    "happy": "#EDB120", "sad": "#4A7EBB", "neutral": "#9AA3AD", "angry": "#CF4A4A", "surprise": "#EC8340",
    "disgust": "#5E9E52", "fear": "#8262AE",
}  # fmt: skip
INK, SOFT, LINE, TRACK = "#1F2933", "#66717D", "#DFE3E8", "#F0F2F5"

SHOWN = {276: "plain", 213: "plain", 118: "weak", 359: "two at once", 597: "one, then\nanother",
         161: "blurred and\ncovered"}  # fmt: skip
"""Number of a clip in the embedded data set -> what it is like."""
PAIR, LAM = (236, 261), 0.6
"""The clips i and j of the method's figure, and λ."""

PITCH = 74
"""Pixels from one column of a soft label to the next."""

Picture = NDArray[np.uint8]


class Page:
    """A white card with a thin edge, drawn on in pixels from its top left corner; transparent outside of it."""

    def __init__(self, height: int) -> None:
        self.height = height
        self.figure = Figure(figsize=(WIDTH / DOTS, height / DOTS), dpi=DOTS)
        FigureCanvasAgg(self.figure)
        self.figure.patch.set_alpha(0)
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0))
        self.axes.set_axis_off()
        edge = {"boxstyle": "round,pad=0,rounding_size=22", "facecolor": "white", "edgecolor": LINE, "linewidth": 1}
        self.axes.add_patch(FancyBboxPatch((3, 3), WIDTH - 6, height - 6, mutation_aspect=1, **edge))

    def write(self, x: float, y: float, text: str, size: float = 9, colour: str = INK, **how: object) -> None:
        """Text whose small letters are centred at `y`; of several lines, the block."""
        lines = text.count("\n") + 1
        foot = y + (0.27 + 0.7 * (lines - 1)) * size * DOTS / 72
        style = {"ha": "left", "va": "baseline", "family": "DejaVu Sans"} | how
        for place, line in enumerate(text.split("\n")):
            rise = 1.4 * (lines - 1 - place) * size * DOTS / 72
            self.axes.text(x, foot - rise, line, size=size, color=colour, **style)

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """A filled rectangle."""
        self.axes.add_patch(Rectangle((x, y), width, height, facecolor=colour, edgecolor="none"))

    def rule(self, y: float) -> None:
        """A thin line across the card."""
        self.box(40, y, WIDTH - 80, 2, LINE)

    def strip(self, x: int, y: int, frames: list[Picture], gap: int = 6) -> None:
        """Frames side by side, pixel for pixel, without the last two bits: nobody sees them, and they fill the file."""
        for place, frame in enumerate(frames):
            left = x + place * (frame.shape[1] + gap)
            self.figure.figimage(frame & 0xFC, left, self.height - y - frame.shape[0], origin="upper", zorder=3)

    def save(self, name: str) -> None:
        """Write the card as a PNG, with no date in it."""
        self.figure.savefig(
            IMAGES / name, dpi=DOTS, transparent=False, metadata={"Software": None}, pil_kwargs={"optimize": True}
        )


def clip(role: Role, frames: int, size: int) -> tuple[list[Picture], NDArray[np.int64]]:
    """Some frames of a clip of the data set, spread over its length, and its votes (K,)."""
    prepared = prepare_clip(role, SEED)
    drawn = list(frames_of(prepared, role, seed=SEED, size=size))
    return [drawn[i] for i in np.linspace(0, len(drawn) - 1, frames).round().astype(int)], prepared.votes


def draw_votes(roles: dict[int, Role]) -> None:
    """Six filmstrips, what ten raters said of each, and what a single label keeps of it."""
    side, row, top = 128, 154, 92
    page = Page(top + row * len(SHOWN) + 14)
    for x, heading in ((40, "expression"), (210, "clip"), (1048, "votes of ten raters"), (1420, "single label")):
        page.write(x, 50, heading, 9, SOFT)
    for place, (number, what) in enumerate(SHOWN.items()):
        y = top + place * row
        frames, votes = clip(roles[number], 6, side)
        page.rule(y - 14)
        page.write(40, y + side / 2, what, 9)
        page.strip(210, y, frames)
        draw_counts(page, 1048, y, side, votes)
        kept = DFEW[int(votes.argmax())] if votes.max() >= NEEDED_VOTES else ""
        page.write(1420, y + side / 2, kept or "none", 9, INK if kept else SOFT, weight="bold" if kept else "normal")
    page.save("votes.png")


def draw_counts(page: Page, x: int, y: int, height: int, votes: NDArray[np.int64]) -> None:
    """A bar for each emotion that was named, the most named first."""
    named = [int(k) for k in np.argsort(-votes, kind="stable") if votes[k]]
    pitch = min(36.0, height / len(named))
    start = y + (height - pitch * len(named)) / 2
    for place, k in enumerate(named):
        middle, thick = start + pitch * (place + 0.5), 0.62 * pitch
        page.write(x + 112, middle, DFEW[k], min(9.0, 0.28 * pitch), ha="right")
        page.box(x + 126, middle - thick / 2, 180, thick, TRACK)
        page.box(x + 126, middle - thick / 2, 18 * float(votes[k]), thick, COLOURS[DFEW[k]])
        page.write(x + 316, middle, str(votes[k]), min(9.0, 0.28 * pitch), SOFT)


def draw_midas(roles: dict[int, Role]) -> None:
    """Clip i and clip j with their soft labels, and what MIDAS makes of them."""
    side, count, left, top, row = 150, 5, 216, 118, 208
    strips, votes = zip(*(clip(roles[number], count, side) for number in PAIR), strict=True)
    clips = torch.from_numpy(np.array(strips)).permute(0, 4, 1, 2, 3)  # (2, C, T, H, W) uint8
    targets = torch.from_numpy(soft_labels(np.array(votes)))
    mixed = midas(clips, targets, torch.tensor([LAM, 1.0]), torch.tensor([1, 0]))
    rows = [*clips, mixed.clips[0]], [*targets, mixed.targets[0]]
    words = (("clip i", f"λ = {LAM:.1f}"), ("clip j", f"1 − λ = {1 - LAM:.1f}"), ("mixed", "by MIDAS"))

    page = Page(top + 3 * row + 86)
    for t in range(count):
        page.write(left + t * (side + 6) + side / 2, 84, f"t = {t + 1}", 8, SOFT, ha="center")
    page.write(1050, 84, "soft label", 8, SOFT)
    for place, ((name, share), frames, target) in enumerate(zip(words, *rows, strict=True)):
        y = top + place * row + (24 if place == 2 else 0)
        page.write(44, y + side / 2 - 18, name, 11, weight="bold")
        page.write(44, y + side / 2 + 20, share, 9, SOFT)
        page.strip(left, y, list(frames.permute(1, 2, 3, 0).numpy()))
        draw_soft_label(page, 1050, y, side, target.numpy())
    page.rule(top + 2 * row - 6)
    formula = r"$\tilde{x}(t) = \lambda\, x_i(t) + (1-\lambda)\, x_j(t)$"
    page.write(left, page.height - 44, formula + "   for every frame t", 9.5, math_fontfamily="dejavusans")
    page.write(1050, page.height - 44, r"$\tilde{y} = \lambda\, y_i + (1-\lambda)\, y_j$", 9.5,
               math_fontfamily="dejavusans")  # fmt: skip
    page.write(44, 40, "MIDAS: two clips and their soft labels, mixed with one λ", 11, weight="bold")
    page.save("midas.png")


def draw_soft_label(page: Page, x: int, y: int, height: int, target: NDArray[np.float64]) -> None:
    """A column for each emotion, from 0 to 0.6 and a little, with its share above it."""
    foot, scale = y + height - 4, (height - 34) / 0.62
    page.box(x, foot, 7 * PITCH - 14, 2, LINE)
    for k, (emotion, share) in enumerate(zip(DFEW, target, strict=True)):
        middle = x + PITCH * k + 29
        page.write(middle, foot + 20, emotion, 6.3, INK if share else SOFT, ha="center")
        if share:
            page.box(middle - 20, foot - scale * share, 40, scale * float(share), COLOURS[emotion])
            page.write(middle, foot - scale * share - 15, f"{share:.2f}".lstrip("0"), 7.5, ha="center")


def main() -> None:
    """All pictures."""
    Predictor.from_pretrained(runtime="torch")(CLIP).save(IMAGES / "predict.png")
    roles = {role.number: role for role in cast(CLIPS, SEED)}
    draw_votes(roles)
    draw_midas(roles)


if __name__ == "__main__":
    main()
