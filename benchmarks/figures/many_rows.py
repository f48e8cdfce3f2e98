"""Fill a results table with very many rows in seconds: one row from the product, then copies.

The rows are copied inside the database, because the figures measure how the table's size affects
the next job. How the rows were inserted does not matter to them. The table is vacuumed and
analysed, as autovacuum leaves it.
"""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import psycopg
from uuid_utils.compat import uuid7

from storage.batches.batches import create_batch, open_batch
from storage.db.database import Database
from storage.intake.insert import insert_jobs
from storage.records.job import NewJob
from tests.services.postgres import psycopg_url

__all__ = ["crowd"]

#: Ids begin with the milliseconds of their creation, so that they ascend as the product's do.
COPY: Final = b"""
INSERT INTO darkroom.jobs (id, batch_id, stream, owner, request_hash, request)
SELECT encode(overlay(uuid_send(gen_random_uuid()) PLACING substring(int8send((extract(
         epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 'hex')::uuid,
       batch_id, stream, owner, request_hash, request
  FROM darkroom.jobs, generate_series(2, %s) WHERE id = %s
"""
END: Final = b"""
UPDATE darkroom.jobs
   SET status = 'succeeded', attempts = 1, calls_made = 1, fence = 1,
       images = '[{"index": 0, "key": "k", "sha256": "0", "size_bytes": 1500000,
                   "width": 1024, "height": 1024}]',
       first_call_at = accepted_at, image_in_hand_at = accepted_at, ended_at = accepted_at
 WHERE batch_id = %s
"""


def crowd(
    db: Database,
    url: str,
    request: Mapping[str, Any],
    rows: int,
    *,
    ended: int = 0,
    opened: bool = True,
) -> UUID:
    """Fill a table.

    Args:
        db: the migrated, empty table.
        url: its SQLAlchemy URL.
        request: the request of every row.
        rows: how many are queued, in one batch.
        ended: how many others have succeeded, in a separate batch.
        opened: whether the batch of the queued rows is open, or still being loaded.

    Returns:
        The batch of the queued rows.
    """
    with psycopg.connect(psycopg_url(url), autocommit=True) as connection:
        if ended:
            done = _copies(db, connection, request, ended)
            connection.execute(END, [done])
        queued = _copies(db, connection, request, rows, opened=opened)
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")
    return queued


def _copies(
    db: Database,
    connection: psycopg.Connection[tuple[Any, ...]],
    request: Mapping[str, Any],
    count: int,
    *,
    opened: bool = True,
) -> UUID:
    batch_id = uuid7()
    create_batch(db, id=batch_id)
    first = NewJob(uuid7(), request, "hash", batch_id=batch_id)
    insert_jobs(db, [first])
    connection.execute(COPY, [count, first.id])
    if opened:
        open_batch(db, batch_id, count)
    return batch_id
