"""A row that cannot be read ends as failed at its next claim, at no price."""

from uuid import UUID, uuid4

import pytest

from storage.batches.counts import batch_progress
from storage.fleet.daily_calls import calls_today
from storage.jobs.claim import claim_if_due
from storage.records.job import Job
from tests.storage.table import TableUnderTest


def spoil(table: TableUnderTest, job_id: UUID) -> None:
    """Write what the driver cannot turn into Python: a time past all times, JSON cut short."""
    is_postgresql = table.db.dialect == "postgresql"
    name = "darkroom.jobs" if is_postgresql else "darkroom_jobs"
    value = "expires_at = 'infinity'" if is_postgresql else """request = '{"prompt": "cut'"""
    with table.db.begin() as connection:
        statement = f"UPDATE {name} SET {value} WHERE id = '{job_id}'"  # noqa: S608 - our own words
        connection.exec_driver_sql(statement)


def claim(table: TableUnderTest, job_id: UUID, most: int | None) -> Job | None:
    """Claim it as a worker would, with or without a limit for the day."""
    return claim_if_due(
        table.db,
        job_id,
        worker_id=table.worker,
        token=uuid4(),
        call_deadline_s=60,
        max_calls=3,
        max_calls_per_day=most,
    )


def facts(table: TableUnderTest, job_id: UUID) -> tuple[object, ...]:
    """Columns that can still be read."""
    name = "darkroom.jobs" if table.db.dialect == "postgresql" else "darkroom_jobs"
    columns = "status, error_code, attempts, calls_made, worker_id, call_deadline"
    [row] = table.sql(f"SELECT {columns} FROM {name} WHERE id = '{job_id}'")  # noqa: S608 - as above
    return tuple(row)


@pytest.mark.parametrize("most", [None, 5])
def test_an_unreadable_job_ends_as_failed_and_costs_nothing(
    table: TableUnderTest, most: int | None
) -> None:
    """Neither an attempt nor a call, on the row or of the day; its batch counts the failure."""
    batch_id, [bad, good] = table.batch(2)
    spoil(table, bad)
    assert claim(table, bad, most) is None
    assert facts(table, bad) == ("failed", "ROW_UNREADABLE", 0, 0, None, None)
    assert calls_today(table.db) == 0
    assert claim(table, bad, most) is None
    assert claim(table, good, most) is not None
    assert batch_progress(table.db, batch_id).failed == 1


def test_an_unreadable_job_that_another_holds_is_left_to_it(table: TableUnderTest) -> None:
    """Another worker has read it once and is calling for it."""
    job = table.claimed(table.accept())
    spoil(table, job.id)
    assert claim(table, job.id, None) is None
    assert facts(table, job.id)[:4] == ("running", None, 1, 1)
