"""Declare the tables, their CHECKs and their indexes, once per dialect.

PostgreSQL keeps everything in the schema `darkroom`; SQLite has no schemas, so its names carry the
prefix `darkroom_`. `Tables` is the same set of tables under either naming; `Database.tables` is the
one that fits the database. A test compares what the migrations build with this file.

The tables of owners and their keys are in `owner_tables.py`, those of webhooks in
`webhook_tables.py`, those that outlive a job in `retention_tables.py`. The conditions of CHECKs and
partial indexes are in `constraints.py`. Columns that several tables share are in `columns.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

from storage.schema.clock import UtcDateTime, now
from storage.schema.columns import BIG, JSON_VALUE, checks, count, index, moment
from storage.schema.constraints import (
    BATCH_CHECKS,
    DISPATCHED_SQL,
    EXPIRING_SQL,
    FLEET_CHECKS,
    HELD_SQL,
    JOB_CHECKS,
    LISTED,
    NEEDS_RELEASE_SQL,
    READY_SQL,
    WAITING_SQL,
)
from storage.schema.owner_tables import api_keys, owner_calls, owner_defaults, owners
from storage.schema.retention_tables import doomed_objects, reuses, tombstones
from storage.schema.revision import PREFIX, SCHEMA
from storage.schema.uuid_column import Uuid
from storage.schema.webhook_tables import (
    batch_callbacks,
    callback_secrets,
    deliveries,
    delivery_attempts,
    gone_receivers,
)


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Hold all of Darkroom's tables under one dialect's names."""

    metadata: MetaData
    jobs: Table
    batches: Table
    batch_deltas: Table
    workers: Table
    leaders: Table
    fleet: Table
    daily_calls: Table
    api_keys: Table
    owners: Table
    owner_calls: Table
    deliveries: Table
    delivery_attempts: Table
    batch_callbacks: Table
    callback_secrets: Table
    gone_receivers: Table
    owner_defaults: Table
    tombstones: Table
    doomed_objects: Table
    reuses: Table


def _job_columns() -> list[Column[Any]]:
    return [
        Column("id", Uuid, primary_key=True),
        # No foreign key: a batch of a million would cost a million look-ups of one row.
        Column("batch_id", Uuid),
        # The round-robin stream: the batch, or the owner's single jobs.
        Column("stream", Uuid, nullable=False),
        Column("owner", Text, nullable=False),
        Column("idempotency_key", Text),
        Column("request_hash", Text, nullable=False),
        Column("request", JSON_VALUE, nullable=False),
        Column("init_image_key", Text),
        Column("metadata", JSON_VALUE),
        Column("priority", Integer, nullable=False, server_default=text("0")),
        Column("status", String(16), nullable=False, server_default=text("'queued'")),
        Column("fence", BIG, nullable=False, server_default=text("0")),
        count("attempts"),
        count("calls_made"),
        # Calls made before the job was last retried by hand: the limit on calls restarts there.
        count("calls_before"),
        count("calls_unknown"),
        count("calls_useless"),
        count("calls_lost"),
        count("calls_duplicate"),
        Column("worker_id", Uuid),
        Column("claim_token", Uuid),
        moment("call_deadline"),
        moment("not_before"),
        moment("expires_at"),
        moment("dispatched_at"),
        Column("cancel_asked", Boolean, nullable=False, server_default=text("false")),
        Column("error_code", Text),
        Column("error_message", Text),
        Column("error_whose", String(16)),
        Column("images", JSON_VALUE),
        Column("callback_url", Text),
        Column("simulated", Boolean, nullable=False, server_default=text("false")),
        # The first release that supports all its parameters; NULL if every supported release does.
        Column("needs_release", Integer),
        Column("accepted_at", UtcDateTime, nullable=False, server_default=now()),
        moment("first_call_at"),
        moment("image_in_hand_at"),
        moment("ended_at"),
    ]


