"""Declare the tables of owners: their keys, limits, usage and defaults.

They are separate because of the file's length; `tables.py` combines all tables.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, Integer, String, Table, Text

from storage.schema.clock import UtcDateTime, now
from storage.schema.columns import BIG, TableDialect, checks, moment
from storage.schema.constraints import KEY_CHECKS, OWNER_CHECKS
from storage.schema.uuid_column import Uuid


def api_keys(dialect: TableDialect) -> Table:
    """Declare the table of API keys for the gateway; only their hashes are stored."""
    name = f"{dialect.prefix}api_keys"
    return Table(
        name,
        dialect.metadata,
        Column("id", Uuid, primary_key=True),
        Column("owner", Text, nullable=False),
        Column("name", Text),
        Column("secret_hash", String(64), nullable=False),
        Column("scopes", dialect.json_type, nullable=False),
        Column("created_at", UtcDateTime, nullable=False, server_default=now()),
        # Unused keys can be found at a resolution of one day, which costs one write a day.
        Column("last_used_day", String(10)),
        moment("revoked_at"),
        *checks(name, KEY_CHECKS),
        dialect.index(f"{name}_secret", "secret_hash", unique=True),
    )


def owners(dialect: TableDialect) -> Table:
    """Declare the table of owners' limits; it has a row for each owner that ever had a limit."""
    name = f"{dialect.prefix}owners"
    return Table(
        name,
        dialect.metadata,
        Column("name", Text, primary_key=True),
        Column("max_per_second", Double),
        Column("max_queued", Integer),
        Column("max_in_flight", Integer),
        Column("max_calls_per_day", Integer),
        Column("created_at", UtcDateTime, nullable=False, server_default=now()),
        *checks(name, OWNER_CHECKS),
    )


def owner_calls(dialect: TableDialect) -> Table:
    """Declare the table of calls per day, for owners that have a limit on them."""
    return Table(
        f"{dialect.prefix}owner_calls",
        dialect.metadata,
        Column("day", String(10), primary_key=True),
        Column("owner", Text, primary_key=True),
        Column("calls", BIG, nullable=False),
    )


def owner_defaults(dialect: TableDialect) -> Table:
    """Declare the table of owners' defaults; it has a row where a default was set."""
    return Table(
        f"{dialect.prefix}owner_defaults",
        dialect.metadata,
        Column("owner", Text, primary_key=True),
        Column("reuse", Boolean, nullable=False),
    )
