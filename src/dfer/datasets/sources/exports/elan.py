"""ELAN's .eaf: the tiers of one film, each of which is one rater's answer.

A tier on which some annotation is an emotion is an answer: the emotion that lasts longest. Other tiers, such as
transcripts, are passed over. The rater is the tier's annotator, or else what the tier is called.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePath
from xml.etree.ElementTree import Element

import pandas as pd

from dfer.datasets.sources.exports import Answer, as_frame, longest
from dfer.datasets.sources.label_space import Vocabulary
from dfer.datasets.spelling import SUFFIXES, file_of
from dfer.errors import DferError, listed

Spans = list[tuple[str, float]]


def recognise(root: Element) -> bool:
    """Whether an XML document is one of its files."""
    return root.tag == "ANNOTATION_DOCUMENT"


def read(root: Element, words: Vocabulary, place: str) -> pd.DataFrame:
    """One answer a tier.

    Raises:
        DferError: no tier on which emotions are marked.
    """
    clip = _film(root) or PurePath(place).stem
    tiers = {tier.get("TIER_ID", ""): tier for tier in root.iter("TIER")}
    spans = {name: _spans(root, tier) for name, tier in tiers.items()}
    chosen = [name for name, marks in spans.items() if any(value in words for value, _ in marks)]
    if not chosen:
        values = listed(dict.fromkeys(value for marks in spans.values() for value, _ in marks), 8)
        raise DferError(
            f"{place}: no tier holds emotions; there are {listed(tiers, 8)} with {values or 'nothing'}; say what the "
            "words stand for: --map word=emotion"
        )
    annotators = Counter(tiers[name].get("ANNOTATOR", "") for name in chosen)
    answers = []
    for name in chosen:
        total: dict[str, float] = {}
        for value, span in spans[name]:
            total[words.translate(value)] = total.get(words.translate(value), 0.0) + span
        emotion, reason = longest(total)
        annotator = tiers[name].get("ANNOTATOR", "").strip()
        rater = annotator if annotator and annotators[annotator] == 1 else f"{annotator} {name}".strip()
        answers.append(Answer(clip, rater, emotion, "", reason))
    return as_frame(answers)


def _film(root: Element) -> str:
    """The film, before any sound: as the file refers to it, else its name on the annotator's machine."""
    media = [(part.get("RELATIVE_MEDIA_URL"), part.get("MEDIA_URL")) for part in root.iter("MEDIA_DESCRIPTOR")]
    names = [file_of(near) if near else PurePath(file_of(far or "")).name for near, far in media if near or far]
    films = [name for name in names if name.lower().endswith(SUFFIXES)]
    return (films or names or [""])[0]


def _spans(root: Element, tier: Element) -> Spans:
    """Value and length in ms of a tier's annotations; one that refers to another's has that one's length."""
    times = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    lengths: dict[str | None, float] = {}
    for mark in root.iter("ALIGNABLE_ANNOTATION"):
        ends = [times.get(mark.get(name)) or "" for name in ("TIME_SLOT_REF1", "TIME_SLOT_REF2")]
        known = [float(end) for end in ends if re.fullmatch("[0-9]{1,12}", end)]
        lengths[mark.get("ANNOTATION_ID")] = known[1] - known[0] if len(known) == 2 else 0.0
    owner = {mark.get("ANNOTATION_ID"): mark.get("ANNOTATION_REF") for mark in root.iter("REF_ANNOTATION")}
    found = []
    for mark in (*tier.iter("ALIGNABLE_ANNOTATION"), *tier.iter("REF_ANNOTATION")):
        name = mark.get("ANNOTATION_ID")
        seen = set()
        while name in owner and name not in seen:  # up to the annotation that has times
            seen.add(name)
            name = owner[name]
        value = (mark.findtext("ANNOTATION_VALUE") or "").strip()
        if value:
            found.append((value, lengths.get(name, 0.0)))
    return found
