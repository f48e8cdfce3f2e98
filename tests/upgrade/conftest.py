"""A database, a broker and a spool as the release before left them."""

import base64
import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from storage.db.database import Database
from storage.migrations.migrate import migrate
from storage.schema.revision import CURRENT
from tests.acceptance.conftest import Fleet, MakeFleet, fleet, lite_fleet, make_fleet
from tests.services import S3Endpoint

__all__ = ["fleet", "lite_fleet", "make_fleet"]

PREVIOUS = Path(__file__).parent / "previous"
BEFORE = f"{int(CURRENT) - 1:04}"

MigrateTo = Callable[[Database, str], None]


@pytest.fixture
def migrate_to(monkeypatch: pytest.MonkeyPatch) -> MigrateTo:
    """Bring a database to an earlier revision, as that release's own `migrate` did."""

    def to(database: Database, revision: str) -> None:
        with monkeypatch.context() as then:
            then.setattr(importlib.import_module("storage.migrations.migrate"), "CURRENT", revision)
            assert migrate(database) == revision

    return to


def insert_frozen_rows(database: Database) -> None:
    """Run the frozen SQL, statement by statement, the oldest release's first."""
    for name in ("rows.sql", "rows-0002.sql", "rows-0003.sql", "rows-0004.sql"):
        text = (PREVIOUS / name).read_text(encoding="utf-8")
        if database.dialect == "sqlite":
            text = re.sub(r"\b(INTO|UPDATE) darkroom\.", r"\1 darkroom_", text)
        lines = [line for line in text.splitlines() if not line.startswith("--")]
        with database.begin() as connection:
            for statement in "\n".join(lines).split(";\n"):
                if statement.strip():
                    connection.exec_driver_sql(statement)


@pytest.fixture
def previous_url(database_url: str, migrate_to: MigrateTo) -> str:
    """A database of the release before, with its rows, on either backend."""
    database = Database(database_url)
    migrate_to(database, BEFORE)
    insert_frozen_rows(database)
    database.close()
    return database_url


def frozen_messages() -> dict[str, list[dict[str, Any]]]:
    """Messages as they lie in Redis, by queue."""
    text = (PREVIOUS / "messages.json").read_text(encoding="utf-8")
    messages: dict[str, list[dict[str, Any]]] = json.loads(text)
    return messages


@pytest.fixture
def previous_broker(redis_url: str) -> str:
    """A broker with messages that no worker has read yet."""
    messages = frozen_messages()
    with redis.Redis.from_url(redis_url) as broker:
        for queue, waiting in messages.items():
            broker.lpush(queue, *(json.dumps(message) for message in waiting))
    return redis_url


@pytest.fixture
def upgraded(
    make_fleet: MakeFleet,
    previous_url: str,
    previous_broker: str,
    s3: S3Endpoint,
    tmp_path: Path,
) -> Fleet:
    """A fleet of this release over all that: migrated, and without workers yet."""
    left = tmp_path / "spool" / ("a1" * 16)
    left.mkdir(parents=True)
    spooled = base64.b64decode((PREVIOUS / "image.spool.b64").read_text(encoding="utf-8"))
    (left / "00000000-0000-4000-8000-000000000005.1.0a1b2c3d.spool").write_bytes(spooled)
    (left / "lock").touch()
    return make_fleet(database_url=previous_url, broker_url=previous_broker, s3=s3)
