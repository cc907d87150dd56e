"""Names of files, clips and emotions that would act on a terminal, a log or a picture are shown instead."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.markup import escape
from rich.table import Table

from dfer.cli.terminal import SafeConsole, cell
from dfer.errors import UNSEEN, OneLine, printable
from dfer.reports.report import render_page

from .inference.toy import toy_timeline
from .metrics.toy import toy_predictions, toy_report

HOSTILE = [
    "\x1b[31mred\x1b]0;title\x07", "\x9b2J", "one\ntwo", "a\rb", "tab\there", "\u202egnp.exe", "zero\u200bwidth",
    "\u2066isolate\u2069", "half \udcff", "line\u2028separator", "\ufeffmark", "\U000e0041tag", "\x7f", "\x00",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_every_hostile_character_is_shown(name: str) -> None:
    shown = printable(name)
    assert not UNSEEN.search(shown) and len(shown) >= len(name)
    shown.encode("utf-8")


@pytest.mark.parametrize("name", ["happy", "Ärger", "怒り", "غضب", "naïve 😀 — “x”", "12\u202f%"])
def test_names_in_any_script_stay_as_they_are(name: str) -> None:
    assert printable(name) == name


@pytest.mark.parametrize("name", HOSTILE)
def test_tables_and_lines_on_the_terminal_are_safe(name: str) -> None:
    out = io.StringIO()
    console = SafeConsole(file=out, width=100, force_terminal=False)
    table = Table(title=escape(name))
    table.add_column(escape(name))
    table.add_row(escape(name))
    console.print(table)
    console.print(name, markup=False)
    assert not UNSEEN.search(out.getvalue().replace("\n", ""))


def test_the_terminals_own_colours_stay() -> None:
    out = io.StringIO()
    SafeConsole(file=out, force_terminal=True, color_system="standard", width=80).print("[bold red]x[/]\x1b[5my")
    assert "\x1b[1;31mx\x1b[0m" in out.getvalue() and "\x1b[5m" not in out.getvalue()


def test_a_name_cannot_forge_a_line_of_the_log() -> None:
    record = logging.LogRecord("dfer", logging.WARNING, "", 0, "%s cannot be read", ("a\nerror: all is lost",), None)
    assert OneLine("%(message)s").format(record) == "a␊error: all is lost cannot be read"


def test_pages_show_them() -> None:
    page = render_page(toy_report({name: toy_predictions(1) for name in HOSTILE}), {})
    found = set(UNSEEN.findall(page)) - {"\n", "\N{NARROW NO-BREAK SPACE}"}
    assert not found and "␛[31mred" in page


def test_an_error_about_a_file_is_one_line_without_codes(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31m\nb.mp4").write_bytes(b"no film")
    done = subprocess.run(
        [sys.executable, "-m", "dfer", "predict", str(tmp_path / "a\x1b[31m\nb.mp4")], capture_output=True, text=True
    )
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "a␛[31m␊b.mp4" in done.stderr or "a␛[31m b.mp4" in done.stderr


def test_a_drawing_with_control_codes_in_a_name_is_valid_xml(tmp_path: Path) -> None:
    from dataclasses import replace

    from dfer.inference.draw import write_plot

    write_plot(replace(toy_timeline(), video="a\x1b[31m\x00.mp4"), tmp_path / "o.svg")
    ElementTree.parse(tmp_path / "o.svg")


def test_markup_in_a_name_of_a_video_is_no_markup_in_its_bar(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out = io.StringIO()
    monkeypatch.setattr("dfer.cli.terminal.console", SafeConsole(file=out, force_terminal=True, width=100))
    from dfer.cli.terminal import Counter

    with Counter("[/x] [bold]a\x1b[31m") as progress:
        progress(1, 2)
    assert "[/x] [bold]a␛" in out.getvalue()


def test_a_name_in_a_table_is_one_line_without_markup() -> None:
    out = io.StringIO()
    table = Table()
    table.add_row(cell("[/x][bold]a\nb\x9b"))
    SafeConsole(file=out, width=60).print(table)
    assert "[/x][bold]a␊b\\x9b" in out.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_what_the_encoding_of_the_output_lacks_is_shown_as_an_escape(encoding: str, tmp_path: Path) -> None:
    """As on Windows, where what is written to a file is in cp1252."""
    rows = ["clip,rater,emotion", *(f"c{clip},怒 {rater},ärger" for clip in range(3) for rater in range(2))]
    (tmp_path / "votes.csv").write_text("\n".join(rows), encoding="utf-8")
    environment = os.environ | {"PYTHONIOENCODING": encoding, "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "dfer", "raters", tmp_path / "votes.csv", "--emotions", "ärger,ruhe"]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=120)
    assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr.decode()
    assert "怒 0".encode(encoding, errors="backslashreplace") in done.stdout
