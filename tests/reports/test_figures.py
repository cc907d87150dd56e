"""Where the marks of the charts lie: scales, ticks, broken lines, and one mark a run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfer.labels import DFEW
from dfer.metrics.calibration import Bin
from dfer.reports import figures
from dfer.reports.contents import Curve
from tests.metrics.toy import FOUR, toy_cell, toy_predictions


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_ticks_enclose_what_is_drawn_and_are_few(low: float, size: float) -> None:
    ticks = figures.ticks(low, low + size)
    reach = 1e-6 * max(abs(low), size, 1)
    assert ticks[0] <= low + reach and ticks[-1] >= low + size - reach
    assert ticks == sorted(set(ticks))
    assert 2 <= len(ticks) <= 8


def test_calibrated_bins_lie_on_the_diagonal_and_the_fullest_bar_is_the_highest() -> None:
    bins = [Bin(k / 4, (k + 1) / 4, confidence=k / 4 + 0.1, accuracy=k / 4 + 0.1, count=k) for k in range(4)]
    diagram = figures.reliability_diagram(bins)
    assert len(diagram["points"]) == 3  # the first bin has no clip
    assert all(point["y"] == point["diagonal"] for point in diagram["points"])
    assert [bar["height"] for bar in diagram["bars"]] == pytest.approx(
        [figures.BARS * k / 3 for k in (1, 2, 3)], abs=0.1
    )


def test_recall_rows_are_in_percent_with_their_interval() -> None:
    cell = toy_cell("a", toy_predictions(1))
    rows = figures.recall_rows([cell], list(DFEW))
    assert [row["name"] for row in rows] == list(DFEW)
    for row in rows:
        for dot in row["dots"]:
            assert dot["x"] == pytest.approx(100 * cell.recall[row["name"]], abs=0.05)
            assert 0 <= dot["low"] <= dot["x"] <= dot["high"] <= 100


def test_an_emotion_without_a_clip_has_no_dot() -> None:
    part = toy_predictions(1)
    rows = figures.recall_rows([toy_cell("a", part.select(part.labels != 2))], list(DFEW))
    assert rows[2]["dots"] == [] and rows[2]["clips"] == "0"


def test_lines_break_where_a_number_is_missing() -> None:
    losses = (1.0, None, 0.8, 0.6)
    epochs = [{"epoch": epoch, "train_loss": loss} for epoch, loss in enumerate(losses, 1)]
    cell = toy_cell("a", toy_predictions(1), curves=[Curve(1, epochs)])
    (panel,) = figures.curve_panels([cell])  # no val_* and no lr: one chart
    assert panel.title == "training loss"
    (line,) = panel.lines
    assert len(line.pieces) == 1 and len(line.pieces[0].split()) == 2
    assert len(line.points) == 1  # epoch 1 stands alone


def test_curves_have_a_line_a_fold_and_none_without_a_log() -> None:
    cell = toy_cell("a", toy_predictions(1, folds=5))
    assert all(len(panel.lines) == 5 for panel in figures.curve_panels([cell]))
    assert figures.curve_panels([toy_cell("a", toy_predictions(1), curves=[])]) == []


def test_every_run_has_its_own_mark() -> None:
    for count in range(1, 13):
        chosen = figures.marks([toy_cell(str(n), toy_predictions(n, clips=20), mix=str(n)) for n in range(count)])
        assert len(set(chosen)) == count


def test_marks_of_the_two_by_two_show_labels_by_colour_and_mixing_by_filling() -> None:
    cells = [toy_cell(name, toy_predictions(1), labels=labels, mix=mix) for name, (labels, mix) in FOUR.items()]
    assert [(mark.colour, mark.filled) for mark in figures.marks(cells)] == [
        (0, False),
        (0, True),
        (1, False),
        (1, True),
    ]
