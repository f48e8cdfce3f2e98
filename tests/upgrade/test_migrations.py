"""What an upgrade does to a table that a fleet is working on: as good as nothing.

A table of a million jobs that is locked or rewritten stops every worker for minutes. So this
release's steps may only make things beside it.
"""

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, event

from storage import Database, migrate, schema_status
from storage.revisions import WANTED
from tests.upgrade.conftest import BEFORE, MigrateTo, insert_frozen_rows

EARLIER = (
    *("jobs", "batches", "batch_deltas", "workers", "leaders", "results_v1"),
    *("fleet", "daily_calls"),
    *("api_keys", "owners", "owner_calls"),
)


@pytest.fixture
def previous(database_url: str, migrate_to: MigrateTo) -> Iterator[Database]:
    """A database of the release before, with its rows."""
    database = Database(database_url)
    migrate_to(database, BEFORE)
    insert_frozen_rows(database)
    yield database
    database.close()


def statements_of_migrate(database: Database) -> list[str]:
    """What is sent to the database from the first look to the commit."""
    sent: list[str] = []

    def note(_c: Connection, _cursor: object, statement: str, *_: object) -> None:
        sent.append(" ".join(statement.split()))

    event.listen(database._engine, "before_cursor_execute", note)
    assert migrate(database) == WANTED
    event.remove(database._engine, "before_cursor_execute", note)
    return sent


def test_no_step_of_this_release_touches_a_table_of_the_release_before(previous: Database) -> None:
    """Only tables, indexes and rows of its own, in one transaction that begins with the lock."""
    changes = [
        statement
        for statement in statements_of_migrate(previous)
        if not re.match(r"(SELECT|PRAGMA|BEGIN|CREATE SCHEMA IF NOT EXISTS darkroom$)", statement)
    ]
    assert changes
    earlier = "|".join(rf"(darkroom[._])?{name}\b" for name in EARLIER)
    touched = [statement for statement in changes if re.search(rf"\b({earlier})", statement)]
    assert touched == []


def test_the_first_thing_is_the_lock(previous: Database) -> None:
    """PostgreSQL: an advisory lock, gone with the transaction. SQLite: the one writer."""
    first = statements_of_migrate(previous)[0]
    wanted = {"postgresql": "SELECT pg_advisory_xact_lock(", "sqlite": "BEGIN IMMEDIATE"}
    assert first.startswith(wanted[previous.dialect])


def test_a_migration_waits_for_nobody_who_works(previous: Database) -> None:
    """With a row of the jobs table locked by a worker in mid-statement, it still ends."""
    if previous.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time: there is nothing to get past")
    jobs, done = previous.tables.jobs, threading.Event()
    other = Database(previous._engine.url.render_as_string(hide_password=False))
    with ThreadPoolExecutor(1) as threads:
        with other.begin() as connection:
            connection.execute(jobs.update().values(priority=1))
            migrated = threads.submit(migrate, previous)
            migrated.add_done_callback(lambda _: done.set())
            assert done.wait(30)
        assert migrated.result() == WANTED
    other.close()


def test_an_upgrade_that_breaks_off_leaves_the_release_before(previous: Database) -> None:
    """All of it or nothing: the schema is whole, and the same command goes on from there."""
    with previous.begin() as connection:  # in the way of a table that the upgrade makes
        ours = f"{previous.tables.callback_secrets}"
        connection.exec_driver_sql(f"CREATE TABLE {ours} (id integer)")
    with pytest.raises(Exception, match="already exists"):
        migrate(previous)
    assert schema_status(previous)[0] == BEFORE
    with previous.begin() as connection:
        connection.exec_driver_sql(f"DROP TABLE {ours}")
    assert migrate(previous) == WANTED
