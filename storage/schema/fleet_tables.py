"""Declare the tables of the fleet: workers, leaders, pause and throttle, calls per day.

They are separate because of the file's length; `tables.py` combines all tables.
"""

from __future__ import annotations

from sqlalchemy import Column, Double, Integer, String, Table, Text, text

from storage.schema.clock import UtcDateTime, now
from storage.schema.columns import BIG, TableDialect, checks, count, moment
from storage.schema.constraints import FLEET_CHECKS
from storage.schema.uuid_column import Uuid


def workers(dialect: TableDialect) -> Table:
    """Declare the table of leases: a row for each worker process."""
    name = f"{dialect.prefix}workers"
    return Table(
        name,
        dialect.metadata,
        Column("id", Uuid, primary_key=True),
        Column("host", Text, nullable=False),
        Column("pid", Integer, nullable=False),
        Column("version", Text, nullable=False),
        Column("concurrency", Integer, nullable=False),
        Column("started_at", UtcDateTime, nullable=False, server_default=now()),
        Column("lease_until", UtcDateTime, nullable=False),
        moment("ended_at"),
        # Written by the heartbeat; NULL in rows of a release that does not write them.
        moment("succeeded_at"),
        moment("success_began_at"),
        moment("paused_at"),
        Column("pause_code", Text),
        Column("pause_message", Text),
        # Written by `darkroom resume`, read by the worker.
        moment("resume_asked_at"),
        # Compared with `needs_release` of jobs.
        Column("serves_release", Integer),
        dialect.index(f"{name}_lease", "lease_until"),
    )


def leaders(dialect: TableDialect) -> Table:
    """Declare the table of leaderships: a row for each role."""
    return Table(
        f"{dialect.prefix}leaders",
        dialect.metadata,
        Column("name", Text, primary_key=True),
        Column("holder", Uuid, nullable=False),
        Column("since", UtcDateTime, nullable=False),
        Column("until", UtcDateTime, nullable=False),
    )


def fleet(dialect: TableDialect) -> Table:
    """Declare the table of the fleet's pause and throttle; it has one row."""
    name = f"{dialect.prefix}fleet"
    return Table(
        name,
        dialect.metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("pause_kind", String(16)),
        Column("pause_code", Text),
        Column("pause_message", Text),
        moment("paused_at"),
        moment("pause_until"),
        moment("probe_at"),
        count("probes"),
        moment("held_until"),
        Column("share", Double, nullable=False, server_default=text("1.0")),
        moment("share_changed_at"),
        *checks(name, FLEET_CHECKS),
    )


def daily_calls(dialect: TableDialect) -> Table:
    """Declare the table of the fleet's calls per day."""
    return Table(
        f"{dialect.prefix}daily_calls",
        dialect.metadata,
        Column("day", String(10), primary_key=True),
        Column("calls", BIG, nullable=False),
    )
