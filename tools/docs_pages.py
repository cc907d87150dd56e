"""Pages of the documentation that are made, not written: a hook of mkdocs (`make docs`).

The overview is README.md, and the keys of recipes and the API come from docstrings, so that nothing is written twice.
Links between the files of the repository become links between pages. A link to a file that is no page (a benchmark, a
module) leads to the repository if mkdocs.yml names one (`repo_url`), and is plain text otherwise.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import posixpath
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from griffe import Extension
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s#]+)(#[^()\s]*)?\)")
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
"""Files of the repository that are pages of the site, too."""
LINKED = PAGES | {"src/dfer/training/config.py": "keys.md"}
"""Files whose links lead to a page of the site: the docstrings of the recipe's keys make the page of keys."""
DOCTEST = re.compile(r"^([ \t]*)>>> .*(?:\n(?![ \t]*$)\1.*)*", re.MULTILINE)
FOREIGN = re.compile(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
ROOMS = (
    "labels", "datasets", "doctor", "video", "augment", "models", "training", "experiments", "metrics", "comparison",
    "reports", "inference",
)  # fmt: skip
"""In the order in which the data flows."""


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made."""
    made = {page: (ROOT / source).read_text(encoding="utf-8") for source, page in PAGES.items()}
    made |= {"keys.md": keys_page(), **dict(api_pages())}
    for path, text in made.items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Turn links between files of the repository into links between pages."""
    uri = page.file.src_uri
    source = {made: name for name, made in PAGES.items()}.get(uri, f"docs/{uri}")
    return LINK.sub(lambda link: _relinked(link, source, uri, config.repo_url), markdown)


def on_post_build(config: Any, **_: Any) -> None:
    """Refuse a site whose pages would load anything from elsewhere."""
    for page in Path(config.site_dir).rglob("*.html"):
        found = [tag for tag in FOREIGN.findall(page.read_text(encoding="utf-8")) if 'rel="canonical"' not in tag]
        if found:
            raise PluginError(f"{page}: expected nothing to be loaded from a network, got {found[0]}")


class Doctests(Extension):  # type: ignore[misc]
    """Shows examples of docstrings as code: an extension of griffe, which reads the docstrings."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Put a fence around each doctest."""
        if obj.docstring:
            obj.docstring.value = DOCTEST.sub(r"\1```pycon\n\g<0>\n\1```", obj.docstring.value)


def _relinked(link: re.Match[str], source: str, uri: str, repository: str | None) -> str:
    picture, text, target, anchor = link.groups(default="")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    if "://" in target or not (ROOT / path).exists():
        return link[0]
    home = posixpath.dirname(uri) or "."
    if path in LINKED or (path.startswith("docs/") and not path.endswith(".parquet")):
        inside = LINKED.get(path, path.removeprefix("docs/"))
        return f"{picture}[{text}]({posixpath.relpath(inside, home)}{anchor})"
    return f"[{text}]({repository.rstrip('/')}/blob/main/{path})" if repository else text


def keys_page() -> str:
    """Every key of a recipe: its default, what it may be, and what it means."""
    from dfer.labels.rules import RULES
    from dfer.models import list_models
    from dfer.training import Recipe, recipe_from
    from dfer.training.described import documented, keys_of
    from dfer.training.targets import HANDED_OVER

    lines = [
        "# Every recipe key\n",
        "This page is made from the docstrings of the code. How recipes are used is on the page [Recipes](recipes.md). "
        "`dfer train RECIPE --show` prints the same sentences beside the values of your recipe.\n",
    ]
    keys = [key for key in keys_of(recipe_from({"midas": {}, "lora": {}})) if key.given]
    for table in dict.fromkeys(key.table for key in keys):
        lines += ["\n## " + (f"`[{table}]`" if table else "Above all tables") + "\n", *_table(keys, table)]
        if table == "labels":
            rules = {name: documented(rule) for name, rule in RULES.items()}
            lines += _options("Options of the rules", rules, skip=HANDED_OVER)
        if table == "model":
            for name in list_models():
                own = [key for key in keys_of(Recipe.model_validate({"model": {"name": name}})) if not key.given]
                lines += [f"\n### Options of `{name}`\n", *_table(own, "model")]
    return "\n".join(lines) + "\n"


def _table(keys: list[Any], table: str) -> Iterator[str]:
    yield from ("| key | default | meaning |", "|---|---|---|")
    for key in keys:
        if key.table == table:
            choices = f" One of {', '.join(f'`{choice}`' for choice in key.choices)}." if key.choices else ""
            yield f"| `{key.name}` | {_shown(key.value)} | {_cell(key.sentence)}{choices} |"


def _options(title: str, told: dict[str, dict[str, str]], *, skip: Collection[str]) -> Iterator[str]:
    yield from (f"\n### {title}\n", "| rule | key | meaning |", "|---|---|---|")
    for name, options in told.items():
        yield from (f"| `{name}` | `{key}` | {_cell(text)} |" for key, text in options.items() if key not in skip)


def _shown(value: Any) -> str:
    if value is None:
        return "off"
    if isinstance(value, float):
        return f"`{value:g}`"
    plain = str(value).lower() if isinstance(value, bool) else str(list(value) if isinstance(value, tuple) else value)
    return f"`{plain}`" if plain else "empty"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def api_pages() -> Iterator[tuple[str, str]]:
    """The names of `dfer.__all__`, and a page for each room with its public names."""
    import dfer

    homes = dict(dfer._HOMES)
    yield "api/index.md", _front(homes)
    for room in ROOMS:
        module, names = f"dfer.{room}", _public(room)
        paths = [_path(module, name) for name in names]
        paths += [_path(home, name) for name, home in homes.items() if home.startswith(f"{module}.")]
        text = [f"# `{module}`\n", _docstring(room), ""]
        text += [f"::: {path}\n" for path in dict.fromkeys(paths)]
        yield f"api/{room}.md", "\n".join(text)


def _front(homes: dict[str, str]) -> str:
    import dfer

    lines = [
        "# API\n",
        "These names can be imported from `dfer`, as in `from dfer import Midas`. `import dfer` takes a hundredth of a "
        "second: a name is loaded when it is first used.\n",
        "| name | what it is |",
        "|---|---|",
    ]
    for name, home in sorted(homes.items(), key=lambda each: each[0].lower()):
        sentence = (getattr(dfer, name).__doc__ or "").strip().split("\n\n")[0]
        lines.append(f"| [`{name}`][{_path(home, name)}] | {_cell(' '.join(sentence.split()))} |")
    lines += ["\nEach room of the package has a page with its public names:\n"]
    lines += [f"- [`dfer.{room}`]({room}.md): {_docstring(room).splitlines()[0]}" for room in ROOMS]
    return "\n".join(lines) + "\n"


def _path(module: str, name: str) -> str:
    """Where a public name is defined: a function may be called as the module that it is in."""
    found = getattr(importlib.import_module(module), name)
    return f"{found.__module__}.{name}" if inspect.isclass(found) or inspect.isfunction(found) else f"{module}.{name}"


def _parsed(room: str) -> ast.Module:
    return ast.parse((ROOT / "src" / "dfer" / room / "__init__.py").read_text(encoding="utf-8"))


def _docstring(room: str) -> str:
    return ast.get_docstring(_parsed(room)) or ""


def _public(room: str) -> list[str]:
    """`__all__` of a room, read without importing it; types before functions before constants."""
    for node in _parsed(room).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return sorted(ast.literal_eval(node.value), key=lambda name: (name.isupper(), not name[0].isupper(), name))
    return []
