"""The declared tables, their CHECKs and their indexes, once per dialect.

PostgreSQL keeps everything in the schema `darkroom`; SQLite has no schemas, so its names carry
the prefix `darkroom_`. `Tables` is the same set of tables under either naming; `Database.tables`
is the right one. What the migrations build is compared with this file by a test.

The conditions of CHECKs and partial indexes are in `rules.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from storage.clock import UtcDateTime, now
from storage.ids import Uuid
from storage.revisions import PREFIX, SCHEMA
from storage.rules import (
    BATCH_CHECKS,
    DISPATCHED_SQL,
    EXPIRING_SQL,
    FLEET_CHECKS,
    HELD_SQL,
    JOB_CHECKS,
    LISTED,
    READY_SQL,
    WAITING_SQL,
)

_JSON = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_BIG = BigInteger().with_variant(Integer(), "sqlite")


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Every table of ours under one dialect's names."""

    metadata: MetaData
    jobs: Table
    batches: Table
    batch_deltas: Table
    workers: Table
    leaders: Table
    fleet: Table
    daily_calls: Table


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=text("0"))


def _moment(name: str) -> Column[Any]:
    return Column(name, UtcDateTime)


def _job_columns() -> list[Column[Any]]:
    return [
        Column("id", Uuid, primary_key=True),
        # No foreign key: a batch of a million would pay a million look-ups of one row.
        Column("batch_id", Uuid),
        # Whose turn it is: the batch, or the owner's jobs that came alone.
        Column("stream", Uuid, nullable=False),
        Column("owner", Text, nullable=False),
        Column("idempotency_key", Text),
        Column("request_hash", Text, nullable=False),
        Column("request", _JSON, nullable=False),
        Column("init_image_key", Text),
        Column("metadata", _JSON),
        Column("priority", Integer, nullable=False, server_default=text("0")),
        Column("status", String(16), nullable=False, server_default=text("'queued'")),
        Column("fence", _BIG, nullable=False, server_default=text("0")),
        _count("attempts"),
        _count("calls_made"),
        # Of them, those made before someone retried the job by hand: its limit begins anew.
        _count("calls_before"),
        _count("calls_unknown"),
        _count("calls_useless"),
        _count("calls_lost"),
        _count("calls_duplicate"),
        Column("worker_id", Uuid),
        Column("claim_token", Uuid),
        _moment("call_deadline"),
        _moment("not_before"),
        _moment("expires_at"),
        _moment("dispatched_at"),
        Column("cancel_asked", Boolean, nullable=False, server_default=text("false")),
        Column("error_code", Text),
        Column("error_message", Text),
        Column("error_whose", String(16)),
        Column("images", _JSON),
        Column("callback_url", Text),
        Column("simulated", Boolean, nullable=False, server_default=text("false")),
        Column("accepted_at", UtcDateTime, nullable=False, server_default=now()),
        _moment("first_call_at"),
        _moment("image_in_hand_at"),
        _moment("ended_at"),
    ]


def _index(name: str, *parts: str, where: str | None = None, unique: bool = False) -> Index:
    condition: dict[str, Any] = (
        {} if where is None else {f"{d}_where": text(where) for d in _DIALECTS}
    )
    columns: list[Any] = [literal_column(part) if " " in part else part for part in parts]
    return Index(name, *columns, unique=unique, **condition)


_DIALECTS = ("postgresql", "sqlite")


def _job_indexes(prefix: str) -> list[Index]:
    name = f"{prefix}jobs"
    return [
        _index(f"{name}_ready", "priority DESC", "stream", "accepted_at", "id", where=READY_SQL),
        _index(f"{name}_waiting", "not_before", where=WAITING_SQL),
        _index(f"{name}_dispatched", "dispatched_at", where=DISPATCHED_SQL),
        _index(f"{name}_expiring", "expires_at", where=EXPIRING_SQL),
        _index(f"{name}_held", "worker_id", where=HELD_SQL),
        _index(f"{name}_deadline", "call_deadline", where="status = 'running'"),
        _index(f"{name}_storing", "image_in_hand_at", where="status = 'storing'"),
        _index(f"{name}_batch_held", "batch_id", "status", where=HELD_SQL),
        _index(f"{name}_newest", "accepted_at", "id"),
        *(
            _index(f"{name}_{status}", "accepted_at", "id", where=f"status = '{status}'")
            for status in LISTED
        ),
        _index(f"{name}_owner", "owner", "accepted_at", "id"),
        _index(f"{name}_batch", "batch_id", "accepted_at", "id", where="batch_id IS NOT NULL"),
        _index(
            f"{name}_key",
            "owner",
            "idempotency_key",
            where="idempotency_key IS NOT NULL",
            unique=True,
        ),
    ]


