"""A job whose row another transaction has locked waits; nothing else waits with it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from uuid_utils.compat import uuid7

from benchmarks.servers.until import until
from storage.batches.batches import create_batch, open_batch
from storage.db.database import Database
from storage.db.statement_limits import Limits
from storage.errors import ObjectMissing, SpoolMissing
from storage.intake.insert import insert_job
from storage.jobs.cancel import cancel_jobs
from storage.objects.store import ObjectStore
from storage.queries.get import get_job
from storage.records.call_outcome import CallOutcome
from storage.records.job import Job, JobError, NewJob
from storage.records.states import JobStatus
from storage.spool.file_format import SpooledImage
from storage.spool.spool import Spool
from tasks.dispatch.enqueue import Dispatch as DispatchOf
from tasks.dispatch.leader import DispatchLeader
from tasks.dispatch.window import Window
from tasks.execution.call_control import CallControl
from tasks.execution.claim_job import ClaimJob, ClaimSettings
from tasks.execution.record_failure import RecordFailure
from tasks.execution.retry_policy import Decision
from tasks.execution.run_job import RunJob
from tasks.rate_limit.permit import Permit
from tasks.storing.keep_images import KeepImages
from tasks.storing.open_claims import OpenClaims
from tasks.storing.uploader import Uploader
from tasks.throttling.call_gate import CallGate
from tests.storage.jobs.test_locked_rows import locked
from tests.tasks.dispatch.test_enqueue import TIMES, Broker
from tests.tasks.jobs import claimed_job
from tests.tasks.storing.test_reconcile import Worker

SHORT = Limits(lock_s=0.2, statement_s=20, deadline_s=30)


@pytest.fixture
def database(migrated_postgres_url: str) -> Iterator[Database]:
    """A table whose statements wait only a moment for a lock."""
    database = Database(migrated_postgres_url, limits=SHORT)
    yield database
    database.close()


class Budget:
    """Gives leave at once."""

    def admit(self) -> Permit:
        """A call's leave."""
        return Permit(lambda _is_spent: None)


class Dispatch:
    """Notes what is handed back."""

    def __init__(self) -> None:
        self.handed_back: list[UUID] = []

    def hand_back(self, job_ids: Sequence[UUID]) -> None:
        """Jobs that were not started."""
        self.handed_back += job_ids


class Space:
    """Room for every picture."""

    def reserve(self) -> bool:
        """There is room."""
        return True

    def release(self) -> None:
        """Nothing was reserved."""


def claiming(database: Database, gate: CallGate, dispatch: object = None) -> ClaimJob:
    """What claims jobs for a worker."""
    unused: dict[str, Any] = {"fleet": None}
    handed_back: Any = dispatch
    settings = ClaimSettings(uuid4(), 60.0, 3, None)
    return ClaimJob(database, handed_back, settings, gate=gate, open_claims=OpenClaims(), **unused)


def run_job(gate: CallGate, claims: ClaimJob) -> Callable[[UUID], None]:
    """The run of a job, of which only the part before the call is run."""
    parts: dict[str, Any] = dict.fromkeys(("prepare", "api", "images", "failures"))
    parts |= {"space": Space()}
    budget: Any = Budget()
    breaker: Any = None
    return RunJob(control=CallControl(gate, budget, breaker), claims=claims, **parts).run


def accepted(database: Database) -> UUID:
    """A job that is due."""
    return insert_job(database, NewJob(id=uuid7(), request={}, request_hash="0" * 64)).job.id


def test_a_claim_that_meets_a_locked_row_gives_its_slot_back(
    database: Database, migrated_postgres_url: str
) -> None:
    """The job stays queued and uncounted, and goes out again later."""
    job_id, gate, dispatch = accepted(database), CallGate(1), Dispatch()
    with locked(migrated_postgres_url, job_id):
        run_job(gate, claiming(database, gate, dispatch))(job_id)
    assert gate.inside == 0
    assert dispatch.handed_back == [job_id]
    job = get_job(database, job_id)
    assert (job.status, job.attempts, job.calls_made) == (JobStatus.QUEUED, 0, 0)


def test_a_job_that_was_claimed_after_the_lease_is_given_back_unsent(database: Database) -> None:
    """The claim took so long that another worker may have rescued it: no call is sent."""
    job_id, gate = accepted(database), CallGate(1)
    gate.alive_for(60)
    claims = claiming(database, gate)
    claim = claims.claim

    def slow_claim(job_id: UUID) -> Job | None:
        job = claim(job_id)
        gate.alive_for(-1)
        return job

    claims.claim = slow_claim  # type: ignore[method-assign]  # a database that took its time
    run_job(gate, claims)(job_id)
    job = get_job(database, job_id)
    assert (job.status, job.attempts, job.calls_made) == (JobStatus.QUEUED, 0, 0)
    assert gate.inside == 0


