"""Indexes on the jobs of PostgreSQL, made after the migration so that nobody waits for them.

In a transaction CREATE INDEX would keep every worker from writing until it is done, which on a
table of millions takes minutes. CONCURRENTLY does not, but it cannot be part of a transaction, it
may break off, and then it leaves an index behind that is kept up to date and never used. So each
index here is looked at by name whenever `migrate` runs: one that is whole is left alone, a broken
one is dropped, and what is missing is made. Nothing is wrong while it is missing, only slow.

Whoever makes one holds an advisory lock, in a transaction of a connection of its own that does
nothing else, as a pooler in between would take a session's lock apart. The others ask for the lock
again and again, each time in a transaction that ends with the answer, instead of waiting in one:
CONCURRENTLY waits for the whole transaction of every statement that it finds at work, and would
wait for them as they for it. PostgreSQL sees no deadlock there, as the lock and the index are two
sessions'. SQLite has one writer anyway, and its migrations make these indexes themselves.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text

from storage.db.database import Database
from storage.db.statement_limits import INDEX_BUILD
from storage.schema.revision import SCHEMA


@dataclass(frozen=True, slots=True)
class LateIndex:
    """An index that a revision wants; frozen like the revision.

    Attributes:
        since: The revision.
        name: Of the index.
        on: Table, columns and condition, as CREATE INDEX has them after ON.
    """

    since: str
    name: str
    on: str


LATE: Final = (
    LateIndex(
        "0004",
        "jobs_init_image",
        f"{SCHEMA}.jobs (init_image_key) WHERE init_image_key IS NOT NULL",
    ),
    LateIndex(
        "0005",
        "jobs_needs_release",
        f"{SCHEMA}.jobs (needs_release) WHERE needs_release IS NOT NULL AND ended_at IS NULL",
    ),
)

# Any number that nobody else uses; another one than the migration's own.
_TRY_LOCK: Final = text(f"SELECT pg_try_advisory_xact_lock({0x6C617465})")
_ASK_EVERY_S: Final = 0.2

_WHOLE: Final = text(
    "SELECT c.relname, i.indisvalid FROM pg_index AS i"
    " JOIN pg_class AS c ON c.oid = i.indexrelid"
    " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE n.nspname = :schema"
)


def missing_indexes(db: Database, revision: str | None) -> list[str]:
    """Indexes that a schema of this revision should have, and has not, or only in part.

    Raises:
        DatabaseUnavailable: Nobody knows; call again.
    """
    if db.dialect != "postgresql" or revision is None:
        return []
    wanted = [late.name for late in LATE if int(late.since) <= int(revision)]
    whole = {name for name, is_whole in _found(db).items() if is_whole}
    return [name for name in wanted if name not in whole]


def make_indexes(db: Database, revision: str) -> None:
    """Make those that are missing, one after the other; what is made stays made.

    Raises:
        DatabaseUnavailable: Call again; it goes on where it stopped.
    """
    if not missing_indexes(db, revision):
        return
    alone, builder = db.twin(INDEX_BUILD), db.twin(INDEX_BUILD)
    try:
        while not _made_in_turn(db, revision, alone, builder):
            time.sleep(_ASK_EVERY_S)
    finally:
        alone.close()
        builder.close()


def _made_in_turn(db: Database, revision: str, alone: Database, builder: Database) -> bool:
    """Whether it was this process's turn; if not, nothing of its asking may stay open."""
    with alone.begin() as turn:
        if not turn.scalar(_TRY_LOCK):
            return False
        missing = missing_indexes(db, revision)
        for late in LATE:
            if late.name in missing:
                _make(builder, late)
    return True


def _make(db: Database, late: LateIndex) -> None:
    with db.statement() as connection:
        connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{late.name}")
    with db.statement() as connection:
        connection.exec_driver_sql(f"CREATE INDEX CONCURRENTLY {late.name} ON {late.on}")


def _found(db: Database) -> dict[str, bool]:
    with db.read() as connection:
        return dict(connection.execute(_WHOLE, {"schema": SCHEMA}).all())
