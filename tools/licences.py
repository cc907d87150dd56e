"""Are the licences of all packages that dfer needs such that it may depend on them? `python tools/licences.py`.

All extras are looked at, but for the tools of development. Prints the packages whose licence is not on the list, and
ends with 1 if there are any. What a package says of its licence is read from its metadata: the licence expression, else
its classifiers, else the free text.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution, metadata

from packaging.requirements import Requirement

FINE = re.compile(
    r"\b(apache|mit|bsd|psfl?|python software foundation|iscl?|zlib|mpl|mozilla public|unlicense|public domain|cc0|"
    r"hpnd|0bsd|bsl-1\.0|boost|cnri-python|lgpl|lesser general public)\b",
    re.IGNORECASE,
)
"""Licences that allow use beside code under Apache 2.0; the LGPL is for libraries that are used and not changed."""
KNOWN: dict[str, str] = {}
"""Packages that say nothing in their metadata, with the licence that their source carries."""


def licence(package: Distribution) -> str:
    """What a package says of its licence, in one line."""
    told = package.metadata
    classifiers = [line.rpartition("::")[2].strip() for line in told.get_all("Classifier", []) if "License" in line]
    text = told.get("License-Expression") or "; ".join(classifiers) or (told.get("License") or "").strip()
    return KNOWN.get(told["Name"].lower()) or (text.splitlines() or [""])[0]


def needed(name: str, extras: tuple[str, ...] = ("",)) -> set[str]:
    """The installed packages that a package needs, and those that they need."""
    found, waiting = set[str](), [(name, extras)]
    while waiting:
        package, wanted = waiting.pop()
        try:
            requirements = [Requirement(line) for line in distribution(package).requires or []]
        except PackageNotFoundError:  # for another system, or an extra that is not installed
            continue
        found.add(package.lower())
        for each in requirements:
            applies = each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in wanted)
            if applies and each.name.lower() not in found:
                waiting.append((each.name, ("", *each.extras)))
    return found


def is_fine(text: str) -> bool:
    """Whether one of the licences to choose from is on the list, with all of its parts.

    >>> is_fine("GPL-2.0-only OR MIT"), is_fine("MIT AND GPL-2.0-only"), is_fine("Miscellaneous")
    (True, False, False)
    """
    choices = [re.split(r" AND |; ", choice) for choice in text.split(" OR ")]
    return any(all(FINE.search(part) for part in parts) for parts in choices)


def main() -> int:
    """Print what is not on the list."""
    extras = tuple(extra for extra in metadata("dfer").get_all("Provides-Extra", []) if extra != "dev")
    found = {name: licence(distribution(name)) for name in needed("dfer", ("", *extras)) - {"dfer"}}
    wrong = {name: text for name, text in sorted(found.items()) if not is_fine(text)}
    for name, text in wrong.items():
        print(f"{name}: {text or 'says nothing of its licence'}")
    print(f"{len(found)} packages, {len(wrong)} to look at")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
