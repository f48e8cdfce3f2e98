"""What an upgrade does to a table that a fleet is working on: as good as nothing.

A table of a million jobs that is locked or rewritten stops every worker for minutes. So this
release's steps may only make things beside it, add columns that may be NULL, and make an index on
it without a lock.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Engine, event, select

from storage.db.database import Database
from storage.db.statement_limits import INDEX_BUILD, Limits
from storage.errors import StorageError
from storage.migrations import concurrent_indexes as late_indexes
from storage.migrations.concurrent_indexes import missing_indexes
from storage.migrations.migrate import migrate, schema_status
from storage.schema.revision import CURRENT, PREFIX
from storage.webhooks.due_receivers import owners_due
from tests.upgrade.conftest import BEFORE, MigrateTo, insert_frozen_rows

EARLIER = (
    *("jobs", "batches", "batch_deltas", "workers", "leaders", "results_v1"),
    *("fleet", "daily_calls"),
    *("api_keys", "owners", "owner_calls"),
    *("deliveries", "delivery_attempts", "batch_callbacks", "callback_secrets", "gone_receivers"),
    *("owner_defaults", "tombstones", "doomed_objects", "reuses"),
)

#: A view is replaced by one with more columns; an index is made while everybody works; columns that
#: may be NULL are added under a lock that is asked for briefly.
HARMLESS = (
    r"(SELECT|PRAGMA|BEGIN|CREATE SCHEMA IF NOT EXISTS darkroom$|SET LOCAL lock_timeout)",
    r"(CREATE OR REPLACE|CREATE|DROP) VIEW darkroom[._]results_v1\b",
    r"(CREATE|DROP) INDEX CONCURRENTLY ",
    # SQLite: one machine, one writer
    r"CREATE INDEX (darkroom_jobs_needs_release|IF NOT EXISTS darkroom_deliveries_receiver) ",
    r"(SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO SAVEPOINT) ",
    r"LOCK TABLE darkroom\.jobs, darkroom\.workers IN ACCESS EXCLUSIVE MODE$",
    r"ALTER TABLE darkroom[._](jobs|workers) ADD COLUMN \w+ (TIMESTAMP|DATETIME|TEXT|INTEGER)\b",
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
    assert migrate(database) == CURRENT
    event.remove(database._engine, "before_cursor_execute", note)
    return sent


def test_no_step_of_this_release_rewrites_a_table_of_the_release_before(
    previous: Database,
) -> None:
    """Columns that may be NULL, and tables, indexes and rows of its own."""
    made = statements_of_migrate(previous)
    changes = [
        statement
        for statement in made
        if not any(re.match(harmless, statement) for harmless in HARMLESS)
    ]
    assert sum("ADD COLUMN" in statement for statement in made) == 8
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


def test_a_migration_that_waits_for_a_lock_keeps_nobody_waiting(previous: Database) -> None:
    """With a row locked by an open transaction it tries again and again, and others go on working.

    It ends once that transaction has.
    """
    if previous.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time: there is nothing to get past")
    jobs = previous.tables.jobs
    url = previous._engine.url.render_as_string(hide_password=False)
    other, third = Database(url), Database(url, limits=Limits(lock_s=10))
    with ThreadPoolExecutor(1) as threads:
        with other.begin() as connection:
            first, second = connection.scalars(select(jobs.c.id).limit(2))
            connection.execute(jobs.update().where(jobs.c.id == first).values(priority=1))
            with tries_to_lock() as tries:
                migrated = threads.submit(migrate, previous)
                while len(tries) < 3:
                    assert not migrated.done()
                    with third.begin() as working:
                        working.execute(jobs.update().where(jobs.c.id == second).values(priority=1))
        assert migrated.result() == CURRENT
    assert missing_indexes(previous, CURRENT) == []
    other.close()
    third.close()


@contextmanager
def tries_to_lock() -> Iterator[list[str]]:
    """Each statement that asks for the lock on whole tables."""
    tries: list[str] = []

    def note(_c: Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("LOCK TABLE"):
            tries.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield tries
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_an_index_that_broke_off_is_made_anew(previous: Database) -> None:
    """It exists, is kept up to date, and no query uses it: `migrate` sees that, the rest stays."""
    if previous.dialect == "sqlite":
        pytest.skip("SQLite makes its indexes inside the migration")
    migrate(previous)
    with previous.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE pg_index SET indisvalid = false"
            " WHERE indexrelid = 'darkroom.jobs_init_image'::regclass"
        )
    assert missing_indexes(previous, CURRENT) == ["jobs_init_image"]
    assert migrate(previous) == CURRENT
    assert missing_indexes(previous, CURRENT) == []


def test_an_index_without_a_revision_is_made_by_the_next_migrate(previous: Database) -> None:
    """A database of an earlier build of this release gets it, too; without it, all is found."""
    migrate(previous)
    index = "deliveries_receiver"
    prefix = PREFIX if previous.dialect == "sqlite" else "darkroom."
    with previous.begin() as connection:
        connection.exec_driver_sql(f"DROP INDEX {prefix}{index}")
    assert missing_indexes(previous, CURRENT) == [index]
    assert owners_due(previous, after_owner="", after_receivers={}, limit=9) == []
    assert migrate(previous) == CURRENT
    assert missing_indexes(previous, CURRENT) == []


def test_who_waits_for_the_turn_to_make_an_index_is_in_nobodys_way(previous: Database) -> None:
    """No transaction stays open meanwhile: CONCURRENTLY would wait for it, and it for the lock."""
    if previous.dialect == "sqlite":
        pytest.skip("SQLite makes its indexes inside the migration")
    migrate(previous)
    with previous.begin() as connection:
        connection.exec_driver_sql("DROP INDEX darkroom.jobs_init_image")
    turns = previous.with_one_connection(INDEX_BUILD)
    with ThreadPoolExecutor(1) as threads:
        with turns.begin() as turn:
            assert turn.scalar(late_indexes._TRY_LOCK)
            with what_is_heard() as heard:
                migrated = threads.submit(migrate, previous)
                while heard.count("ask") < 3:
                    assert not migrated.done()
        assert migrated.result() == CURRENT
    assert "ask ask" not in " ".join(heard)
    assert missing_indexes(previous, CURRENT) == []
    turns.close()


@contextmanager
def what_is_heard() -> Iterator[list[str]]:
    """Record each attempt to take the lock, and each end of a transaction, in order."""
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
    jobs = previous.tables.jobs
    with previous.begin() as connection:  # in the way of the last column that the upgrade adds
        connection.exec_driver_sql(f"ALTER TABLE {jobs} ADD COLUMN needs_release integer")
    with pytest.raises(StorageError, match=r"already exists|duplicate column"):
        migrate(previous)
    assert schema_status(previous)[0] == BEFORE
    with previous.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {jobs} DROP COLUMN needs_release")
    assert migrate(previous) == CURRENT
