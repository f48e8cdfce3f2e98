"""A migrated results table on either database, and jobs at the point where a bulk change begins."""

import pytest

from storage.db.database import Database
from tests.storage.table import TableUnderTest


@pytest.fixture
def table(migrated_database: Database) -> TableUnderTest:
    """The results table, once on each database."""
    return TableUnderTest(migrated_database)
