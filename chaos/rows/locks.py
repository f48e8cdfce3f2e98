"""Faults of a running database: locked rows or tables, connections that never answer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock

from sqlalchemy import ColumnElement, select, text

from chaos.fleet.proxy import Act, Line, Proxy
from chaos.stage import Stage
from storage.db.database import Database
from storage.db.statement_limits import Limits
from storage.records.states import JobStatus

__all__ = ["answers_stalled", "heartbeat_stalled", "rows_locked", "workers_locked"]

ROWS = 6
WORKERS = 2
HEARTBEAT = b"UPDATE darkroom.workers SET"
#: Share of the throughput without the fault; small runs are too short to measure it.
LEAST_SHARE = 0.8


def rows_locked(stage: Stage) -> None:
    """Hold six rows in another transaction for a minute, as a forgotten psql does."""
    fleet = stage.make_fleet()
    stage.load()
    fleet.start(WORKERS)
    stage.wait_for_load()
    stage.fault_begins()
    jobs = fleet.database.tables.jobs
    is_running = jobs.c.status == JobStatus.RUNNING.value
    with _transaction(stage) as other:
        held: set[object] = set()

        def holds_six() -> bool:
            # On a busy machine fewer jobs may run at once; the jobs of locked rows keep running.
            held.update(other.hold(is_running, ROWS))
            return len(held) >= ROWS

        stage.load_until(holds_six, "six locked rows")
        ended = fleet.ended
        stage.outage(60)
        others = fleet.ended - ended
        share = others / stage.scale.outage_s(60) / (stage.result.before_per_s or 1.0)
        stage.load_until(lambda: fleet.ended - ended > ROWS, "other jobs' ends meanwhile")
    stage.fault_ends()
    stage.note(f"{len(held)} rows locked; {share:.2f} of the throughput before")
    stage.must("six rows were locked", kept=len(held) >= ROWS, found=len(held))
    if stage.scale.name == "full":
        stage.must("at least 80 % of the throughput", kept=share >= LEAST_SHARE, found=share)
    stage.recovered()
    found = stage.finish()
    stage.all_succeed(found)
    stage.one_call_each(found)


def heartbeat_stalled(stage: Stage) -> None:
    """Make each worker's heartbeat connection acknowledge but never answer from now on."""
    begun, guard = Event(), Lock()
    stalled: list[Line] = []

    def judge(line: Line, chunk: bytes) -> Act:
        with guard:
            if begun.is_set() and len(stalled) < WORKERS and HEARTBEAT in chunk:
                stalled.append(line)
            return Act.SWALLOW if line in stalled else Act.PASS_ON

    # Leases long enough that a second of waiting for an answer cannot end them on a busy machine.
    fleet = stage.make_fleet(lease_s=max(5.0, stage.scale.lease_s), heartbeat_s=0.5)
    stage.load()
    with _proxied(stage, judge) as url:
        fleet.start(WORKERS, database_url=url)
        stage.wait_for_load()
        stage.fault_begins()
        begun.set()
        words = "a heartbeat got no answer"
        stage.load_until(lambda: fleet.said(words) and len(stalled) == WORKERS, words)
        stage.sleep_under_load(40)
        stage.fault_ends()
        stage.recovered()
        found = stage.finish()
    rescued = fleet.said("jobs of dead workers were rescued")
    stage.must("no lease is lost", kept=not rescued, found="jobs were rescued")
    stage.all_succeed(found)
    stage.one_call_each(found)


def workers_locked(stage: Stage) -> None:
    """Lock the workers table for longer than a lease, so that no heartbeat can be written."""
    fleet = stage.make_fleet(**stage.scale.short_lease)
    stage.load()
    fleet.start(WORKERS)
    stage.wait_for_load()
    stage.fault_begins()
    with _transaction(stage) as other:
        other.run("LOCK TABLE darkroom.workers IN SHARE MODE")
        stage.sleep_under_load(28)
    stage.fault_ends()
    stage.recovered()
    stage.all_succeed(stage.finish())  # every charge is on a row, as in all rows of the matrix


def answers_stalled(stage: Stage) -> None:
    """Delay all database answers to one of two workers for two leases, then send them at once."""
    may_answer = Event()
    may_answer.set()
    fleet = stage.make_fleet(**stage.scale.short_lease)
    stage.load()
    with _proxied(stage, may_answer=may_answer) as url:
        fleet.start(1, database_url=url)
        fleet.start(1)
        stage.wait_for_load()
        stage.fault_begins()
        may_answer.clear()
        stage.sleep_under_load(40)
        may_answer.set()
        stage.fault_ends()
        stage.recovered()
        found = stage.finish()
    stage.all_succeed(found)


class _Transaction:
    """An open transaction that is not a worker's."""

    def __init__(self, stage: Stage) -> None:
        url = stage.fleet.database_url
        self._database = Database(url, pool_size=1, limits=Limits(asleep_s=0))
        self._begun = self._database.begin()
        self._connection = self._begun.__enter__()

    def hold(self, which: ColumnElement[bool], count: int) -> list[object]:
        """Lock some rows that no other transaction holds."""
        jobs = self._database.tables.jobs
        some = select(jobs.c.id).where(which).limit(count).with_for_update(skip_locked=True)
        return list(self._connection.scalars(some))

    def run(self, statement: str) -> None:
        """Run a statement in it."""
        self._connection.execute(text(statement))

    def end(self) -> None:
        """Release all its locks."""
        self._begun.__exit__(None, None, None)
        self._database.close()


@contextmanager
def _transaction(stage: Stage) -> Iterator[_Transaction]:
    transaction = _Transaction(stage)
    try:
        yield transaction
    finally:
        transaction.end()


@contextmanager
def _proxied(
    stage: Stage,
    judge: Callable[[Line, bytes], Act | bytes] = lambda _line, _chunk: Act.PASS_ON,
    *,
    may_answer: Event | None = None,
) -> Iterator[str]:
    """Return the address of the fleet's database through a proxy."""
    port = stage.ground.postgres.port
    proxy = Proxy(port, judge, may_answer=may_answer)
    try:
        yield stage.fleet.database_url.replace(f":{port}/", f":{proxy.port}/")
    finally:
        proxy.close()
