"""A trial plants one bug in a copy, runs the tests there, and puts the code back."""

import subprocess
import sys
from pathlib import Path

import pytest

from mutants.trial import Copy, Outcome

SOURCE = "def double(n):\n    return n * 2\n"
TEST = "from code_ import double\n\ndef test_double():\n    assert double(2) == 4\n"
#: Found by Python's own import, without a configuration that the copy does not have.
PYTEST_INI = "[pytest]\npythonpath = .\naddopts = -p no:schemathesis -p no:hypothesispytest\n"


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A copy of a project of one function, which has one test."""
    project = tmp_path / "project"
    project.mkdir()
    for name, text in (("code_.py", SOURCE), ("test_it.py", TEST), ("pytest.ini", PYTEST_INI)):
        (project / name).write_text(text, encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", "."], cwd=project, check=True)  # noqa: S607
    return Copy(project, tmp_path / "copy", Path(sys.executable))


def test_a_bug_is_noticed_or_not_and_the_code_is_put_back(copy: Copy) -> None:
    """A bug of the same size as the code, within the same second, leaves no bytecode behind."""
    tests = ["test_it.py"]
    for bug, outcome in (
        (SOURCE.replace("*", "+"), Outcome.SURVIVED),  # 2 + 2 is 4 as well
        (SOURCE.replace("2", "3"), Outcome.KILLED),
        ("raise ImportError\n", Outcome.KILLED),
    ):
        assert copy.try_mutant("code_.py", bug, tests, limit_s=100).outcome is outcome
    assert copy.run(tests, limit_s=100).outcome is Outcome.SURVIVED


def test_a_run_that_hangs_is_ended(copy: Copy) -> None:
    """A loop without an end costs its time limit and no more."""
    bug = "def double(n):\n    while True: pass\n"
    trial = copy.try_mutant("code_.py", bug, ["test_it.py"], limit_s=3)
    assert trial.outcome is Outcome.TIMED_OUT


def test_tests_that_do_not_exist_are_no_success(copy: Copy) -> None:
    """A misspelt test would let every bug survive, or none."""
    with pytest.raises(RuntimeError, match="status"):
        copy.run(["test_gone.py"], limit_s=100)
