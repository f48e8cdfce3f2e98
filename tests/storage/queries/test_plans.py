"""No question about jobs reads the whole table, however many have ended."""

import re
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, insert, update

from storage.batches.counts import batch_progress, fold_batch_deltas
from storage.batches.loading import delete_loading
from storage.db.database import Database
from storage.db.keyset import Cursor
from storage.dispatch.backlog import count_queued
from storage.dispatch.probe import due_job_with_fewest_calls
from storage.dispatch.reserve import (
    count_dispatched,
    refresh_dispatched,
    reserve_due,
    reserve_if_alone,
    unreserve,
)
from storage.fleet.leases import forget_workers, free_slots
from storage.intake.insert import insert_jobs
from storage.jobs.adopt import adopt_image
from storage.jobs.cancel import ask_cancel, expire_due, retry_ended
from storage.jobs.release import fail_if_held, hand_back_if_held, retry_later_if_held
from storage.jobs.rescue import rescue_dead
from storage.owners.limits import set_owner_limits
from storage.queries.deletable import DeletionFilter, count_deletable, walk_deletable
from storage.queries.filter import database_time
from storage.queries.get import get_jobs, job_by_key
from storage.queries.held_rows import held_rows
from storage.queries.pages import list_jobs, stuck_jobs
from storage.records.call_outcome import CallOutcome
from storage.records.states import JobStatus
from storage.retention.delete import forget_jobs
from storage.retention.deletion_queue import claim_deletions, spare_init_image
from tests.storage.table import FAULT, TableUnderTest, new_job, picture

ENDED_ROWS = 6000


@pytest.fixture
def crowded(table: TableUnderTest) -> TableUnderTest:
    """A table in which nearly everything has ended."""
    jobs = [new_job(owner=f"o{n % 7}") for n in range(ENDED_ROWS)]
    for start in range(0, ENDED_ROWS, 1000):
        insert_jobs(table.db, jobs[start : start + 1000])
    rows = table.db.tables.jobs
    ended = {
        "status": "succeeded",
        "images": [{"index": 0}],
        "image_in_hand_at": rows.c.accepted_at,
        "ended_at": rows.c.accepted_at,
        "first_call_at": rows.c.accepted_at,
        "calls_made": 1,
    }
    with table.db.begin() as connection:
        connection.execute(update(rows).values(ended))
        dead = [
            {"id": uuid4(), "host": "h", "pid": 1, "version": "0", "concurrency": 1}
            for _ in range(5)
        ]
        workers = table.db.tables.workers
        connection.execute(insert(workers).values(lease_until=rows_now(table.db)), dead)
    with table.db.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
    return table


def rows_now(db: Database) -> Any:
    """The database's own moment."""
    return db.tables.jobs.c.accepted_at.server_default.arg  # type: ignore[union-attr]


def _story(table: TableUnderTest) -> None:
    """Every transition and every question, once."""
    db = table.db
    ids = [table.accept(idempotency_key=f"k{n}", owner="ada") for n in range(12)]
    batch_id, lines = table.batch(4)
    unopened, _ = table.batch(3, opened=False)
    table.alive()
    set_owner_limits(db, "ada", max_in_flight=100)
    set_owner_limits(db, "o1", max_in_flight=0)
    reserve_if_alone(db, ids[0])
    free_slots(db, otherwise=1)
    reserve_due(db, limit=5, stale_after_s=60)
    count_dispatched(db, 100)
    count_queued(db, "ada", 100)
    refresh_dispatched(db, ids[:2])
    unreserve(db, ids[:2])
    due_job_with_fewest_calls(db)
    table.finished(ids[0])
    for n in (1, 2, 3, 4):
        table.claimed(ids[n])
    retry_later_if_held(db, ids[1], fence=1, delay_s=-1, outcome=CallOutcome(FAULT))
    fail_if_held(db, ids[2], fence=1, outcome=CallOutcome(FAULT))
    hand_back_if_held(db, ids[3], fence=1)
    adopt_image(db, ids[4], fence=1, images=picture(ids[4], 1))
    table.in_hand(ids[5])
    held_rows(db, table.worker)
    table.claimed(lines[0])
    reserve_due(db, limit=5, stale_after_s=-1)
    ask_cancel(db, ids[6])
    ask_cancel(db, ids[5])
    retry_ended(db, [ids[6], ids[2]])
    expire_due(db)
    table.alive(lease_s=-5)
    rescue_dead(db, max_unknown_calls=1, spool_grace_s=-1)
    forget_workers(db, dead_for_s=1)
    fold_batch_deltas(db)
    batch_progress(db, batch_id)
    delete_loading(db, unopened)
    get_jobs(db, ids[:3])
    job_by_key(db, "ada", "k1")
    newest = list_jobs(db, limit=3)
    list_jobs(db, before=Cursor.after(newest[-1]), limit=3)
    list_jobs(db, owner="ada", limit=3)
    list_jobs(db, batch_id=batch_id, limit=3)
    list_jobs(db, status=JobStatus.FAILED, limit=3)
    list_jobs(db, since=newest[0].accepted_at, limit=3)
    stuck_jobs(db, held_longer_than_s=60)
    _reuse_and_forget(table)


