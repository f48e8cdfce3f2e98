"""Hold what one row needs: start its fleet, keep the times, count the results and judge them.

A row defines what happens, and `play.py` plays it. The stage starts the fleet, waits until every
job has ended, and adds the promises that hold in every row: nothing is lost, nothing stored twice,
and no charge lacks a row.
"""

import shutil
import signal
import time
from collections.abc import Callable
from typing import NoReturn
from uuid import UUID, uuid4

from sqlalchemy import func, select

from chaos.fleet.fleet import Fleet, Stuck
from chaos.fleet.servers import Ground
from chaos.result import Result
from chaos.scale import Scale
from chaos.tally import Tally, tally
from storage.errors import StorageError
from storage.records.states import ENDED

__all__ = ["CannotRun", "Stage"]

UNDER_LOAD_SHARE = 0.2
SHOWN = 3


class CannotRun(Exception):
    """This machine lacks what the row needs; the message names it."""


class Stage:
    """One row's fleet, clock and verdict."""

    def __init__(self, ground: Ground, fault: str, *, on_sqlite: bool = False) -> None:
        self.ground = ground
        self._on_sqlite = on_sqlite
        self.scale: Scale = ground.scale
        self.folder = ground.folder / uuid4().hex[:8]
        self.folder.mkdir()
        self.result = Result(fault)
        self.accepted: list[UUID] = []
        self.rolled_back: set[UUID] = set()
        self.tally: Tally | None = None
        self._fleet: Fleet | None = None
        self._fault_at = 0.0
        self._recovered_at = 0.0
        self._ended_at_fault = 0
        self._ended_at_recovery = 0

    @property
    def fleet(self) -> Fleet:
        """Return the fleet, once the row has created it."""
        assert self._fleet is not None  # noqa: S101 - a row that forgot to make its fleet
        return self._fleet

    def make_fleet(self, **overrides: object) -> Fleet:
        """Create the fleet; from here on the simulator answers in time and without faults."""
        simulator = self.ground.simulator
        simulator.clear_faults()
        simulator.put_latency_range(*self.scale.latency_s)
        if self._on_sqlite:
            overrides = {"database_url": f"sqlite:///{self.folder / 'darkroom.db'}", **overrides}
        self._fleet = Fleet(self.ground, self.folder, **overrides)
        return self._fleet

    def load(self, count: int | None = None) -> list[UUID]:
        """Submit the row's jobs."""
        ids = self.fleet.load(count or self.scale.jobs)
        self.accepted.extend(ids)
        return ids

    def wait_for_load(self, share: float = UNDER_LOAD_SHARE) -> None:
        """Wait until enough of the work is done that the fault happens in the middle of it."""
        wanted = max(1, int(len(self.accepted) * share))
        self.wait_until(lambda: self.fleet.ended >= wanted, f"{wanted} jobs done before the fault")
        if self.fleet.counts()["queued"] < self.scale.concurrency:  # a small load is soon done
            self.load(2 * self.scale.concurrency)

    def load_until(self, is_so: Callable[[], bool], what: str) -> None:
        """Keep the fleet busy until something has happened."""

        def happened() -> bool:
            if self.fleet.counts()["queued"] < 2 * self.scale.concurrency:
                self.load(self.scale.concurrency)
            return is_so()

        self.wait_until(happened, what)

    def wait_until(
        self, is_so: Callable[[], bool], what: str, within_s: float | None = None
    ) -> float:
        """Wait for a condition; return how many seconds it took."""
        return self.fleet.wait_until(is_so, within_s or self.scale.patience_s, what)

    def sleep(self, matrix_s: float) -> None:
        """Wait so many seconds of the matrix, shortened."""
        time.sleep(self.scale.shortened(matrix_s))

    def sleep_under_load(self, matrix_s: float) -> None:
        """Wait likewise, and submit jobs when few are left, so that the fault hits running work."""
        over = time.monotonic() + self.scale.shortened(matrix_s)
        while time.monotonic() < over:
            if self.fleet.counts()["queued"] < self.scale.concurrency:
                self.load(self.scale.concurrency)
            time.sleep(0.1)

    def outage(self, matrix_s: float) -> None:
        """Let an outage last under load; unlike a sleep, it need not be longer than a lease."""
        self.sleep_under_load(matrix_s * self.scale.outage_share)

    def must(self, promise: str, *, kept: bool, found: object = "") -> None:
        """Record a promise that was not kept."""
        if not kept:
            self.result.broken.append(f"{promise}: {found}" if found != "" else promise)

    def must_within(self, limit_s: float, took_s: float, promise: str) -> None:
        """Record a promise in seconds that was not kept, if the scale judges them."""
        self.must(promise, kept=took_s <= limit_s or not self.scale.is_timed, found=f"{took_s:.1f}")

    def note(self, words: str) -> None:
        """Add a fact for the reader of the table."""
        self.result.notes.append(words)

    def skip(self, reason: str) -> NoReturn:
        """Record why the row cannot run here."""
        raise CannotRun(reason)

    def fault_begins(self) -> None:
        """Mark the begin of the fault; the throughput before it is the reference."""
        self._fault_at = time.monotonic()
        self._ended_at_fault = self.fleet.ended
        self.result.before_per_s = self._rate_before()

    def fault_ends(self) -> None:
        """Mark the end of the cause; recovery counts from here."""
        self._fault_at = time.monotonic()
        self._ended_at_fault = self.fleet.ended
        left = len(self.accepted) - self._ended_at_fault
        self.must("the fault came under load", kept=left > 0, found="no job was left to be hit")

    def recovered(self, is_so: Callable[[], bool] | None = None) -> float:
        """Wait until the fleet works again: by default, until jobs end. Return the seconds."""
        works_on = is_so or (lambda: self.fleet.ended > self._ended_at_fault)
        self.wait_until(works_on, "the fleet's recovery")
        self._recovered_at = time.monotonic()
        self._ended_at_recovery = self.fleet.ended
        self.result.recover_s = self._recovered_at - self._fault_at
        return self.result.recover_s

    def finish(self) -> Tally:
        """Wait until every job has ended and every spool is empty, end the workers, and count."""
        total = len(self.accepted)
        if self._recovered_at and self._ended_at_recovery < total:
            nearly = self._ended_at_recovery + int(0.9 * (total - self._ended_at_recovery))
            self.wait_until(lambda: self.fleet.ended >= nearly, "most of the jobs' ends")
            done = self.fleet.ended - self._ended_at_recovery
            self.result.after_per_s = done / max(0.1, time.monotonic() - self._recovered_at)
        try:
            self.wait_until(lambda: self.fleet.ended >= total, "the end of every job")
            self.wait_until(lambda: not self.fleet.spooled(), "an empty spool", 60)
        except Stuck as stuck:
            self.must("every job ends", kept=False, found=stuck)
        self.stop_workers()
        return self.count()

    def stop_workers(self) -> None:
        """Stop the workers as a deploy would, so that nothing is in progress during the count."""
        running = [worker for worker in self.fleet.workers if worker.exit_status is None]
        for worker in running:
            worker.signal(signal.SIGCONT)
            worker.signal(signal.SIGTERM)
        for worker in running:
            if worker.wait(self.scale.shortened(120) + 60) is None:
                self.must("a worker stops on its signal", kept=False, found=f"pid {worker.pid}")
                worker.kill()

    def count(self) -> Tally:
        """Compare rows, bucket and ledger, and add the promises of every row."""
        found = self.tally = tally(self.fleet, self.accepted, self.rolled_back)
        result = self.result
        result.jobs, result.failed = len(self.accepted), len(found.failed)
        result.lost, result.stored_twice = len(found.lost), len(found.stored_twice)
        result.charged, result.unknown = found.charged, found.unknown
        result.uncounted = len(found.uncounted) + found.rolled_back_calls
        self.must("nothing is lost", kept=not found.lost, found=found.lost[:SHOWN])
        twice = found.stored_twice
        self.must("nothing is stored twice", kept=not twice, found=twice[:SHOWN])
        uncounted = found.uncounted
        self.must("no charge is uncounted", kept=not uncounted, found=uncounted[:SHOWN])
        return found

    def all_succeed(self, found: Tally) -> None:
        """Require, as most rows do, that the fault costs time but never an image."""
        failed = [f"{job.id} {job.error.code if job.error else ''}" for job in found.failed]
        self.must("every job succeeds", kept=not failed, found=failed[:SHOWN])

    def one_call_each(self, found: Tally) -> None:
        """Require, as many rows do, no second call, and none of unknown outcome."""
        self.must(
            "one call per job",
            kept=found.charged == len(self.accepted) and not found.unknown,
            found=f"{found.charged} charged for {len(self.accepted)}, {found.unknown} unknown",
        )
        self.calls_are_images(found)

    def calls_are_images(self, found: Tally) -> None:
        """Require that every image that was paid for is kept."""
        kept = sum(len(job.images) for job in found.jobs)
        self.must(
            "calls made = pictures kept",
            kept=found.calls_kept == kept,
            found=f"{found.calls_kept} calls for {kept} pictures",
        )

    def close(self) -> None:
        """End what still runs and delete the row's files, including the bucket's."""
        if self._fleet is not None:
            self.result.peak_memory_mb = round(self._fleet.peak_memory_bytes / 1e6, 1)
            self._fleet.close()
            bucket = self.ground.folder / "buckets" / self._fleet.bucket.bucket
            shutil.rmtree(bucket, ignore_errors=True)
        if not self.result.broken:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _rate_before(self) -> float | None:
        """Return images a second between the first end and now, from the rows' own times."""
        jobs = self.fleet.database.tables.jobs
        ended = jobs.c.status.in_([state.value for state in ENDED])
        question = select(func.count(), func.min(jobs.c.ended_at), func.max(jobs.c.ended_at))
        try:
            with self.fleet.database.read() as connection:
                many, first, last = connection.execute(question.where(ended)).one()
        except StorageError:
            return None
        if not many or first == last:
            return None
        return float(many / max(0.1, (last - first).total_seconds()))
