"""The rows of a batch, a chunk at a time, in the form that costs least: all of it text already.

A batch has a million of them, so what each costs here is what accepting it costs. What a chunk
means is as for `insert_jobs`: rows that are there already are passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from storage.batches.loading import Loading
from storage.db.database import Database
from storage.db.json_text import JsonText
from storage.intake.copy_rows import COLUMNS, copy_in
from storage.intake.insert import MAX_CHUNK_JOBS, insert_rows
from storage.records.job import stream_of

__all__ = ["BatchRow", "RowsInCommon", "insert_batch_rows"]


class BatchRow(NamedTuple):
    """One job of a batch.

    Attributes:
        id: a UUID, as its usual 36 characters.
        idempotency_key: unique per owner.
        request_hash: of the request as it was handed in.
        request: as it will be sent, without its initial image.
        init_image_key: where that image's bytes are.
        metadata: the owner's own small notes.
        priority: higher goes first.
        reuse_hash: of what makes its image, where it may reuse one and be reused.
        needs_release: the first release that knows all its parameters, as in `NewJob`.
    """

    id: str
    idempotency_key: str | None
    request_hash: str
    request: JsonText
    init_image_key: str | None
    metadata: JsonText | None
    priority: int
    reuse_hash: str | None = None
    needs_release: int | None = None


@dataclass(frozen=True, slots=True)
class RowsInCommon:
    """What all rows of a batch have in common; as in `NewJob`, and when its own row was made."""

    batch_id: UUID
    begun_at: datetime
    owner: str
    simulated: bool


def insert_batch_rows(db: Database, common: RowsInCommon, rows: Sequence[BatchRow]) -> int:
    """Insert a chunk of a batch that is not open yet; ids and keys that are known are passed over.

    Those that may reuse an image are looked up, and end as they begin where there is one.

    Args:
        db: The results table.
        common: What the rows have in common.
        rows: At most `MAX_CHUNK_JOBS`.

    Returns:
        How many are new.

    Raises:
        ValueError: The chunk is too large.
        BatchShut: The batch was opened or given up meanwhile; none of the chunk is kept.
        RecordRefused: A value no row can hold; none of the chunk is kept.
        DatabaseUnavailable: Perhaps committed, perhaps not: call again with the same rows.
    """
    if len(rows) > MAX_CHUNK_JOBS:
        raise ValueError(f"{len(rows)} rows in one chunk, {MAX_CHUNK_JOBS} at most")
    # Writers of overlapping chunks meet the rows in one order, so they cannot deadlock.
    ordered = _in_columns(common, sorted(rows, key=itemgetter(0)))
    into = Loading(common.batch_id, common.begun_at)
    hashes = {UUID(row.id): row.reuse_hash for row in rows if row.reuse_hash is not None}
    if not hashes and db.dialect == "postgresql":
        copied = copy_in(db, ordered, into=into)
        if copied is not None:
            return copied
    return insert_rows(db, [_named(row) for row in ordered], reuse_hashes=hashes, into=into)


def _in_columns(common: RowsInCommon, rows: Sequence[BatchRow]) -> list[tuple[Any, ...]]:
    """The rows in the order of `COLUMNS`."""
    stream = stream_of(common.owner, common.batch_id)
    before = (str(common.batch_id), str(stream), common.owner)
    after = (None, common.simulated)  # lines of a batch have no callback of their own
    return [(row.id, *before, *row[1:-2], *after, row.needs_release) for row in rows]


def _named(row: Sequence[Any]) -> dict[str, Any]:
    named = dict(zip(COLUMNS, row, strict=True))
    ids = {name: UUID(named[name]) for name in ("id", "batch_id", "stream")}
    return named | ids | {"expires_in_s": None}
