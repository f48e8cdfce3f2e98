"""Insert the rows of a batch in chunks, in the cheapest form: their values are already text.

A batch may have a million rows, so the cost of each row here is the cost of accepting the batch. A
chunk is inserted as by `insert_jobs`: existing rows are skipped.
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
    """Hold one job of a batch.

    Attributes:
        id: A UUID, as its usual 36 characters.
        idempotency_key: Unique per owner.
        request_hash: The hash of the request as submitted.
        request: The request to send, without its initial image.
        init_image_key: The object key of that image.
        metadata: The owner's own small notes.
        priority: Higher goes first.
        reuse_hash: The hash of everything that determines the image, if the job may reuse an image
            and its image may be reused.
        needs_release: The first release that supports all its parameters, as in `NewJob`.
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
    """Hold the values that all rows of a batch share, as in `NewJob`, and the batch row's time."""

    batch_id: UUID
    begun_at: datetime
    owner: str
    simulated: bool


def insert_batch_rows(db: Database, common: RowsInCommon, rows: Sequence[BatchRow]) -> int:
    """Insert a chunk of a batch that is not open yet, skipping known ids and keys.

    If a job may reuse an image, it is looked up. If there is one, the job's row is inserted as
    succeeded.

    Args:
        db: The results table.
        common: The values that all rows share.
        rows: At most `MAX_CHUNK_JOBS`.

    Returns:
        The number of new rows.

    Raises:
        ValueError: The chunk is too large.
        BatchShut: Another load opened or abandoned the batch; none of the chunk is kept.
        RecordRefused: A value that no row can hold; none of the chunk is kept.
        DatabaseUnavailable: Possibly committed: call again with the same rows.
    """
    if len(rows) > MAX_CHUNK_JOBS:
        raise ValueError(f"{len(rows)} rows in one chunk, {MAX_CHUNK_JOBS} at most")
    # Writers of overlapping chunks lock the rows in the same order, so they cannot deadlock.
    ordered = _in_columns(common, sorted(rows, key=itemgetter(0)))
    into = Loading(common.batch_id, common.begun_at)
    hashes = {UUID(row.id): row.reuse_hash for row in rows if row.reuse_hash is not None}
    if not hashes and not db.is_sqlite:
        copied = copy_in(db, ordered, into=into)
        if copied is not None:
            return copied
    return insert_rows(db, [_named(row) for row in ordered], reuse_hashes=hashes, into=into)


def _in_columns(common: RowsInCommon, rows: Sequence[BatchRow]) -> list[tuple[Any, ...]]:
    """Return the rows' values in the order of `COLUMNS`."""
    stream = stream_of(common.owner, common.batch_id)
    before = (str(common.batch_id), str(stream), common.owner)
    after = (None, common.simulated)  # rows of a batch have no callback of their own
    return [(row.id, *before, *row[1:-2], *after, row.needs_release) for row in rows]


def _named(row: Sequence[Any]) -> dict[str, Any]:
    named = dict(zip(COLUMNS, row, strict=True))
    ids = {name: UUID(named[name]) for name in ("id", "batch_id", "stream")}
    return named | ids | {"expires_in_s": None}
