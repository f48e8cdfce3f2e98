"""The database's door: addresses, transactions, and foreign errors in our words."""

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import exc, text

from storage.db.database import Database
from storage.db.postgresql.errors import POSTGRESQL_ERRORS
from storage.db.sqlite.errors import SQLITE_ERRORS
from storage.db.statement_limits import Limits
from storage.errors import (
    DatabaseError,
    DatabaseMisconfigured,
    DatabaseUnavailable,
    RecordRefused,
    RowLocked,
    SchemaOutOfDate,
)
from storage.intake.insert import insert_job
from storage.migrations.migrate import migrate
from storage.queries.get import get_job
from tests.services.postgres import PostgresServer
from tests.storage.table import TableUnderTest, new_job


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://u:secret@h/db", "no other database"),
        ("postgresql+psycopg2://u:secret@h/db", "no other database"),
        ("sqlite://", "names no file"),
        ("not an address", "no SQLAlchemy URL"),
        ("host=db user=ann password=secret", "no SQLAlchemy URL"),
        ("postgresql:///host=db password=secret", "a keyword string"),
        ("postgresql://ann@host:secret/db", "no SQLAlchemy URL"),
        ("postgresql://ann:x@secret@host/db", "@ is %40"),
        ("mysql://u@h/db?password=secret", "no other database"),
        ("sqlite:////nowhere/at/all/x.db", "/nowhere/at/all does not exist"),
    ],
)
def test_an_address_of_no_known_kind_is_refused_at_once(url: str, words: str) -> None:
    """By name, and never with its password."""
    with pytest.raises(DatabaseMisconfigured, match=words) as refused:
        Database(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_usual_spellings_of_a_postgresql_address_work(scheme: str) -> None:
    """And the address that is shown hides the password."""
    db = Database(f"{scheme}://u:secret@h:5432/db")
    assert db.dialect == "postgresql"
    assert "secret" not in db.safe_url
    assert "u:***@h:5432" in db.safe_url


@pytest.mark.parametrize(
    "options",
    [
        "password=secret",
        "sslpassword=secret",
        "password=secret&sslmode=require",
        "options=-c%20app.key%3Dsecret",
        "passfile=secret&PASSWORD=secret",
        "service=secret",
    ],
)
def test_no_parameter_of_an_address_shows_a_secret(options: str) -> None:
    """Only values that are known to be none are shown."""
    db = Database(f"postgresql://ann@host/db?{options}&sslrootcert=/ca.pem")
    assert "secret" not in db.safe_url
    assert "/ca.pem" in db.safe_url.replace("%2F", "/")
    assert "=***" in db.safe_url
    assert Database("postgresql://ann@host/db").safe_url == "postgresql+psycopg://ann@host/db"


def test_a_transaction_that_raises_leaves_nothing(db: Database) -> None:
    """And what was raised comes out as it was."""
    with pytest.raises(ZeroDivisionError):
        _begin_and_fail(db)
    with db.read() as connection:
        assert connection.execute(db.tables.jobs.select()).all() == []


def _begin_and_fail(db: Database) -> None:
    job_id = new_job().id
    row = {"id": job_id, "stream": job_id, "owner": "o", "request": {}, "request_hash": "h"}
    with db.begin() as connection:
        connection.execute(db.tables.jobs.insert(), row)
        raise ZeroDivisionError


def test_sqlite_keeps_its_house_rules(tmp_path: Path) -> None:
    """Write-ahead log, foreign keys, and a wait for the lock, on every connection."""
    db = Database(f"sqlite:///{tmp_path / 'a.db'}", busy_timeout_s=7)
    with db.read() as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        ]
    assert found == ["wal", 1, 1, 7000]
    db.close()


