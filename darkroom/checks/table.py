"""Check that the database answers and that its tables match this release."""

from collections.abc import Iterator

from darkroom.checks.finding import Finding, Level
from darkroom.errors import UserError
from darkroom.wiring.factory import Wiring
from storage.db.postgresql.server_identity import unproven_sslmode
from storage.errors import DatabaseError, SchemaOutOfDate
from storage.migrations.concurrent_indexes import missing_indexes
from storage.migrations.migrate import check_schema

__all__ = ["check_server_identity", "check_table"]


def check_table(wiring: Wiring) -> Iterator[Finding]:
    """Check that the results table exists and matches this release.

    Raises:
        UserError: it does not, or the database does not answer.
    """
    try:
        database = wiring.database
        found = check_schema(database)
        missing = missing_indexes(database, found)
    except SchemaOutOfDate as error:
        raise UserError(f"DARKROOM_DATABASE_URL: {database.safe_url}: {error}") from error
    except DatabaseError as error:
        raise UserError(f"DARKROOM_DATABASE_URL: {error}") from error
    if missing:
        text = f"{database.safe_url}: not made yet, or broken off: index {', '.join(missing)}"
        yield Finding("database", Level.WARN, text, "run `darkroom migrate`", stops_worker=False)
        return
    yield Finding("database", Level.OK, f"{database.safe_url} at revision {found}")


def check_server_identity(wiring: Wiring) -> Iterator[Finding]:
    """Check that a PostgreSQL server on another machine proves its identity by a certificate.

    Raises:
        StorageError: the database did not answer.
    """
    database = wiring.database
    sslmode = unproven_sslmode(database)
    if sslmode is not None:
        yield Finding(
            "database",
            Level.WARN,
            f"{database.safe_url}: sslmode={sslmode} does not verify the server: anyone on the way "
            "can read prompts",
            "add sslmode=verify-full&sslrootcert=… to DARKROOM_DATABASE_URL",
        )
