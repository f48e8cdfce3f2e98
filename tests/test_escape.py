"""What comes from outside steers no terminal and forges no line, in text and in JSON alike."""

import json
import logging

import pytest

from darkroom.escape import escaped, escaped_json
from darkroom.logs import JsonLines, TextLines

#: ESC, newline, carriage return, C1, direction marks, line separators, NUL, BEL, half a pair.
STEERING = [
    *("\x1b[2J", "\n", "\r", "\x9b31m", "\x85", "\u202e", "\u2066", "\u200f", "\u061c"),
    *("\u2028", "\u2029", "\x00", "\x07", "\x08", "\x7f", "\ufeff", "\ud800"),
]


def record(message: str, **extra: object) -> logging.LogRecord:
    """A record with fields."""
    made = logging.makeLogRecord({"msg": message, "levelname": "INFO", "name": "tasks"})
    vars(made).update(extra)
    return made


@pytest.mark.parametrize("text", STEERING, ids=ascii)
def test_what_steers_a_terminal_is_shown_as_an_escape(text: str) -> None:
    """Nothing of it is left, and nothing else is changed."""
    shown = escaped(f"before{text}after")
    assert shown.isprintable()
    assert shown.startswith("before\\")
    assert shown.endswith("after")
    assert escaped(shown) == shown


@pytest.mark.parametrize(
    "text", ["a fox", "ein Fuchs für 5 €", "狐　と月", "👩\u200d🚀", "می\u200cکنم", "שועל"]
)
def test_what_people_write_is_left_as_it_is(text: str) -> None:
    """Letters of every script, wide spaces, joined emoji."""
    assert escaped(text) == text


@pytest.mark.parametrize("text", STEERING[:-1], ids=ascii)
def test_json_keeps_its_meaning(text: str) -> None:
    """A program reads what was there; a terminal is not steered."""
    document = json.dumps({text: [text]}, ensure_ascii=False)
    assert json.loads(escaped_json(document)) == {text: [text]}
    assert escaped_json(document).isprintable()


@pytest.mark.parametrize("text", STEERING, ids=ascii)
def test_a_log_record_is_one_line_whatever_it_carries(text: str) -> None:
    """Message and fields, in either form; JSON stays JSON with the same values."""
    hostile = record(f"a job{text}", error=f"x{text}12:00:00 INFO forged")
    line = TextLines().format(hostile)
    assert line.isprintable()
    document = JsonLines().format(hostile)
    assert document.isprintable()
    assert json.loads(document)["error"] == f"x{text}12:00:00 INFO forged"


def fail() -> None:
    """Raise what tells of something from outside."""
    raise ValueError("x\n12:00:00 INFO forged\x1b[2J")


def test_no_line_of_a_traceback_looks_like_one_of_the_log() -> None:
    """An exception's text may have lines of its own: all are indented."""
    try:
        fail()
    except ValueError as error:
        failed = record("it failed")
        failed.exc_info = (type(error), error, error.__traceback__)
    first, *others = TextLines().format(failed).split("\n")
    assert first.endswith("it failed")
    assert others
    assert all(line.startswith("    ") and line.isprintable() for line in others)


def test_a_number_that_json_has_no_room_for_is_logged_all_the_same() -> None:
    """The faster writer refuses it; the line is not lost."""
    assert json.loads(JsonLines().format(record("a job", count=10**30)))["count"] == 10**30
