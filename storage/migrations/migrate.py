"""Bring the tables to this release's schema, and tell whether they are there.

Alembic keeps the history; it is run from here, with no configuration file, so that an installed
wheel can migrate. The whole migration is one transaction: on PostgreSQL under an advisory lock
that ends with it, on SQLite as the one writer, so several workers may start at once. Only indexes
on large tables come after it (`concurrent_indexes.py`). Workers take a schema one release newer
than their own, since a fleet is upgraded one by one.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from storage.db.database import Database
from storage.db.statement_limits import MIGRATION
from storage.errors import SchemaOutOfDate
from storage.migrations.concurrent_indexes import make_indexes
from storage.schema.revision import PREFIX, SCHEMA, VERSION_TABLE, WANTED

# Any number will do, as long as nobody else on the server uses it: "darkroom" in ASCII, halved.
_LOCK = 0x6461726B726F6F6D & 0x7FFFFFFF

_PATIENCE_S = 30

#: By dialect: whether there is a table of this name, and what Alembic's is called.
_WHERE = {
    "postgresql": ("SELECT to_regclass(:name) IS NOT NULL", f"{SCHEMA}.{VERSION_TABLE}"),
    "sqlite": (
        "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = :name",
        PREFIX + VERSION_TABLE,
    ),
}


def migrate(db: Database) -> str:
    """Create or upgrade the tables; nothing happens where they are up to date or newer.

    Returns:
        The revision the database is at now.

    Raises:
        DatabaseMisconfigured: The role may not create tables.
        DatabaseUnavailable: Call again; it goes on where it stopped, between two whole schemas.
    """
    with db.begin(MIGRATION) as connection:
        if db.dialect == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            # Behind somebody's long SELECT on the view nobody else shall have to wait for long.
            connection.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE_S}s'"))
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        found = _revision(connection)
        if found is None or int(found) < int(WANTED):
            from storage.migrations.alembic_runner import upgrade  # noqa: PLC0415 - costly, and seldom needed

            upgrade(connection, WANTED)
            found = WANTED
    if found == WANTED:
        make_indexes(db, found)
    return found


def schema_status(db: Database) -> tuple[str | None, str]:
    """The revision the database is at (None: no tables), and the one this release wants."""
    if db.is_absent:  # to look into it would make an empty file of it
        return None, WANTED
    with db.read() as connection:
        return _revision(connection), WANTED


def check_schema(db: Database) -> str:
    """Refuse to work on tables this release was not written for.

    Returns:
        The revision the database is at.

    Raises:
        SchemaOutOfDate: They are missing, older, or more than one release newer.
        DatabaseUnavailable: Nobody knows; call again.
    """
    found, wanted = schema_status(db)
    if found is None or int(found) not in {int(wanted), int(wanted) + 1}:
        raise SchemaOutOfDate(found, wanted)
    return found


def _revision(connection: Connection) -> str | None:
    """What Alembic noted in its table, if there is one.

    Asked for in plain words: every process begins with it, and a look through the catalog by
    SQLAlchemy's inspector costs 4 ms more, most of it to compile its question.
    """
    is_there, name = _WHERE[connection.dialect.name]
    if not connection.scalar(text(is_there), {"name": name}):
        return None
    noted: str | None = connection.scalar(text(f"SELECT version_num FROM {name}"))  # noqa: S608
    return noted
