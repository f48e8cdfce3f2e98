"""Outgoing webhooks: what is to be delivered, the log of attempts, who signs, who wants no more.

Expands only: tables beside the others, so workers of the release before go on as they were.
"""

from typing import Any, NamedTuple

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Integer,
    String,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0004"
down_revision: str | None = "0003"


class Kinds(NamedTuple):
    """What differs between the dialects: names and types."""

    schema: str | None
    prefix: str
    uuid: Any
    moment: Any
    big: Any
    now: Any


_POSTGRESQL = Kinds(
    schema="darkroom",
    prefix="",
    uuid=Uuid(),
    moment=TIMESTAMP(timezone=True),
    big=BigInteger(),
    now=text("clock_timestamp()"),
)

_SQLITE = Kinds(
    schema=None,
    prefix="darkroom_",
    uuid=String(36),
    moment=DateTime(),
    big=Integer(),
    now=text("(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"),
)


def upgrade() -> None:
    """Make the tables, empty: what ended before tells nobody."""
    kinds = _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE
    _create_deliveries(kinds)
    _index_deliveries(kinds)
    _create_attempts(kinds)
    _create_callbacks(kinds)
    _create_secrets(kinds)


def _create_deliveries(kinds: Kinds) -> None:
    table = f"{kinds.prefix}deliveries"
    rules = {
        "state_known": "state IN ('pending', 'delivered', 'failed', 'disabled')",
        "pending_has_next": "(state = 'pending') = (next_attempt_at IS NOT NULL)",
        "ended_has_time": "(state = 'pending') = (ended_at IS NULL)",
        "held_while_pending": "claim_token IS NULL OR state = 'pending'",
        "of_something": "job_id IS NOT NULL OR batch_id IS NOT NULL",
        "attempts_before_were_made": "attempts_before >= 0 AND attempts_before <= attempts",
    }
    op.create_table(
        table,
        Column("id", kinds.uuid, primary_key=True),
        Column("owner", Text(), nullable=False),
        Column("event", String(32), nullable=False),
        Column("job_id", kinds.uuid),
        Column("batch_id", kinds.uuid),
        Column("target", Text(), nullable=False),
        Column("state", String(16), nullable=False, server_default=text("'pending'")),
        Column("attempts", Integer(), nullable=False, server_default=text("0")),
        Column("attempts_before", Integer(), nullable=False, server_default=text("0")),
        Column("next_attempt_at", kinds.moment),
        Column("claim_token", kinds.uuid),
        Column("body", Text()),
        Column("last_status", Integer()),
        Column("last_error", String(32)),
        Column("created_at", kinds.moment, nullable=False, server_default=kinds.now),
        Column("ended_at", kinds.moment),
        *(CheckConstraint(rule, name=f"{table}_{name}") for name, rule in rules.items()),
        schema=kinds.schema,
    )


def _index_deliveries(kinds: Kinds) -> None:
    table = f"{kinds.prefix}deliveries"
    indexes: dict[str, tuple[list[str], str | None]] = {
        "due": (["owner", "next_attempt_at"], "next_attempt_at IS NOT NULL"),
        "newest": (["created_at", "id"], None),
        "owner": (["owner", "created_at", "id"], None),
        "undelivered": (["created_at", "id"], "state IN ('failed', 'disabled')"),
        "job": (["job_id", "created_at", "id"], "job_id IS NOT NULL"),
        "batch": (["batch_id", "created_at", "id"], "batch_id IS NOT NULL"),
        "ended": (["ended_at"], "ended_at IS NOT NULL"),
    }
    for name, (columns, where) in indexes.items():
        condition = None if where is None else text(where)
        op.create_index(
            f"{table}_{name}",
            table,
            columns,
            schema=kinds.schema,
            postgresql_where=condition,
            sqlite_where=condition,
        )


def _create_attempts(kinds: Kinds) -> None:
    table = f"{kinds.prefix}delivery_attempts"
    op.create_table(
        table,
        Column("id", kinds.big, primary_key=True, autoincrement=True),
        Column("delivery_id", kinds.uuid, nullable=False),
        Column("number", Integer(), nullable=False),
        Column("ended_at", kinds.moment, nullable=False, server_default=kinds.now),
        Column("latency_ms", Integer(), nullable=False),
        Column("status", Integer()),
        Column("error", String(32)),
        Column("answer", Text()),
        CheckConstraint("(status IS NULL) <> (error IS NULL)", name=f"{table}_answer_or_error"),
        schema=kinds.schema,
    )
    op.create_index(f"{table}_delivery", table, ["delivery_id", "id"], schema=kinds.schema)


def _create_callbacks(kinds: Kinds) -> None:
    op.create_table(
        f"{kinds.prefix}batch_callbacks",
        Column("batch_id", kinds.uuid, primary_key=True),
        Column("target", Text(), nullable=False),
        schema=kinds.schema,
    )
    op.create_table(
        f"{kinds.prefix}gone_receivers",
        Column("owner", Text(), primary_key=True),
        Column("target", Text(), primary_key=True),
        Column("since", kinds.moment, nullable=False, server_default=kinds.now),
        schema=kinds.schema,
    )


def _create_secrets(kinds: Kinds) -> None:
    table = f"{kinds.prefix}callback_secrets"
    op.create_table(
        table,
        Column("id", kinds.uuid, primary_key=True),
        Column("owner", Text(), nullable=False),
        Column("secret", Text(), nullable=False),
        Column("created_at", kinds.moment, nullable=False, server_default=kinds.now),
        schema=kinds.schema,
    )
    op.create_index(f"{table}_owner", table, ["owner", "created_at"], schema=kinds.schema)
