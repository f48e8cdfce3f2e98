"""Declare the tables of webhooks: deliveries, attempts, callbacks, secrets, gone receivers.

A delivery's row is inserted in the same transaction as the end that it reports. So no crash can
separate the two. `tables.py` combines these with the other tables.
"""

from __future__ import annotations

from sqlalchemy import Column, Integer, String, Table, Text, text

from storage.schema.clock import UtcDateTime, now
from storage.schema.columns import BIG, TableDialect, checks, count, moment
from storage.schema.constraints import (
    ATTEMPT_CHECKS,
    DELIVERY_CHECKS,
    DUE_SQL,
    RECEIVER_SQL,
    RECEIVER_SQLITE,
    UNDELIVERED_SQL,
)
from storage.schema.uuid_column import Uuid


def deliveries(dialect: TableDialect) -> Table:
    """Declare the table of deliveries; it has a row for each end that has a callback."""
    name = f"{dialect.prefix}deliveries"
    return Table(
        name,
        dialect.metadata,
        # The `webhook-id`: the same over all retries and replays.
        Column("id", Uuid, primary_key=True),
        Column("owner", Text, nullable=False),
        Column("event", String(32), nullable=False),
        # The job that ended; NULL if a batch ended.
        Column("job_id", Uuid),
        # The batch that ended, or the batch of the job that ended.
        Column("batch_id", Uuid),
        # A URL, or a Celery task and its queue written as one.
        Column("target", Text, nullable=False),
        Column("state", String(16), nullable=False, server_default=text("'pending'")),
        count("attempts"),
        # Attempts made before the last replay: the schedule restarts there.
        count("attempts_before"),
        # While it is being sent: when another process may try, in case the sender has died.
        moment("next_attempt_at"),
        Column("claim_token", Uuid),
        # The bytes that are sent, the same each time; NULL after they were deleted.
        Column("body", Text),
        Column("last_status", Integer),
        Column("last_error", String(32)),
        Column("created_at", UtcDateTime, nullable=False, server_default=now()),
        moment("ended_at"),
        *checks(name, DELIVERY_CHECKS),
        dialect.index(f"{name}_due", "owner", "next_attempt_at", where=DUE_SQL),
        dialect.index(
            f"{name}_receiver",
            "owner",
            RECEIVER_SQLITE if dialect.name == "sqlite" else RECEIVER_SQL,
            "next_attempt_at",
            where=DUE_SQL,
        ),
        dialect.index(f"{name}_newest", "created_at", "id"),
        dialect.index(f"{name}_owner", "owner", "created_at", "id"),
        dialect.index(f"{name}_undelivered", "created_at", "id", where=UNDELIVERED_SQL),
        dialect.index(f"{name}_job", "job_id", "created_at", "id", where="job_id IS NOT NULL"),
        dialect.index(
            f"{name}_batch", "batch_id", "created_at", "id", where="batch_id IS NOT NULL"
        ),
        dialect.index(f"{name}_ended", "ended_at", where="ended_at IS NOT NULL"),
    )


def delivery_attempts(dialect: TableDialect) -> Table:
    """Declare the log of attempts, with one row for each, whatever its outcome."""
    name = f"{dialect.prefix}delivery_attempts"
    return Table(
        name,
        dialect.metadata,
        Column("id", BIG, primary_key=True, autoincrement=True),
        Column("delivery_id", Uuid, nullable=False),
        Column("number", Integer, nullable=False),
        Column("ended_at", UtcDateTime, nullable=False, server_default=now()),
        Column("latency_ms", Integer, nullable=False),
        Column("status", Integer),
        Column("error", String(32)),
        # The beginning of the response: enough for the receiver to recognise it.
        Column("answer", Text),
        *checks(name, ATTEMPT_CHECKS),
        dialect.index(f"{name}_delivery", "delivery_id", "id"),
    )


def batch_callbacks(dialect: TableDialect) -> Table:
    """Declare the table of batches' callback targets.

    It is separate so that the batches table stays unchanged.
    """
    return Table(
        f"{dialect.prefix}batch_callbacks",
        dialect.metadata,
        Column("batch_id", Uuid, primary_key=True),
        Column("target", Text, nullable=False),
    )


def callback_secrets(dialect: TableDialect) -> Table:
    """Declare the signing secrets of owners' webhooks; during a rotation an owner has two."""
    name = f"{dialect.prefix}callback_secrets"
    return Table(
        name,
        dialect.metadata,
        Column("id", Uuid, primary_key=True),
        Column("owner", Text, nullable=False),
        # Stored in plain text: signing needs the secret itself, so a hash would not do.
        Column("secret", Text, nullable=False),
        Column("created_at", UtcDateTime, nullable=False, server_default=now()),
        dialect.index(f"{name}_owner", "owner", "created_at"),
    )


def gone_receivers(dialect: TableDialect) -> Table:
    """Declare the targets that answered 410; they get nothing until a delivery is replayed."""
    return Table(
        f"{dialect.prefix}gone_receivers",
        dialect.metadata,
        Column("owner", Text, primary_key=True),
        Column("target", Text, primary_key=True),
        Column("since", UtcDateTime, nullable=False, server_default=now()),
    )
