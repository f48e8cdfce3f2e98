"""A migrated results table on either database, and the small steps that tests take with it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage import Database, migrate
from tests.services.postgres import PostgresServer
from tests.storage.table import TableUnderTest


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema, to be copied."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    database.close()
    return path


@pytest.fixture(scope="session")
def migrated_postgres_url(_postgres_of_session: PostgresServer) -> str:
    """A PostgreSQL database with the schema, emptied between tests."""
    url = _postgres_of_session.new_database()
    database = Database(url)
    migrate(database)
    database.close()
    return url


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.enable_socket)],
)
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A migrated, empty results table, once on each database."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        url = f"sqlite:///{shutil.copy(template, tmp_path / 'darkroom.db')}"
    else:
        url = request.getfixturevalue("migrated_postgres_url")
    database = Database(url)
    if request.param == "postgresql":
        _empty(database)
    yield database
    database.close()


@pytest.fixture
def table(db: Database) -> TableUnderTest:
    """The results table with short names for what tests do with it."""
    return TableUnderTest(db)


def _empty(database: Database) -> None:
    # Not by TRUNCATE, which makes every table and index anew: some fifty times the work.
    with database.begin() as connection:
        for each in reversed(database.tables.metadata.sorted_tables):
            connection.execute(each.delete())
        # The one row that a migration makes and that is never deleted.
        connection.execute(database.tables.fleet.insert().values(id=1))
