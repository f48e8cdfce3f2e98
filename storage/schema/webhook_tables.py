"""The tables of outgoing webhooks: what is to be delivered, what became of it, and who signs.

A delivery is a row that is written with the end it tells of, in the same transaction, so that no
crash can come between the two. `tables.py` puts these beside the others.
"""

from __future__ import annotations

from sqlalchemy import Column, Integer, MetaData, String, Table, Text, text

from storage.schema.clock import UtcDateTime, now
from storage.schema.columns import BIG, checks, count, index, moment
from storage.schema.constraints import ATTEMPT_CHECKS, DELIVERY_CHECKS, DUE_SQL, UNDELIVERED_SQL
from storage.schema.uuid_column import Uuid


def deliveries(metadata: MetaData, prefix: str) -> Table:
    """What somebody is to be told; a row for each end that somebody wants to hear of."""
    name = f"{prefix}deliveries"
    return Table(
        name,
        metadata,
        # The `webhook-id`: the same over all retries and replays.
        Column("id", Uuid, primary_key=True),
        Column("owner", Text, nullable=False),
        Column("event", String(32), nullable=False),
        # The job that ended; none where it was a batch.
        Column("job_id", Uuid),
        # The batch that ended, or the one whose job did.
        Column("batch_id", Uuid),
        # An address, or a Celery task and its queue in the form of one.
        Column("target", Text, nullable=False),
        Column("state", String(16), nullable=False, server_default=text("'pending'")),
        count("attempts"),
        # Of them, those made before somebody replayed it: the schedule begins anew.
        count("attempts_before"),
        # While it is being sent: when somebody else may try, should its sender have died.
        moment("next_attempt_at"),
        Column("claim_token", Uuid),
        # The bytes that are sent, the same each time; NULL once they were forgotten.
        Column("body", Text),
        Column("last_status", Integer),
        Column("last_error", String(32)),
        Column("created_at", UtcDateTime, nullable=False, server_default=now()),
        moment("ended_at"),
        *checks(name, DELIVERY_CHECKS),
        index(f"{name}_due", "owner", "next_attempt_at", where=DUE_SQL),
        index(f"{name}_newest", "created_at", "id"),
        index(f"{name}_owner", "owner", "created_at", "id"),
        index(f"{name}_undelivered", "created_at", "id", where=UNDELIVERED_SQL),
        index(f"{name}_job", "job_id", "created_at", "id", where="job_id IS NOT NULL"),
        index(f"{name}_batch", "batch_id", "created_at", "id", where="batch_id IS NOT NULL"),
        index(f"{name}_ended", "ended_at", where="ended_at IS NOT NULL"),
    )


def delivery_attempts(metadata: MetaData, prefix: str) -> Table:
    """The log: one row for each attempt, whatever came of it."""
    name = f"{prefix}delivery_attempts"
    return Table(
        name,
        metadata,
        Column("id", BIG, primary_key=True, autoincrement=True),
        Column("delivery_id", Uuid, nullable=False),
        Column("number", Integer, nullable=False),
        Column("ended_at", UtcDateTime, nullable=False, server_default=now()),
        Column("latency_ms", Integer, nullable=False),
        Column("status", Integer),
        Column("error", String(32)),
        # How the answer began: enough for its sender to know it again.
        Column("answer", Text),
        *checks(name, ATTEMPT_CHECKS),
        index(f"{name}_delivery", "delivery_id", "id"),
    )


def batch_callbacks(metadata: MetaData, prefix: str) -> Table:
    """Whom to tell when a batch has ended; beside the batches, whose table is left as it was."""
    return Table(
        f"{prefix}batch_callbacks",
        metadata,
        Column("batch_id", Uuid, primary_key=True),
        Column("target", Text, nullable=False),
    )


def callback_secrets(metadata: MetaData, prefix: str) -> Table:
    """What signs an owner's webhooks; two at once while one replaces the other."""
    name = f"{prefix}callback_secrets"
    return Table(
        name,
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("owner", Text, nullable=False),
        # As it is: whoever signs needs it, so a hash would be of no use.
        Column("secret", Text, nullable=False),
        Column("created_at", UtcDateTime, nullable=False, server_default=now()),
        index(f"{name}_owner", "owner", "created_at"),
    )


def gone_receivers(metadata: MetaData, prefix: str) -> Table:
    """Addresses that answered 410: nothing is sent there until somebody replays a delivery."""
    return Table(
        f"{prefix}gone_receivers",
        metadata,
        Column("owner", Text, primary_key=True),
        Column("target", Text, primary_key=True),
        Column("since", UtcDateTime, nullable=False, server_default=now()),
    )
