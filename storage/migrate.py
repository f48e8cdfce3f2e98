"""Bring the tables to this release's schema, and tell whether they are there.

Alembic keeps the history; it is run from here, with no configuration file, so that an installed
wheel can migrate. The whole migration is one transaction: on PostgreSQL under an advisory lock
that ends with it, on SQLite as the one writer, so several workers may start at once. Workers
take a schema one release newer than their own, since a fleet is upgraded one by one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from storage.database import Database
from storage.errors import SchemaOutOfDate
from storage.revisions import PREFIX, SCHEMA, VERSION_TABLE, WANTED

_SCRIPTS = Path(__file__).parent / "migrations"

# Any number will do, as long as nobody else on the server uses it: "darkroom" in ASCII, halved.
_LOCK = 0x6461726B726F6F6D & 0x7FFFFFFF


def migrate(db: Database) -> str:
    """Create or upgrade the tables; nothing happens where they are up to date or newer.

    Returns:
        The revision the database is at now.

    Raises:
        DatabaseMisconfigured: The role may not create tables.
        DatabaseUnavailable: Nothing was changed; call again.
    """
    with db.begin() as connection:
        if db.dialect == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        found = _context(connection).get_current_revision()
        if found is None or int(found) < int(WANTED):
            _upgrade(connection)
            found = WANTED
    return found


def schema_status(db: Database) -> tuple[str | None, str]:
    """The revision the database is at (None: no tables), and the one this release wants."""
    with db.read() as connection:
        return _context(connection).get_current_revision(), WANTED


def check_schema(db: Database) -> None:
    """Refuse to work on tables this release was not written for.

    Raises:
        SchemaOutOfDate: They are missing, older, or more than one release newer.
        DatabaseUnavailable: Nobody knows; call again.
    """
    found, wanted = schema_status(db)
    if found is None or int(found) not in {int(wanted), int(wanted) + 1}:
        raise SchemaOutOfDate(found, wanted)


def _upgrade(connection: Connection) -> None:
    scripts = _scripts()

    def steps(revision: Any, _context: Any) -> Any:
        return scripts._upgrade_revs(WANTED, revision)  # noqa: SLF001 - what Alembic's own command does

    context = _context(connection, fn=steps)
    with Operations.context(context):
        context.run_migrations()


def _scripts() -> ScriptDirectory:
    config = Config()
    # Alembic reads the value as a format, where a percent sign has a meaning.
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    return ScriptDirectory.from_config(config)


def _context(connection: Connection, **options: Any) -> MigrationContext:
    if connection.dialect.name == "postgresql":
        options |= {"version_table": VERSION_TABLE, "version_table_schema": SCHEMA}
    else:
        options |= {"version_table": PREFIX + VERSION_TABLE}
    return MigrationContext.configure(connection, opts=options)
