"""An owner's own things by id: what is somebody else's does not exist.

An id that is none is answered like one of nobody, so that neither form nor owner can be guessed.
"""

from uuid import UUID

from gateway.auth.caller import Caller
from gateway.errors import NotFound
from storage.batches.batches import Batch, get_batch
from storage.db.database import Database
from storage.errors import BatchNotFound, JobForgotten, JobNotFound
from storage.queries.get import get_job
from storage.records.delivery import Delivery
from storage.records.job import Job
from storage.webhooks.log import find_delivery

__all__ = ["own_batch", "own_delivery", "own_job"]


def own_job(database: Database, caller: Caller, job_id: str) -> Job:
    """A job of the caller's.

    Raises:
        NotFound: there is none of this id, or it is another owner's.
        JobForgotten: there was one of the caller's.
        StorageError: nobody can say.
    """
    missing = NotFound("there is no such job")
    try:
        job = get_job(database, _id(job_id, missing))
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
    """A batch of the caller's, even one that is still being handed in.

    Raises:
        NotFound: there is none of this id, or it is another owner's.
        StorageError: nobody can say.
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
    """A delivery about something of the caller's.

    Raises:
        NotFound: there is none of this id, or it is another owner's.
        StorageError: nobody can say.
    """
    missing = NotFound("there is no such delivery")
    delivery = find_delivery(database, _id(delivery_id, missing))
    if delivery is None or delivery.owner != caller.owner:
        raise missing
    return delivery


def _id(text: str, missing: NotFound) -> UUID:
    """An id in its usual form alone: one job has one address."""
    try:
        found = UUID(text)
    except ValueError:
        raise missing from None
    if str(found) != text.lower():
        raise missing
    return found
