"""Look up an owner's own resources by id; another owner's resources are not found.

A malformed id gets the same 404 as another owner's id, so neither can be probed.
"""

from collections.abc import Callable
from typing import Annotated, Final, TypeVar
from uuid import UUID

from fastapi import Path

from gateway.auth.caller import Caller
from gateway.errors import NotFound
from storage.batches.batches import Batch, get_batch
from storage.db.database import Database
from storage.errors import BatchNotFound, JobForgotten, JobNotFound
from storage.queries.get import get_job
from storage.queries.shown_job import ShownJob, shown_job
from storage.records.delivery import Delivery
from storage.records.job import Job
from storage.webhooks.log import find_delivery

__all__ = [
    "BatchId",
    "DeliveryId",
    "JobId",
    "own_batch",
    "own_delivery",
    "own_job",
    "own_shown_job",
]

J = TypeVar("J", Job, ShownJob)

_UUID: Final = {"format": "uuid"}

# Parameters of routes, as text: `own_job` and the others decide which form is valid.
JobId = Annotated[str, Path(description="The job's id, a UUID.", json_schema_extra=_UUID)]
BatchId = Annotated[str, Path(description="The batch's id, a UUID.", json_schema_extra=_UUID)]
DeliveryId = Annotated[str, Path(description="The delivery's id, a UUID.", json_schema_extra=_UUID)]


def own_job(database: Database, caller: Caller, job_id: str) -> Job:
    """Return a job of the caller's owner.

    Raises:
        NotFound: no job has this id, or it belongs to another owner.
        JobForgotten: a job of the caller's owner with this id was deleted.
        StorageError: the job cannot be read.
    """
    return _own(get_job, database, caller, job_id)


def own_shown_job(database: Database, caller: Caller, job_id: str) -> ShownJob:
    """Return what is shown of a job of the caller's owner, with its latest delivery.

    Raises:
        NotFound: no job has this id, or it belongs to another owner.
        JobForgotten: a job of the caller's owner with this id was deleted.
        StorageError: the job cannot be read.
    """
    return _own(shown_job, database, caller, job_id)


def _own(read: Callable[[Database, UUID], J], database: Database, caller: Caller, job_id: str) -> J:
    missing = NotFound("there is no such job")
    try:
        job = read(database, _id(job_id, missing))
    except JobForgotten as forgotten:
        if forgotten.tombstone.owner != caller.owner:
            raise missing from None
        raise
    except JobNotFound:
        raise missing from None
    if job.owner != caller.owner:
        raise missing
    return job


def own_batch(database: Database, caller: Caller, batch_id: str | UUID) -> Batch:
    """Return a batch of the caller's owner, including one that is still loading.

    Raises:
        NotFound: no batch has this id, or it belongs to another owner.
        StorageError: the batch cannot be read.
    """
    missing = NotFound("there is no such batch")
    try:
        batch = get_batch(database, _id(str(batch_id), missing))
    except BatchNotFound:
        raise missing from None
    if batch.owner != caller.owner:
        raise missing
    return batch


def own_delivery(database: Database, caller: Caller, delivery_id: str) -> Delivery:
    """Return a delivery about a job or batch of the caller's owner.

    Raises:
        NotFound: no delivery has this id, or it belongs to another owner.
        StorageError: the delivery cannot be read.
    """
    missing = NotFound("there is no such delivery")
    delivery = find_delivery(database, _id(delivery_id, missing))
    if delivery is None or delivery.owner != caller.owner:
        raise missing
    return delivery


def _id(text: str, missing: NotFound) -> UUID:
    """Parse an id in its canonical form only, so that each job has one address."""
    try:
        found = UUID(text)
    except ValueError:
        raise missing from None
    if str(found) != text.lower():
        raise missing
    return found
