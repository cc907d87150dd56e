"""What the authors of data sets, and the lists that everybody uses, say about them: counts that a complete copy has.

Conventions: emotions under their canonical names, fold numbers from 1. `clips` are those that the reader takes by
default from a complete copy; what a source holds beyond them is in its comment. An empty mapping means: not published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DOUBLE = "double of "
"""How the reason begins for which a reader left out a clip that another part has too: published counts include it."""


@dataclass(frozen=True)
class Published:
    """Counts of one data set.

    Attributes:
        clips: clips in all.
        single: those with a single label, where others have none.
        per_class: emotion -> clips with that single label.
        per_scene: scene -> clips.
        folds: fold -> clips of its train and of its test list.
        tested_per_class: fold -> emotion -> clips of its test list.
        splits: split -> clips.
        split_per_class: split -> emotion -> clips.
        frames: least, median and greatest length of a clip in frames.
        source: where the figures come from.
    """

    clips: int
    single: int | None = None
    per_class: Mapping[str, int] = field(default_factory=dict)
    per_scene: Mapping[str, int] = field(default_factory=dict)
    folds: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    tested_per_class: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    splits: Mapping[str, int] = field(default_factory=dict)
    split_per_class: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    frames: tuple[int, int, int] | None = None
    source: str = ""


_SEVEN = ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear")


def _seven(*counts: int) -> dict[str, int]:
    """Counts in DFEW's order of emotions, by name."""
    return dict(zip(_SEVEN, counts, strict=True))


_DFEW = Published(
    clips=15_906,  # with a face; 16,372 videos, 12,059 of them with a single label, are in Clip/original
    single=11_697,
    per_class=_seven(2445, 1894, 2669, 2173, 1469, 145, 902),
    folds={1: (9356, 2341), 2: (9356, 2341), 3: (9357, 2340), 4: (9358, 2339), 5: (9361, 2336)},
    tested_per_class={
        1: _seven(489, 379, 534, 435, 294, 29, 181),
        2: _seven(489, 379, 534, 435, 294, 29, 181),
        3: _seven(489, 379, 534, 435, 294, 29, 180),
        4: _seven(489, 379, 534, 434, 294, 29, 180),
        5: _seven(489, 378, 533, 434, 293, 29, 180),
    },
    frames=(11, 71, 847),
    source="README of DFEW and its fold lists; lengths: clip_224x224, train list of fold 1",
)

_FERV39K = Published(
    clips=38_935,
    per_class=_seven(7327, 6916, 9748, 7393, 3140, 2300, 2111),
    per_scene={
        "Action": 804, "Argue": 2655, "Business": 1776, "Conflict": 2491, "Contest": 2400, "Crime": 1871,
        "Crisis": 1494, "DailyLife": 2339, "ElegantArt": 1242, "Experiment": 556, "History": 2690, "Interview": 2099,
        "Liveshow": 1131, "Medicine": 692, "OfficialEvent": 1423, "ScholarReport": 2014, "School": 2012,
        "Social": 1121, "Speech": 1834, "Talkshow": 1736, "Terror": 2099, "War": 2456,
    },
    splits={"train": 31_088, "test": 7_847},
    split_per_class={
        "train": _seven(5854, 5523, 7790, 5906, 2502, 1833, 1680),
        "test": _seven(1473, 1393, 1958, 1487, 638, 467, 431),
    },
    source="the lists of 4_setups/All_scenes",
)  # fmt: skip

_AFEW = Published(
    clips=1_156,  # with a label; the 653 of the test part have none
    splits={"train": 773, "test": 383},  # the test part is AFEW's Val
    split_per_class={"train": _seven(150, 117, 142, 135, 74, 74, 81)},
    source="EmotiW; classes: a published list of its face clips, which has 381 of the 383 of Val",
)

_FERPLUS = Published(
    # of 35,887: without rows that have no name (173) or no vote for an emotion (2), and second rows of an image (5);
    # with the images that are doubles of another part's, which the reader leaves out
    clips=35_707,
    frames=(1, 1, 1),
    source="fer2013new.csv",
)

_MAFW = Published(
    clips=10_045,
    single=9_172,
    per_class={
        "angry": 1390, "disgust": 639, "fear": 625, "happy": 1242, "neutral": 1138, "sad": 1470, "surprise": 1072,
        "contempt": 236, "anxiety": 916, "helplessness": 262, "disappointment": 182,
    },
    folds={1: (7333, 1839), 2: (7335, 1837), 3: (7339, 1833), 4: (7340, 1832), 5: (7341, 1831)},
    source="README of MAFW and its lists of single labels",
)  # fmt: skip

_CREMA_D = Published(
    clips=7_438,  # of 7,442: without the four bad ones
    single=6_968,  # one emotion has most of the votes on the face; 470 clips are tied
    per_class={"angry": 968, "disgust": 1057, "fear": 822, "happy": 1266, "neutral": 2075, "sad": 780},
    folds={1: (5975, 1463), 2: (5968, 1470), 3: (5962, 1476), 4: (5964, 1474), 5: (5883, 1555)},  # folds=actors
    source="tabulatedVotes.csv, rows of the face alone; folds by actor as in published code, less the bad clips",
)

_RAVDESS = Published(
    clips=1_440,
    per_class={
        "neutral": 96, "calm": 192, "happy": 192, "sad": 192, "angry": 192, "fear": 192, "disgust": 192, "surprise": 192
    },
    folds=dict.fromkeys(range(1, 7), (1200, 240)),  # folds=actors
    source="Livingstone and Russo 2018: 24 actors with 60 clips of speech each",
)  # fmt: skip

PUBLISHED: dict[str, Published] = {
    "dfew": _DFEW,
    "ferv39k": _FERV39K,
    "mafw": _MAFW,
    "crema_d": _CREMA_D,
    "ravdess": _RAVDESS,
    "afew": _AFEW,
    "ferplus": _FERPLUS,
}
"""Reader -> its figures."""
