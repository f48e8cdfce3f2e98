"""A migrated results table on either database, and the small steps that tests take with it."""

import pytest

from storage.db.database import Database
from tests.storage.table import TableUnderTest


@pytest.fixture
def db(migrated_database: Database) -> Database:
    """A migrated, empty results table, once on each database."""
    return migrated_database


@pytest.fixture
def table(db: Database) -> TableUnderTest:
    """The results table with short names for what tests do with it."""
    return TableUnderTest(db)
