"""Threads that want the same thing at once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from storage.batches.batches import get_batch
from storage.batches.counts import batch_progress, fold_batch_deltas
from storage.dispatch.reserve import reserve_due
from storage.intake.insert import insert_job
from storage.jobs.cancel import cancel_jobs, expire_due, retry_ended
from storage.records.states import JobStatus
from tests.storage.table import TableUnderTest, new_job

THREADS = 6


def test_a_job_is_claimed_by_exactly_one(table: TableUnderTest) -> None:
    """This holds for any number of dispatch messages."""
    ids = [table.accept() for _ in range(20)]
    with ThreadPoolExecutor(THREADS) as threads:
        claims = list(threads.map(table.claim, ids * THREADS))
    winners = Counter(job.id for job in claims if job is not None)
    assert winners == Counter(ids)
    assert {table.job(i).calls_made for i in ids} == {1}


def test_a_key_handed_in_at_once_makes_one_job(table: TableUnderTest) -> None:
    """Everyone gets the same job back."""
    with ThreadPoolExecutor(THREADS) as threads:
        jobs = [new_job(idempotency_key="k") for _ in range(24)]
        accepted = list(threads.map(lambda job: insert_job(table.db, job), jobs))
    assert len({each.job.id for each in accepted}) == 1
    assert sum(each.created for each in accepted) == 1


def test_no_job_is_reserved_twice(table: TableUnderTest) -> None:
    """Not even by two dispatchers that both believe they lead."""
    _, ids = table.batch(120)

    def reserve(_n: int) -> list[UUID]:
        return reserve_due(table.db, limit=10, stale_after_s=60)

    with ThreadPoolExecutor(THREADS) as threads:
        reserved = [job for part in threads.map(reserve, range(24)) for job in part]
    reserved += reserve_due(table.db, limit=120, stale_after_s=60)
    assert sorted(reserved) == sorted(ids)


def test_folding_at_once_counts_every_end_once(table: TableUnderTest) -> None:
    """Jobs end while several leaders fold."""
    batch_id, ids = table.batch(40)

    def end(job_id: UUID) -> None:
        table.finished(job_id)
        fold_batch_deltas(table.db, limit=3)

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(end, ids))
    while fold_batch_deltas(table.db, limit=3) or not get_batch(table.db, batch_id).closed_at:
        pass
    assert get_batch(table.db, batch_id).succeeded == 40
    assert batch_progress(table.db, batch_id).ended == 40


def test_bulk_changes_in_opposite_orders_do_not_deadlock(table: TableUnderTest) -> None:
    """Each meets the rows in id order, however it was asked."""
    ids = [table.accept() for _ in range(60)]

    def change(n: int) -> None:
        order = ids if n % 2 else list(reversed(ids))
        cancel_jobs(table.db, order)
        retry_ended(table.db, order)
        expire_due(table.db)

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(change, range(12)))
    cancel_jobs(table.db, ids)
    assert {table.status(i) for i in ids} == {JobStatus.CANCELLED}
