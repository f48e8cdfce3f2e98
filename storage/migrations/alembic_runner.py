"""Run the migration steps that a database lacks, with Alembic.

This is a separate file because loading Alembic and its templates takes a fifth of a second. Nearly
every command only reads the current revision.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from storage.schema.dialects import is_sqlite
from storage.schema.revision import PREFIX, SCHEMA, VERSION_TABLE

__all__ = ["upgrade"]

_SCRIPTS = Path(__file__).parent


def upgrade(connection: Connection, target: str) -> None:
    """Run the steps that lead to a revision, in the connection's transaction."""
    scripts = _scripts()

    def steps(revision: Any, _context: Any) -> Any:
        return scripts._upgrade_revs(target, revision)  # noqa: SLF001 - what Alembic's own command does

    context = _context(connection, fn=steps)
    with Operations.context(context):
        context.run_migrations()


def _scripts() -> ScriptDirectory:
    config = Config()
    # Alembic reads the value as a format string, in which a percent sign is special.
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    return ScriptDirectory.from_config(config)


def _context(connection: Connection, **options: Any) -> MigrationContext:
    if is_sqlite(connection.dialect):
        options |= {"version_table": PREFIX + VERSION_TABLE}
    else:
        options |= {"version_table": VERSION_TABLE, "version_table_schema": SCHEMA}
    return MigrationContext.configure(connection, opts=options)
