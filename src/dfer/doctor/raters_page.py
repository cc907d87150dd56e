"""The raters' page: how far each can be relied upon, what they confuse, and who answers carelessly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dfer.files import write_text
from dfer.labels.annotators import MODELS, Consensus
from dfer.labels.reliability import CHANCE, FAR, FEWEST, SAME, judged, worst_first
from dfer.pages import render

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 300, 48, 12, 12, 40
"""Of the chart, and its margins."""
TICKS = [digit * 10**power for power in range(7) for digit in (1, 2, 5)]
"""Numbers of answers that are written on the chart, those that lie in it."""
WORST = 6
"""Raters whose confusions are shown."""
ROWS = 200
"""Most raters in the page's table: the worst."""


def write_raters_page(path: Path, agreed: Consensus, *, source: str = "") -> None:
    """Write the page; a broken-off write leaves what was there before.

    Raises:
        DferError: it cannot be written.
    """
    write_text(path, render_raters_page(agreed, source=source))


def render_raters_page(agreed: Consensus, *, source: str = "") -> str:
    """The page as HTML; `source` names the answers."""
    ordered = worst_first(agreed.raters)
    suspects, tried = ordered[ordered["careless"] != ""], int(judged(ordered["compared"]).sum())
    return render(
        "dfer.doctor", "raters.html.jinja",
        kind="raters", title=_title(len(ordered), tried, len(suspects)), source=source, tried=tried,
        raters=_records(ordered.head(ROWS)), count=len(ordered), clips=len(agreed.clips),
        answers=int(ordered["answers"].sum()), suspects=_records(suspects), emotions=list(agreed.emotions),
        model=agreed.model, skill=MODELS[agreed.model], seed=agreed.seed, left_out=agreed.left_out,
        median=_median(ordered["kappa"]), reasons=(SAME, CHANCE, FAR), fewest=FEWEST,
        chart=reliability_chart(ordered),
        confusions=[_confusion(agreed, int(row)) for row in ordered.index[:WORST]],
    )  # fmt: skip


def reliability_chart(raters: pd.DataFrame) -> dict[str, Any]:
    """Where each rater's point lies: answers to the right (on a log scale), kappa upwards from -0.2 to 1."""
    shown = raters[raters["kappa"].notna()]
    counts = shown["compared"] if len(shown) else pd.Series([1, 10])
    least, most = counts.min() / 1.5, counts.max() * 1.5
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def across(count: float) -> float:
        return round(LEFT + wide * float(np.log(count / least) / np.log(most / least)), 1)

    def down(kappa: float) -> float:
        return round(TOP + high * (1 - (max(kappa, -0.2) + 0.2) / 1.2), 1)

    return {
        "width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT, "bottom": HEIGHT - BOTTOM,
        "points": [
            {"x": across(compared), "y": down(kappa), "careless": reason, "said": f"{rater}: {kappa:.2f}"}
            for rater, compared, kappa, reason in shown[["rater", "compared", "kappa", "careless"]].to_numpy()
        ],
        "across": [(across(count), f"{count:,}") for count in TICKS if least <= count <= most],
        "down": [(down(kappa), f"{kappa:g}") for kappa in (0, 0.2, 0.4, 0.6, 0.8, 1)],
        "median": down(_median(shown["kappa"])) if len(shown) else None,
    }  # fmt: skip


def _title(raters: int, tried: int, suspects: int) -> str:
    people = f"{raters:,} rater{'s' * (raters != 1)}"
    if not tried:
        return f"{people}, too few answers to judge {'any of them' if raters != 1 else 'them'}"
    of_whom = "them" if tried == raters else f"the {tried:,} that could be judged"
    return f"{people}, {suspects or 'none'} of {of_whom} careless"


def _median(values: pd.Series[float]) -> float:
    return float(values.median()) if values.notna().any() else 0.0


def _records(raters: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows with numbers as text, a dash for what does not exist."""
    records: list[dict[str, Any]] = raters.to_dict("records")  # type: ignore[assignment]
    for row in records:
        for name in ("agreement", "chance", "kappa", "skill"):
            row[name] = f"{row[name]:.2f}" if row[name] == row[name] else "–"
    return records


def _confusion(agreed: Consensus, rater: int) -> dict[str, Any]:
    """One rater's confusions as shares of each row."""
    table = agreed.confusions[rater]
    total = table.sum(axis=1, keepdims=True)
    shares = np.divide(table, total, out=np.zeros_like(table), where=total > 0)
    row = agreed.raters.loc[rater]
    return {"rater": row["rater"], "careless": row["careless"], "counts": table.tolist(), "shares": shares.tolist()}
