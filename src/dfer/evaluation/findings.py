"""What a comparison says, in careful words: one sentence on what the data support, and what they do not say.

Conventions: a difference is called one when Holm's p value is below 1 - confidence. "Ahead" is better in the score's
own direction. What is not told apart is not called equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dfer.errors import listed
from dfer.evaluation.comparison import TESTED
from dfer.evaluation.scores import BY_KEY, Score
from dfer.evaluation.significance import CONFIDENCE
from dfer.pages import SPACE, UNDEFINED

Comparison = Mapping[str, Any]

IN_FULL = 1
"""Up to so many cells beside the baseline, the sentence gives the numbers; of more, the table does."""


def conclusion(comparison: Comparison) -> str:
    """One sentence: which cells are ahead of the baseline or behind, in which tested scores."""
    pairs = comparison["comparisons"]
    parts = [_of_pair(pair, in_full=len(pairs) <= IN_FULL) for pair in pairs]
    return f"On {_clips(comparison)}, {'; '.join(parts)}."


def caveats(comparison: Comparison) -> list[str]:
    """What the sentence does not cover."""
    said = [_left_out(comparison), _labels(comparison), _constant(comparison), _draws(comparison), _seeds(comparison)]
    return [sentence for sentence in said if sentence]


def supported(test: Mapping[str, Any]) -> bool:
    """Whether a tested difference is more than the drawing of clips explains."""
    return test["holm"] is not None and test["holm"] < 1 - CONFIDENCE - 1e-12


def ahead(score: Score, test: Mapping[str, Any]) -> bool:
    """Whether a difference is for the better."""
    return bool((test["difference"] > 0) == score.higher_is_better)


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


def _of_pair(pair: Mapping[str, Any], *, in_full: bool) -> str:
    tests = {key: pair["scores"][key] for key in TESTED if pair["scores"][key]["holm"] is not None}
    better: list[str] = []
    worse: list[str] = []
    rest: list[str] = []
    for key, test in tests.items():
        score = BY_KEY[key]
        if not supported(test):
            rest.append(score.name)
            continue
        (better if ahead(score, test) else worse).append(score.name + (_numbers(score, test) if in_full else ""))
    name, against = pair["name"], pair["against"]
    if not tests:
        return f"nothing could be tested between {name} and {against}"
    if not better and not worse:
        return f"{_joined(rest)} {'does' if len(rest) == 1 else 'do'} not tell {name} and {against} apart"
    sides = (("ahead of", better), ("behind", worse))
    told = [f"{word} {against} in {_joined(names)}" for word, names in sides if names]
    open_ = f", while {_joined(rest)} {'does' if len(rest) == 1 else 'do'} not tell them apart" if rest else ""
    return f"{name} is {' and '.join(told)}{open_}"


def _numbers(score: Score, test: Mapping[str, Any]) -> str:
    unit = " points" if score.percent else ""
    p = p_text(test["holm"])
    return (
        f" ({score.difference(test['difference'], 0.0)}{unit}, 95{SPACE}% interval "
        f"{between(score, test['interval'], signed=True)}, p {p if p.startswith('<') else f'= {p}'})"
    )


def _clips(comparison: Comparison) -> str:
    clips = comparison["clips"]["all"]
    return f"{clips:,} test clip{'s' * (clips != 1)}"


def _left_out(comparison: Comparison) -> str:
    """Which runs had clips that others lack."""
    parts = [f"{len(ids):,} of {name} ({listed(ids)})" for name, ids in comparison["left_out"].items()]
    if not parts:
        return ""
    return (
        f"Compared on the {comparison['clips']['all']:,} clips that all runs predicted; left out: {'; '.join(parts)}."
    )


def _labels(comparison: Comparison) -> str:
    clips = comparison["clips"]
    said = []
    if not clips["labelled"]:
        said.append("No clip has a single label: there is no accuracy.")
    elif comparison["absent"]:
        said.append(
            f"No labelled clip shows {listed(comparison['absent'], 12)}; UAR is the mean of the other emotions."
        )
    if not clips["voted"]:
        said.append("No clip has votes: distances to them are undefined.")
    return " ".join(said)


def _constant(comparison: Comparison) -> str:
    """A run that gives one answer to everything has a WAR, too."""
    names = [cell["name"] for cell in comparison["cells"] if cell["answers"] == 1]
    if not names:
        return ""
    return f"{_joined(names)} give{'s' * (len(names) == 1)} the same emotion to every clip."


def _draws(comparison: Comparison) -> str:
    groups = comparison["clips"]["groups"]
    if groups:
        return f"Intervals and p values come from drawing the {groups:,} groups (persons, films) anew, not clips."
    return (
        "Intervals and p values come from drawing clips one by one; where several clips show one person they are too "
        "narrow, unless groups are given."
    )


def _seeds(comparison: Comparison) -> str:
    seeds = [cell["seeds"] for cell in comparison["cells"]]
    if max(seeds) == 1:
        return "One run of each: how far another seed would move the scores was not measured."
    said = "Scores are means over each cell's runs; their spread over seeds is not in the intervals"
    if min(seeds) == 1:
        return f"{said}, and unknown where there is one run."
    tests = [
        (f"{pair['name']} in {BY_KEY[key].name} ({p_text(test['welch'])})", test["welch"])
        for pair in comparison["comparisons"]
        for key in TESTED
        if supported(test := pair["scores"][key]) and test["welch"] is not None
    ]
    weak = [text for text, p in tests if p >= 1 - CONFIDENCE]
    if weak:
        return f"{said}: Welch's t test over the seeds (p in brackets) leaves open {'; '.join(weak)}."
    return f"{said}; Welch's t test over the seeds bears out every difference that is told." if tests else f"{said}."


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
