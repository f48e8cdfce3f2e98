"""A row that another transaction has locked keeps no other row waiting (PostgreSQL)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from storage.batches.batches import get_batch
from storage.batches.counts import fold_batch_deltas
from storage.db.database import Database
from storage.db.statement_limits import Limits
from storage.dispatch.reserve import forget_lost, refresh_dispatched, reserve_due
from storage.errors import RowLocked
from storage.jobs.cancel import cancel_jobs, expire_due, retry_ended
from storage.jobs.finish import finish_if_held, mark_storing_if_held
from storage.jobs.release import retry_later_if_held
from storage.jobs.rescue import rescue_dead
from storage.queries.get import get_jobs
from storage.records.call_outcome import CallOutcome
from storage.records.job import Job
from storage.records.states import JobStatus
from storage.retention.delete import forget_jobs
from tests.storage.db.test_group_commit import at_once
from tests.storage.deliveries import claim_deliveries
from tests.storage.table import FAULT, TableUnderTest

THREADS = 6
SHORT = Limits(lock_s=0.2, statement_s=20, deadline_s=30)


@pytest.fixture
def table(migrated_postgres_url: str) -> Iterator[TableUnderTest]:
    """A results table whose statements wait only a moment for a lock."""
    db = Database(migrated_postgres_url, limits=SHORT)
    yield TableUnderTest(db)
    db.close()


@contextmanager
def locked(url: str, *ids: UUID, table: str = "jobs") -> Iterator[None]:
    """Lock rows in a transaction of another client, as in a forgotten psql."""
    other = Database(url)
    rows = getattr(other.tables, table)
    try:
        with other.begin() as connection:
            connection.execute(select(rows.c.id).where(rows.c.id.in_(ids)).with_for_update())
            yield
    finally:
        other.close()


def outcome(change: Callable[[Job], Any]) -> Callable[[Job], object]:
    """The change's result, or that it met a lock."""

    def made(job: Job) -> object:
        try:
            return change(job)
        except RowLocked:
            return "locked"

    return made


def test_a_group_passes_over_a_locked_row(
    table: TableUnderTest, migrated_postgres_url: str
) -> None:
    """Claim, in hand and finish of the others happen; the locked one's say that it is locked."""
    ids = [table.accept() for _ in range(THREADS)]

    def claim(job_id: UUID) -> object:
        try:
            return table.claim(job_id) is not None
        except RowLocked:
            return "locked"

    with locked(migrated_postgres_url, ids[0]):
        for _ in range(2):  # in groups, once there was a change before
            claims = at_once(claim, ids)
            assert claims[0] == "locked"
        assert {table.status(job_id) for job_id in ids[1:]} == {JobStatus.RUNNING}
    held = [table.claimed(ids[0]), *(table.job(job_id) for job_id in ids[1:])]
    steps: list[Callable[[Job], bool]] = [
        lambda job: mark_storing_if_held(
            table.db, job.id, fence=job.fence, images=table.image(job)
        ),
        lambda job: finish_if_held(table.db, job.id, fence=job.fence, images=table.image(job)),
    ]
    for step in steps:
        with locked(migrated_postgres_url, ids[0]):
            assert at_once(outcome(step), held) == ["locked", *[True] * (THREADS - 1)]
        assert step(held[0])
    assert {table.status(job_id) for job_id in ids} == {JobStatus.SUCCEEDED}
    assert {table.job(job_id).calls_made for job_id in ids} == {1}


def test_bulk_changes_are_made_before_a_locked_row_is_waited_for(
    table: TableUnderTest, migrated_postgres_url: str
) -> None:
    """Cancelled or queued again, all but the locked one, which is reported as locked."""
    ids = [table.accept() for _ in range(4)]
    with locked(migrated_postgres_url, ids[1]), pytest.raises(RowLocked):
        cancel_jobs(table.db, ids)
    assert [table.status(job_id) is JobStatus.QUEUED for job_id in ids] == [
        False,
        True,
        False,
        False,
    ]
    assert cancel_jobs(table.db, ids).cancelled == 1
    with locked(migrated_postgres_url, ids[1]), pytest.raises(RowLocked):
        retry_ended(table.db, ids)
    assert [table.status(job_id) is JobStatus.QUEUED for job_id in ids] == [True, False, True, True]
    assert retry_ended(table.db, ids) == [ids[1]]


