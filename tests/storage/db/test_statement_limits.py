"""Limits on how long a statement waits: on the server, on the client, and behind a pooler."""

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import make_url, text

from chaos.fleet.proxy import Act, Proxy
from storage.db.database import Database
from storage.db.postgresql.server_limits import limits_not_in_force
from storage.db.statement_limits import (
    BULK_DELETE,
    COPY,
    COUNT,
    INDEX_BUILD,
    MIGRATION,
    VERIFY,
    Limits,
)
from storage.errors import DatabaseUnavailable, RowLocked
from storage.intake.insert import insert_job
from storage.migrations.migrate import migrate
from storage.queries.get import get_job
from tests.storage.table import new_job

NAMES = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
SHORT = Limits(lock_s=0.1, statement_s=5, deadline_s=8)


def in_force(db: Database) -> list[int]:
    """The server's limits on a connection of the pool, in milliseconds."""
    with db.read() as connection:
        question = text("SELECT CAST(setting AS integer) FROM pg_settings WHERE name = :name")
        return [connection.execute(question, {"name": name}).scalar_one() for name in NAMES]


@pytest.fixture
def bed(postgres_url: str) -> Iterator[Database]:
    """A database with a table of two rows."""
    db = Database(postgres_url, limits=SHORT)
    with db.begin() as connection:
        connection.execute(text("CREATE TABLE bed (n integer)"))
        connection.execute(text("INSERT INTO bed VALUES (1), (2)"))
    yield db
    db.close()


def test_every_connection_asks_for_its_limits_when_it_starts(postgres_url: str) -> None:
    """As start-up options: nothing is SET for a session that a pooler may give to others."""
    db = Database(postgres_url, limits=Limits(lock_s=1, statement_s=2, deadline_s=3, asleep_s=4))
    assert in_force(db) == [1000, 2000, 4000]
    with db.read() as connection:
        question = text("SELECT DISTINCT source FROM pg_settings WHERE name = ANY(:names)")
        assert connection.scalars(question, {"names": list(NAMES)}).all() == ["client"]
    assert limits_not_in_force(db) == []
    db.close()


def test_options_in_the_address_are_kept_beside_the_limits(postgres_url: str) -> None:
    """And win over them, as the operator wrote them there."""
    url = f"{postgres_url}?options=-c%20lock_timeout%3D77%20-c%20work_mem%3D1MB"
    db = Database(url, limits=Limits(lock_s=1, statement_s=2))
    assert in_force(db)[:2] == [77, 2000]
    with db.read() as connection:
        assert connection.scalar(text("SHOW work_mem")) == "1MB"
    db.close()


@pytest.mark.parametrize("limits", [MIGRATION, INDEX_BUILD, COPY, COUNT, BULK_DELETE, VERIFY])
def test_what_takes_long_has_limits_of_its_own(bed: Database, limits: Limits) -> None:
    """For one transaction; the same connection has its usual ones again afterwards."""
    usual = in_force(bed)
    way = bed.read if limits is COUNT else bed.begin
    with way(limits) as connection:
        shown = [connection.scalar(text(f"SELECT current_setting('{n}')")) for n in NAMES]
        driver = connection.connection.driver_connection
        assert getattr(driver, "deadline_s", None) == limits.deadline_s
    assert len(set(shown)) > 1
    assert in_force(bed) == usual
    with bed.read() as connection:
        driver = connection.connection.driver_connection
        assert getattr(driver, "deadline_s", None) == SHORT.deadline_s


@pytest.mark.parametrize(
    "limits", [Limits(), MIGRATION, INDEX_BUILD, COPY, COUNT, BULK_DELETE, VERIFY]
)
def test_the_client_waits_a_little_longer_than_the_server(limits: Limits) -> None:
    """A lock gives up before its statement, and the statement before the connection."""
    assert 0 < limits.lock_s < limits.statement_s < limits.deadline_s
    shorter = limits.within(0.5)
    assert 0 < shorter.lock_s < shorter.statement_s < shorter.deadline_s == 0.5


