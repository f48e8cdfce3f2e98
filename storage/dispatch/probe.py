"""Choose the job that probes the API for a paused fleet: a due one with the fewest calls.

A probe may cost money without an image. If each probe used the first job in the queue, the same few
jobs would use up their calls while thousands have made none.
"""

from __future__ import annotations

from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, literal, select, union_all

from storage.db.database import Database
from storage.dispatch.owner_limits import has_limits
from storage.jobs.needs_release import is_served_by
from storage.schema.predicates import ANY_DISPATCHED, ANY_READY, QUEUED, open_to_claims
from storage.schema.revision import RELEASE
from storage.schema.tables import Tables

#: How many jobs are compared, of those in the broker and of those not yet sent: a query must cost
#: the same however many are queued.
MOST_COMPARED = 500


def due_job_with_fewest_calls(db: Database) -> UUID | None:
    """Find a job to probe the API with.

    If an owner has limits, that owner's jobs in the table are left to the dispatcher, which applies
    the limits.

    Returns:
        A due job; None if there is none.

    Raises:
        DatabaseUnavailable: Take any job.
    """
    with db.read() as connection:
        found: UUID | None = connection.scalar(_fewest_calls(db.tables))
    return found


@cache
def _fewest_calls(tables: Tables) -> Select[Any]:
    jobs = tables.jobs
    calls = (jobs.c.calls_made - jobs.c.calls_before).label("calls")
    columns = select(jobs.c.id, calls, jobs.c.priority, jobs.c.accepted_at)
    may_start = (QUEUED, open_to_claims(tables), is_served_by(tables, literal(RELEASE)))
    sent = columns.where(ANY_DISPATCHED, *may_start).order_by(jobs.c.dispatched_at)
    waiting = columns.where(ANY_READY, *may_start, ~has_limits(tables, jobs.c.owner))
    ready = waiting.order_by(jobs.c.priority.desc(), jobs.c.stream, jobs.c.accepted_at, jobs.c.id)
    parts = [part.limit(MOST_COMPARED).subquery() for part in (sent, ready)]
    due = union_all(*(select(part) for part in parts)).subquery("due")
    order = (due.c.calls, due.c.priority.desc(), due.c.accepted_at, due.c.id)
    return select(due.c.id).order_by(*order).limit(1)