def test_a_locked_job_keeps_no_other_job_from_being_forgotten(
    table: TableUnderTest, migrated_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All others are gone before the locked one is waited for."""
    monkeypatch.setattr("storage.retention.delete.BULK_DELETE", SHORT)
    ids = [table.accept() for _ in range(3)]
    with locked(migrated_postgres_url, ids[0]), pytest.raises(RowLocked):
        forget_jobs(table.db, ids, key_prefix="")
    assert [job.id for job in get_jobs(table.db, ids)] == [ids[0]]
    held = table.claimed(table.accept())
    forgotten = forget_jobs(table.db, [*ids, held.id], key_prefix="")
    assert (forgotten.forgotten, forgotten.under_way) == ([ids[0]], [held.id])


def test_a_locked_batch_keeps_no_other_batchs_counts_back(
    table: TableUnderTest, migrated_postgres_url: str
) -> None:
    """The other one closes; the locked one is folded when it is free."""
    (kept, one), (other, two) = table.batch(1), table.batch(1)
    for job_id in (*one, *two):
        table.finished(job_id)
    with locked(migrated_postgres_url, kept, table="batches"), pytest.raises(RowLocked):
        fold_batch_deltas(table.db)
    assert get_batch(table.db, other).closed_at is not None
    assert get_batch(table.db, kept).closed_at is None
    assert fold_batch_deltas(table.db) == [kept]


def test_a_group_that_meets_a_locked_batch_is_made_one_by_one(
    table: TableUnderTest, migrated_postgres_url: str
) -> None:
    """The end of a batch's job needs the batch; jobs of other batches end meanwhile."""
    kept, one = table.batch(1)
    _, others = table.batch(THREADS - 1)
    held = [table.in_hand(job_id) for job_id in (*one, *others)]

    def finish(job: Job) -> bool:
        return finish_if_held(table.db, job.id, fence=job.fence, images=table.image(job))

    at_once(finish, [table.in_hand(table.accept()) for _ in range(2)])
    with locked(migrated_postgres_url, kept, table="batches"):
        found = at_once(outcome(finish), held)
    assert found[0] in {"locked", True}
    assert found[1:] == [True] * (THREADS - 1)


def test_sweeps_pass_over_locked_rows_and_find_them_when_they_are_free(
    table: TableUnderTest, migrated_postgres_url: str
) -> None:
    """One forgotten psql must not stop rescue, dispatch or expiry for the whole fleet."""
    db = table.db
    running, storing, sent, waiting = ([table.accept(), table.accept()] for _ in range(4))
    late = [table.accept(expires_in_s=-1.0) for _ in range(2)]
    for job_id in (*running, *waiting):
        table.claimed(job_id)
    for job_id in storing:
        table.in_hand(job_id)
    for job_id in waiting:
        assert retry_later_if_held(db, job_id, fence=1, delay_s=-1, outcome=CallOutcome(FAULT))
    for job_id in sent:
        table.overwrite(job_id, dispatched_at=table.job(job_id).accepted_at)

    def found() -> tuple[int, ...]:
        expired = expire_due(db)
        refreshed = refresh_dispatched(db, sent)
        due = reserve_due(db, limit=99, stale_after_s=60)
        lost = forget_lost(db, limit=99, stale_after_s=-1)
        rescued = rescue_dead(db, max_unknown_calls=5, spool_grace_s=-1)
        return expired, refreshed, len(due), lost, rescued.running, rescued.storing

    held = [ids[0] for ids in (running, storing, sent, waiting, late)]
    with locked(migrated_postgres_url, *held):
        assert found() == (1, 1, 1, 2, 1, 1)
    assert found()[0] == 1
    assert {table.status(job_id) for job_id in late} == {JobStatus.CANCELLED}
    assert {table.status(job_id) for job_id in (*running, *storing)} == {JobStatus.QUEUED}


def test_deliveries_that_are_locked_keep_no_others_from_being_sent(
    table: TableUnderTest, migrated_postgres_url: str
) -> None:
    """A second process takes what the first one does not hold."""
    for _ in range(2):
        table.finished(table.accept(callback_url="https://example.com/done"))
    rows = table.db.tables.deliveries
    with table.db.read() as connection:
        first = connection.scalars(select(rows.c.id).order_by(rows.c.next_attempt_at)).first()
    assert first is not None

    def claimed() -> list[UUID]:
        taken = claim_deliveries(table.db, "default", token=uuid4(), limit=9, lease_s=60)
        return [each.delivery.id for each in taken]

    with locked(migrated_postgres_url, first, table="deliveries"):
        assert len(claimed()) == 1
    assert claimed() == [first]
