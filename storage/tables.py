"""The declared tables, their CHECKs and their indexes, once per dialect.

PostgreSQL keeps everything in the schema `darkroom`; SQLite has no schemas, so its names carry
the prefix `darkroom_`. `Tables` is the same set of tables under either naming; `Database.tables`
is the right one. What the migrations build is compared with this file by a test.

CHECKs are the last line: whatever a transition or a hand-typed UPDATE does wrong, a row cannot
have succeeded without images, ended without a time, or be held by nobody. They are written in
words both dialects read alike. Partial indexes keep each question of the dispatcher as small as
its answer, however many million rows have ended; their conditions are literals because neither
planner can match a partial index against a parameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    literal_column,
    text,
)
from sqlalchemy import Uuid as AnyUuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine

from storage.clock import UtcDateTime, now
from storage.revisions import PREFIX, SCHEMA


class Uuid(TypeDecorator[UUID]):
    """A UUID: native on PostgreSQL, the usual 36 characters on SQLite.

    So SQL typed by hand finds a job by the id that was shown.
    """

    impl = String(36)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column type of this dialect."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(AnyUuid())
        return dialect.type_descriptor(String(36))

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> UUID | str | None:
        """A UUID in; text would hide a caller's mistake until a comparison fails."""
        if value is None or dialect.name == "postgresql":
            return value
        return str(value)

    def process_result_value(self, value: UUID | str | None, dialect: Dialect) -> UUID | None:
        """A UUID out."""
        del dialect
        return UUID(value) if isinstance(value, str) else value


_JSON = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_BIG = BigInteger().with_variant(Integer(), "sqlite")

HELD_SQL = "status IN ('running', 'storing')"
ENDED_SQL = "status IN ('succeeded', 'failed', 'cancelled')"

# The dispatcher's conditions do not name the status, though they imply it (see the CHECKs):
# a planner whose statistics are older than the last million jobs believes that hardly any row
# is queued, and would then look for a ready one among all that are.
READY_SQL = (
    "ended_at IS NULL AND worker_id IS NULL AND dispatched_at IS NULL AND not_before IS NULL"
)
WAITING_SQL = "not_before IS NOT NULL"
DISPATCHED_SQL = "dispatched_at IS NOT NULL"
EXPIRING_SQL = "ended_at IS NULL AND expires_at IS NOT NULL AND first_call_at IS NULL"

LISTED = ("queued", "failed", "cancelled")
"""States with an index of their own for listing: the held ones are few, the others many."""

JOB_CHECKS = {
    "status_known": (
        "status IN ('queued', 'running', 'storing', 'succeeded', 'failed', 'cancelled')"
    ),
    "held_by_a_worker": f"NOT ({HELD_SQL}) OR (worker_id IS NOT NULL AND claim_token IS NOT NULL)",
    "queued_by_nobody": "status <> 'queued' OR (worker_id IS NULL AND claim_token IS NULL)",
    "deadline_while_running": "(status = 'running') = (call_deadline IS NOT NULL)",
    "waits_only_queued": "status = 'queued' OR (not_before IS NULL AND dispatched_at IS NULL)",
    "queued_not_cancelled": "status <> 'queued' OR NOT cancel_asked",
    "ended_has_time": f"({ENDED_SQL}) = (ended_at IS NOT NULL)",
    "images_where_due": (
        "(status NOT IN ('storing', 'succeeded') OR images IS NOT NULL)"
        " AND (status NOT IN ('queued', 'running', 'failed') OR images IS NULL)"
    ),
    "image_has_time": "images IS NULL OR image_in_hand_at IS NOT NULL",
    "error_where_due": (
        "(status <> 'failed' OR error_code IS NOT NULL)"
        " AND (status <> 'succeeded' OR error_code IS NULL)"
    ),
    "error_whole": (
        "(error_code IS NULL) = (error_message IS NULL)"
        " AND (error_code IS NULL) = (error_whose IS NULL)"
    ),
    "error_whose_known": (
        "error_whose IS NULL"
        " OR error_whose IN ('request', 'api', 'storage', 'darkroom', 'operator')"
    ),
    "counts_not_negative": (
        "fence >= 0 AND attempts >= 0 AND calls_made >= 0 AND calls_unknown >= 0"
        " AND calls_useless >= 0 AND calls_lost >= 0 AND calls_duplicate >= 0"
    ),
    "counted_calls_were_made": (
        "calls_unknown + calls_useless + calls_lost + calls_duplicate <= calls_made"
    ),
    "calls_before_were_made": "calls_before >= 0 AND calls_before <= calls_made",
}
"""What no job row may be, by the name its refusal is reported under."""

BATCH_CHECKS = {
    "counts_not_negative": "succeeded >= 0 AND failed >= 0 AND cancelled >= 0",
    "open_has_total": "(opened_at IS NULL) = (total IS NULL)",
    "closed_was_open": "closed_at IS NULL OR opened_at IS NOT NULL",
    "abandoned_not_open": "abandoned_at IS NULL OR opened_at IS NULL",
}
"""What no batch row may be."""


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Every table of ours under one dialect's names."""

    metadata: MetaData
    jobs: Table
    batches: Table
    batch_deltas: Table
    workers: Table
    leaders: Table


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


def _tables(metadata: MetaData, prefix: str) -> Tables:
    return Tables(
        metadata=metadata,
        jobs=_jobs(metadata, prefix),
        batches=_batches(metadata, prefix),
        batch_deltas=_batch_deltas(metadata, prefix),
        workers=_workers(metadata, prefix),
        leaders=_leaders(metadata, prefix),
    )


POSTGRESQL = _tables(MetaData(schema=SCHEMA), "")
SQLITE = _tables(MetaData(), PREFIX)
