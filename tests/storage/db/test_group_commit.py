"""Changes of many threads, made in one statement."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import UUID

import pytest
from sqlalchemy import insert, literal, select

from storage.batches.counts import batch_progress, fold_batch_deltas
from storage.db.group_commit import GroupCommit, GroupStatement, ungrouped
from storage.errors import DatabaseUnavailable
from storage.jobs.finish import finish_if_held, mark_storing_if_held
from storage.records.job import Job
from storage.records.states import JobStatus
from tests.storage.table import TableUnderTest

Row = TypeVar("Row")

THREADS = 8
ROUNDS = 6


class Changes:
    """Notes the groups that it is given."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []

    def __call__(self, rows: Sequence[int]) -> list[int | None]:
        """Odd rows change, even ones do not."""
        self.groups.append(list(rows))
        return [row if row % 2 else None for row in rows]


def at_once(change: Callable[[Row], object], rows: Sequence[Row]) -> list[object]:
    """Make changes from as many threads, started together."""
    ready = threading.Barrier(len(rows))

    def one(row: Row) -> object:
        ready.wait(20)
        return change(row)

    with ThreadPoolExecutor(len(rows)) as threads:
        return list(threads.map(one, rows))


def test_everyone_gets_what_came_of_its_own_row() -> None:
    """In whatever groups they went."""
    changes = Changes()
    together: GroupCommit[int, int] = GroupCommit(changes)
    found = [at_once(together.run, range(THREADS)) for _ in range(ROUNDS)]
    asked = [row for group in changes.groups for row in group]
    for results in found:
        assert all(result in (row if row % 2 else None, None) for row, result in enumerate(results))
    assert all(len(group) > 1 for group in changes.groups)
    assert len(asked) > len(changes.groups)


def test_a_thread_that_changes_one_after_another_makes_each_alone() -> None:
    """There is no other thread to wait for."""
    changes = Changes()
    together: GroupCommit[int, int] = GroupCommit(changes)
    assert [together.run(row) for row in range(5)] == [None] * 5
    assert changes.groups == []


@pytest.mark.parametrize(
    ("error", "is_raised"), [(DatabaseUnavailable("away"), True), (ValueError("odd row"), False)]
)
def test_a_group_that_fails_is_called_again_or_made_one_by_one(
    error: Exception, *, is_raised: bool
) -> None:
    """An outage is everybody's to wait out; a row that spoils the statement is only its own."""

    def fail(_rows: Sequence[int]) -> list[int | None]:
        raise error

    together: GroupCommit[int, int] = GroupCommit(fail)

    def change(row: int) -> object:
        try:
            return together.run(row)
        except DatabaseUnavailable as unavailable:
            return str(unavailable)

    assert change(0) is None  # no other thread was there
    found = {result for _ in range(ROUNDS) for result in at_once(change, range(THREADS))}
    assert found - {None} == ({"away"} if is_raised else set())


def test_jobs_that_go_their_course_together_each_end_as_they_would_alone(
    table: TableUnderTest,
) -> None:
    """Claimed once, their calls counted, one of them asked to stop, some no longer held."""
    with table.db.begin() as connection:
        owners = table.db.tables.owners
        connection.execute(insert(owners).values(name="a", max_calls_per_day=99))
    batch_id, ids = table.batch(THREADS * ROUNDS, owner="a")
    stale = ids[1::3]  # several, because a change that comes first or last is made alone

    def course(job_id: UUID) -> object:
        job = table.claim(job_id)
        assert job is not None
        assert job.id == job_id
        if job_id == ids[0]:
            table.overwrite(job_id, cancel_asked=True)
        if job_id in stale:
            table.overwrite(job_id, fence=job.fence + 1)
        return stored(job)

    def stored(job: Job) -> object:
        images = table.image(job)
        marked = mark_storing_if_held(table.db, job.id, fence=job.fence, images=images)
        return marked, finish_if_held(table.db, job.id, fence=job.fence, images=images)

    came = [at_once(course, ids[n::ROUNDS]) for n in range(ROUNDS)]
    ended = [table.job(job_id) for job_id in ids]
    outcomes = Counter(outcome for group in came for outcome in group)
    assert outcomes == {(True, True): len(ids) - len(stale), (False, False): len(stale)}
    assert ended[0].status is JobStatus.CANCELLED
    assert {job.status for job in ended[1::3]} == {JobStatus.RUNNING}
    done = [job for job in ended[1:] if job.id not in stale]
    assert {job.status for job in done} == {JobStatus.SUCCEEDED}
    assert [job.images[0].key for job in done] == [f"images/{job.id}/1-0.png" for job in done]
    assert {job.calls_made for job in ended} == {1}
    with table.db.read() as connection:
        assert connection.scalar(select(table.db.tables.owner_calls.c.calls)) == len(ids)
    fold_batch_deltas(table.db)
    progress = batch_progress(table.db, batch_id)
    assert (progress.succeeded, progress.cancelled) == (len(done), 1)