def test_a_lock_held_too_long_is_worth_waiting_for(tmp_path: Path) -> None:
    """Another writer holds SQLite's lock; the same call works when it has gone."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    db, other = Database(url, busy_timeout_s=0.05), Database(url)
    migrate(db)
    job = new_job()
    with other.begin():
        with pytest.raises(DatabaseUnavailable, match="locked"):
            insert_job(db, job)
        with db.read() as connection:  # readers are not kept waiting
            assert connection.scalar(text("SELECT 1")) == 1
    assert insert_job(db, job).created
    db.close()
    other.close()


def test_many_threads_share_a_small_pool(db: Database) -> None:
    """Writes queue up; none is lost or refused."""
    with ThreadPoolExecutor(16) as threads:
        done = list(threads.map(lambda _n: insert_job(db, new_job()).created, range(60)))
    assert done == [True] * 60


def test_a_full_pool_is_worth_waiting_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that gets no connection in time gets `DatabaseUnavailable`."""
    monkeypatch.setattr("storage.db.pooled_engine._POOL_TIMEOUT_S", 0.05)
    db = Database(f"sqlite:///{tmp_path / 'a.db'}", pool_size=1)
    refused = []

    def second() -> None:
        try:
            with db.read():
                pass
        except DatabaseUnavailable as error:
            refused.append(str(error))

    with db.read():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    db.close()
    assert len(refused) == 1
    assert "in time" in refused[0]


def test_a_database_that_is_away_comes_back(postgres_server: PostgresServer) -> None:
    """Connections that died with it are replaced; nothing has to be restarted by hand."""
    db = Database(postgres_server.url, connect_timeout_s=2)
    migrate(db)
    job = new_job()
    insert_job(db, job)
    postgres_server.kill()
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            get_job(db, job.id)
    postgres_server.start()
    for _ in range(3):
        try:
            found = get_job(db, job.id)
        except DatabaseUnavailable:
            continue
        break
    assert found.id == job.id
    db.close()


def test_a_database_that_does_not_exist_is_a_persons_business(postgres_url: str) -> None:
    """Waiting would not help."""
    db = Database(postgres_url + "_nowhere")
    with pytest.raises(DatabaseMisconfigured, match="does not exist"):
        migrate(db)
    db.close()


def test_statement_and_lock_limits_are_kept(postgres_url: str) -> None:
    """A statement that takes too long is ended by the server."""
    db = Database(postgres_url, limits=Limits(lock_s=1, statement_s=0.5))
    with pytest.raises(DatabaseUnavailable, match="timeout"), db.read() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(5)")
    with db.read() as connection:
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "1s"
    db.close()


def test_no_session_state_is_left_behind(table: TableUnderTest) -> None:
    """Nothing is prepared on the server: PgBouncer may hand the connection to anyone."""
    if table.db.dialect == "postgresql":
        for _ in range(10):
            table.finished(table.accept())
        with table.db.read() as connection:
            assert connection.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0


def _postgresql(code: str) -> Callable[[], Exception]:
    return lambda: psycopg.errors.lookup(code)("words")


FOREIGN: list[tuple[Callable[[], Exception], type[DatabaseError]]] = [
    (_postgresql("40001"), RowLocked),
    (_postgresql("40P01"), RowLocked),
    (_postgresql("53100"), DatabaseUnavailable),
    (_postgresql("53300"), DatabaseUnavailable),
    (_postgresql("55P03"), RowLocked),
    (_postgresql("57014"), RowLocked),
    (_postgresql("57P01"), DatabaseUnavailable),
    (_postgresql("57P03"), DatabaseUnavailable),
    (_postgresql("25006"), DatabaseUnavailable),
    (_postgresql("28P01"), DatabaseMisconfigured),
    (_postgresql("3D000"), DatabaseMisconfigured),
    (_postgresql("42501"), DatabaseMisconfigured),
    (_postgresql("42P01"), SchemaOutOfDate),
    (_postgresql("42703"), SchemaOutOfDate),
    (_postgresql("23514"), RecordRefused),
    (_postgresql("22P05"), RecordRefused),
    (lambda: psycopg.OperationalError("connection refused"), DatabaseUnavailable),
    (lambda: psycopg.OperationalError("could not translate host name"), DatabaseUnavailable),
    (lambda: psycopg.OperationalError("password authentication failed"), DatabaseMisconfigured),
    (lambda: sqlite3.OperationalError("database is locked"), DatabaseUnavailable),
    (lambda: sqlite3.OperationalError("database or disk is full"), DatabaseUnavailable),
    (lambda: sqlite3.OperationalError("disk I/O error"), DatabaseUnavailable),
    (lambda: sqlite3.OperationalError("no such table: darkroom_jobs"), SchemaOutOfDate),
    (lambda: sqlite3.OperationalError("unable to open database file"), DatabaseMisconfigured),
    (
        lambda: sqlite3.OperationalError("attempt to write a readonly database"),
        DatabaseMisconfigured,
    ),
    (lambda: sqlite3.DatabaseError("file is not a database"), DatabaseMisconfigured),
    (lambda: sqlite3.IntegrityError("CHECK constraint failed"), RecordRefused),
    (lambda: exc.TimeoutError("QueuePool limit"), DatabaseUnavailable),
    (lambda: exc.ResourceClosedError("closed"), DatabaseUnavailable),
]


