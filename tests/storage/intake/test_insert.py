"""Accepting: one row a job, however often it is submitted."""

from uuid import uuid4

import pytest

from storage.batches.batches import create_batch, open_batch
from storage.batches.counts import batch_progress
from storage.errors import IdempotencyConflict, RecordRefused
from storage.intake.insert import MAX_CHUNK_JOBS, insert_job, insert_jobs
from storage.intake.insert_ended import insert_faulty_job
from storage.queries.get import get_job
from storage.records.job import JobError
from storage.records.states import JobStatus
from tests.storage.table import TableUnderTest, new_job


def test_a_job_is_kept_as_it_was_handed_in(table: TableUnderTest) -> None:
    """Every field of a new job comes back from the row."""
    job = new_job(
        owner="ada",
        idempotency_key="k",
        priority=3,
        metadata={"sku": "ü-1"},
        init_image_key="init/ab",
        callback_url="https://example.org/",
        expires_in_s=60.0,
        simulated=True,
    )
    kept = insert_job(table.db, job).job
    for name in ("id", "owner", "request", "metadata", "priority", "init_image_key", "simulated"):
        assert getattr(kept, name) == getattr(job, name)
    assert kept.status is JobStatus.QUEUED
    assert kept.expires_at is not None
    assert 59 < (kept.expires_at - kept.accepted_at).total_seconds() < 61


def test_the_same_id_again_is_the_same_job(table: TableUnderTest) -> None:
    """A repeat after a lost answer finds the row."""
    job = new_job()
    assert insert_job(table.db, job).created
    again = insert_job(table.db, job)
    assert (again.created, again.job.id) == (False, job.id)


def test_the_same_key_again_is_the_same_job(table: TableUnderTest) -> None:
    """An idempotency key stands for one job of its owner."""
    first = insert_job(table.db, new_job(idempotency_key="k")).job
    again = insert_job(table.db, new_job(idempotency_key="k"))
    other = insert_job(table.db, new_job(idempotency_key="k", owner="bob"))
    assert (again.created, again.job.id) == (False, first.id)
    assert other.created


def test_a_key_with_another_request_is_refused(table: TableUnderTest) -> None:
    """A key that comes back with another request is a mistake, and says whose job holds it."""
    first = insert_job(table.db, new_job(idempotency_key="k")).job
    with pytest.raises(IdempotencyConflict) as conflict:
        insert_job(table.db, new_job(idempotency_key="k", request_hash="other"))
    assert conflict.value.job_id == first.id


def test_a_chunk_says_how_many_are_new(table: TableUnderTest) -> None:
    """A chunk submitted again adds only what is missing."""
    jobs = [new_job() for _ in range(50)]
    assert insert_jobs(table.db, jobs[:30]) == 30
    assert insert_jobs(table.db, jobs) == 20
    assert insert_jobs(table.db, []) == 0


def test_a_chunk_that_is_too_large_is_refused(table: TableUnderTest) -> None:
    """Writes stay short."""
    with pytest.raises(ValueError, match="at most"):
        insert_jobs(table.db, [new_job()] * (MAX_CHUNK_JOBS + 1))


def test_a_faulty_request_is_kept_as_failed(table: TableUnderTest) -> None:
    """What no row can hold is replaced, so that the fault can still be reported to the sender."""
    faulty = new_job(request={"prompt": "a\0b\ud800", "steps": float("nan"), "x": [{1: b"y"}]})
    error = JobError("INVALID_REQUEST", "prompt: holds \0", "request")
    kept = insert_faulty_job(table.db, faulty, error).job
    assert kept.status is JobStatus.FAILED
    assert kept.error is not None
    assert (kept.error.code, kept.ended_at is not None) == ("INVALID_REQUEST", True)
    assert kept.request["steps"] == "nan"
    assert not insert_faulty_job(table.db, faulty, error).created


@pytest.mark.parametrize("bad", ["a\0b", "a\ud800b", float("nan"), object()])
def test_a_value_no_row_can_hold_is_refused_by_name(table: TableUnderTest, bad: object) -> None:
    """Both databases refuse the same values, and nothing is kept."""
    job = new_job(request={"prompt": bad})
    with pytest.raises(RecordRefused):
        insert_job(table.db, job)
    assert insert_jobs(table.db, [new_job()]) == 1


def test_a_backslash_u0000_typed_by_a_user_is_no_nul(table: TableUnderTest) -> None:
    """Text that only looks like an escaped NUL is kept."""
    job_id = table.accept(request={"prompt": r"C:\u0000 and \\u0000"})
    assert get_job(table.db, job_id).request["prompt"] == r"C:\u0000 and \\u0000"


def test_a_faulty_job_of_a_batch_is_counted(table: TableUnderTest) -> None:
    """A line that could not be served still counts towards its batch's end."""
    batch, _ = create_batch(table.db, id=uuid4())
    insert_faulty_job(table.db, new_job(batch_id=batch.id), JobError("BAD", "bad", "request"))
    assert open_batch(table.db, batch.id, 1)
    assert batch_progress(table.db, batch.id).failed == 1
