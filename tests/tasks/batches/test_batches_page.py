"""docs/batches.md says what happens: its example files are submitted, and its fault is that one."""

import io
import re
from pathlib import Path

import pytest

from storage.db.database import Database
from storage.queries.pages import list_jobs
from tests.darkroom.cli.conftest import CommandLine
from tests.tasks.batches.test_batch_command import batch, database, run

__all__ = ["batch", "database"]

PAGE = (Path(__file__).parents[3] / "docs" / "batches.md").read_text(encoding="utf-8")


def example(language: str) -> str:
    """The page's block in a language."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_csv_example_means_what_the_page_says(
    database: Database, batch: CommandLine, tmp_path: Path
) -> None:
    """Empty cells are left out, topics are split, metadata is JSON."""
    (tmp_path / "a.csv").write_text(example("csv"))
    status, _, said = run(batch, "a.csv", "--no-wait")
    assert status == 0, said
    jobs = {str(job.request["prompt"]): job for job in list_jobs(database)}
    fair, fox = jobs["a fair, at night"], jobs["a paper fox"]
    assert fair.request["prompt_rejection_topics"] == ["gambling", "drugs"]
    assert (fair.request["expand_prompt"], fair.metadata) == (True, {"page": 12})
    assert "width" not in fair.request
    assert (fox.request["width"], fox.request["expand_prompt"]) == (768, False)


def test_the_jsonl_example_has_no_fault_but_the_picture_that_is_not_beside_it(
    database: Database, batch: CommandLine, tmp_path: Path
) -> None:
    """Three of its lines go in as they stand."""
    (tmp_path / "a.jsonl").write_text(example("jsonl"))
    status, _, said = run(batch, "a.jsonl", "--no-wait", "--skip-invalid")
    assert status == 0, said
    assert "left out: line 3: init_image = '@sketch.png': cannot be read" in said
    jobs = list_jobs(database)
    assert sorted(job.priority for job in jobs) == [0, 0, 5]
    assert [job.metadata for job in jobs if job.metadata] == [{"page": 12}]


@pytest.mark.usefixtures("database")
def test_the_fault_that_the_page_shows_is_the_one_that_is_told(
    batch: CommandLine, tmp_path: Path
) -> None:
    """Word for word."""
    lines = io.StringIO()
    lines.writelines('{"prompt": "a", "width": 512}\n' for _ in range(2))
    lines.write('{"prompt": "a", "width": 1000}\n')
    (tmp_path / "prompts.jsonl").write_text(lines.getvalue())
    status, out, said = run(batch, "prompts.jsonl", "--no-wait")
    assert (status, out, said) == (2, "", example("text"))
