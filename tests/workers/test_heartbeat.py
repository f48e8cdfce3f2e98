"""A worker's lease is kept whatever happens, and its waiting jobs are refreshed beside it."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from time import monotonic, sleep
from uuid import uuid4

import pytest
from sqlalchemy import make_url, select, update

from chaos.fleet.proxy import Act, Line, Proxy
from storage.db.database import Database
from storage.db.statement_limits import Limits
from storage.dispatch.reserve import reserve_due
from storage.errors import RowLocked
from storage.fleet.leases import (
    WorkerInfo,
    forget_workers,
    live_workers,
    register_worker,
    renew_lease,
)
from storage.fleet.worker_calls import CallReport
from storage.intake.insert import insert_job
from storage.queries.filter import database_time
from tests.storage.table import new_job
from workers.heartbeat import Heartbeat
from workers.refresh import DispatchRefresh

LEASE_S = 60.0


def wait_until(is_so: Callable[[], object], what: str) -> None:
    """Look again and again; fail after a long time."""
    deadline = monotonic() + 60
    while not is_so():
        assert monotonic() < deadline, f"{what} did not come"
        sleep(0.02)


def worker_info() -> WorkerInfo:
    """A worker that has not registered yet."""
    return WorkerInfo(uuid4(), "here", 1, "0", 4, LEASE_S)


@pytest.fixture
def database(migrated_sqlite_url: str) -> Iterator[Database]:
    """An empty table."""
    database = Database(migrated_sqlite_url)
    yield database
    database.close()


def heartbeat(
    database: Database,
    worker: WorkerInfo,
    *,
    every_s: float = 0.05,
    on_alive: Callable[[float], None] = lambda _: None,
) -> Heartbeat:
    """A heartbeat over connections of its own."""
    return Heartbeat(database, worker, every_s=every_s, on_alive=on_alive)


def test_a_lease_that_was_deleted_is_taken_again(
    migrated_sqlite_url: str, database: Database
) -> None:
    """As after a long outage, in which the worker's row was cleared away."""
    worker = worker_info()
    beating = heartbeat(Database(migrated_sqlite_url), worker)
    beating.start()
    try:
        with database.begin() as connection:
            connection.execute(database.tables.workers.delete())
        wait_until(lambda: live_workers(database), "the new lease")
        assert [found.id for found in live_workers(database)] == [worker.id]
    finally:
        beating.stop()


