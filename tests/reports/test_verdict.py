"""The words of the report: leads as printed, careful about chance, seeds and runs that do not compare."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from dfer.comparison.paired import Rival, Standing
from dfer.comparison.remedies import Posthoc, Unfitted
from dfer.comparison.subgroups import Gap, Subgroups
from dfer.reports import verdict
from dfer.reports.contents import Cell
from dfer.reports.verdict import BY_KEY
from tests.metrics.toy import toy_cell, toy_predictions

BARE = toy_cell("", toy_predictions(1))


def made_up(name: str, right: int, *, clips: int = 100, seed: int = 0, **more: Any) -> Cell:
    """A cell of two emotions with `right` clips right, and other scores and fields as given."""
    scores = {"war": right / clips if clips else None, "uar": None, "kl": None, "ece": None}
    scores |= {key: more.pop(key) for key in list(more) if key in scores}
    training = more.pop("training", replace(BARE.training, seed=seed))
    return replace(
        BARE, **({"n_votes": clips} | more), name=name, n=clips, values=scores, training=training,
        confusion=[[right, clips - right], [0, 0]],
    )  # fmt: skip


def standing(first: str, others: dict[str, float | None], *, apart: float = -0.03) -> Standing:
    """As `standings` gives it for a score: the first, and the corrected p value of each other, ever further behind."""
    tests = [
        Rival(k * apart, (1.5 * k * apart, 0.5 * k * apart), p, p, name)
        for k, (name, p) in enumerate(others.items(), 1)
    ]
    return Standing(first, tests)


def test_a_run_leads_where_a_test_tells_it_from_every_other() -> None:
    cells = [made_up("a", 70, kl=0.3), made_up("b", 73, kl=0.4), made_up("c", 60, kl=0.5)]
    known = {"war": standing("b", {"a": 0.01, "c": 0.001}), "kl": standing("a", {"b": 0.2, "c": 0.07})}
    (lead,) = verdict.leads(cells, known)
    assert (lead.names, lead.verb) == (["b"], "has")
    (said,) = lead.what
    assert said.replace("\N{NARROW NO-BREAK SPACE}", " ") == (
        "the highest WAR (73.0 %; the next is 3.0 points lower, 95 % interval 1.5 to 4.5)"
    )
    assert verdict.untold(cells, known) == "KL does not tell the runs apart."
    assert verdict.leading(known, BY_KEY["war"]) == ["b"] and verdict.leading(known, BY_KEY["kl"]) == []


def test_a_lead_in_a_distance_is_a_lower_number_with_its_interval_where_there_is_one() -> None:
    cells = [made_up("a", 70, kl=0.3), made_up("b", 73, kl=0.4)]
    known = {"kl": standing("a", {"b": 0.001}, apart=0.1)}
    (said,) = verdict.leads(cells, known)[0].what
    assert said.replace("\N{NARROW NO-BREAK SPACE}", " ") == (
        "the lowest KL to the votes (0.300; the next is 0.100 higher, 95 % interval 0.050 to 0.150)"
    )
    known["kl"].tests[0] = replace(known["kl"].tests[0], interval=None)
    assert verdict.leads(cells, known)[0].what == ["the lowest KL to the votes (0.300; the next is 0.100 higher)"]


def test_runs_that_no_test_tells_apart_share_the_lead() -> None:
    cells = [made_up("a", 70), made_up("b", 73), made_up("c", 60)]
    (lead,) = verdict.leads(cells, {"war": standing("b", {"a": 0.05, "c": 0.001})})
    assert (lead.names, lead.verb) == (["a", "b"], "are ahead of the others, and not told apart, in")
    assert lead.what == ["WAR (70.0\N{NARROW NO-BREAK SPACE}%, 73.0\N{NARROW NO-BREAK SPACE}%)"]
    known = {"war": standing("b", {"a": 0.05, "c": 0.001})}
    assert verdict.leading(known, BY_KEY["war"]) == ["b", "a"] and verdict.leading(known, BY_KEY["js"]) == []


def test_nobody_leads_where_nothing_is_told_apart_or_was_tested() -> None:
    cells = [made_up("a", 70), made_up("b", 71)]
    known = {key: standing("b", {"a": 0.5}) for key in ("war", "uar", "kl", "ece")}
    assert verdict.leads(cells, known) == []
    assert verdict.untold(cells, known) == "WAR, UAR, KL and ECE do not tell the runs apart."
    assert verdict.leads(cells, None) == [] and "Nothing was tested" in verdict.untold(cells, None)
    assert verdict.untold(cells[:1], None) == ""


def test_chance_gives_the_interval_of_the_highest_accuracy() -> None:
    said = verdict.caveats([made_up("a", 80), made_up("b", 75), made_up("c", 20)])[0]
    assert "interval of 71.1 to 86.7" in said  # Wilson's for 80 of 100
    over = made_up("a", 80, intervals={"war": (0.5, 0.95)})
    assert verdict.caveats([over], 4)[0].startswith("With 100 clips of 4 groups (persons, films), a WAR of 80.0")
    assert "interval of 50.0 to 95.0" in verdict.caveats([over], 4)[0]


def test_seeds_are_named() -> None:
    assert "One seed (0) for each" in " ".join(verdict.caveats([made_up("a", 80), made_up("b", 75)]))
    assert "Seeds 0, 1" in " ".join(verdict.caveats([made_up("a", 80), made_up("b", 75, seed=1)]))
    unknown = [made_up("a", 80, training=None), made_up("b", 75, training=None)]
    assert "not measured" in " ".join(verdict.caveats(unknown))


def test_other_clips_are_said_and_not_counted_against_each_other() -> None:
    cells = [made_up("a", 80), made_up("b", 70, clips=90)]
    assert "not scored on the same clips" in " ".join(verdict.caveats(cells))
    assert verdict.leads(cells, None) == []
    assert verdict.title(cells) == "Two runs, judged on 90–100 test clips"


@pytest.mark.parametrize(("right", "clips"), [(0, 5), (5, 5), (8, 10), (713, 1000)])
def test_interval_is_wilsons(right: int, clips: int) -> None:
    z, share = 1.959963984540054, right / clips
    middle = (share + z**2 / (2 * clips)) / (1 + z**2 / clips)
    half = z / (1 + z**2 / clips) * math.sqrt(share * (1 - share) / clips + z**2 / (4 * clips**2))
    assert verdict.interval(right, clips) == pytest.approx((middle - half, middle + half), abs=1e-9)


def test_without_clips_there_is_no_interval() -> None:
    assert verdict.interval(0, 0) is None
    assert verdict.war_interval(made_up("a", 0, clips=0)) == "–"


def test_four_cells_in_any_order_make_the_same_grid() -> None:
    cells = [
        made_up(f"{labels} {mix}", 50, labels=labels, mix=mix)
        for labels in ("soft", "hard")
        for mix in ("midas", "none")
    ]
    grid = verdict.grid(cells)
    assert grid is not None
    assert (grid.rows, grid.columns) == (["hard labels", "soft labels"], ["plain", "MIDAS"])
    names = [[cell.name for cell in row] for row in grid.cells]
    assert names == [["hard none", "hard midas"], ["soft none", "soft midas"]]
    assert verdict.grid(cells[:3]) is None
    assert verdict.grid([*cells[:3], made_up("again", 50, labels="soft", mix="none")]) is None


def test_numbers_are_printed_with_their_sign_and_without_minus_nought() -> None:
    correlation = BY_KEY["entropy_correlation"]
    assert [correlation.text(value) for value in (-0.25, -0.0001, None)] == ["−0.250", "0.000", "–"]
    assert BY_KEY["war"].difference(0.70, 0.725) == "−2.5"
    assert BY_KEY["kl"].difference(0.5, 0.4) == "+0.100"
    assert BY_KEY["kl"].difference(0.5, 0.50004) == "0.000"
    assert BY_KEY["kl"].difference(None, 0.4) == "–"


def test_right_clips_are_those_of_war() -> None:
    cell = toy_cell("a", toy_predictions(1))
    assert verdict.right(cell) / cell.n == pytest.approx(cell["war"])


def with_gap(name: str, difference: float, p: float | None) -> Cell:
    """A cell with one attribute, in which two groups could be compared unless `p` is None."""
    gap = Gap(difference, (0, 1), p, p, high="young", low="old")
    return made_up(name, 70, subgroups=[Subgroups("frames", [], gap if p else None)])


def test_gaps_are_called_so_only_where_the_test_says_so() -> None:
    said = verdict.of_gaps([with_gap("a", 0.123, 0.01), with_gap("b", 0.2, 0.06)])
    assert said == (
        "WAR differs by more than the choice of clips explains: a by clip length, frames "
        "(“young” 12.3 points above “old”)."
    )
    assert "No gap in WAR is larger" in verdict.of_gaps([with_gap("a", 0.123, 0.05)])
    assert "how large one may still be" in verdict.of_gaps([with_gap("a", 0.123, 0.05)])
    assert "large enough" in verdict.of_gaps([with_gap("a", 0.1, None)])
    assert "large enough" in verdict.of_gaps([made_up("a", 70)])  # nobody looked


def test_why_nothing_was_fitted_is_said_once_or_by_run() -> None:
    why = Unfitted("no clip was held out")
    cells = [made_up("a", 70, posthoc=why), made_up("b", 70, posthoc=why)]
    assert verdict.unmended(cells) == ["Nothing was fitted after training: no clip was held out."]
    cells[1] = replace(cells[1], posthoc=Posthoc(100, [], None, [], [], balanced=True))
    first, second = verdict.unmended(cells)
    assert first == "a: nothing was fitted after training: no clip was held out."
    assert second.startswith("b: no logit adjustment")
    assert verdict.unmended([made_up("a", 70), made_up("b", 70, posthoc=Posthoc(100, [], None, [], []))]) == []


def test_what_was_refused_is_said_once() -> None:
    refused = Posthoc(5, [], None, [], ["expected 100 validation clips or more, got 5"])
    cells = [made_up("a", 70, posthoc=refused), made_up("b", 70, posthoc=refused)]
    assert verdict.unmended(cells) == ["Not fitted: expected 100 validation clips or more, got 5."]


def test_the_setting_of_a_remedy_is_a_number_or_a_range_over_folds() -> None:
    assert verdict.setting("temperature", [1.4, 1.212, 1.3]) == "T = 1.21–1.40"
    assert verdict.setting("temperature_labels", [0.7]) == "T = 0.70"
    assert verdict.setting("vector", []) == ""
