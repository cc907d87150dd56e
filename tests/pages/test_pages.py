from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from dfer.labels import KNOWN
from dfer.pages import emotion_colours, known, render


def test_emotions_keep_their_colour_across_label_spaces() -> None:
    for emotions in KNOWN.values():
        colours = emotion_colours(list(emotions))
        assert len(set(colours.values())) == len(emotions)
        assert colours["happy"] == "e0"
    own = emotion_colours(["happy", "pensive", "bored"])
    assert len(set(own.values())) == 3 and own["happy"] == "e0"


def test_what_a_run_did_not_record_is_a_dash() -> None:
    assert [known(value) for value in (None, 12345, "x")] == ["–", "12,345", "x"]


def test_a_value_that_the_template_lacks_is_an_error_not_a_gap() -> None:
    with pytest.raises(UndefinedError):
        render("dfer.reports", "report.html.jinja", kind="report", title="t")
