"""What whoever runs a study wants to know: how far it is, how far raters agree, who is careless, which clips divide."""

from __future__ import annotations

from typing import Any

import numpy as np

from dfer.labels import entropy, fleiss_kappa, krippendorff_alpha
from dfer.labels.allocation import ByNeed
from dfer.labels.answers import Answers
from dfer.labels.dirichlet import Floats
from dfer.labels.reliability import agreement_with_others, careless, judged
from dfer.studio.session import Session
from dfer.studio.store import REPEATED

DISAGREED = 24
"""Clips that are shown as those that people disagree about most."""


def overview(session: Session) -> dict[str, Any]:
    """The progress of a study as plain values."""
    board, store = session.board, session.store
    votes, wanted = board.votes, board.wanted > 0
    people = [
        {"number": rater.number, "name": rater.name, "votes": len(store.voted(rater.number))} | told
        for rater, told in ((rater, _consistency(session, rater.number)) for rater in store.raters)
    ]
    told = _careless(session)
    for person in people:
        person |= told.get(str(person["name"]), {"kappa": None, "careless": ""})
    needs = isinstance(session.study.plan, ByNeed)
    return {
        "clips": len(session.asked),
        "clips_done": int((~wanted).sum()),
        "votes": int(board.people.sum()),
        "cannot_tell": int(sum(not vote.emotions for vote in store.votes())),
        "votes_per_clip": np.bincount(board.people).tolist() if len(board.people) else [],
        "least_certain": round(float(board.uncertainty.max()), 4) if needs and len(votes) else None,
        "fleiss_kappa": _number(fleiss_kappa(votes)) if len(votes) else None,
        "krippendorff_alpha": _number(krippendorff_alpha(votes)) if len(votes) else None,
        "chosen": _named(session, votes.sum(axis=0)),
        "raters": people,
        "disagreed": _disagreed(session),
        "vanished": [session.clips[clip].name for clip in sorted(session.vanished)],
    }  # fmt: skip


def _disagreed(session: Session) -> list[dict[str, Any]]:
    """The clips with three votes or more whose votes are spread most."""
    votes = session.board.votes
    rows = np.flatnonzero(votes.sum(axis=1) >= 3)
    if not len(rows):
        return []
    spread = entropy(votes[rows])
    return [
        {
            "clip": session.asked[row], "name": session.clips[session.asked[row]].name,
            "entropy": round(float(value), 4), "votes": _named(session, votes[row]),
        }
        for row, value in sorted(zip(rows.tolist(), spread, strict=True), key=lambda pair: -pair[1])[:DISAGREED]
        if value > 0
    ]  # fmt: skip


def _careless(session: Session) -> dict[str, dict[str, Any]]:
    """Rater's name -> kappa with the others, and why the rater counts as careless, "" for not."""
    cast = [(vote, name) for vote in session.store.votes() for name in vote.by_strength[-1:]]
    if not cast:
        return {}
    clips, raters = ([getattr(vote, part) for vote, _ in cast] for part in ("clip", "rater"))
    answers = Answers.build(clips, raters, [name for _, name in cast], session.study.emotions)
    agreement = agreement_with_others(answers)
    enough = judged(agreement.compared)
    return {
        rater: {"kappa": _number(kappa), "careless": reason, "judged": bool(sure)}
        for rater, kappa, reason, sure in zip(
            answers.raters, agreement.kappa, careless(answers, agreement), enough, strict=True
        )
    }


def _consistency(session: Session, rater: int) -> dict[str, Any]:
    """On how many of the clips that were shown again the rater chose the same."""
    again, first = session.store.voted(rater, REPEATED), session.store.voted(rater)
    same = sum(set(vote) == set(first.get(clip, {})) for clip, vote in again.items())
    return {"repeated": len(again), "same_again": same}


def _named(session: Session, counts: Floats) -> dict[str, int]:
    """Emotion -> count."""
    return {choice.name: int(count) for choice, count in zip(session.study.choices, counts, strict=True)}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
