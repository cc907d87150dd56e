"""The fixed words of the raters' pages: complete in every language, used as they are, and chosen by the study."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from fastapi.testclient import TestClient

from dfer.studio.words import all_words, words_of
from tests.studio.browser import needs_browser, opened, served
from tests.studio.conftest import ROOT, define, links

WORDS = all_words()
ENGLISH = WORDS["en"]
SCRIPT = ROOT / "src" / "dfer" / "studio" / "static" / "rater.js"


@pytest.mark.parametrize("language", list(WORDS))
def test_a_language_has_every_word_with_the_same_places(language: str) -> None:
    words = WORDS[language]
    assert list(words) == list(ENGLISH)
    assert {key: word.count("{}") for key, word in words.items()} == {k: w.count("{}") for k, w in ENGLISH.items()}
    assert all(word.strip() == word and word for word in words.values())
    same = [key for key in words if words[key] == ENGLISH[key]]
    assert language == "en" or set(same) <= {"clips", "clip"}, "a word that is not translated"


def test_the_page_has_no_words_of_its_own() -> None:
    script = re.sub(r"/\*.*?\*/|//[^\n]*", "", SCRIPT.read_text(encoding="utf-8"), flags=re.DOTALL)
    used = set(re.findall(r"\bword\(([^()]*)", script))
    keys = {key for call in used for key in re.findall(r'"([a-z_]+)"', call)}
    assert keys | {"language", "instructions", "thanks"} == set(ENGLISH)
    texts = re.findall(r'"[^"\n]*"|`[^`\n]*`', script)
    assert [text for text in texts if re.search(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}", re.sub(r"\${.*}", "", text))] == []


@pytest.mark.parametrize(
    ("language", "wanted"), [("de-AT", "de"), ("zh-Hans", "zh"), ("FR", "fr"), ("pt", "en"), ("x", "en")]
)
def test_a_language_is_chosen_by_its_first_part(language: str, wanted: str) -> None:
    assert words_of(language) is WORDS[wanted]


def test_a_study_keeps_its_own_words(client: Any) -> None:
    choices = [{"name": "happy", "shown": "froh"}, {"name": "sad"}]
    define(client, language="es", title="My title", thanks="Bye", choices=choices)
    (ann,) = links(client, "Ann")
    told = client.get(f"{ann}/state").json()
    assert (told["title"], told["thanks"]) == ("My title", "Bye")
    assert told["instructions"].startswith("Verá vídeos cortos") and told["words"] == WORDS["es"]
    assert [choice["shown"] for choice in told["choices"]] == ["froh", "sad"]
    assert '<html lang="es">' in client.get(ann).text


READ = "document.body.innerText + [...document.querySelectorAll('[aria-label]')].map((each) => each.ariaLabel)"
"""What is seen and what is read aloud."""


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize("language", ["de", "ja"])
def test_a_rater_reads_the_language_of_the_study(app: Any, tmp_path: Path, language: str) -> None:
    client = TestClient(app, base_url="http://127.0.0.1")
    practice = [{"clip": "0.flv", "emotions": ["sad"], "feedback": "!"}]
    define(client, language=language, several=True, strength=True, title="?", practice=practice, break_every=2)
    (link,) = links(client, "Ann")
    words, seen = WORDS[language], []
    with served(app) as address, opened(tmp_path / "profile") as browser:
        browser.size(390, 844, touch=True)
        browser.open(address + link)
        for _ in range(20):
            browser.wait("document.querySelector('#begin, .choice, #back')")
            seen.append(browser.run(READ))
            assert browser.run("document.documentElement.scrollWidth") <= 390
            if browser.run("Boolean(document.querySelector('#begin'))"):
                browser.run("document.querySelector('#begin').click()")
            elif browser.run("Boolean(document.querySelector('.choice'))"):
                browser.run("document.querySelector('[data-name=happy]').click()")
                seen.append(browser.run("document.querySelector('.choices [type=range]:not([hidden])').ariaLabel"))
                browser.run("document.querySelector('#next').click()")
            else:
                break
            browser.wait("!document.querySelector('#next:enabled')")
        browser.run("document.querySelector('#back').click()")
        browser.wait("document.querySelector('.choice')")
        seen.append(browser.run("document.body.innerText"))
        assert browser.faults() == []
    text = "\n".join(seen)
    shown = ("begin", "pause", "practice", "question", "cannot_tell", "back", "next", "play_again", "progress", "film",
             "break", "rest", "thanks", "look_again", "forget", "again", "newest")  # fmt: skip
    assert [key for key in shown if words[key] not in text] == []
    assert words["differs"].format("sad") in text and words["strength"].format("happy") in text
    whole = set(text.splitlines())
    assert [key for key in shown if ENGLISH[key] in whole] == []
