"""The word checker finds phrases in prose, and leaves code and names alone."""

import pytest

from wording.__main__ import in_text, phrases

PROSE = "whoever asks is told of it"


def found(text: str, *, is_python: bool) -> list[str]:
    """The phrases that it finds."""
    return [one.words for one in in_text("a file", text, phrases(), is_python=is_python)]


@pytest.mark.parametrize(
    "source", [f'"""{PROSE}."""', f"x = 1  # {PROSE}", f'def f():\n    """{PROSE}."""\n']
)
def test_docstrings_and_comments_are_read(source: str) -> None:
    """Both phrases of the sentence are found."""
    assert set(found(source, is_python=True)) == {"whoever", "is told"}


@pytest.mark.parametrize("source", [f'text = "{PROSE}"', "whoever = 1", '"""See `whoever`."""'])
def test_code_is_not(source: str) -> None:
    """Neither names nor strings at run time, nor code that a docstring quotes."""
    assert found(source, is_python=True) == []


def test_a_page_is_read_without_its_code() -> None:
    """Blocks and spans of code are left out; the line of a find is that of the page."""
    page = f"```\n{PROSE}\n```\n\n`whoever`\n\n{PROSE}\n"
    assert [(one.line, one.words) for one in in_text("page", page, phrases(), is_python=False)] == [
        (7, "whoever"),
        (7, "is told"),
    ]
