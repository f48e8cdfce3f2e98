"""An estimate of who starts before whom, from counts that end somewhere."""

from uuid import UUID

from storage.dispatch.position import queue_position
from storage.dispatch.reserve import reserve_due
from storage.queries.snapshots import Snapshot, snapshots_of
from storage.records.states import JobStatus
from tests.storage.table import TableUnderTest


def place(table: TableUnderTest, job_id: UUID) -> int | None:
    """Where a job stands."""
    return queue_position(table.db, table.job(job_id))


def test_jobs_of_one_owner_stand_one_behind_the_other(table: TableUnderTest) -> None:
    """The first is next."""
    ids = [table.accept() for _ in range(3)]
    assert [place(table, job_id) for job_id in ids] == [1, 2, 3]


def test_a_single_job_behind_a_large_batch_is_almost_next(table: TableUnderTest) -> None:
    """Streams take turns, so only its own count against it."""
    table.batch(50)
    first, second = table.accept(), table.accept()
    assert (place(table, first), place(table, second)) == (1, 3)


def test_a_higher_priority_stands_before_everybody_else(table: TableUnderTest) -> None:
    """Whatever its stream."""
    low = table.accept()
    for _ in range(4):
        table.accept(priority=1, owner="another")
    assert place(table, low) == 5


def test_a_job_that_was_sent_out_is_next_and_one_under_way_waits_no_more(
    table: TableUnderTest,
) -> None:
    """No job is ahead of one that was sent out to a worker."""
    sent, other = table.accept(), table.accept()
    assert reserve_due(table.db, limit=1, stale_after_s=60) == [sent]
    assert (place(table, sent), place(table, other)) == (1, 1)
    table.claimed(sent)
    assert place(table, sent) is None


def test_a_sighting_says_where_jobs_are_and_passes_over_strangers(table: TableUnderTest) -> None:
    """The few columns that are reported to a waiting caller."""
    waiting, made = table.accept(), table.accept()
    fence = table.finished(made).fence
    seen = snapshots_of(table.db, [waiting, made, table.worker])
    assert seen == {
        waiting: Snapshot(JobStatus.QUEUED, 0, 0, cancel_asked=False, error_code=None),
        made: Snapshot(JobStatus.SUCCEEDED, fence, 1, cancel_asked=False, error_code=None),
    }
    assert [seen[job_id].has_ended for job_id in (waiting, made)] == [False, True]
