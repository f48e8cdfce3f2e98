"""A migrated results table on either database, and the small steps that tests take with it."""

from collections.abc import Iterator

import pytest

from storage import Database
from tests.storage.table import TableUnderTest


@pytest.fixture
def db(migrated_url: str) -> Iterator[Database]:
    """A migrated, empty results table, once on each database."""
    database = Database(migrated_url)
    yield database
    database.close()


@pytest.fixture
def table(db: Database) -> TableUnderTest:
    """The results table with short names for what tests do with it."""
    return TableUnderTest(db)
