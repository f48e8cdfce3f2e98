"""A table and a bucket for what follows from an answer."""

from collections.abc import Iterator

import pytest

from storage.db.database import Database
from storage.objects.store import ObjectStore
from tests.services import S3Endpoint


@pytest.fixture
def database(migrated_sqlite_url: str) -> Iterator[Database]:
    """An empty table."""
    database = Database(migrated_sqlite_url)
    yield database
    database.close()


@pytest.fixture
def bucket(s3: S3Endpoint) -> Iterator[ObjectStore]:
    """A bucket that takes whatever is put."""
    bucket = s3.store()
    yield bucket
    bucket.close()
