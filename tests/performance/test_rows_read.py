"""How many rows PostgreSQL looks at for the next jobs, where a batch has thousands that wait."""

from collections.abc import Iterator

import pytest

from benchmarks.crowd import crowd
from benchmarks.explained import explained
from storage import Database, migrate, reserve_due

QUEUED = 4_000
DUE = 16


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    """An empty, migrated table on PostgreSQL, whose statistics are nobody else's."""
    found = Database(postgres_url)
    migrate(found)
    yield found
    found.close()


def test_the_next_jobs_are_found_without_reading_the_batch(
    database: Database, postgres_url: str
) -> None:
    """Finding what is due reads a few rows for each job found, not all that wait, to sort them."""
    crowd(database, postgres_url, {"prompt": "a fox"}, QUEUED)
    with explained() as plans:
        found = reserve_due(database, limit=DUE, stale_after_s=60)
    assert len(found) == DUE
    assert plans.rows_read <= 6 * DUE
    assert not plans.scans
