"""Database URLs: a new SQLite file, and either backend in turn."""

from pathlib import Path

import pytest


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of a SQLite file that isn't there yet."""
    return f"sqlite:///{tmp_path / 'darkroom.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The same test once over SQLite, once over PostgreSQL: a fresh, empty database each."""
    fixture = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param]
    url: str = request.getfixturevalue(fixture)
    return url