def _job_indexes(prefix: str) -> list[Index]:
    name = f"{prefix}jobs"
    return [
        index(f"{name}_ready", "priority DESC", "stream", "accepted_at", "id", where=READY_SQL),
        index(f"{name}_waiting", "not_before", where=WAITING_SQL),
        index(f"{name}_dispatched", "dispatched_at", where=DISPATCHED_SQL),
        index(f"{name}_expiring", "expires_at", where=EXPIRING_SQL),
        index(f"{name}_held", "worker_id", where=HELD_SQL),
        index(f"{name}_deadline", "call_deadline", where="status = 'running'"),
        index(f"{name}_storing", "image_in_hand_at", where="status = 'storing'"),
        index(f"{name}_batch_held", "batch_id", "status", where=HELD_SQL),
        index(f"{name}_newest", "accepted_at", "id"),
        *(
            index(f"{name}_{status}", "accepted_at", "id", where=f"status = '{status}'")
            for status in LISTED
        ),
        index(f"{name}_owner", "owner", "accepted_at", "id"),
        index(f"{name}_init_image", "init_image_key", where="init_image_key IS NOT NULL"),
        index(f"{name}_needs_release", "needs_release", where=NEEDS_RELEASE_SQL),
        index(f"{name}_batch", "batch_id", "accepted_at", "id", where="batch_id IS NOT NULL"),
        index(
            f"{name}_key",
            "owner",
            "idempotency_key",
            where="idempotency_key IS NOT NULL",
            unique=True,
        ),
    ]


def _jobs(metadata: MetaData, prefix: str) -> Table:
    parts = [*_job_columns(), *checks(f"{prefix}jobs", JOB_CHECKS), *_job_indexes(prefix)]
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
        count("succeeded"),
        count("failed"),
        count("cancelled"),
        Column("created_at", UtcDateTime, nullable=False, server_default=now()),
        moment("opened_at"),
        moment("closed_at"),
        moment("abandoned_at"),
        *checks(name, BATCH_CHECKS),
        index(f"{name}_key", "owner", "key", where="key IS NOT NULL", unique=True),
        index(f"{name}_newest", "created_at", "id"),
        index(f"{name}_unopened", "created_at", where="opened_at IS NULL"),
    )


def _batch_deltas(metadata: MetaData, prefix: str) -> Table:
    name = f"{prefix}batch_deltas"
    return Table(
        name,
        metadata,
        Column("id", BIG, primary_key=True, autoincrement=True),
        Column("batch_id", Uuid, nullable=False),
        count("succeeded"),
        count("failed"),
        count("cancelled"),
        index(f"{name}_batch", "batch_id"),
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
        index(f"{name}_lease", "lease_until"),
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
        moment("paused_at"),
        moment("pause_until"),
        moment("probe_at"),
        count("probes"),
        moment("held_until"),
        Column("share", Double, nullable=False, server_default=text("1.0")),
        moment("share_changed_at"),
        *checks(name, FLEET_CHECKS),
    )


def _daily_calls(metadata: MetaData, prefix: str) -> Table:
    return Table(
        f"{prefix}daily_calls",
        metadata,
        Column("day", String(10), primary_key=True),
        Column("calls", BIG, nullable=False),
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
        api_keys=api_keys(metadata, prefix),
        owners=owners(metadata, prefix),
        owner_calls=owner_calls(metadata, prefix),
        deliveries=deliveries(metadata, prefix),
        delivery_attempts=delivery_attempts(metadata, prefix),
        batch_callbacks=batch_callbacks(metadata, prefix),
        callback_secrets=callback_secrets(metadata, prefix),
        gone_receivers=gone_receivers(metadata, prefix),
        owner_defaults=owner_defaults(metadata, prefix),
        tombstones=tombstones(metadata, prefix),
        doomed_objects=doomed_objects(metadata, prefix),
        reuses=reuses(metadata, prefix),
    )


POSTGRESQL = _tables(MetaData(schema=SCHEMA), "")
SQLITE = _tables(MetaData(), PREFIX)
