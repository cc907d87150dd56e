"""Checks of what people said: votes beside labels, panels, other votes, distributions that are no votes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from dfer.doctor.counts import taken_for
from dfer.doctor.findings import Case, Finding, count, named
from dfer.labels import hard_labels
from dfer.labels.blocks import chosen
from dfer.labels.votes import looks_like_shares

Counts = NDArray[np.int64]

ENOUGH = 20
"""Clips below which a cross table of votes and labels is too thin to judge an order by."""
CHANCE = 0.2
"""Cohen's kappa of labels and votes below which they have hardly to do with each other."""
PANEL = 3
"""Votes below which a panel says little about how far people agree."""


def votes_and_labels(case: Case) -> Finding:
    """Whether the label is the most voted emotion, and if not, how it goes wrong."""
    labels, votes = case.manifest.labels, case.manifest.votes
    both = (labels >= 0) & ~np.isnan(votes).any(axis=1)
    if not both.any():
        return Finding("unchecked", "no clip has both a label and votes")
    own = np.take_along_axis(votes, np.maximum(labels, 0)[:, None], axis=1)[:, 0]
    wrong = both & (own < np.nan_to_num(votes).max(axis=1))
    if not wrong.any():
        told = f"the label is the most voted emotion of all {count(int(both.sum()), 'clip')} that have both"
        return Finding("ok", told)
    top = hard_labels(votes[both], "drop")
    table = cross_table(labels[both], top, len(case.manifest.emotions))
    taken = taken_for(case.manifest.emotions, swapped(table))
    share = f"the label is not the most voted emotion of {wrong.sum():,} of {both.sum():,} clips"
    if taken:
        told = f"{share}; by the votes, {taken}"
        return Finding("fault", told, "read labels or votes in the order of their names", case.ids(wrong))
    if table.sum() >= ENOUGH and kappa(table) < CHANCE:
        told = f"{share}, about as by chance"
        advice = "the votes seem to be of other clips: join them by the clip's name, never by the row"
        return Finding("fault", told, advice, case.ids(wrong))
    told = f"the label is not the most voted emotion of {named(case.ids(wrong))} of {both.sum():,}"
    advice = "if the label was acted or given by one person, train on the votes; else correct these"
    return Finding("note", told, advice, case.ids(wrong))


def panels(case: Case) -> Finding:
    """How many people answered for each clip."""
    votes = case.manifest.votes
    given = ~np.isnan(votes).any(axis=1)
    if not given.any():
        return Finding("unchecked", "there are no votes; only the rule `hard` can be trained on")
    panel = chosen(votes, given).sum(axis=1)
    told = f"{panel.sum():,.0f} votes, {panel.min():.0f} to {panel.max():.0f} a clip, mean {panel.mean():.2f}"
    other = case.manifest.table.filter(regex="^other_").to_numpy(na_value=0, dtype=np.float64)
    shares = looks_like_shares(chosen(votes, given), other[given] if other.shape[1] else None)
    if shares:
        advice = (
            "if these are shares of voters, all that counts votes is too sure of them: prepare the table with -O "
            "voters=10 (10 voters a clip) or -O values=shares"
        )
        return Finding("note", f"{told}; {shares}", advice, case.ids(given))
    few = case.ids(given & (np.nan_to_num(votes).sum(axis=1) < PANEL))
    if few:
        told += f"; fewer than {PANEL}: {named(few)}"
        return Finding("note", told, "so few votes say little about agreement; smooth them (rule dirichlet)", few)
    if not given.all():
        told += f"; none for {named(case.ids(~given))}"
        return Finding("note", told, "clips without votes are trained on by their label only", case.ids(~given))
    return Finding("ok", told)


def other_votes(case: Case) -> Finding:
    """Votes that name no emotion, such as FER+'s unknown and not a face."""
    other = case.manifest.table.filter(regex="^other_")
    if other.shape[1] == 0:
        return Finding("unchecked", "no column other_...: every vote names an emotion")
    names = ", ".join(str(name).removeprefix("other_") for name in other)
    votes = np.nan_to_num(case.manifest.votes)
    top = case.ids(other.fillna(0).to_numpy().max(axis=1) > votes.max(axis=1))
    told = f"{other.to_numpy(na_value=0).sum():,.0f} votes name no emotion ({names})"
    if not top:
        return Finding("ok", f"{told}, the most of no clip")
    told += f"; they are the most of {named(top)}"
    return Finding("note", told, "the rule `ferplus` discards these clips, the other rules keep them", top)


def soft_labels(case: Case) -> Finding:
    """Distributions that are no counts of votes: they must not pass for votes."""
    given = np.asarray(~np.isnan(case.manifest.soft).any(axis=1))
    if not given.any():
        return Finding("unchecked", "no column soft_...: soft labels are made from votes")
    origins = case.manifest.table["soft_from"][given].value_counts()
    told = f"{count(int(given.sum()), 'clip')} with a distribution that is no count of votes: " + ", ".join(
        f"{origin} ({number:,})" for origin, number in origins.items()
    )
    advice = "call results on them by that name"
    if case.manifest.estimated.any():
        advice += "; models made the estimates: a distance to them is none to people"
    return Finding("note", told, advice)


def cross_table(labels: Counts, tops: Counts, classes: int) -> Counts:
    """(K, K) clips by label (row) and most voted emotion (column); those with a tie (-1) are left out."""
    clear = tops >= 0
    pairs = np.bincount(labels[clear] * classes + tops[clear], minlength=classes * classes)
    return pairs.reshape(classes, classes)


def swapped(table: Counts) -> dict[int, int]:
    """Label -> the emotion that it really is by the votes, of labels that trade places; nothing where none does.

    The assignment of labels to emotions that explains most clips is looked for. A cycle of it counts when it explains
    more than half of its labels' clips, and twice as many as the names as they are: doubt between two emotions does
    neither.
    """
    rows, columns = linear_sum_assignment(table, maximize=True)
    place = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    found = {}
    for start in place:
        cycle = [start]
        while place[cycle[-1]] != start:
            cycle.append(place[cycle[-1]])
        moved = sum(table[label, place[label]] for label in cycle)
        stayed = sum(table[label, label] for label in cycle)
        if len(cycle) > 1 and 2 * moved > table[cycle].sum() and moved > 2 * stayed:
            found[start] = place[start]
    return found


def kappa(table: Counts) -> float:
    """Cohen's kappa of a cross table; 1 where chance leaves nothing to explain."""
    shares = table / table.sum()
    chance = float(shares.sum(axis=0) @ shares.sum(axis=1))
    return float((np.trace(shares) - chance) / (1 - chance)) if chance < 1 else 1.0