def _checks(table: str, checks: dict[str, str]) -> list[CheckConstraint]:
    return [CheckConstraint(rule, name=f"{table}_{name}") for name, rule in checks.items()]


def _jobs(metadata: MetaData, prefix: str) -> Table:
    parts = [*_job_columns(), *_checks(f"{prefix}jobs", JOB_CHECKS), *_job_indexes(prefix)]
    return Table(f"{prefix}jobs", metadata, *parts)


def _batches(metadata: MetaData, prefix: str) -> Table:
    name = f"{prefix}batches"
    return Table(
        name,
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("owner", Text, nullable=False),
        Column("key", Text),
        Column("request_hash", Text),
        Column("name", Text),
        Column("total", Integer),
        _count("succeeded"),
        _count("failed"),
        _count("cancelled"),
        Column("created_at", UtcDateTime, nullable=False, server_default=now()),
        _moment("opened_at"),
        _moment("closed_at"),
        _moment("abandoned_at"),
        *_checks(name, BATCH_CHECKS),
        _index(f"{name}_key", "owner", "key", where="key IS NOT NULL", unique=True),
        _index(f"{name}_newest", "created_at", "id"),
        _index(f"{name}_unopened", "created_at", where="opened_at IS NULL"),
    )


def _batch_deltas(metadata: MetaData, prefix: str) -> Table:
    name = f"{prefix}batch_deltas"
    return Table(
        name,
        metadata,
        Column("id", _BIG, primary_key=True, autoincrement=True),
        Column("batch_id", Uuid, nullable=False),
        _count("succeeded"),
        _count("failed"),
        _count("cancelled"),
        _index(f"{name}_batch", "batch_id"),
    )


def _workers(metadata: MetaData, prefix: str) -> Table:
    name = f"{prefix}workers"
    return Table(
        name,
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("host", Text, nullable=False),
        Column("pid", Integer, nullable=False),
        Column("version", Text, nullable=False),
        Column("concurrency", Integer, nullable=False),
        Column("started_at", UtcDateTime, nullable=False, server_default=now()),
        Column("lease_until", UtcDateTime, nullable=False),
        _moment("ended_at"),
        _index(f"{name}_lease", "lease_until"),
    )


def _leaders(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}leaders",
        metadata,
        Column("name", Text, primary_key=True),
        Column("holder", Uuid, nullable=False),
        Column("since", UtcDateTime, nullable=False),
        Column("until", UtcDateTime, nullable=False),
    )


def _fleet(metadata: MetaData, prefix: str) -> Table:
    name = f"{prefix}fleet"
    return Table(
        name,
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("pause_kind", String(16)),
        Column("pause_code", Text),
        Column("pause_message", Text),
        _moment("paused_at"),
        _moment("pause_until"),
        _moment("probe_at"),
        _count("probes"),
        _moment("held_until"),
        Column("share", Double, nullable=False, server_default=text("1.0")),
        _moment("share_changed_at"),
        *_checks(name, FLEET_CHECKS),
    )


def _daily_calls(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}daily_calls",
        metadata,
        Column("day", String(10), primary_key=True),
        Column("calls", _BIG, nullable=False),
    )


def _tables(metadata: MetaData, prefix: str) -> Tables:
    return Tables(
        metadata=metadata,
        jobs=_jobs(metadata, prefix),
        batches=_batches(metadata, prefix),
        batch_deltas=_batch_deltas(metadata, prefix),
        workers=_workers(metadata, prefix),
        leaders=_leaders(metadata, prefix),
        fleet=_fleet(metadata, prefix),
        daily_calls=_daily_calls(metadata, prefix),
    )


POSTGRESQL = _tables(MetaData(schema=SCHEMA), "")
SQLITE = _tables(MetaData(), PREFIX)
