"""`darkroom cancel`: by id or by filter, counted, and stopped between two steps.

The rules are tested in `tests/tasks/bulk/test_cancel_many.py`.
"""

import time
from collections.abc import Callable
from uuid import UUID, uuid4

from storage.batches.batches import create_batch, open_batch
from storage.db.database import Database
from storage.intake.insert import insert_job
from storage.queries.get import get_job
from storage.records.job import Job
from storage.records.states import JobStatus
from tests.darkroom.cli.conftest import CommandLine, claim
from tests.storage.many_rows import insert_copies
from tests.storage.table import new_job

JOBS = 20_000


def load_batch(tables: Database, size: int) -> UUID:
    """Submit a batch."""
    batch, _ = create_batch(tables, id=uuid4())
    job = insert_job(tables, new_job(batch_id=batch.id)).job
    with tables.begin() as connection:
        insert_copies(connection, tables.tables.jobs, job.id, size - 1)
    open_batch(tables, batch.id, size)
    return batch.id


def test_each_job_ends_as_its_state_allows(
    at_table: CommandLine,
    tables: Database,
    a_job: Callable[..., UUID],
    finish: Callable[..., Job],
) -> None:
    """Waiting ones at once, held ones with their call, ended ones not at all."""
    waiting, held, ended = a_job("one"), a_job("two"), a_job("three")
    claim(tables, held)
    finish(ended)
    ids = [str(job_id) for job_id in (waiting, held, ended)]
    dry = at_table("cancel", *ids, "--dry-run", "--json")
    assert get_job(tables, waiting).status is JobStatus.QUEUED
    ran = at_table("cancel", *ids, "--json")
    assert (ran.status, ran.err) == (0, "")
    facts = {"cancelled": 1, "asked": 1, "ended_before": 1, "missing": [], "complete": True}
    assert ran.json == facts | {"dry_run": False}
    assert dry.json == facts | {"dry_run": True}
    assert get_job(tables, waiting).status is JobStatus.CANCELLED
    assert get_job(tables, held).cancel_asked
    assert get_job(tables, ended).status is JobStatus.SUCCEEDED


def test_a_stranger_among_the_ids_is_told_and_the_others_go(
    at_table: CommandLine, tables: Database, a_job: Callable[..., UUID]
) -> None:
    """Exit status 1, and what was asked for is done."""
    job_id, stranger = a_job(), uuid4()
    ran = at_table("cancel", str(stranger), str(job_id))
    assert (ran.status, ran.lines) == (1, [f"there is no job {stranger}"])
    assert ran.out == "1 cancelled\n"
    assert get_job(tables, job_id).status is JobStatus.CANCELLED


def test_filters_select_and_what_is_done_is_printed(
    at_table: CommandLine, tables: Database, a_job: Callable[..., UUID]
) -> None:
    """Of a batch, or by owner and age; a dry run says what would be."""
    batch_id = load_batch(tables, 2)
    dry = at_table("cancel", "--batch", str(batch_id), "--dry-run")
    assert dry.out == "2 would be cancelled\n"
    ran = at_table("cancel", "--batch", str(batch_id))
    assert (ran.status, ran.out) == (0, "2 cancelled\n")
    assert at_table("watch", "--batch", str(batch_id)).out == "2/2 ended: 2 cancelled\n"
    a_job("1", owner="ann")
    claim(tables, a_job("2", owner="ann"))
    a_job("3", owner="bob")
    ran = at_table("cancel", "--owner", "ann", "--since", "1h")
    assert ran.out == "1 cancelled; 1 under way are asked to stop after their call\n"


def test_ctrl_c_says_how_far_it_got(at_table: CommandLine, tables: Database) -> None:
    """What is done stays; the same command does the rest."""
    batch_id = load_batch(tables, JOBS)
    running = at_table.start("cancel", "--batch", str(batch_id), "--json")
    while not tables_count(tables):
        assert running.process.exit_status is None
        time.sleep(0.01)
    running.interrupt()
    ran = running.end()
    assert ran.status == 130
    assert ran.json["complete"] is False
    done = ran.json["cancelled"]
    assert 0 < done < JOBS
    assert ran.lines[-1].startswith("stopped before the end; what is done stays")
    rest = at_table("cancel", "--batch", str(batch_id), "--json")
    assert rest.json["complete"] is True
    assert done + rest.json["cancelled"] == JOBS


def tables_count(tables: Database) -> int:
    """Whether the change has begun."""
    with tables.read() as connection:
        return len(connection.exec_driver_sql("SELECT 1 FROM darkroom_batch_deltas LIMIT 1").all())


def test_wrong_calls_are_told_before_anything_is_connected(bare: CommandLine) -> None:
    """Nothing named, both ways of naming, or an invalid id."""
    words = "cancel what? Give job ids, or --batch, --owner, --since"
    for arguments in ([], [str(uuid4()), "--owner", "ann"]):
        ran = bare("cancel", *arguments)
        assert (ran.status, ran.lines) == (2, [words])
    assert bare("cancel", "fox").status == 1


def test_an_unknown_or_unfinished_batch_is_one_line(
    at_table: CommandLine, tables: Database
) -> None:
    """A batch that is still loading cannot be cancelled yet."""
    stranger = uuid4()
    ran = at_table("cancel", "--batch", str(stranger))
    assert (ran.status, ran.lines) == (1, [f"there is no batch {stranger}"])
    batch, _ = create_batch(tables, id=uuid4())
    ran = at_table("cancel", "--batch", str(batch.id))
    words = f"batch {batch.id} is still loading; none of its jobs has begun"
    assert (ran.status, ran.lines) == (1, [words])
