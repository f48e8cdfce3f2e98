"""The tables of owners: their keys, their limits, and what they have used of them.

Declared apart from the others for the sake of the file's length; `tables.py` puts all together.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, Integer, MetaData, String, Table, Text

from storage.schema.clock import UtcDateTime, now
from storage.schema.columns import BIG, JSON_VALUE, checks, index, moment
from storage.schema.constraints import KEY_CHECKS, OWNER_CHECKS
from storage.schema.uuid_column import Uuid


def api_keys(metadata: MetaData, prefix: str) -> Table:
    """Who may use the gateway: keys, of which hashes are kept."""
    name = f"{prefix}api_keys"
    return Table(
        name,
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("owner", Text, nullable=False),
        Column("name", Text),
        Column("secret_hash", String(64), nullable=False),
        Column("scopes", JSON_VALUE, nullable=False),
        Column("created_at", UtcDateTime, nullable=False, server_default=now()),
        # A day is enough to find keys that nobody uses, and costs one write a day.
        Column("last_used_day", String(10)),
        moment("revoked_at"),
        *checks(name, KEY_CHECKS),
        index(f"{name}_secret", "secret_hash", unique=True),
    )


def owners(metadata: MetaData, prefix: str) -> Table:
    """How much each owner may have; a row for each that ever had a limit."""
    name = f"{prefix}owners"
    return Table(
        name,
        metadata,
        Column("name", Text, primary_key=True),
        Column("max_per_second", Double),
        Column("max_queued", Integer),
        Column("max_in_flight", Integer),
        Column("max_calls_per_day", Integer),
        Column("created_at", UtcDateTime, nullable=False, server_default=now()),
        *checks(name, OWNER_CHECKS),
    )


def owner_calls(metadata: MetaData, prefix: str) -> Table:
    """Calls of a day, of owners that have a limit on them."""
    return Table(
        f"{prefix}owner_calls",
        metadata,
        Column("day", String(10), primary_key=True),
        Column("owner", Text, primary_key=True),
        Column("calls", BIG, nullable=False),
    )


def owner_defaults(metadata: MetaData, prefix: str) -> Table:
    """What holds for an owner's jobs that say nothing else; a row where somebody set it."""
    return Table(
        f"{prefix}owner_defaults",
        metadata,
        Column("owner", Text, primary_key=True),
        Column("reuse", Boolean, nullable=False),
    )
