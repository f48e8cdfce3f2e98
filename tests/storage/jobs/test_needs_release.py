"""Jobs whose request needs a newer release wait for a worker that can serve them."""

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import update

from storage.batches.batches import create_batch, open_batch
from storage.dispatch.probe import due_job_with_fewest_calls
from storage.dispatch.reserve import reserve_due, reserve_if_alone, unreserve
from storage.fleet.leases import WorkerInfo, register_worker
from storage.intake.insert import insert_jobs
from storage.jobs.claim import claim_if_due
from storage.jobs.needs_release import newest_release, unserved_jobs
from storage.queries.get import get_job
from storage.records.states import JobStatus
from storage.schema.revision import RELEASE
from tests.storage.table import TableUnderTest, new_job

NEWER = RELEASE + 1


def worker(table: TableUnderTest, serves: int, lease_s: float = 60.0) -> None:
    """Register a worker of this release, or of another."""
    info = WorkerInfo(uuid4(), "here", 1, "0", 4, lease_s, serves_release=serves)
    register_worker(table.db, info)


def claim(table: TableUnderTest, job_id: UUID, serves: int) -> Any:
    """Claim as a worker of that release does."""
    return claim_if_due(
        table.db,
        job_id,
        worker_id=uuid4(),
        token=uuid4(),
        call_deadline_s=60,
        max_calls=3,
        serves_release=serves,
    )


def reserved(table: TableUnderTest) -> set[UUID]:
    """What goes out now."""
    return set(reserve_due(table.db, limit=10, stale_after_s=60))


def test_a_claim_passes_over_a_job_above_its_own_release(table: TableUnderTest) -> None:
    """It stays queued at no price, and is due again a little later, for another worker."""
    table.alive()
    job_id = table.accept(needs_release=NEWER)
    assert claim(table, job_id, serves=NEWER - 1) is None
    job = get_job(table.db, job_id)
    assert (job.status, job.attempts, job.calls_made) == (JobStatus.QUEUED, 0, 0)
    assert (job.error, job.dispatched_at) == (None, None)
    assert job.not_before is not None
    jobs = table.db.tables.jobs
    with table.db.begin() as connection:
        connection.execute(update(jobs).values(not_before=None))
    claimed = claim(table, job_id, serves=NEWER)
    assert claimed is not None
    assert claimed.needs_release == NEWER


def test_jobs_without_a_release_are_every_workers(table: TableUnderTest) -> None:
    """As all are that only use what the oldest supported release knows."""
    assert claim(table, table.accept(), serves=1) is not None
    assert claim(table, table.accept(needs_release=1), serves=1) is not None


def test_the_dispatcher_sends_such_a_job_only_while_a_worker_that_serves_it_lives(
    table: TableUnderTest,
) -> None:
    """It stands before the others in the queue, and does not keep them back."""
    newer = table.accept(needs_release=NEWER, priority=9)
    in_line = table.accept(needs_release=NEWER)
    plain = table.accept()
    table.alive()
    assert reserved(table) == {plain}
    worker(table, NEWER, lease_s=-1.0)
    assert reserved(table) == set()
    worker(table, NEWER)
    assert reserved(table) == {newer, in_line}


def test_without_any_worker_such_a_job_waits(table: TableUnderTest) -> None:
    """Others are sent, for workers that come."""
    newer, plain = table.accept(needs_release=NEWER), table.accept()
    assert reserved(table) == {plain}
    assert get_job(table.db, newer).dispatched_at is None


def test_a_worker_of_the_release_before_serves_no_such_job(table: TableUnderTest) -> None:
    """Its row does not say which release it is."""
    table.alive()
    workers = table.db.tables.workers
    with table.db.begin() as connection:
        connection.execute(update(workers).values(serves_release=None))
    assert newest_release(table.db) is None
    table.accept(needs_release=RELEASE)
    assert reserved(table) == set()


def test_a_job_that_came_alone_is_sent_at_once_only_where_it_is_served(
    table: TableUnderTest,
) -> None:
    """The short way asks the same."""
    table.alive()
    newer = table.accept(needs_release=NEWER)
    assert not reserve_if_alone(table.db, newer)
    worker(table, NEWER)
    assert reserve_if_alone(table.db, newer)
    unreserve(table.db, [newer])


def test_no_probe_goes_to_a_job_that_this_release_cannot_serve(table: TableUnderTest) -> None:
    """However few calls it has made."""
    table.accept(needs_release=NEWER, priority=9)
    plain = table.accept()
    assert due_job_with_fewest_calls(table.db) == plain


def test_jobs_that_nobody_serves_are_counted_for_the_operator(table: TableUnderTest) -> None:
    """Those that wait; a worker that can serve them ends the warning."""
    table.alive()
    assert unserved_jobs(table.db) is None
    served, waiting = table.accept(needs_release=RELEASE), table.accept(needs_release=NEWER)
    table.accept(needs_release=NEWER + 1)
    found = unserved_jobs(table.db)
    assert found is not None
    assert (found.count, found.release, found.newest) == (2, NEWER + 1, RELEASE)
    assert claim(table, served, serves=RELEASE) is not None
    worker(table, NEWER)
    found = unserved_jobs(table.db)
    assert found is not None
    assert (found.count, found.release, found.newest) == (1, NEWER + 1, NEWER)
    assert claim(table, waiting, serves=NEWER) is not None
    worker(table, NEWER + 1)
    assert unserved_jobs(table.db) is None


def test_a_batch_keeps_what_each_of_its_jobs_needs(table: TableUnderTest) -> None:
    """Those that anybody can serve are sent, the others wait."""
    table.alive()
    batch, _ = create_batch(table.db, id=uuid4())
    jobs = [new_job(batch_id=batch.id, needs_release=needs) for needs in (NEWER, None, RELEASE)]
    assert insert_jobs(table.db, jobs) == 3
    assert open_batch(table.db, batch.id, 3)
    assert reserved(table) == {jobs[1].id, jobs[2].id}
