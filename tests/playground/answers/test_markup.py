"""The words of a page, read in linear time."""

import re
from typing import Any

import pytest

from playground.answers import markup
from playground.answers.judge import judge
from playground.answers.markup import is_markup, visible_text
from playground.answers.verdict import Answer


class Counting:
    """A pattern that notes how many characters its searches have looked at."""

    looked_at = 0

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern

    def search(self, text: str, start: int) -> Any:
        """Search from somewhere, and count up to where the search stopped."""
        found = self._pattern.search(text, start)
        Counting.looked_at += (found.end() if found else len(text)) - start
        return found


@pytest.mark.parametrize(
    "seed",
    ["<script ", "<style>", "<!--", "<!-- <script> ", "<script></script>", "<!---->", "</script ",
     "<script><style><!--", "<", "<a ", "&#"],
)  # fmt: skip
def test_a_hostile_page_is_looked_at_a_few_times_and_no_more(
    seed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 kB of an opened tag are 8,000 places to start from, and none is searched to the end twice.

    Once for what is hidden, and once to the end of the text for each kind of it.
    """
    ends = {kind: Counting(pattern) for kind, pattern in markup._END_OF.items()}
    monkeypatch.setattr(markup, "_END_OF", ends)
    monkeypatch.setattr(markup, "_HIDDEN", Counting(markup._HIDDEN))
    Counting.looked_at = 0
    page = seed * (64_000 // len(seed))
    visible_text(page)
    assert Counting.looked_at <= 4 * len(page)
    assert judge(Answer(200, {}, page.encode())).is_foreign


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("<p>Sign <b>in</b></p>", "Sign in"),
        ("a<script>x<y</script>b<SCRIPT src=1>z</Script >c", "a b c"),
        ("a<style>p{}</style>b<!-- <p> -->c", "a b c"),
        ("a<scripture>b", "a b"),
        ("a<!-- b <script>c</script> d", "a b d"),
        ("<p>a &lt;b&gt; &amp; c", "a <b> & c"),
        ("a < b", "a < b"),
        ("no markup", "no markup"),
    ],
)
def test_the_words_that_a_person_would_see_are_kept(page: str, words: str) -> None:
    """Without tags, scripts, styles and comments; what is hidden without end is text."""
    assert re.sub(r"\s+", " ", visible_text(page).replace("<!--", "")).strip() == words


def test_words_behind_a_long_script_are_found() -> None:
    """Real pages carry more script than text."""
    page = "<html><script>" + "if (a < b) {}" * 4000 + "</script><p>Sign in</p>"
    assert visible_text(page).split() == ["Sign", "in"]


def test_a_reference_to_no_character_is_no_error() -> None:
    """Python makes no number of more than some thousand digits, and says so with an exception."""
    assert judge(Answer(500, {}, b"<p>&#" + b"9" * 5000 + b";")).message
    assert judge(Answer(200, {}, b"<p>&#" + b"9" * 60_000)).message


@pytest.mark.parametrize(
    ("text", "is_page"),
    [
        ("<html>", True),
        ("\n  <p>Sign in", True),
        ("Error\n<!DOCTYPE html>", True),
        ("a <SCRIPT>", True),
        ("iVBORw0KGgo", False),
        ("a < b", False),
        ("x" * 5000 + "<html>", False),
        ("", False),
    ],
)
def test_a_page_is_told_from_text_by_its_beginning(text: str, *, is_page: bool) -> None:
    """Base64 in a page belongs to the page; in a bare text it may be the paid picture."""
    assert is_markup(text) is is_page
