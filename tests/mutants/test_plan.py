"""`make mutants`: what it mutates exists, and so do the tests that are to notice."""

from pathlib import Path

import pytest

from mutants.plan import Plan, changed_lines
from mutants.report import Finding, report, survivors_share
from mutants.trial import Outcome

REPO = Path(__file__).parents[2]

KILLED = Finding("a.py", 1, "x == 1", "x != 1", Outcome.KILLED)
SURVIVED = Finding("a.py", 7, "stop()", "pass", Outcome.SURVIVED)
LEFT_OUT = Finding("b.py", 3, "n + 0", "n - 0", None, "zero either way")


def test_every_file_and_every_nearest_test_exists() -> None:
    """A renamed file or test is noticed here and not after half an hour of a run."""
    plan = Plan.read()
    named = {*plan.nearest, *(test for tests in plan.nearest.values() for test in tests)}
    assert [name for name in sorted(named) if not _exists(name)] == []


def _exists(name: str) -> bool:
    """Tell whether there is such a file or folder, and such a test in it where one is named."""
    path, _, test = name.partition("::")
    if not test:
        return (REPO / path).exists()
    return f"def {test}(" in (REPO / path).read_text(encoding="utf-8")


def test_every_equivalent_mutant_is_one_of_a_file_as_it_stands() -> None:
    """The changed lines of a listed mutant are still in its file."""
    for one in Plan.read().equivalents:
        source = (REPO / one.file).read_text(encoding="utf-8")
        assert one.before in " ".join(line.strip() for line in source.splitlines())


def test_an_equivalent_mutant_needs_a_reason(tmp_path: Path) -> None:
    """A list without reasons would hide survivors."""
    (tmp_path / "nearest.toml").write_text("", encoding="utf-8")
    (tmp_path / "equivalent.toml").write_text(
        '[[mutant]]\nfile = "a.py"\nbefore = "1"\nafter = "2"\nreason = " "\n', encoding="utf-8"
    )
    with pytest.raises(ValueError, match=r"without a reason in a\.py"):
        Plan.read(tmp_path)


def test_a_mutant_is_found_again_after_lines_have_moved() -> None:
    """It is listed by its changed lines, not by their numbers."""
    before, after = "a = 1\nif a:\n    b()\n", "a = 1\nif not a:\n    b()\n"
    assert changed_lines(before, after) == ("if a:", "if not a:")
    assert changed_lines(f"\n\n{before}", f"\n\n{after}") == ("if a:", "if not a:")


def test_equivalent_mutants_are_no_part_of_the_share_of_survivors() -> None:
    """One of two that were tried survived: half."""
    assert survivors_share([KILLED, SURVIVED, LEFT_OUT]) == 0.5
    assert survivors_share([LEFT_OUT]) == 0.0


def test_the_report_shows_each_survivor_with_its_change() -> None:
    """The author of the missing test needs the file, the line and the change."""
    text = report([KILLED, SURVIVED, LEFT_OUT])
    assert "a.py:7\n    - stop()\n    + pass" in text
    assert "x != 1" not in text
    assert text.endswith("1 survived, 50.0% of those tried")