def test_one_claim_among_many_at_once_takes_a_job(table: TableUnderTest) -> None:
    """In a group as alone."""
    job_id = table.accept()
    claims = [claim for _ in range(2) for claim in at_once(table.claim, [job_id] * THREADS)]
    assert [claim is not None for claim in claims].count(True) == 1
    assert table.job(job_id).calls_made == 1


def test_claims_on_terms_of_their_own_are_each_made_on_them(table: TableUnderTest) -> None:
    """A statement for many has one worker, one deadline and one limit for all of its rows."""
    ids = [table.accept() for _ in range(THREADS * ROUNDS)]

    def claim(job_id: UUID) -> Job:
        return table.claimed(job_id, call_deadline_s=60.0 + 600.0 * (ids.index(job_id) % 2))

    for n in range(ROUNDS):
        at_once(claim, ids[n * THREADS : (n + 1) * THREADS])
    jobs = [table.job(job_id) for job_id in ids]
    allowed_s = [
        (job.call_deadline - job.first_call_at).total_seconds()
        for job in jobs
        if job.call_deadline and job.first_call_at
    ]
    assert [round(each / 10) for each in allowed_s] == [6 + 60 * (n % 2) for n in range(len(ids))]


def test_ends_that_are_repeated_together_count_once(table: TableUnderTest) -> None:
    """The answer to the first was lost; the row has ended, and its batch was told."""
    batch_id, ids = table.batch(THREADS)
    held = [table.in_hand(job_id) for job_id in ids]

    def finish(job: Job) -> bool:
        return finish_if_held(table.db, job.id, fence=job.fence, images=table.image(job))

    for _ in range(3):
        assert at_once(finish, held) == [True] * THREADS
    ended_at = [table.job(job_id).ended_at for job_id in ids]
    assert at_once(finish, held) == [True] * THREADS
    assert [table.job(job_id).ended_at for job_id in ids] == ended_at
    fold_batch_deltas(table.db)
    progress = batch_progress(table.db, batch_id)
    assert (progress.succeeded, progress.ended) == (THREADS, THREADS)


def noting(sizes: list[int]) -> GroupStatement[object]:
    """A statement that changes nothing; the sizes of its groups are noted."""

    def bind(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        sizes.append(len(rows))
        return {}

    return GroupStatement(
        build=lambda _: select(literal(1)), bind=bind, results=lambda rows, _: [None for _ in rows]
    )


def test_a_change_that_is_to_be_made_alone_joins_no_group(table: TableUnderTest) -> None:
    """It may wait for a lock; a thread's next change is gathered again."""
    alone, gathered = list[int](), list[int]()

    change, change_too = noting(alone), noting(gathered)

    def one(row: Mapping[str, Any]) -> object:
        with ungrouped():
            first = table.db.run_grouped(change, row)
        return first, table.db.run_grouped(change_too, row)

    for _ in range(ROUNDS):
        assert at_once(one, [{"n": n} for n in range(THREADS)]) == [(None, None)] * THREADS
    assert alone == []
    assert bool(gathered) == (table.db.dialect == "postgresql")
