r"""Names of clips, persons and films that are spelt in several ways.

Two names are near when they differ only in case, in the zeros before a number, in the suffix of a film or picture, in
spaces, or in the direction of a slash: "P1" and "P01", "anna" and "Anna", "001.mp4", "./001" and "1". A clip may also
be given with its folders and without: "a/001.mp4" and "001". The reader `table`, `dfer raters`, `dfer split` and
`dfer doctor` all ask here.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import compress
from unicodedata import normalize
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np

from dfer.errors import DferError, listed
from dfer.video.frames import IMAGE_SUFFIXES, VIDEO_SUFFIXES

SUFFIXES = (*VIDEO_SUFFIXES, *IMAGE_SUFFIXES, ".npy")
"""What a name may end in without being another name."""
PADDING = re.compile(r"(?<![.\d])0+(?=\d)")
"""Zeros before a number; those behind a point are decimals."""


def near(name: str) -> str:
    """What near names have in common.

    >>> near("P01"), near(" anna"), near("Clip_007.MP4"), near("v0.05")
    ('p1', 'anna', 'clip_7', 'v0.05')
    """
    text = " ".join(normalize("NFC", name).split()).casefold()
    stem, dot, suffix = text.rpartition(".")
    text = stem if stem and f"{dot}{suffix}" in SUFFIXES else text
    return PADDING.sub("", text)


def near_names(names: Collection[str]) -> list[list[str]]:
    """Groups of different names that are near each other, in the order in which they come; "" is no name.

    Of names that are near no other, millions of them, only a number each is kept.

    >>> near_names(["P1", "anna", "P01", "P1", "ben", "Anna"])
    [['P1', 'P01'], ['anna', 'Anna']]
    """
    numbers = np.fromiter((hash(near(name)) for name in names), dtype=np.int64, count=len(names))
    _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(compress(names, counts[places] > 1)):
        if name:
            found.setdefault(near(name), []).append(name)
    return [several for several in found.values() if len(several) > 1]


def joined(names: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """The names, near ones all in the spelling that is most frequent (of equals the first), and what was joined."""
    counts = Counter(names)
    groups = near_names(counts)
    stands = {name: max(several, key=counts.__getitem__) for several in groups for name in several}
    return [stands.get(name, name) for name in names], groups


def told(groups: Sequence[Sequence[str]]) -> str:
    """Near names for a message.

    >>> told([["P1", "P01"], ["anna", "Anna"]])
    'P1 and P01; anna and Anna'
    """
    shown = "; ".join(" and ".join(several) for several in groups[:5])
    return shown if len(groups) <= 5 else f"{shown}; and {len(groups) - 5} more"


def file_of(name: str) -> str:
    r"""The path that a clip's name means: of an address without host and query, with "/" and without a leading "./".

    >>> file_of("https://host.org/videos/a%20b.mp4?x=1"), file_of(r".\v\1.mp4"), file_of("/data/local-files/?d=v/1.mp4")
    ('videos/a b.mp4', 'v/1.mp4', 'v/1.mp4')
    """
    text = name.strip()
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://|/data/local-files/", text):
        parts = urlsplit(text)
        inner = dict(parse_qsl(parts.query)).get("d", "")
        text = inner or unquote(parts.path).lstrip("/")
    text = re.sub(r"^(\./)+", "", text.replace("\\", "/"))
    return text or name


def clip_parts(name: str) -> tuple[str, ...]:
    """The parts of a clip's path as `near` has them: the same for all spellings of one clip.

    >>> clip_parts("a/001.mp4"), clip_parts("./001"), clip_parts("1")
    (('a', '1'), ('1',), ('1',))
    """
    path = posixpath.normpath(re.sub(r"^[A-Za-z]:(?=/)", "", file_of(name)))
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    return tuple(near(part) for part in parts) or (near(name),)


def one_name(names: Iterable[str], lies_at: Callable[[str], str] = lambda _: "") -> dict[str, str]:
    """Which name stands for each name, where a clip is spelt in several ways.

    Args:
        names: of clips, as they are spelt; "" is no name.
        lies_at: the file that lies under exactly this name, "" for none. Names of two files are never one clip.

    Returns:
        Name -> the name that stands for it: that of the file, else the first one with most folders.

    Raises:
        DferError: a name without folders that may be one of several clips.

    >>> one_name(["001", "1", "b/2.mp4", "2", "3"])
    {'001': '001', '1': '001', 'b/2.mp4': 'b/2.mp4', '2': 'b/2.mp4', '3': '3'}
    """
    spelt: dict[tuple[str, ...], list[str]] = {}
    for name in dict.fromkeys(names):
        if name:
            spelt.setdefault(clip_parts(name), []).append(name)
    whole = _longest(spelt, lies_at)
    groups: dict[tuple[str, ...], list[str]] = {}
    for parts, several in spelt.items():
        groups.setdefault(whole[parts], []).extend(several)
    stands: dict[str, str] = {}
    for parts, several in groups.items():
        files = {lies_at(name): name for name in reversed(several) if len(several) > 1 and lies_at(name)}
        if len(files) > 1:  # 1.mp4 and 001.mp4 are two clips, as both are there
            stands |= {name: files.get(lies_at(name), name) for name in several}
            continue
        first = next(iter(files.values()), next((name for name in several if clip_parts(name) == parts), several[0]))
        stands |= dict.fromkeys(several, first)
    return {name: stands[name] for names_ in spelt.values() for name in names_}


def respelt(stands: Mapping[str, str]) -> list[list[str]]:
    """The spellings of each clip that has several, of what `one_name` gives."""
    groups: dict[str, list[str]] = {}
    for name, first in stands.items():
        groups.setdefault(first, []).append(name)
    return [several for several in groups.values() if len(several) > 1]


def _longest(
    spelt: Mapping[tuple[str, ...], Sequence[str]], lies_at: Callable[[str], str]
) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Parts -> the longest parts that end in them; those of files that lie there are whole as they are."""
    longer: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for parts in spelt:
        for start in range(1, len(parts)):
            longer.setdefault(parts[start:], []).append(parts)
    whole = {}
    for parts, names in spelt.items():
        candidates = sorted(longer.get(parts, []), key=len)
        most = candidates[-1] if candidates else parts
        if any(most[-len(one) :] != one for one in candidates):
            if not any(lies_at(name) for name in names):
                clips = listed(name for one in candidates for name in spelt[one][:1])
                raise DferError(f"the clip '{names[0]}' may be one of {clips}; give each clip with its folder")
            most = parts
        whole[parts] = most
    return whole