def test_the_usual_limits_are_those_of_the_settings_page() -> None:
    """Ten seconds for an answer, four fifths of it on the server, a quarter of that for a lock."""
    usual = Limits()
    assert usual.deadline_s == 10
    assert usual.statement_s == usual.deadline_s * 4 / 5
    assert usual.lock_s == usual.statement_s / 4
    assert usual.asleep_s == usual.deadline_s


def test_limits_are_shortened_alike_and_never_lengthened() -> None:
    """Except the limit on a client that sends nothing: no caller loses an answer by it."""
    limits = Limits(lock_s=2, statement_s=8, deadline_s=10, asleep_s=7)
    assert limits.within(5) == Limits(lock_s=1, statement_s=4, deadline_s=5, asleep_s=7)
    assert limits.within(10) == limits.within(20) == limits


def test_the_server_is_told_whole_milliseconds_and_a_short_limit_is_still_one() -> None:
    """0 means no limit there."""
    limits = Limits(lock_s=0.0001, statement_s=1.2346, deadline_s=2, asleep_s=0)
    assert limits.on_server == {
        "lock_timeout": 1,
        "statement_timeout": 1235,
        "idle_in_transaction_session_timeout": 0,
    }


def test_a_locked_row_is_no_outage(bed: Database, postgres_url: str) -> None:
    """The error says that a lock was waited for; other rows can be changed meanwhile."""
    other = Database(postgres_url)
    with other.begin() as connection:
        connection.execute(text("SELECT n FROM bed WHERE n = 1 FOR UPDATE"))
        with pytest.raises(RowLocked, match="lock timeout"), bed.statement() as waiting:
            waiting.execute(text("UPDATE bed SET n = 10 WHERE n = 1"))
        with bed.statement() as free:
            assert free.execute(text("UPDATE bed SET n = 20 WHERE n = 2")).rowcount == 1
    other.close()


def test_an_answer_that_never_comes_is_not_waited_for(
    postgres_url: str,
) -> None:
    """A peer that acknowledges and never answers: the connection is closed, the next one works."""
    hangs = threading.Event()
    stalled: list[object] = []

    def judge(line: object, _chunk: bytes) -> Act:
        if hangs.is_set() and not stalled:
            stalled.append(line)
        return Act.SWALLOW if line in stalled else Act.PASS_ON

    port = make_url(postgres_url).port
    assert port is not None
    proxy = Proxy(port, judge)
    url = postgres_url.replace(f":{port}/", f":{proxy.port}/")
    db = Database(url, pool_size=1, limits=Limits(deadline_s=0.5))
    try:
        with db.read() as connection:
            assert connection.scalar(text("SELECT 1")) == 1
        hangs.set()
        with pytest.raises(DatabaseUnavailable, match=r"no answer within 0\.5 s"):
            in_force(db)
        with db.read() as connection:
            assert connection.scalar(text("SELECT 2")) == 2
    finally:
        db.close()
        proxy.close()
    assert len(stalled) == 1


def test_a_pooler_that_refuses_the_limits_gets_connections_without(
    pgbouncer_url: str, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says so, the missing limits are named, and the role's own count when set."""
    migrating, db = Database(pgbouncer_url), Database(pgbouncer_url, pool_size=3)
    migrate(migrating)
    job = insert_job(db, new_job()).job
    assert get_job(db, job.id).id == job.id
    lines = [line for line in caplog.messages if "start-up options" in line]
    assert len(lines) == 1
    assert limits_not_in_force(db) == list(NAMES)
    with db.begin(COPY) as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == "2min"
    assert in_force(db) == [0, 0, 0]
    for connections in (migrating, db):
        connections.close()
    name = postgres_url.rpartition("/")[2]
    direct = Database(postgres_url)
    with direct.read() as connection:  # PgBouncer's connections are older than the change
        for setting, value in zip(NAMES, ("2s", "8s", "10s"), strict=True):
            role = f"ALTER ROLE darkroom IN DATABASE {name}"
            connection.execute(text(f"{role} SET {setting} = '{value}'"))
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    direct.close()
    assert _found_again(db) == []
    db.close()


def _found_again(db: Database) -> list[str]:
    """What is missing; PgBouncer may notice only now that a connection was ended."""
    for _ in range(10):
        try:
            return limits_not_in_force(db)
        except DatabaseUnavailable:
            continue
    return limits_not_in_force(db)
