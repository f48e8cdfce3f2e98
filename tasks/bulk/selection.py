"""Select the jobs of a bulk change: by filter up to a moment, or by id.

A filter selects the jobs that exist at one moment, `as_of`. Jobs that are accepted, or that end,
after it are left alone: the caller was not shown them. To go on with a change that was stopped, the
caller gives the moment of the first one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar
from uuid import UUID

from storage.batches.batches import get_batch
from storage.db.database import Database
from storage.queries.filter import Selection, Standing, database_time, standings
from tasks.bulk.job_filter import JobFilter
from tasks.bulk.steps import chunks_of
from tasks.errors import BatchLoading

__all__ = ["NamedJobs", "find_named", "look_up", "select_jobs", "up_to"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NamedJobs:
    """Jobs named by id.

    Attributes:
        found: the jobs that exist, with their states.
        missing: ids of no job, or of another owner's.
    """

    found: Mapping[UUID, Standing]
    missing: list[UUID]


def find_named(database: Database, ids: Sequence[UUID], *, owner: str | None = None) -> NamedJobs:
    """Look up jobs by id, each once.

    Args:
        database: the results table.
        ids: any number of them.
        owner: if given, another owner's jobs are missing.

    Raises:
        DatabaseUnavailable: call again.
    """
    return NamedJobs(*look_up(ids, partial(standings, database), lambda job: job.owner, owner))


def look_up(
    ids: Sequence[UUID],
    read: Callable[[list[UUID]], Mapping[UUID, T]],
    owner_of: Callable[[T], str],
    owner: str | None,
) -> tuple[dict[UUID, T], list[UUID]]:
    """Look up ids, each once, in chunks; return what was found, and the missing ids.

    Args:
        ids: any number of them.
        read: returns what exists of one chunk.
        owner_of: returns whose a row is.
        owner: if given, what another owner has is missing.
    """
    wanted = list(dict.fromkeys(ids))
    there: dict[UUID, T] = {}
    for chunk in chunks_of(wanted):
        there |= read(chunk)
    found = {i: there[i] for i in wanted if i in there and owner in {None, owner_of(there[i])}}
    return found, [each for each in wanted if each not in found]


def select_jobs(
    database: Database, filters: JobFilter, *, as_of: datetime | None = None
) -> Selection:
    """Return the selection of the jobs that match now, or that matched at an earlier moment.

    Args:
        database: the results table.
        filters: which jobs.
        as_of: the moment of a change that was stopped.

    Raises:
        BatchNotFound: the batch does not exist.
        BatchLoading: the batch is still loading.
        DatabaseUnavailable: call again.
    """
    batch_id = filters.batch_id
    if batch_id is not None and get_batch(database, batch_id).opened_at is None:
        raise BatchLoading(batch_id)
    return Selection(
        as_of=up_to(database, as_of),
        batch_id=batch_id,
        owner=filters.owner,
        since=filters.since,
        code=filters.code,
    )


def up_to(database: Database, as_of: datetime | None) -> datetime:
    """Return the database's time, or the given moment if that is earlier.

    Raises:
        DatabaseUnavailable: call again.
    """
    moment = database_time(database)
    return moment if as_of is None else min(moment, as_of)
