"""What numbers say, in careful words: one sentence on what the data support, and what they do not say.

Conventions: a difference is called one when Holm's p value is below 1 - confidence and, where both cells were run with
several seeds, Welch's p value over the seeds is, too. "Ahead" is better in the score's own direction. What is not told
apart is not called equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from dfer.comparison.cells import Change, Comparison, Pair
from dfer.comparison.constant import is_beyond
from dfer.comparison.paired import TESTED, Difference, supported
from dfer.comparison.significance import CONFIDENCE
from dfer.errors import listed
from dfer.metrics.scores import BY_KEY, Score
from dfer.pages import SPACE, UNDEFINED
from dfer.reports.verdict import joined

NO_BETTER = {"kl": "the mean vote in KL", "war": "the most frequent label in WAR"}
IN_FULL = 1
"""Up to so many cells beside the baseline, the sentence gives the numbers; of more, the table does."""


class Answering(Protocol):
    """A run or cell: its name, {score: difference to a constant answer}, and how many emotions it ever gives."""

    @property
    def name(self) -> str: ...
    @property
    def beyond_constant(self) -> Mapping[str, Difference] | None: ...
    @property
    def answers(self) -> int | None: ...


def conclusion(comparison: Comparison) -> str:
    """Which cells are ahead of the baseline or behind, in which tested scores; which are no better than a constant."""
    pairs = comparison.comparisons
    parts = [_of_pair(pair, in_full=len(pairs) <= IN_FULL) for pair in pairs]
    return " ".join([f"On {_clips(comparison)}, {'; '.join(parts)}.", *warnings(comparison.cells)])


def warnings(cells: Sequence[Answering]) -> list[str]:
    """Which runs are no better than an answer that never looks, and which give one emotion to every clip."""
    constants: dict[tuple[str, ...], list[str]] = {}
    for key, what in NO_BETTER.items():
        tests = [(cell.name, (cell.beyond_constant or {}).get(key)) for cell in cells]
        if behind := tuple(name for name, test in tests if test and not is_beyond(key, test)):
            constants.setdefault(behind, []).append(what)
    said = [
        f"{joined(names)} {'is' if len(names) == 1 else 'are'} not shown to be better than a constant answer: "
        f"{joined(answers)}."
        for names, answers in constants.items()
    ]
    if names := [cell.name for cell in cells if cell.answers == 1]:
        said.append(f"{joined(names)} give{'s' * (len(names) == 1)} the same emotion to every clip.")
    return said


def caveats(comparison: Comparison) -> list[str]:
    """What the sentence does not cover."""
    said = [_left_out(comparison), _labels(comparison), _draws(comparison), _seeds(comparison)]
    return [sentence for sentence in said if sentence]


def ahead(score: Score, test: Difference) -> bool:
    """Whether a difference is for the better."""
    return test.difference is not None and (test.difference > 0) == score.higher_is_better


def against_seeds(test: Change) -> bool:
    """Whether the spread over seeds explains a difference, as far as that was measured."""
    return test.welch is not None and test.welch >= 1 - CONFIDENCE


def told(test: Change) -> bool:
    """Whether a difference is more than the choice of clips explains, and than the seeds do where that is known."""
    return supported(test) and not against_seeds(test)


def p_text(p: float | None) -> str:
    """A p value as printed.

    >>> p_text(0.0123), p_text(0.0002), p_text(None)
    ('0.012', '< 0.001', '–')
    """
    if p is None:
        return UNDEFINED
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def between(score: Score, ends: Sequence[float] | None, *, signed: bool = False) -> str:
    """An interval as printed: "62.6 to 78.7", or with signs; "–" where there is none."""
    if ends is None:
        return UNDEFINED
    texts = [score.difference(end, 0.0) if signed else score.text(end) for end in ends]
    return f"{texts[0]} to {texts[1]}"


def _of_pair(pair: Pair, *, in_full: bool) -> str:
    tests = {key: pair.scores[key] for key in TESTED if pair.scores[key].holm is not None}
    sorted_by: dict[str, list[str]] = {"ahead of": [], "behind": [], "seeds": [], "open": []}
    for key, test in tests.items():
        score = BY_KEY[key]
        kind = "open" if not supported(test) else "seeds" if against_seeds(test) else "behind"
        kind = "ahead of" if kind == "behind" and ahead(score, test) else kind
        numbers = _numbers(score, test) if in_full and kind != "open" else ""
        sorted_by[kind].append(score.name + numbers)
    name, against = pair.name, pair.against
    if not tests:
        return f"nothing could be tested between {name} and {against}"
    sides = [f"{word} {against} in {joined(sorted_by[word])}" for word in ("ahead of", "behind") if sorted_by[word]]
    parts = [f"{name} is {' and '.join(sides)}"] if sides else []
    if seeds := sorted_by["seeds"]:
        parts.append(f"another seed may turn what these clips say of {name} in {joined(seeds)}")
    if rest := sorted_by["open"]:
        whom = "them" if parts else f"{name} and {against}"
        parts.append(f"{joined(rest)} {'does' if len(rest) == 1 else 'do'} not tell {whom} apart")
    return ", while ".join([parts[0], joined(parts[1:])] if parts[1:] else parts)


def _numbers(score: Score, test: Change) -> str:
    unit = " points" if score.percent else ""
    seeds = "" if test.welch is None else f", over seeds {_p_is(test.welch)}"
    return (
        f" ({score.difference(test.difference, 0.0)}{unit}, 95{SPACE}% interval "
        f"{between(score, test.interval, signed=True)}, {_p_is(test.holm)}{seeds})"
    )


def _p_is(p: float | None) -> str:
    text = p_text(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def _clips(comparison: Comparison) -> str:
    clips = comparison.clips.all
    return f"{clips:,} test clip{'s' * (clips != 1)}"


def _left_out(comparison: Comparison) -> str:
    """Which runs had clips that others lack."""
    parts = [f"{len(ids):,} of {name} ({listed(ids)})" for name, ids in comparison.left_out.items()]
    if not parts:
        return ""
    return f"Compared on the {comparison.clips.all:,} clips that all runs predicted; left out: {'; '.join(parts)}."


def _labels(comparison: Comparison) -> str:
    clips = comparison.clips
    said = []
    if not clips.labelled:
        said.append("No clip has a single label: there is no accuracy.")
    elif comparison.absent:
        said.append(f"No labelled clip shows {listed(comparison.absent, 12)}; UAR is the mean of the other emotions.")
    if not clips.voted:
        said.append("No clip has votes: distances to them are undefined.")
    return " ".join(said)


def _draws(comparison: Comparison) -> str:
    groups = comparison.clips.groups
    if groups == 1:
        return "All clips show one group (person, film): nothing can be tested."
    if groups:
        return f"Intervals and p values take the {groups:,} groups (persons, films) as the units, not the clips."
    return (
        "Intervals and p values take each clip by itself; where several clips show one person they are too narrow, "
        "unless groups are given."
    )


def _seeds(comparison: Comparison) -> str:
    seeds = [cell.seeds for cell in comparison.cells]
    if max(seeds) == 1:
        return "One run of each: how far another seed would move the scores was not measured."
    said = "Scores are means over each cell's runs; their spread over seeds is not in the intervals"
    if min(seeds) == 1:
        return f"{said}, and unknown where there is one run."
    return f"{said}; a difference is told only where Welch's t test over the seeds bears it out."