def _reuse_and_forget(table: TableUnderTest) -> None:
    """The same for what is given again, and for what is to be gone."""
    db, fox = table.db, {"owner": "ada", "reuse_hash": "f0" * 32, "reuse": True}
    source = table.finished(table.accept(**fox, init_image_key="init/ab")).id
    again = table.accept(**fox)
    insert_jobs(db, [new_job(**fox)])
    forget_jobs(db, [source, again], key_prefix="")
    spare_init_image(db, "init/ab")
    claim_deletions(db, limit=9)
    claim_deletions(db, limit=9, jobs=[source])
    meant = DeletionFilter(database_time(db), owner="ada")
    count_deletable(db, meant)
    for ids in walk_deletable(db, meant, chunk=2):
        forget_jobs(db, ids, key_prefix="")


def _asked(db: Database, table: TableUnderTest) -> dict[str, Any]:
    asked: dict[str, Any] = {}

    def remember(
        _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: Any
    ) -> None:
        if "jobs" in statement and not many and not statement.startswith("INSERT"):
            asked.setdefault(statement, parameters)

    event.listen(db._engine, "before_cursor_execute", remember)
    _story(table)
    event.remove(db._engine, "before_cursor_execute", remember)
    return asked


def _plan(db: Database, statement: str, parameters: Any) -> str:
    word = "EXPLAIN" if db.dialect == "postgresql" else "EXPLAIN QUERY PLAN"
    with db.read() as connection:
        rows = connection.exec_driver_sql(f"{word} {statement}", parameters).all()
    return "\n".join(str(row[-1]) for row in rows)


# Reading a whole small index is fine, and so is the newest-first one under a LIMIT.
SCAN = re.compile(r"Seq Scan on jobs|SCAN darkroom_jobs(?! USING .*INDEX darkroom_jobs_)")
BY_ID = re.compile(r"WHERE (darkroom\.jobs|darkroom_jobs)\.id = [%?]")
PRIMARY = re.compile(r"Index Scan using jobs_pkey|SEARCH darkroom_jobs .*autoindex")


def test_every_statement_finds_its_rows_by_an_index(crowded: TableUnderTest) -> None:
    """The plans, asked of each database, of every statement that a whole story sends."""
    asked = _asked(crowded.db, crowded)
    assert len(asked) > 30
    plans = {text: _plan(crowded.db, text, values) for text, values in asked.items()}
    assert {text: plan for text, plan in plans.items() if SCAN.search(plan)} == {}


def test_old_statistics_mislead_nobody(crowded: TableUnderTest) -> None:
    """A planner that believes no row to be queued still looks a job up by its id."""
    asked = _asked(crowded.db, crowded)
    by_id = {text: values for text, values in asked.items() if BY_ID.search(text)}
    assert len(by_id) > 6
    for text, values in by_id.items():
        assert PRIMARY.search(_plan(crowded.db, text, values)), text
