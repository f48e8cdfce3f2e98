"""Build indexes on large tables after the migration, so that nothing waits for them.

On PostgreSQL, CREATE INDEX in a transaction would block every write until it is done, which on a
table of millions takes minutes. CONCURRENTLY does not, but it cannot run in a transaction. It may
also fail, and then leaves an index that is maintained and never used. So `migrate` checks each
index here by name: a valid one is left alone, an invalid one is dropped, and a missing one is
built. While one is missing, queries are slow but correct.

The process that builds an index holds an advisory lock. It holds it in a transaction of a separate,
otherwise idle connection, because a pooler in between would break a session lock. Other processes
request the lock repeatedly, each time in a transaction that ends with the result, instead of
waiting in one. CONCURRENTLY waits for the whole transaction of every running statement, so it would
wait for them as they wait for it. PostgreSQL would not detect that deadlock, as the lock and the
index belong to two sessions.

An index that comes with a revision is built by the migration itself on SQLite, which has only one
writer. An index that no release depends on needs no revision of its own: any release may run with
or without it, and the next `migrate` builds it on both databases.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text

from storage.db.database import Database
from storage.db.statement_limits import INDEX_BUILD
from storage.schema.revision import PREFIX, SCHEMA


@dataclass(frozen=True, slots=True)
class LateIndex:
    """Describe an index that a revision needs; like the revision, it never changes.

    Attributes:
        since: The revision.
        name: The index's name.
        on: Table, columns and condition, as CREATE INDEX has them after ON.
        on_sqlite: The same for SQLite, if it is not built by a migration there.
    """

    since: str
    name: str
    on: str
    on_sqlite: str | None = None


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
    LateIndex(
        "0005",
        "deliveries_receiver",
        f"{SCHEMA}.deliveries (owner,"
        " lower(coalesce(substring(target from '^[^/?#]*//[^/?#]*'), target)), next_attempt_at)"
        " WHERE next_attempt_at IS NOT NULL",
        f"{PREFIX}deliveries (owner, lower(CASE WHEN instr(target, '//') = 0 THEN target"
        " ELSE substr(target, 1, instr(target, '//') + min("
        "instr(substr(target, instr(target, '//') + 2) || '/', '/'),"
        " instr(substr(target, instr(target, '//') + 2) || '?', '?'),"
        " instr(substr(target, instr(target, '//') + 2) || '#', '#'))) END), next_attempt_at)"
        " WHERE next_attempt_at IS NOT NULL",
    ),
)

# Any number that is not used elsewhere; different from the migration's own lock.
_TRY_LOCK: Final = text(f"SELECT pg_try_advisory_xact_lock({0x6C617465})")
_RETRY_LOCK_EVERY_S: Final = 0.2

_WHOLE: Final = text(
    "SELECT c.relname, i.indisvalid FROM pg_index AS i"
    " JOIN pg_class AS c ON c.oid = i.indexrelid"
    " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE n.nspname = :schema"
)


def missing_indexes(db: Database, revision: str | None) -> list[str]:
    """Return the indexes that a schema of this revision needs and that are missing or invalid.

    Raises:
        DatabaseUnavailable: Unknown; call again.
    """
    if revision is None:
        return []
    wanted = [late for late in LATE if int(late.since) <= int(revision)]
    if db.is_sqlite:
        wanted = [late for late in wanted if late.on_sqlite is not None]
    whole = {name for name, is_whole in _found(db).items() if is_whole}
    return [late.name for late in wanted if late.name not in whole]


def make_indexes(db: Database, revision: str) -> None:
    """Build the missing indexes one after the other; those already built remain.

    Raises:
        DatabaseUnavailable: Call again; it continues where it stopped.
    """
    missing = missing_indexes(db, revision)
    if not missing:
        return
    if db.is_sqlite:
        _make_on_sqlite(db, missing)
        return
    lock_db, build_db = db.with_one_connection(INDEX_BUILD), db.with_one_connection(INDEX_BUILD)
    try:
        while not _make_if_locked(db, revision, lock_db, build_db):
            time.sleep(_RETRY_LOCK_EVERY_S)
    finally:
        lock_db.close()
        build_db.close()


def _make_if_locked(db: Database, revision: str, lock_db: Database, build_db: Database) -> bool:
    """Build the missing indexes if this process gets the lock; return whether it did.

    If it does not, no transaction of the request may stay open.
    """
    with lock_db.begin() as transaction:
        if not transaction.scalar(_TRY_LOCK):
            return False
        missing = missing_indexes(db, revision)
        for late in LATE:
            if late.name in missing:
                _make(build_db, late)
    return True


def _make(db: Database, late: LateIndex) -> None:
    with db.statement() as connection:
        connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{late.name}")
    with db.statement() as connection:
        connection.exec_driver_sql(f"CREATE INDEX CONCURRENTLY {late.name} ON {late.on}")


def _make_on_sqlite(db: Database, missing: list[str]) -> None:
    for late in LATE:
        if late.name in missing:
            with db.begin() as connection:
                connection.exec_driver_sql(
                    f"CREATE INDEX IF NOT EXISTS {PREFIX}{late.name} ON {late.on_sqlite}"
                )


def _found(db: Database) -> dict[str, bool]:
    with db.read() as connection:
        if db.is_sqlite:
            names = connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'index'"))
            return {name.removeprefix(PREFIX): True for name in names}
        return dict(connection.execute(_WHOLE, {"schema": SCHEMA}).all())
