"""The answers of `where_is.toml` are right: each file is there, and has what was asked for."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
QUESTIONS: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("where_is.toml").read_text("utf-8")
)["question"]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["text"])
def test_every_question_names_the_file_that_answers_it(question: dict[str, str]) -> None:
    """The file exists, and the name that answers the question is defined in it."""
    assert question["name"] in (ROOT / question["file"]).read_text("utf-8")


def test_there_are_at_least_thirty_questions_and_none_is_asked_twice() -> None:
    """Fewer would say little about how easily things are found."""
    assert len({question["text"] for question in QUESTIONS}) == len(QUESTIONS) >= 30
