"""`darkroom watch`: live until ended, and harmless to leave."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from darkroom.cli.common import follow
from storage.batches.batches import create_batch, open_batch
from storage.db.database import Database
from storage.errors import DatabaseUnavailable
from storage.records.job import Job
from tests.darkroom.cli.conftest import CommandLine


def test_it_ends_when_the_last_job_has_ended(
    at_table: CommandLine,
    a_job: Callable[..., UUID],
    finish: Callable[..., Job],
    eventually: Callable[[Callable[[], Any]], Any],
) -> None:
    """A JSON line for every job as it is, and again as it ends; exit status 0."""
    first, second = a_job("one"), a_job("two")
    finish(first)
    watching = at_table.start("watch", str(first), str(second), "--json")
    eventually(lambda: f'"{second}","status":"queued"' in watching.printed)
    finish(second)
    ran = watching.end()
    assert ran.status == 0
    assert [(job["id"], job["status"]) for job in ran.json_lines][-1] == (str(second), "succeeded")


def test_a_job_without_a_picture_is_told_by_the_exit_status(
    at_table: CommandLine, a_job: Callable[..., UUID], refuse: Callable[[UUID], None]
) -> None:
    """Exit status 1, and why."""
    job_id = a_job()
    refuse(job_id)
    ran = at_table("watch", str(job_id))
    assert ran.status == 1
    assert f"{job_id} failed PROMPT_UNSAFE: this topic is not drawn" in ran.out


def test_ctrl_c_stops_the_looking_alone(
    at_table: CommandLine,
    a_job: Callable[..., UUID],
    eventually: Callable[[Callable[[], Any]], Any],
) -> None:
    """Exit status 130, and how to look again."""
    job_id = a_job()
    watching = at_table.start("watch", str(job_id))
    eventually(lambda: "\n" in watching.printed)
    watching.interrupt()
    ran = watching.end()
    assert ran.status == 130
    assert ran.lines == [
        f"stopped looking; job {job_id} goes on. Look again: darkroom watch {job_id}"
    ]


def test_a_batch_is_watched_by_its_counts(
    at_table: CommandLine,
    tables: Database,
    a_job: Callable[..., UUID],
    finish: Callable[..., Job],
    refuse: Callable[[UUID], None],
) -> None:
    """The last line has them all; exit status 1 since one has no picture."""
    batch, _ = create_batch(tables, id=uuid4())
    good, bad = a_job("one", batch_id=batch.id), a_job("two", batch_id=batch.id)
    open_batch(tables, batch.id, 2)
    finish(good)
    refuse(bad)
    ran = at_table("watch", "--batch", str(batch.id), "--json")
    counts: Any = ran.json_lines[-1]
    assert ran.status == 1
    assert (counts["total"], counts["succeeded"], counts["failed"]) == (2, 1, 1)
    assert at_table("watch", "--batch", str(batch.id)).out == ("2/2 ended: 1 succeeded, 1 failed\n")


def test_an_unknown_batch_is_one_line(at_table: CommandLine) -> None:
    """Exit status 1."""
    stranger = str(uuid4())
    ran = at_table("watch", "--batch", stranger)
    assert (ran.status, ran.lines) == (1, [f"there is no batch {stranger}"])


def test_watching_nothing_is_a_wrong_call(bare: CommandLine) -> None:
    """Exit status 2, and what is missing."""
    ran = bare("watch")
    assert (ran.status, ran.lines) == (2, ["watch what? Give job ids, or --batch ID"])


def test_an_unavailable_database_is_waited_for_and_reported_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However many attempts it takes; then its answer counts."""
    monkeypatch.setattr(follow, "DATABASE_AGAIN_S", 0.0)
    outages = [DatabaseUnavailable("no server"), DatabaseUnavailable("no server")]

    def question() -> int:
        if outages:
            raise outages.pop()
        return 7

    assert follow.when_answered(question) == 7
    assert capsys.readouterr().err == "darkroom: waiting for the database: no server\n"
