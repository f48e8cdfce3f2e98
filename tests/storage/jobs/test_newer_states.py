"""Rows in a state of a newer release: left alone, and blocking no other row."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest

from storage.db.database import Database
from storage.dispatch.reserve import (
    forget_lost,
    refresh_dispatched,
    reserve_due,
    reserve_if_alone,
    unreserve,
)
from storage.jobs.cancel import cancel_jobs, expire_due, retry_ended
from storage.jobs.release import retry_later_if_held
from storage.records.call_outcome import CallOutcome
from storage.retention.delete import forget_jobs
from tests.storage.table import FAULT, TableUnderTest


@pytest.fixture
def table(new_migrated_url: str) -> Iterator[TableUnderTest]:
    """Provide a results table of its own: the test drops CHECKs, which others rely on."""
    db = Database(new_migrated_url, pool_size=2)
    yield TableUnderTest(db)
    db.close()


def put_into_a_newer_state(table: TableUnderTest, ids: list[UUID]) -> None:
    """Write what a newer release may write, which has CHECKs of its own."""
    named = ", ".join(f"'{job_id}'" for job_id in ids)
    change = f"UPDATE jobs SET status = 'hibernating' WHERE id IN ({named})"  # noqa: S608 - our own words
    with table.db.begin() as connection:
        if table.db.dialect == "sqlite":
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
            connection.exec_driver_sql(change.replace("jobs", "darkroom_jobs"))
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = OFF")
            return
        for check in ("status_known", "waits_only_queued"):
            connection.exec_driver_sql(f"ALTER TABLE darkroom.jobs DROP CONSTRAINT jobs_{check}")
        connection.exec_driver_sql(change.replace("jobs", "darkroom.jobs"))


def rows_of(table: TableUnderTest, ids: list[UUID]) -> list[tuple[object, ...]]:
    """What the table has of jobs that this release cannot read."""
    jobs = table.db.tables.jobs
    columns = ("id", "status", "dispatched_at", "not_before", "ended_at", "fence", "cancel_asked")
    question = jobs.select().with_only_columns(*(jobs.c[name] for name in columns))
    with table.db.read() as connection:
        found = connection.execute(question.where(jobs.c.id.in_(ids)).order_by(jobs.c.id))
        return [tuple(row) for row in found]


def later(table: TableUnderTest, delay_s: float) -> UUID:
    """A job that was called for once, and is to be called for again."""
    job_id = table.accept()
    table.claimed(job_id)
    assert retry_later_if_held(
        table.db, job_id, fence=1, delay_s=delay_s, outcome=CallOutcome(FAULT)
    )
    return job_id


def test_no_sweep_stops_at_a_row_in_a_newer_state_or_changes_it(table: TableUnderTest) -> None:
    """It would be the first of each kind; a limit of one still finds the next."""
    strange = [table.accept(), table.accept(), later(table, -60), table.accept(expires_in_s=-60.0)]
    sent, _ready, _waiting, _late = strange
    assert reserve_if_alone(table.db, sent) is False
    table.overwrite(sent, dispatched_at=table.job(sent).accepted_at - timedelta(hours=1))
    put_into_a_newer_state(table, strange)
    before = rows_of(table, strange)

    lost = table.accept()
    assert reserve_due(table.db, limit=1, stale_after_s=60) == [lost]
    assert forget_lost(table.db, limit=1, stale_after_s=-1) == 1
    assert reserve_due(table.db, limit=1, stale_after_s=60) == [lost]
    waited = later(table, -1)
    assert reserve_due(table.db, limit=1, stale_after_s=10**9) == [waited]
    late = table.accept(expires_in_s=-1.0)
    assert expire_due(table.db, limit=1) == 1
    assert table.job(late).ended_at is not None

    assert (refresh_dispatched(table.db, strange), unreserve(table.db, strange)) == (0, 0)
    assert [reserve_if_alone(table.db, job_id) for job_id in strange] == [False] * 4
    assert cancel_jobs(table.db, strange).untouched == 4
    assert retry_ended(table.db, strange) == []
    assert forget_jobs(table.db, strange, key_prefix="").forgotten == []
    assert rows_of(table, strange) == before