@pytest.mark.parametrize("number", range(len(FOREIGN)))
def test_each_foreign_error_means_one_thing(number: int) -> None:
    """Bare, and in the wrapping that SQLAlchemy gives it."""
    make, ours = FOREIGN[number]
    foreign = make()
    for errors in (POSTGRESQL_ERRORS, SQLITE_ERRORS):
        if isinstance(foreign, (errors.driver_error, exc.SQLAlchemyError)):
            assert type(errors.translate(foreign, "db://x")) is ours
        if isinstance(foreign, errors.driver_error):
            wrapped: Any = exc.DBAPIError("SELECT 1", None, foreign)
            assert type(errors.translate(wrapped, "db://x")) is ours


def _instance(kind: type[Exception]) -> Exception:
    if issubclass(kind, exc.DBAPIError):
        return kind("SELECT 1", None, Exception("words"))
    if issubclass(kind, exc.StatementError):
        return kind("words", "SELECT 1", None, None)
    return kind.__new__(kind)


def test_no_exception_of_the_libraries_is_missed() -> None:
    """Every class that SQLAlchemy, psycopg and sqlite3 raise becomes a `DatabaseError`."""
    for errors, module, root in (
        (POSTGRESQL_ERRORS, exc, exc.SQLAlchemyError),
        (SQLITE_ERRORS, exc, exc.SQLAlchemyError),
        (POSTGRESQL_ERRORS, psycopg.errors, psycopg.Error),
        (SQLITE_ERRORS, sqlite3, sqlite3.Error),
    ):
        kinds = [k for k in vars(module).values() if isinstance(k, type) and issubclass(k, root)]
        assert len(kinds) > 5
        for kind in kinds:
            assert isinstance(errors.translate(_instance(kind), "db://x"), DatabaseError)


def test_a_process_that_sleeps_in_a_transaction_is_ended_by_the_server(postgres_url: str) -> None:
    """Stopped between two statements, it would keep everybody from the rows it has changed."""
    sleeper = Database(postgres_url, limits=Limits(asleep_s=0.5))
    other = Database(postgres_url, limits=Limits(lock_s=20, statement_s=20))
    with other.begin() as connection:
        connection.execute(text("CREATE TABLE bed (n integer)"))
        connection.execute(text("INSERT INTO bed VALUES (1)"))

    def oversleep() -> None:
        with sleeper.begin() as asleep:
            asleep.execute(text("UPDATE bed SET n = 2"))
            with other.statement() as connection:
                assert connection.execute(text("UPDATE bed SET n = n + 10")).rowcount == 1
            asleep.execute(text("UPDATE bed SET n = 3"))

    with pytest.raises(DatabaseUnavailable):
        oversleep()
    with other.read() as connection:
        assert connection.scalar(text("SELECT n FROM bed")) == 11
    sleeper.close()
    other.close()
