"""What an upgrade does to a table that a fleet is working on: as good as nothing.

A table of a million jobs that is locked or rewritten stops every worker for minutes. So this
release's steps may only make things beside it, and an index on it without a lock.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Engine, event

from storage import Database, late_indexes, migrate, schema_status
from storage.late_indexes import missing_indexes
from storage.limits import INDEX_BUILD, Limits
from storage.revisions import WANTED
from tests.upgrade.conftest import BEFORE, MigrateTo, insert_frozen_rows

EARLIER = (
    *("jobs", "batches", "batch_deltas", "workers", "leaders", "results_v1"),
    *("fleet", "daily_calls"),
    *("api_keys", "owners", "owner_calls"),
)

#: A view is replaced by one with more columns; an index is made while everybody works.
HARMLESS = (
    r"(SELECT|PRAGMA|BEGIN|CREATE SCHEMA IF NOT EXISTS darkroom$|SET LOCAL lock_timeout)",
    r"(CREATE OR REPLACE|CREATE|DROP) VIEW darkroom[._]results_v1\b",
    r"(CREATE|DROP) INDEX CONCURRENTLY ",
    r"CREATE INDEX darkroom_jobs_init_image ",  # SQLite: one machine, one writer
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
        if not any(re.match(harmless, statement) for harmless in HARMLESS)
    ]
    assert changes
    earlier = "|".join(rf"(darkroom[._])?{name}\b" for name in EARLIER)
    touched = [statement for statement in changes if re.search(rf"\b({earlier})", statement)]
    assert touched == []


def test_the_first_thing_is_the_lock(previous: Database) -> None:
    """PostgreSQL: an advisory lock, gone with the transaction. SQLite: the one writer.

    Only the limits on the lock's wait are set before it.
    """
    statements = statements_of_migrate(previous)
    first = next(each for each in statements if not each.startswith("SELECT set_config("))
    wanted = {"postgresql": "SELECT pg_advisory_xact_lock(", "sqlite": "BEGIN IMMEDIATE"}
    assert first.startswith(wanted[previous.dialect])


def test_a_migration_waits_for_nobody_who_works_and_keeps_nobody_waiting(
    previous: Database,
) -> None:
    """With a row locked by a worker in mid-statement the tables come, and others go on working.

    Only the index is not done before that statement is.
    """
    if previous.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time: there is nothing to get past")
    jobs = previous.tables.jobs
    url = previous._engine.url.render_as_string(hide_password=False)
    other, third = Database(url), Database(url, limits=Limits(lock_s=10))
    with ThreadPoolExecutor(1) as threads:
        with other.begin() as connection:
            first, second = connection.scalars(jobs.select().limit(2))
            connection.execute(jobs.update().where(jobs.c.id == first).values(priority=1))
            migrated = threads.submit(migrate, previous)
            while schema_status(third)[0] != WANTED:
                assert not migrated.done()
            with third.begin() as working:
                working.execute(jobs.update().where(jobs.c.id == second).values(priority=1))
        assert migrated.result() == WANTED
    assert missing_indexes(previous, WANTED) == []
    other.close()
    third.close()


def test_an_index_that_broke_off_is_made_anew(previous: Database) -> None:
    """It is there, kept up to date, and used by nobody: `migrate` sees that, and the rest stays."""
    if previous.dialect == "sqlite":
        pytest.skip("SQLite makes its indexes inside the migration")
    migrate(previous)
    with previous.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE pg_index SET indisvalid = false"
            " WHERE indexrelid = 'darkroom.jobs_init_image'::regclass"
        )
    assert missing_indexes(previous, WANTED) == ["jobs_init_image"]
    assert migrate(previous) == WANTED
    assert missing_indexes(previous, WANTED) == []


def test_who_waits_for_the_turn_to_make_an_index_is_in_nobodys_way(previous: Database) -> None:
    """No transaction stays open meanwhile: CONCURRENTLY would wait for it, and it for the turn."""
    if previous.dialect == "sqlite":
        pytest.skip("SQLite makes its indexes inside the migration")
    migrate(previous)
    with previous.begin() as connection:
        connection.exec_driver_sql("DROP INDEX darkroom.jobs_init_image")
    turns = previous.twin(INDEX_BUILD)
    with ThreadPoolExecutor(1) as threads:
        with turns.begin() as turn:
            assert turn.scalar(late_indexes._TRY_LOCK)
            with what_is_heard() as heard:
                migrated = threads.submit(migrate, previous)
                while heard.count("ask") < 3:
                    assert not migrated.done()
        assert migrated.result() == WANTED
    assert "ask ask" not in " ".join(heard)
    assert missing_indexes(previous, WANTED) == []
    turns.close()


@contextmanager
def what_is_heard() -> Iterator[list[str]]:
    """Each question for the turn, and each end of a transaction, in their order."""
    heard: list[str] = []

    def note(_c: Connection, _cursor: object, statement: str, *_: object) -> None:
        if "pg_try_advisory_xact_lock" in statement:
            heard.append("ask")

    def note_end(_c: Connection) -> None:
        heard.append("end")

    event.listen(Engine, "before_cursor_execute", note)
    event.listen(Engine, "commit", note_end)
    try:
        yield heard
    finally:
        event.remove(Engine, "before_cursor_execute", note)
        event.remove(Engine, "commit", note_end)


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
