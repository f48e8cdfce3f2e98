"""What the pages for operators and producers name is there, by that name, with that default."""

import re
from pathlib import Path

import pytest

from darkroom.settings import Settings, variable
from tasks.queues import SUBMIT, Queues
from tasks.submission.options import JobOptions

ROOT = Path(__file__).resolve().parents[2]

#: All pages but the one that is made from the settings.
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))
    if path.name != "settings.md"
)


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, root: Path) -> Path:
    """One page after the other."""
    return root / str(request.param)


def test_links_lead_somewhere(page: Path) -> None:
    """Every link to another page of the project finds it."""
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [
        link for link in links if "://" not in link and not page.parent.joinpath(link).exists()
    ]
    assert missing == []


def test_every_variable_named_is_a_setting(page: Path) -> None:
    """A variable that a reader sets because a page says so is read."""
    known = {variable(name) for name in Settings.model_fields}
    named = set(re.findall(r"DARKROOM_[A-Z0-9_]*[A-Z0-9]", page.read_text(encoding="utf-8")))
    assert named <= known


def test_every_default_named_is_the_default(page: Path) -> None:
    """Where a page gives a setting's default in brackets, it is that."""
    defaults = {variable(name): field.default for name, field in Settings.model_fields.items()}
    text = page.read_text(encoding="utf-8")
    for name, number in re.findall(r"`(DARKROOM_\w+)`(?: \w+)? \((\d+)\)", text):
        assert float(number) == defaults[name], name


def test_producers_are_told_of_every_field(root: Path) -> None:
    """The table of a job's fields is the table of the fields that are accepted."""
    text = (root / "docs" / "producers.md").read_text(encoding="utf-8")
    table = text.partition("## What the fields mean")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert told == {"request", *JobOptions.model_fields}


def test_the_five_lines_use_the_names_that_are_served(root: Path) -> None:
    """The lines that a stranger copies send the task we have, to the queue we read, as Python."""
    text = (root / "docs" / "producers.md").read_text(encoding="utf-8")
    first, *others = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for lines in (first, *others):
        compile(lines, "producers.md", "exec")
    assert f'send_task("{SUBMIT}", queue="{Queues("darkroom").submit}"' in first
    assert len([line for line in first.splitlines() if line.strip()]) == 5
