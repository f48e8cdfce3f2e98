"""Reading jobs: pages without gaps, and rows of a newer release."""

from uuid import UUID, uuid4

import pytest

from storage.db.keyset import Cursor
from storage.errors import JobNotFound, RecordUnreadable
from storage.jobs.release import fail_if_held
from storage.queries.get import get_job, get_jobs
from storage.queries.pages import list_jobs, page_of_jobs, stuck_jobs
from storage.records.call_outcome import CallOutcome
from storage.records.states import JobStatus
from tests.storage.table import FAULT, TableUnderTest


def test_pages_follow_each_other_without_gap_or_overlap(table: TableUnderTest) -> None:
    """Even where many jobs were accepted in one moment."""
    table.batch(25)
    singles = [table.accept() for _ in range(5)]
    seen = list_jobs(table.db, limit=7)
    while page := list_jobs(table.db, limit=7, before=Cursor.after(seen[-1])):
        seen += page
    assert len({job.id for job in seen}) == len(seen) == 30
    assert set(singles) <= {job.id for job in seen}
    # By time and then by id: SQLite's moments are milliseconds, which two jobs may well share.
    assert seen == sorted(seen, key=lambda job: (job.accepted_at, job.id), reverse=True)


def test_filters_narrow_a_page(table: TableUnderTest) -> None:
    """By status, owner, batch, error code and time."""
    batch_id, lines = table.batch(3)
    mine = table.accept(owner="ada")
    failed = table.claimed(lines[0])
    fail_if_held(table.db, failed.id, fence=1, outcome=CallOutcome(FAULT))

    def ids(**filters: object) -> set[object]:
        return {job.id for job in list_jobs(table.db, **filters)}  # type: ignore[arg-type]

    assert ids(owner="ada") == {mine}
    assert ids(batch_id=batch_id) == set(lines)
    assert ids(status=JobStatus.FAILED) == ids(code=FAULT.code) == {failed.id}
    assert ids(since=table.job(mine).accepted_at) == {mine}
    assert ids(status=JobStatus.RUNNING) == set()


def test_several_jobs_are_read_at_once(table: TableUnderTest) -> None:
    """Those that do not exist are left out; one alone is missed by name."""
    known = [table.accept() for _ in range(3)]
    assert {job.id for job in get_jobs(table.db, [*known, uuid4()])} == set(known)
    with pytest.raises(JobNotFound):
        get_job(table.db, uuid4())


def test_a_job_held_for_long_is_called_stuck(table: TableUnderTest) -> None:
    """The longest first; what has just begun is not."""
    job = table.claimed(table.accept())
    assert stuck_jobs(table.db, held_longer_than_s=60) == []
    assert [j.id for j in stuck_jobs(table.db, held_longer_than_s=-1)] == [job.id]


def test_a_row_of_a_newer_release_blocks_nobody(table: TableUnderTest) -> None:
    """It is named when asked for, and left out of lists."""
    strange, usual = table.accept(), table.accept()
    done = table.finished(strange)
    table.overwrite(strange, images=[{"index": 0, "key": "k", "colour": "new"}])
    with pytest.raises(RecordUnreadable) as unreadable:
        get_job(table.db, strange)
    assert unreadable.value.job_id == done.id
    assert [job.id for job in list_jobs(table.db)] == [usual]


def unreadable(table: TableUnderTest, job_id: UUID) -> None:
    """Let a row be as a newer release might write it."""
    table.finished(job_id)
    table.overwrite(job_id, images=[{"index": 0, "key": "k", "colour": "new"}])


def test_pages_go_on_past_rows_that_cannot_be_read(table: TableUnderTest) -> None:
    """At a page's end, on all of it, on the first and the last: each other job comes once."""
    ids = [table.accept() for _ in range(7)]
    left = ids[::-1]
    for number in (3, 4, 0, 6):
        unreadable(table, ids[number])
        left.remove(ids[number])
        page = page_of_jobs(table.db, limit=2)
        pages = [page.jobs]
        while page.next is not None:
            page = page_of_jobs(table.db, limit=2, before=page.next)
            pages.append(page.jobs)
        assert [job.id for jobs in pages for job in jobs] == left
        assert len(pages) == 4


def test_a_page_follows_a_job_by_its_id_alone(table: TableUnderTest) -> None:
    """Were it one that cannot be read; one that there is not is missed by name."""
    ids = [table.accept() for _ in range(3)]
    unreadable(table, ids[1])
    page = page_of_jobs(table.db, before=ids[1])
    assert ([job.id for job in page.jobs], page.next) == ([ids[0]], None)
    with pytest.raises(JobNotFound):
        page_of_jobs(table.db, before=uuid4())
