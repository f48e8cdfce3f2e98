"""Accept a group of jobs in one transaction; each gets the answer it would get alone.

No two members share an id or an idempotency key, so no member's answer depends on another's, but
for the owner's limit on queued jobs. That limit is applied in the order of the members.

What one statement cannot decide is left to `insert_job` (the outcome `Alone`). Whether a job may be
in a group at all is the caller's decision: see `Member.job`.
"""

from __future__ import annotations

from collections.abc import Sequence

from storage.db.database import Database
from storage.intake.accept_postgresql import accept_on_postgresql
from storage.intake.accept_sqlite import accept_on_sqlite
from storage.intake.group_members import GroupLimits, Member, WrittenGroup

__all__ = ["accept_group"]


def accept_group(db: Database, members: Sequence[Member], limits: GroupLimits) -> WrittenGroup:
    """Insert a group of jobs, or find for each the row or the tombstone that exists already.

    Args:
        db: The results table.
        members: Jobs of which no two share an id or an owner's idempotency key.
        limits: The window, and the owners' limits on queued jobs.

    Raises:
        RecordRefused: A value that no row can hold; nothing is kept, and each has to be tried
            alone.
        RowLocked: Another transaction is accepting one of them; the same.
        DatabaseUnavailable: Possibly committed: call again with the same members.
    """
    accept_here = accept_on_sqlite if db.is_sqlite else accept_on_postgresql
    return accept_here(db, members, limits)
