"""The fixed words of the raters' pages, in the languages that a study can have; its own words it says itself.

They are in words.json, by language and key. `{}` stands for a number or a name. A word that would need a plural is
written so that it needs none ("Clips: 3").
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files


@cache
def all_words() -> Mapping[str, Mapping[str, str]]:
    """Language -> key -> word."""
    found: dict[str, dict[str, str]] = json.loads(files("dfer.studio").joinpath("words.json").read_text("utf-8"))
    return found


def words_of(language: str) -> Mapping[str, str]:
    """The words of a language such as de or zh-Hans; those of English where there are none.

    >>> words_of("de-AT")["next"], words_of("pt")["next"]
    ('Weiter', 'Next')
    """
    words = all_words()
    return words.get(language.partition("-")[0].lower(), words["en"])
