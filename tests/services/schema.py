"""Databases with this release's schema, for the many tests that are not about migrating.

To migrate one takes a third of a second of computing, far more than most tests that need one. So
each tester migrates one of either kind, and tests get a copy of the file, a copy that the server
makes, or the server's one database, emptied. Tests of migrations ask for databases that are empty
(`tests/services/databases.py`).
"""

import shutil
from collections.abc import Iterator
from copy import copy
from pathlib import Path

import pytest

from storage.db.database import Database
from storage.migrations.migrate import migrate
from tests.services.postgres import PostgresServer


class Emptied:
    """A database for one test after the other, with connections and statements that stay.

    Args:
        url: of a migrated database that no other test or process uses.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._database = Database(url)
        self._emptying = self._statements()

    def empty(self) -> None:
        """Leave what a migration leaves: the tables, and the one row that is never deleted."""
        with self._database.begin() as connection:
            for statement in self._emptying:
                connection.exec_driver_sql(statement)

    def _statements(self) -> list[str]:
        tables = self._database.tables
        # Not by TRUNCATE, which makes every table and index anew: some fifty times the work.
        deletions = [
            f"DELETE FROM {table.fullname}"  # noqa: S608 - our own tables
            for table in reversed(tables.metadata.sorted_tables)
        ]
        found = [*deletions, f"INSERT INTO {tables.fleet.fullname} (id) VALUES (1)"]  # noqa: S608 - as above
        if self._database.dialect == "sqlite":  # a test's ANALYZE is none of the next one's
            return [*found, "DROP TABLE IF EXISTS sqlite_stat1"]
        return [f"DO $$ BEGIN {'; '.join(found)}; END $$"]  # one round trip

    def view(self) -> Database:
        """The emptied database as a test's own: what listens to it listens to that test alone.

        A new engine would compile every statement anew, a fifth of what tests of storage take.
        """
        self.empty()
        seen, whole = copy(self._database), self._database._engine
        seen._engine = whole.execution_options()
        seen._groups = {}
        for name in ("_writer", "_single", "_reader"):
            options = getattr(seen, name).get_execution_options()
            setattr(seen, name, seen._engine.execution_options(**options))
        return seen

    def close(self) -> None:
        """Let the connections go."""
        self._database.close()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema, to be copied."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    database = Database(f"sqlite:///{path}")
    migrate(database)
    database.close()
    return path


@pytest.fixture
def migrated_sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """URL of a SQLite file with the schema: the file of `sqlite_url`."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'darkroom.db')}"


@pytest.fixture
def new_migrated_postgres_url(_postgres_of_session: PostgresServer) -> Iterator[str]:
    """URL of a PostgreSQL database with the schema, new: no statistics, no session of others."""
    url = _postgres_of_session.new_migrated_database()
    yield url
    _postgres_of_session.drop_database(url)


@pytest.fixture(scope="session")
def _postgres_of_all(_postgres_of_session: PostgresServer) -> Iterator[Emptied]:
    emptied = Emptied(_postgres_of_session.new_migrated_database())
    yield emptied
    emptied.close()


@pytest.fixture(scope="session")
def _sqlite_of_all(sqlite_template: Path) -> Iterator[Emptied]:
    file = shutil.copy(sqlite_template, sqlite_template.with_name("of-all.db"))
    emptied = Emptied(f"sqlite:///{file}")
    yield emptied
    emptied.close()


@pytest.fixture
def migrated_postgres_url(_postgres_of_all: Emptied) -> str:
    """URL of a PostgreSQL database with the schema: a tester's only one, emptied."""
    _postgres_of_all.empty()
    return _postgres_of_all.url


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_url(request: pytest.FixtureRequest) -> str:
    """The same test once over SQLite, once over PostgreSQL, with the schema and no rows."""
    fixture = {"sqlite": "migrated_sqlite_url", "postgresql": "migrated_postgres_url"}
    url: str = request.getfixturevalue(fixture[request.param])
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def migrated_database(request: pytest.FixtureRequest) -> Database:
    """A database with the schema and no rows, once on each, whose connections are there already.

    A test that kills, closes or fills up a database asks for one by `migrated_url`.
    """
    fixture = {"sqlite": "_sqlite_of_all", "postgresql": "_postgres_of_all"}
    emptied: Emptied = request.getfixturevalue(fixture[request.param])
    return emptied.view()


@pytest.fixture(params=["sqlite", "postgresql"])
def new_migrated_url(request: pytest.FixtureRequest) -> str:
    """As `migrated_url`, for tests that leave processes behind that still write."""
    fixture = {"sqlite": "migrated_sqlite_url", "postgresql": "new_migrated_postgres_url"}
    url: str = request.getfixturevalue(fixture[request.param])
    return url
