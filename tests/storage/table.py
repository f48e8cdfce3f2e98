"""Short names for the steps a job takes, so that a test reads as its story."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text, update
from uuid_utils.compat import uuid7

from storage.batches.batches import create_batch, open_batch
from storage.db.database import Database
from storage.fleet.leases import WorkerInfo, register_worker
from storage.intake.insert import insert_job, insert_jobs
from storage.jobs.claim import claim_if_due
from storage.jobs.finish import finish_if_held, mark_storing_if_held
from storage.queries.get import get_job
from storage.records.job import Job, JobError, NewJob, StoredImage
from storage.records.states import JobStatus

FAULT = JobError("HTTP_500", "the API stumbled", "api")


def new_job(**changes: Any) -> NewJob:
    """Return a job that has not been submitted yet."""
    values: dict[str, Any] = {"id": uuid7(), "request": {"prompt": "a fox", "seed": 7}}
    return NewJob(**{**values, "request_hash": "hash", **changes})


def picture(job_id: UUID, fence: int) -> list[StoredImage]:
    """The one image of a call made at this fence."""
    return [StoredImage(0, f"images/{job_id}/{fence}-0.png", "ab" * 32, 1000, 64, 32)]


@dataclass
class TableUnderTest:
    """A results table, and one worker that works on it."""

    db: Database
    worker: UUID = field(default_factory=uuid4)

    def accept(self, **changes: Any) -> UUID:
        """Submit one job."""
        return insert_job(self.db, new_job(**changes)).job.id

    def batch(self, size: int, *, opened: bool = True, **changes: Any) -> tuple[UUID, list[UUID]]:
        """Submit a batch of so many jobs."""
        batch, _ = create_batch(self.db, id=uuid7())
        jobs = [new_job(batch_id=batch.id, **changes) for _ in range(size)]
        insert_jobs(self.db, jobs)
        if opened:
            assert open_batch(self.db, batch.id, size)
        return batch.id, [job.id for job in jobs]

    def alive(self, lease_s: float = 60.0) -> None:
        """Begin (or end, with a negative lease) the worker's lease."""
        register_worker(self.db, WorkerInfo(self.worker, "here", 1, "0", 4, lease_s))

    def claim(
        self,
        job_id: UUID,
        *,
        token: UUID | None = None,
        max_calls: int = 3,
        call_deadline_s: float = 60.0,
    ) -> Job | None:
        """Take a job, or fail to."""
        return claim_if_due(
            self.db,
            job_id,
            worker_id=self.worker,
            token=token or uuid4(),
            call_deadline_s=call_deadline_s,
            max_calls=max_calls,
        )

    def claimed(self, job_id: UUID, **how: Any) -> Job:
        """Take a job that can be taken."""
        job = self.claim(job_id, **how)
        assert job is not None
        return job

    def in_hand(self, job_id: UUID) -> Job:
        """Take a job and have its image in hand."""
        job = self.claimed(job_id)
        assert mark_storing_if_held(self.db, job_id, fence=job.fence, images=self.image(job))
        return get_job(self.db, job_id)

    def finished(self, job_id: UUID) -> Job:
        """Take a job all the way."""
        job = self.in_hand(job_id)
        assert finish_if_held(self.db, job_id, fence=job.fence, images=self.image(job))
        return get_job(self.db, job_id)

    def image(self, job: Job) -> Sequence[StoredImage]:
        """What a call at the job's fence brings."""
        return picture(job.id, job.fence)

    def job(self, job_id: UUID) -> Job:
        """The row."""
        return get_job(self.db, job_id)

    def status(self, job_id: UUID) -> JobStatus:
        """Where the job is."""
        return self.job(job_id).status

    def overwrite(self, job_id: UUID, **values: Any) -> None:
        """Set columns by hand, past every transition."""
        jobs = self.db.tables.jobs
        with self.db.begin() as connection:
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))

    def sql(self, statement: str) -> list[Any]:
        """Run SQL as a user's own code would."""
        with self.db.begin() as connection:
            return list(connection.execute(text(statement)))


def cut_short(db: Database, job_id: UUID) -> None:
    """Let a row on SQLite be as no release can read it."""
    change = 'UPDATE darkroom_jobs SET request = \'{"prompt": "cut sho\' WHERE id = ?'
    with db.begin() as connection:
        connection.exec_driver_sql(change, (str(job_id),))