def test_jobs_are_dispatched_while_the_leaders_other_work_meets_locked_rows(
    database: Database, migrated_postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A batch's row is locked: its counts wait, dispatching does not."""
    batch, _ = create_batch(database, id=uuid7())
    ended = insert_job(database, NewJob(uuid7(), {}, "h", batch_id=batch.id)).job.id
    open_batch(database, batch.id, 1)
    cancel_jobs(database, [ended])
    broker: Any = Broker()
    window = Window(database, fixed=5, per_second=None)
    dispatch = DispatchOf(database, broker, broker, window=window, again_s=60, lost_s=60)
    dispatcher = DispatchLeader(database, dispatch, worker_id=uuid7(), times=TIMES)
    with locked(migrated_postgres_url, batch.id, table="batches"):
        job_id = accepted(database)
        until(lambda: dispatcher.round() == 1, "the dispatch")
    with database.read() as connection:
        jobs = database.tables.jobs
        sent = select(jobs.c.dispatched_at).where(jobs.c.id == job_id)
        assert connection.execute(sent).scalar_one() is not None
    assert "met a locked row" in caplog.text


def test_a_call_slot_is_free_while_the_end_of_its_job_waits_for_a_lock(
    database: Database, migrated_postgres_url: str
) -> None:
    """The end is written as soon as the row is free."""
    job, slot_is_free = claimed_job(database), threading.Event()
    recorder = RecordFailure(database, policy=None, gate=None, breaker=None, fleet=None)  # type: ignore[arg-type]  # only writing is asked of it
    decision = Decision(CallOutcome(JobError("HTTP_500", "the API stumbled", "api")), delay_s=None)
    ending = threading.Thread(
        target=recorder.write, args=(job, decision), kwargs={"on_locked": slot_is_free.set}
    )
    with locked(migrated_postgres_url, job.id):
        ending.start()
        assert slot_is_free.wait(60)
        assert ending.is_alive()
    ending.join(60)
    assert get_job(database, job.id).status is JobStatus.FAILED


def test_a_picture_goes_to_the_bucket_while_its_row_is_locked(
    tmp_path: Path, database: Database, bucket: ObjectStore, migrated_postgres_url: str
) -> None:
    """And its row says so when it is free."""
    job = claimed_job(database)
    spool = Spool(tmp_path / "spool", max_bytes=10**6, fsync=False)
    uploads = Uploader(database=database, objects=bucket, spool=spool, threads=1, key_prefix="")
    images = KeepImages(database, uploads, worker_id=uuid4())
    entry = uploads.spool(job.id, job.fence, [SpooledImage([b"png" * 99], width=9, height=11)])
    key = uploads.stored(entry)[0].key

    def is_stored() -> bool:
        try:
            return bucket.get(key) == b"png" * 99
        except ObjectMissing:
            return False

    uploads.start()
    marking = threading.Thread(target=images.record, args=(job, entry))
    with locked(migrated_postgres_url, job.id):
        marking.start()
        until(is_stored, "the picture")
    marking.join(60)
    assert uploads.wait_until_empty(60)
    uploads.stop()
    spool.close()
    ended = get_job(database, job.id)
    assert (ended.status, ended.calls_made) == (JobStatus.SUCCEEDED, 1)


def test_an_upload_whose_row_is_locked_keeps_no_other_upload_waiting(
    tmp_path: Path, database: Database, bucket: ObjectStore, migrated_postgres_url: str
) -> None:
    """Even with one upload thread; it is finished when its row is free."""
    worker = Worker(database, bucket, tmp_path / "spool")
    (kept, first), (other, second) = worker.storing(), worker.storing()
    worker.uploads.start()
    with locked(migrated_postgres_url, kept.id):
        worker.uploads.add(first)
        worker.uploads.add(second)
        until(lambda: worker.status(other) is JobStatus.SUCCEEDED, "the other's end")
        assert worker.status(kept) is JobStatus.STORING
    assert worker.uploads.wait_until_empty(120)
    worker.uploads.stop()
    worker.spool.close()
    assert worker.status(kept) is JobStatus.SUCCEEDED


def test_a_locked_row_keeps_no_other_row_from_being_resolved(
    tmp_path: Path, database: Database, bucket: ObjectStore, migrated_postgres_url: str
) -> None:
    """Its image is found, or counted as lost, at a later look."""
    worker = Worker(database, bucket, tmp_path / "spool")
    (kept, _), (other, _) = worker.stored_but_taken_back(), worker.stored_but_taken_back()
    gone, entry = worker.storing()
    entry.path.unlink()
    with locked(migrated_postgres_url, kept.id, gone.id):
        worker.uploads._lost.note(SpoolMissing(entry.path, gone.id, gone.fence))
        for _ in range(2):
            worker.reconcile.look()
        assert worker.status(other) is JobStatus.SUCCEEDED
        assert worker.status(kept) is worker.status(gone) is JobStatus.STORING
    worker.uploads._lost.note_again()
    worker.reconcile.look()
    worker.spool.close()
    assert worker.status(kept) is JobStatus.SUCCEEDED
    assert worker.status(gone) is JobStatus.QUEUED
