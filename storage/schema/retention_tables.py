"""The tables of what outlives a job: its tombstone, its objects' end, and who else uses its image.

Beside the table of jobs, not in it: a row of `jobs` means work or a result to everything that
reads it, its indexes and CHECKs know nothing of the forgotten, and adding a column would lock a
table of millions.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Integer, MetaData, String, Table, Text, text

from storage.schema.clock import UtcDateTime, now
from storage.schema.columns import checks, count, index, moment
from storage.schema.constraints import TOMBSTONE_CHECKS
from storage.schema.uuid_column import Uuid


def tombstones(metadata: MetaData, prefix: str) -> Table:
    """What is left of a forgotten job: nothing that its producer wrote."""
    name = f"{prefix}tombstones"
    return Table(
        name,
        metadata,
        Column("id", Uuid, primary_key=True),
        # Kept, so that the one whose job it was is told of it, and everybody else of nothing.
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
        index(f"{name}_key", "key_hash", where="key_hash IS NOT NULL"),
        index(f"{name}_oldest", "forgotten_at"),
    )


def doomed_objects(metadata: MetaData, prefix: str) -> Table:
    """Object keys that nothing refers to any more, until the bucket has let go of them."""
    name = f"{prefix}doomed_objects"
    return Table(
        name,
        metadata,
        Column("key", Text, primary_key=True),
        # The forgotten job it was of; none for an initial image, which many jobs may use.
        Column("job_id", Uuid),
        Column("doomed_at", UtcDateTime, nullable=False, server_default=now()),
        Column("due_at", UtcDateTime, nullable=False, server_default=now()),
        # Until then somebody is at it.
        moment("busy_until"),
        Column("tries", Integer, nullable=False, server_default=text("0")),
        Column("error", Text),
        index(f"{name}_due", "due_at"),
        index(f"{name}_job", "job_id", where="job_id IS NOT NULL"),
    )


def reuses(metadata: MetaData, prefix: str) -> Table:
    """Jobs whose image may answer an identical request, and those that were answered so."""
    name = f"{prefix}reuses"
    return Table(
        name,
        metadata,
        Column("job_id", Uuid, primary_key=True),
        Column("owner", Text, nullable=False),
        Column("request_hash", String(64), nullable=False),
        # The job that answered this one; none where it was called for itself.
        Column("source_id", Uuid),
        # The job whose call made the image: all with the same one share its objects.
        Column("root_id", Uuid, nullable=False),
        index(f"{name}_request", "owner", "request_hash", "job_id"),
        index(f"{name}_root", "root_id"),
    )
