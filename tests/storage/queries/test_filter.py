"""Bulk selection: whole, in chunks, undisturbed by what is done meanwhile, and by an index."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, update

from storage.db.database import Database
from storage.intake.insert import insert_jobs
from storage.jobs.cancel import cancel_jobs, retry_ended
from storage.jobs.release import fail_if_held
from storage.queries.filter import (
    Selection,
    Tally,
    count_held_unasked,
    database_time,
    held_unasked,
    standings,
    tally_jobs,
    walk_jobs,
)
from storage.queries.get import get_job
from storage.records.call_outcome import CallOutcome
from storage.records.states import JobStatus
from tests.storage.queries.test_plans import SCAN, _plan
from tests.storage.table import FAULT, TableUnderTest, new_job

ENDED_ROWS = 3000


def now(table: TableUnderTest, **filters: Any) -> Selection:
    """Everything there is up to now that fits."""
    return Selection(database_time(table.db), **filters)


def fail(table: TableUnderTest, job_id: UUID) -> None:
    """Take a job and give it up."""
    fence = table.claimed(job_id).fence
    assert fail_if_held(table.db, job_id, fence=fence, outcome=CallOutcome(FAULT))


def met(table: TableUnderTest, status: JobStatus, selection: Selection, chunk: int) -> list[UUID]:
    """Every job of a walk, in its order."""
    return [i for ids in walk_jobs(table.db, status, selection, chunk=chunk) for i in ids]


def test_a_walk_meets_each_job_once_while_they_change_behind_it(table: TableUnderTest) -> None:
    """Jobs of one moment, cancelled chunk by chunk: none left out, none met twice."""
    _, lines = table.batch(25)
    singles = [table.accept() for _ in range(6)]
    seen = []
    for ids in walk_jobs(table.db, JobStatus.QUEUED, now(table), chunk=7):
        assert len(ids) <= 7
        assert cancel_jobs(table.db, ids).cancelled == len(ids)
        seen += ids
    assert sorted(seen) == sorted([*lines, *singles])


def test_what_fails_after_the_decision_is_not_meant(table: TableUnderTest) -> None:
    """Neither is a job that was retried and failed again: the caller agreed to the others alone."""
    before, again, later = (table.accept() for _ in range(3))
    fail(table, before)
    fail(table, again)
    decided = now(table)
    retry_ended(table.db, [again])
    fail(table, again)
    fail(table, later)
    for job_id in (again, later):  # SQLite's clock has milliseconds
        table.overwrite(job_id, ended_at=decided.as_of + timedelta(seconds=1))
    assert met(table, JobStatus.FAILED, decided, 2) == [before]
    assert tally_jobs(table.db, JobStatus.FAILED, decided).jobs == 1


def test_all_filters_have_to_fit(table: TableUnderTest) -> None:
    """Batch, owner, age and error code, for the walk as for its count."""
    batch_id, lines = table.batch(2, owner="ada")
    single = table.accept(owner="ada")
    table.accept(owner="bob")
    middle = get_job(table.db, single).accepted_at
    for job_id in lines:
        table.overwrite(job_id, accepted_at=middle - timedelta(seconds=1))
    for filters, ids in (
        ({"owner": "ada"}, {*lines, single}),
        ({"batch_id": batch_id}, set(lines)),
        ({"owner": "ada", "since": middle}, {single}),
        ({"owner": "bob", "batch_id": batch_id}, set()),
    ):
        assert set(met(table, JobStatus.QUEUED, now(table, **filters), 1)) == ids
        assert tally_jobs(table.db, JobStatus.QUEUED, now(table, **filters)).jobs == len(ids)
    fail(table, single)
    assert met(table, JobStatus.FAILED, now(table, code=FAULT.code), 5) == [single]
    assert met(table, JobStatus.FAILED, now(table, code="OTHER"), 5) == []
    assert tally_jobs(table.db, JobStatus.QUEUED, now(table)).codes == {}


def test_a_batch_still_being_loaded_is_left_alone(table: TableUnderTest) -> None:
    """No caller sees its jobs, so no caller selects them."""
    table.batch(3, opened=False)
    assert met(table, JobStatus.QUEUED, now(table), 5) == []


def test_the_count_tells_what_may_have_been_paid(table: TableUnderTest) -> None:
    """Jobs by error code, the commonest first, and those with an unknown call."""
    ids = [table.accept() for _ in range(3)]
    for job_id in ids:
        fail(table, job_id)
    table.overwrite(ids[0], calls_unknown=1, error_code="OUTCOME_UNKNOWN")
    found = tally_jobs(table.db, JobStatus.FAILED, now(table))
    assert found == Tally(jobs=3, unknown=1, codes={FAULT.code: 2, "OUTCOME_UNKNOWN": 1})
    assert list(found.codes) == [FAULT.code, "OUTCOME_UNKNOWN"]
    assert tally_jobs(table.db, JobStatus.CANCELLED, now(table)) == Tally(0, 0, {})


def test_a_cancelled_job_that_has_its_picture_is_not_paid_again(table: TableUnderTest) -> None:
    """It is cancelled, and yet never among those to be queued again."""
    kept, stopped = table.accept(), table.accept()
    job = table.in_hand(kept)
    cancel_jobs(table.db, [kept, stopped])
    table.overwrite(kept, status="cancelled", ended_at=job.accepted_at, worker_id=None)
    assert met(table, JobStatus.CANCELLED, now(table), 5) == [stopped]
    assert {i: s.has_images for i, s in standings(table.db, [kept, stopped]).items()} == {
        kept: True,
        stopped: False,
    }


def test_held_jobs_are_given_until_they_are_marked(table: TableUnderTest) -> None:
    """Taking the first few, marking them, and asking again goes through all of them."""
    ids = {table.claimed(table.accept()).id for _ in range(5)}
    table.accept()
    assert count_held_unasked(table.db, now(table)) == 5
    seen: set[UUID] = set()
    while some := held_unasked(table.db, now(table), limit=2):
        assert cancel_jobs(table.db, some).asked == len(some)
        seen |= set(some)
    assert seen == ids


def test_only_states_with_an_index_are_walked(table: TableUnderTest) -> None:
    """A walk over millions of succeeded jobs is refused, not begun."""
    with pytest.raises(ValueError, match="succeeded"):
        next(walk_jobs(table.db, JobStatus.SUCCEEDED, now(table)))


@pytest.fixture
def crowded(table: TableUnderTest) -> TableUnderTest:
    """A table in which nearly everything has succeeded."""
    made = [new_job(owner=f"o{n % 7}") for n in range(ENDED_ROWS)]
    for start in range(0, ENDED_ROWS, 1000):
        insert_jobs(table.db, made[start : start + 1000])
    rows = table.db.tables.jobs
    values = {"status": "succeeded", "images": [{}], "calls_made": 1}
    times = dict.fromkeys(("image_in_hand_at", "ended_at", "first_call_at"), rows.c.accepted_at)
    with table.db.begin() as connection:
        connection.execute(update(rows).values(**values, **times))
    with table.db.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
    return table


def test_every_question_is_answered_by_an_index(crowded: TableUnderTest) -> None:
    """However many jobs have succeeded, none of them is read."""
    db = crowded.db
    batch_id, lines = crowded.batch(6)
    for job_id in lines[:3]:
        fail(crowded, job_id)
    crowded.claimed(lines[3])
    asked = _questions(db, batch_id)
    assert len(asked) > 20
    plans = {text: _plan(db, text, values) for text, values in asked.items()}
    assert {text: plan for text, plan in plans.items() if SCAN.search(plan)} == {}


def _questions(db: Database, batch_id: UUID) -> dict[str, Any]:
    asked: dict[str, Any] = {}

    def remember(_connection: Any, _cursor: Any, text: str, values: Any, *_more: Any) -> None:
        asked.setdefault(text, values)

    moment = database_time(db)
    event.listen(db._engine, "before_cursor_execute", remember)
    for filters in ({}, {"batch_id": batch_id}, {"owner": "o1"}, {"since": moment}, {"code": "X"}):
        meant = Selection(moment, **filters)
        for status in (JobStatus.QUEUED, JobStatus.FAILED, JobStatus.CANCELLED):
            tally_jobs(db, status, meant)
            list(walk_jobs(db, status, meant, chunk=1))
        held_unasked(db, meant)
        count_held_unasked(db, meant)
    standings(db, [batch_id])
    event.remove(db._engine, "before_cursor_execute", remember)
    return asked


def test_a_finished_job_stands_as_such(table: TableUnderTest) -> None:
    """Succeeded, with its picture and without an error."""
    job = table.finished(table.accept())
    standing = standings(table.db, [job.id])[job.id]
    assert (standing.status, standing.error_code, standing.calls_unknown) == ("succeeded", None, 0)
    assert standing.has_images
