"""Migrate the tables to this release's schema, and check their revision.

Alembic records the revision. It runs from here, with no configuration file, so that an installed
wheel can migrate. The whole migration is one transaction: on PostgreSQL under an advisory lock that
ends with it, on SQLite as the only writer. So several workers may start at once. Only indexes on
large tables are built after it (`concurrent_indexes.py`). Workers accept a schema one release newer
than their own, because a fleet is upgraded one worker at a time.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from storage.db.database import Database
from storage.db.statement_limits import MIGRATION
from storage.errors import SchemaOutOfDate
from storage.migrations.concurrent_indexes import make_indexes
from storage.schema.revision import CURRENT, PREFIX, SCHEMA, VERSION_TABLE

# Any number that is not used elsewhere on the server: "darkroom" in ASCII, halved.
_LOCK = 0x6461726B726F6F6D & 0x7FFFFFFF

_PATIENCE_S = 30

#: By dialect: a query for whether a table of this name exists, and the name of Alembic's table.
_WHERE = {
    "postgresql": ("SELECT to_regclass(:name) IS NOT NULL", f"{SCHEMA}.{VERSION_TABLE}"),
    "sqlite": (
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = :name",
        PREFIX + VERSION_TABLE,
    ),
}


def migrate(db: Database) -> str:
    """Create or upgrade the tables; do nothing if they are up to date or newer.

    Returns:
        The database's revision now.

    Raises:
        DatabaseMisconfigured: The role may not create tables.
        DatabaseUnavailable: Call again; it continues where it stopped, between two whole schemas.
    """
    with db.begin(MIGRATION) as connection:
        if not db.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            # A lock queued behind a long SELECT on the view must not delay other statements for
            # long.
            connection.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE_S}s'"))
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        found = _revision(connection)
        if found is None or int(found) < int(CURRENT):
            from storage.migrations.alembic_runner import upgrade  # noqa: PLC0415 - slow to load, and seldom needed

            upgrade(connection, CURRENT)
            found = CURRENT
    if found == CURRENT:
        make_indexes(db, found)
    return found


def schema_status(db: Database) -> tuple[str | None, str]:
    """Return the database's revision (None: no tables) and the one this release needs."""
    if db.is_absent:  # connecting would create an empty file
        return None, CURRENT
    with db.read() as connection:
        return _revision(connection), CURRENT


def check_schema(db: Database) -> str:
    """Raise an error if the tables' revision is not supported by this release.

    Returns:
        The database's revision.

    Raises:
        SchemaOutOfDate: They are missing, older, or more than one release newer.
        DatabaseUnavailable: Unknown; call again.
    """
    found, needed = schema_status(db)
    if found is None or int(found) not in {int(needed), int(needed) + 1}:
        raise SchemaOutOfDate(found, needed)
    return found


def _revision(connection: Connection) -> str | None:
    """Return the revision in Alembic's table, if there is one.

    Plain SQL is used because every process starts with this query. SQLAlchemy's inspector costs 4
    ms more, most of it to compile its query.
    """
    is_there, name = _WHERE[connection.dialect.name]
    if not connection.scalar(text(is_there), {"name": name}):
        return None
    noted: str | None = connection.scalar(text(f"SELECT version_num FROM {name}"))  # noqa: S608
    return noted
