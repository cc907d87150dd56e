"""What each key of a recipe means, from the docstrings of where it is defined: for `dfer train --show` and the docs."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import tomli_w
from pydantic import BaseModel

from dfer.labels.rules import RULES
from dfer.models import default_options
from dfer.models.registry import builder_of
from dfer.training.config import Recipe, shipped_recipes

WIDTH = 110
"""Characters of a line of `explained`."""


@dataclass(frozen=True)
class Key:
    """One key of a recipe.

    Attributes:
        table: that it stands in, such as "optim"; "" above all tables.
        name: of the key.
        value: in this recipe; None where it is off.
        sentence: what it means; "" where nothing is written down, as of a network of one's own without a docstring.
        choices: the values that it may have, if they are a few.
        given: False of an option of the network that the recipe leaves at its default.
    """

    table: str
    name: str
    value: Any
    sentence: str
    choices: tuple[str, ...] = ()
    given: bool = True


def keys_of(recipe: Recipe) -> list[Key]:
    """Every key of a recipe, in order; of a network's own options also those that it leaves out."""
    found: list[Key] = []
    for name, field in type(recipe).model_fields.items():
        value = getattr(recipe, name)
        if isinstance(value, BaseModel) or is_dataclass(value):
            found += _keys_of_table(name, value)
        else:
            sentence = _plain(field.description or "")
            found.append(Key("", name, value, sentence, _choices(field.annotation)))
    return found


def explained(recipe: Recipe) -> str:
    """The resolved recipe as TOML that reads back as the same recipe, with a sentence above each key.

    Raises:
        DferError: its network is not known or cannot be imported.

    >>> print(explained(Recipe()).splitlines()[1])
    seed = 0
    """
    keys, lines = keys_of(recipe), list[str]()
    for table in dict.fromkeys(key.table for key in sorted(keys, key=lambda key: bool(key.table))):
        if table:
            lines += ["", f"[{table}]"]
        for key in keys:
            if key.table == table:
                lines += _lines(key)
    return "\n".join(lines) + "\n"


def recipe_sentences() -> dict[str, str]:
    """The recipes that come with dfer: name -> the first sentence of the comment that it begins with."""
    return {name: _first_sentence(path) for name, path in shipped_recipes().items()}


def _lines(key: Key) -> list[str]:
    allowed = f" One of {', '.join(key.choices)}." if key.choices else ""
    comment = textwrap.wrap(f"{key.sentence}{allowed}".strip(), WIDTH - 2)
    if key.value is None:
        shown = [f'{key.name} = "off"'] if not key.table else [f"# {key.name} is off"]
    else:
        shown = tomli_w.dumps({key.name: _listed(key.value)}).splitlines()
        if len(shown) > 1:  # a list of several values stands on one line
            shown = [re.sub(r",\s*\]", "]", re.sub(r"\[\s+", "[", " ".join(" ".join(shown).split())))]
    return [f"# {line}" for line in comment] + [line if key.given else f"# {line}" for line in shown]


def _keys_of_table(table: str, section: Any) -> Iterator[Key]:
    if isinstance(section, BaseModel):
        for name, field in type(section).model_fields.items():
            yield Key(table, name, getattr(section, name), _plain(field.description or ""), _choices(field.annotation))
        yield from _own_keys(table, section)
        return
    told, hints = documented(type(section)), get_type_hints(type(section))
    for each in fields(section):
        yield Key(table, each.name, getattr(section, each.name), told.get(each.name, ""), _choices(hints[each.name]))


def _own_keys(table: str, section: Any) -> Iterator[Key]:
    """The options of the network or of the rule that a recipe names."""
    if table not in ("model", "labels"):
        return
    own = builder_of(section.name) if table == "model" else RULES.get(section.rule)
    told = documented(own) if own else {}
    for name, value in section.options.items():
        yield Key(table, name, value, told.get(name, ""))
    for name, value in default_options(section.name).items() if table == "model" else ():
        if name not in section.options and (
            value is None or isinstance(value, bool | int | float | str | list | tuple)
        ):
            yield Key(table, name, value, told.get(name, ""), given=False)


def documented(thing: Any) -> dict[str, str]:
    """Name -> what the docstring of a class or function says of it, under "Args:" or "Attributes:".

    >>> documented(builder_of("tiny3d"))["dropout"]
    'Probability of dropout before the linear layer.'
    """
    found: dict[str, str] = {}
    for text in (inspect.getdoc(thing) or "", inspect.getdoc(getattr(thing, "__init__", None)) or ""):
        for block in re.findall(r"^(?:Args|Attributes):\n((?:[ \t]+.*(?:\n|$)|\n)+)", text, re.MULTILINE):
            for name, told in re.findall(r"^(\w+):[ \t]*((?:.*)(?:\n[ \t]+.*)*)", textwrap.dedent(block), re.MULTILINE):
                found.setdefault(name, _plain(told))
    return found


def _plain(text: str) -> str:
    """A docstring's text as a sentence in one line, without marks."""
    line = " ".join(text.replace("`", "").split())
    line = line[:1].upper() + line[1:]
    return line if not line or line.endswith((".", "?", "!")) else f"{line}."


def _choices(annotation: Any) -> tuple[str, ...]:
    """The values of a `Literal`, also within others."""
    if get_origin(annotation) is Literal:
        return tuple(map(str, get_args(annotation)))
    inner = [_choices(each) for each in get_args(annotation) if not isinstance(each, str | int | float)]
    return tuple(value for each in inner for value in each if len(each) > 1)


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _first_sentence(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = " ".join(line.removeprefix("#").strip() for line in _until_code(lines))
    return re.split(r"(?<=[.!?])\s", comment, maxsplit=1)[0]


def _until_code(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if not line.startswith("#") or line.strip() == "#":
            return
        yield line