def test_an_unexpected_exception_does_not_end_the_heartbeat(
    migrated_sqlite_url: str, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """The lease is renewed at the next beat."""
    worker, beats = worker_info(), iter(range(1, 10**6))

    def on_alive(_seconds: float) -> None:
        if next(beats) == 2:
            raise ZeroDivisionError("nobody would have thought of this")

    beating = heartbeat(Database(migrated_sqlite_url), worker, on_alive=on_alive)
    beating.start()
    try:
        wait_until(lambda: "a heartbeat failed" in caplog.text, "the exception")
        workers = database.tables.workers
        with database.begin() as connection:
            long_ago = live_workers(database)[0].lease_until - timedelta(days=1)
            connection.execute(update(workers).values(lease_until=long_ago))
        wait_until(lambda: live_workers(database), "the next renewal")
    finally:
        beating.stop()


def test_a_stopped_workers_lease_ends_at_once(migrated_sqlite_url: str, database: Database) -> None:
    """What it still holds may be rescued without waiting for the lease to run out."""
    worker = worker_info()
    beating = heartbeat(Database(migrated_sqlite_url), worker, every_s=30)
    beating.start()
    assert [found.id for found in live_workers(database)] == [worker.id]
    beating.stop()
    assert live_workers(database) == []
    assert not renew_lease(database, worker.id, LEASE_S)
    assert forget_workers(database, dead_for_s=-1) == 1


def test_a_heartbeat_without_an_answer_goes_over_a_new_connection(
    migrated_postgres_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A peer that acknowledges and never answers costs one log line and no lease."""
    stalled: list[Line] = []

    def judge(line: Line, chunk: bytes) -> Act:
        if not stalled and b"UPDATE darkroom.workers SET" in chunk:
            stalled.append(line)
        return Act.SWALLOW if line in stalled else Act.PASS_ON

    port = make_url(migrated_postgres_url).port
    assert port is not None
    proxy = Proxy(port, judge)
    through = migrated_postgres_url.replace(f":{port}/", f":{proxy.port}/")
    alive: list[float] = []
    limits = Limits().within(1.0)
    beating = heartbeat(
        Database(through, pool_size=1, limits=limits), worker_info(), on_alive=alive.append
    )
    beating.start()
    try:
        wait_until(lambda: stalled and len(alive) >= 4, "renewals after the stall")
    finally:
        beating.stop()
        proxy.close()
    lines = [line for line in caplog.messages if "heartbeat" in line]
    assert lines == ["a heartbeat got no answer; it was sent over a new connection"]
    assert all(LEASE_S - 5 < seconds <= LEASE_S for seconds in alive)


def test_jobs_that_wait_here_are_not_dispatched_again(database: Database) -> None:
    """The refresh loop renews their reservations; a fault of any kind does not end it."""
    job_id = insert_job(database, new_job()).job.id
    assert reserve_due(database, limit=1, stale_after_s=60) == [job_id]
    jobs, looks = database.tables.jobs, iter(range(1, 10**6))

    def waiting() -> list[object]:
        if next(looks) == 1:
            raise ZeroDivisionError("nobody would have thought of this")
        return [job_id]

    def reserved_at() -> datetime:
        with database.read() as connection:
            at: datetime = connection.execute(select(jobs.c.dispatched_at)).scalar_one()
            return at

    long_ago = reserved_at() - timedelta(days=1)
    with database.begin() as connection:
        connection.execute(update(jobs).values(dispatched_at=long_ago))

    refresh = DispatchRefresh(database, waiting=waiting, every_s=0.01)  # type: ignore[arg-type]  # a list of one id
    refresh.loop.start()
    wait_until(lambda: reserved_at() > long_ago, "the refreshed reservation")
    assert reserve_due(database, limit=1, stale_after_s=60) == []
    assert refresh.loop.stop(timeout_s=30)


def test_a_locked_row_is_waited_for_at_the_next_beat_and_not_over_a_new_connection(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another connection would meet the same lock, and wait as long."""
    tries: list[bool] = []

    def locked(*_: object, **__: object) -> bool:
        tries.append(True)
        raise RowLocked("the workers table is locked")

    monkeypatch.setattr("workers.heartbeat.renew_lease", locked)
    beating = heartbeat(database, worker_info())
    with pytest.raises(RowLocked):
        beating._beat_or_reconnect()
    assert len(tries) == 1
    assert caplog.messages == []


def test_a_lease_is_never_believed_longer_than_the_database_keeps_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted from before the question: an answer may take as long as it likes."""
    clock = [100.0]

    def slowly(*_: object, **__: object) -> bool:
        clock[0] += 7.0
        return True

    monkeypatch.setattr("workers.heartbeat.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("workers.heartbeat.renew_lease", slowly)
    monkeypatch.setattr("workers.heartbeat.register_worker", slowly)
    alive: list[float] = []
    beating = heartbeat(database, worker_info(), on_alive=alive.append)
    beating._take_lease()
    beating.beat()
    assert alive == [LEASE_S - 7.0] * 2


def test_each_beat_writes_what_the_worker_reports(database: Database) -> None:
    """Others judge by it whose trouble it is when calls fail."""
    worker = worker_info()
    report = CallReport(succeeded_s=0.0, success_began_s=5.0, paused_s=1.0, pause_code="HTTP_401")
    beating = Heartbeat(
        database, worker, every_s=30, on_alive=lambda _: None, report=lambda: report
    )
    register_worker(database, worker)
    beating.beat()
    [row] = live_workers(database)
    assert row.succeeded_at is not None
    assert (row.paused_at is not None, row.pause_code) == (True, "HTTP_401")


def test_a_beat_renews_the_lease_for_its_whole_length(database: Database) -> None:
    """And reports to its `on_alive` callback how long it is good for."""
    worker, alive = worker_info(), list[float]()
    register_worker(database, worker)
    workers = database.tables.workers
    soon = database_time(database) + timedelta(seconds=1)
    with database.begin() as connection:
        connection.execute(update(workers).values(lease_until=soon))
    heartbeat(database, worker, on_alive=alive.append).beat()
    [row] = live_workers(database)
    assert (row.lease_until - soon).total_seconds() > LEASE_S - 30
    assert LEASE_S - 30 < alive[0] <= LEASE_S


def test_a_refresh_without_waiting_jobs_needs_no_table(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle worker asks for nothing."""

    def asked(*_: object) -> int:
        raise AssertionError("asked")

    monkeypatch.setattr("workers.refresh.refresh_dispatched", asked)
    assert DispatchRefresh(database, waiting=list, every_s=60).refresh() == 0
