"""The page of promises keeps to what there is."""

import re
from pathlib import Path

from chaos import MATRIX
from chaos.report import HEAD

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_of_the_last_run_has_its_place(reliability: str) -> None:
    """Between two marks, so that it can be put there without touching anything else."""
    marks = re.findall(r"^<!-- (/?chaos table) -->$", reliability, re.MULTILINE)
    assert marks == ["chaos table", "/chaos table"]


def test_every_column_of_the_table_is_explained(reliability: str) -> None:
    """In its order."""
    after = reliability.partition("<!-- /chaos table -->")[2]
    assert tuple(re.findall(r"^\| `([^`]+)` \|", after, re.MULTILINE)) == HEAD


def test_a_table_that_is_there_is_a_whole_run_without_a_broken_promise(reliability: str) -> None:
    """What is published is what was kept."""
    inside = re.search(r"<!-- chaos table -->(.*)<!-- /chaos table -->", reliability, re.DOTALL)
    assert inside is not None
    rows = [line for line in inside[1].splitlines() if line.startswith("| ")]
    assert "BROKEN" not in inside[1]
    assert not rows or rows[0].split("|")[1].strip() == HEAD[0]


def test_every_test_that_is_named_is_there(reliability: str) -> None:
    """A claim of having been tested leads to the test."""
    named = re.findall(r"`(tests/[\w/.]+|simulator/)`", reliability)
    assert len(named) > 3
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_table_has_every_row_of_the_matrix_and_no_other(reliability: str) -> None:
    """In its order and by its name; one that was never played at full size says so."""
    table = reliability.partition("<!-- chaos table -->")[2].partition("<!-- /chaos table -->")[0]
    rows = [line.strip("| ").split(" | ") for line in table.strip().splitlines()[2:]]
    played = [row for row in rows if not row[0].startswith("…")]
    assert [row[0].strip() for row in played] == [row.fault for row in MATRIX]
    unplayed = [row for row in played if not row[1].strip()]
    assert {row[-1].strip() for row in unplayed} <= {"not yet run"}


def test_rows_to_repeat_are_named_as_the_matrix_names_them(reliability: str) -> None:
    """So that the command on the page is accepted."""
    commands = re.findall(r"`make chaos ARGS='--rows ([^']*)'`", reliability)
    names = {row.name for row in MATRIX}
    assert commands
    for command in commands:
        assert {word for word in command.split() if not word.startswith("--")} <= names
