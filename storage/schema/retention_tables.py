"""Declare the tables that outlive a job: tombstones, the deletion queue and image references.

They are separate from the jobs table. Every reader of `jobs` treats a row as work or a result, and
its indexes and CHECKs do not cover deleted jobs. Adding a column would also lock a table of
millions.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, String, Table, Text, text

from storage.schema.clock import UtcDateTime, now
from storage.schema.columns import TableDialect, checks, count, moment
from storage.schema.constraints import TOMBSTONE_CHECKS
from storage.schema.uuid_column import Uuid


def tombstones(dialect: TableDialect) -> Table:
    """Declare the table of deleted jobs; it contains nothing that a producer wrote."""
    name = f"{dialect.prefix}tombstones"
    return Table(
        name,
        dialect.metadata,
        Column("id", Uuid, primary_key=True),
        # Only this owner gets a report of the deletion; other owners get "not found".
        Column("owner", Text, nullable=False),
        Column("batch_id", Uuid),
        # SHA-256 of owner and idempotency key: a repeat is recognised, the key is not kept.
        Column("key_hash", String(64)),
        Column("status", String(16), nullable=False),
        Column("simulated", Boolean, nullable=False),
        count("attempts"),
        count("calls_made"),
        count("calls_unknown"),
        count("calls_useless"),
        count("calls_lost"),
        count("calls_duplicate"),
        Column("accepted_at", UtcDateTime, nullable=False),
        moment("first_call_at"),
        moment("image_in_hand_at"),
        Column("ended_at", UtcDateTime, nullable=False),
        Column("forgotten_at", UtcDateTime, nullable=False, server_default=now()),
        *checks(name, TOMBSTONE_CHECKS),
        dialect.index(f"{name}_key", "key_hash", where="key_hash IS NOT NULL"),
        dialect.index(f"{name}_oldest", "forgotten_at"),
    )


def doomed_objects(dialect: TableDialect) -> Table:
    """Declare the deletion queue: unreferenced object keys, until the bucket has deleted them."""
    name = f"{dialect.prefix}doomed_objects"
    return Table(
        name,
        dialect.metadata,
        Column("key", Text, primary_key=True),
        # The deleted job it belonged to; NULL for an initial image, which many jobs may use.
        Column("job_id", Uuid),
        Column("doomed_at", UtcDateTime, nullable=False, server_default=now()),
        Column("due_at", UtcDateTime, nullable=False, server_default=now()),
        # Until this time a process is deleting it.
        moment("busy_until"),
        Column("tries", Integer, nullable=False, server_default=text("0")),
        Column("error", Text),
        dialect.index(f"{name}_due", "due_at"),
        dialect.index(f"{name}_job", "job_id", where="job_id IS NOT NULL"),
    )


def reuses(dialect: TableDialect) -> Table:
    """Declare the table of image references: jobs with reusable images, and jobs that reuse one."""
    name = f"{dialect.prefix}reuses"
    return Table(
        name,
        dialect.metadata,
        Column("job_id", Uuid, primary_key=True),
        Column("owner", Text, nullable=False),
        Column("request_hash", String(64), nullable=False),
        # The job whose image this one reuses; NULL if the job made its own call.
        Column("source_id", Uuid),
        # The job whose call made the image: all jobs with the same one share its objects.
        Column("root_id", Uuid, nullable=False),
        dialect.index(f"{name}_request", "owner", "request_hash", "job_id"),
        dialect.index(f"{name}_root", "root_id"),
    )
