"""Who may use the gateway, and how much: keys, of which only hashes are kept, and owners' limits.

Expands only: three tables beside the others, so workers of the release before go on as they were.
"""

from typing import Any, NamedTuple

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Integer,
    String,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

revision = "0003"
down_revision: str | None = "0002"


class Kinds(NamedTuple):
    """What differs between the dialects: names and types."""

    schema: str | None
    prefix: str
    uuid: Any
    json: Any
    moment: Any
    big: Any
    now: Any


_POSTGRESQL = Kinds(
    schema="darkroom",
    prefix="",
    uuid=Uuid(),
    json=JSONB(),
    moment=TIMESTAMP(timezone=True),
    big=BigInteger(),
    now=text("clock_timestamp()"),
)

_SQLITE = Kinds(
    schema=None,
    prefix="darkroom_",
    uuid=String(36),
    json=JSON(),
    moment=DateTime(),
    big=Integer(),
    now=text("(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"),
)


def upgrade() -> None:
    """Create the tables, empty: no key and no limited owner."""
    kinds = _POSTGRESQL if op.get_bind().dialect.name == "postgresql" else _SQLITE
    _create_keys(kinds)
    _create_owners(kinds)
    op.create_table(
        f"{kinds.prefix}owner_calls",
        Column("day", String(10), primary_key=True),
        Column("owner", Text(), primary_key=True),
        Column("calls", kinds.big, nullable=False),
        schema=kinds.schema,
    )


def _create_keys(kinds: Kinds) -> None:
    table = f"{kinds.prefix}api_keys"
    op.create_table(
        table,
        Column("id", kinds.uuid, primary_key=True),
        Column("owner", Text(), nullable=False),
        Column("name", Text()),
        Column("secret_hash", String(64), nullable=False),
        Column("scopes", kinds.json, nullable=False),
        Column("created_at", kinds.moment, nullable=False, server_default=kinds.now),
        Column("last_used_day", String(10)),
        Column("revoked_at", kinds.moment),
        CheckConstraint("length(secret_hash) = 64", name=f"{table}_hash_is_sha256"),
        schema=kinds.schema,
    )
    op.create_index(f"{table}_secret", table, ["secret_hash"], schema=kinds.schema, unique=True)


def _create_owners(kinds: Kinds) -> None:
    table = f"{kinds.prefix}owners"
    op.create_table(
        table,
        Column("name", Text(), primary_key=True),
        Column("max_per_second", Double()),
        Column("max_queued", Integer()),
        Column("max_in_flight", Integer()),
        Column("max_calls_per_day", Integer()),
        Column("created_at", kinds.moment, nullable=False, server_default=kinds.now),
        CheckConstraint(
            "max_per_second IS NULL OR max_per_second > 0", name=f"{table}_rate_is_positive"
        ),
        CheckConstraint(
            "max_queued IS NULL OR max_queued >= 0", name=f"{table}_queued_not_negative"
        ),
        CheckConstraint(
            "max_in_flight IS NULL OR max_in_flight >= 0", name=f"{table}_in_flight_not_negative"
        ),
        CheckConstraint(
            "max_calls_per_day IS NULL OR max_calls_per_day >= 0",
            name=f"{table}_calls_not_negative",
        ),
        schema=kinds.schema,
    )
