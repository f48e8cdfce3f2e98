"""Workers of one namespace over a ground's servers, their jobs, and the state of their table.

Where the table must be watched closely, it is read with this file's own SQL. Jobs are submitted
through the interfaces that producers use.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from celery import Celery
from sqlalchemy import func, select
from uuid_utils.compat import uuid7

from chaos.fleet.servers import Ground
from chaos.fleet.settings import suggested_settings
from chaos.fleet.snags import Snag
from chaos.fleet.spools import size_of, waiting_files
from chaos.fleet.worker import WorkerProcess
from darkroom.settings import load_settings
from darkroom.wiring.factory import Wiring
from storage.db.database import Database
from storage.errors import DatabaseUnavailable
from storage.intake.insert import MAX_CHUNK_JOBS, insert_jobs
from storage.queries.get import get_jobs
from storage.records.job import Job, NewJob
from storage.records.states import ENDED
from tests.services.s3 import S3Endpoint, new_bucket

__all__ = ["Fleet", "Stuck"]

LOOK_AGAIN_S = 0.05

#: A statement that a worker had sent when it was killed is committed by then, or never.
SETTLED_S = 0.3
START_WITHIN_S = 60.0

#: A gateway's processes are fresh interpreters, which have to import the same tree.
INHERITED = {"PATH", "HOME", "PYTHONPATH"}
CHUNK = 500


class Stuck(Exception):
    """An event that was waited for did not happen."""


class Fleet:
    """Worker processes and their namespace.

    Args:
        ground: the servers.
        folder: for spools and logs.
        overrides: settings by field name, over those of the scale. Without a `database_url`, the
            fleet gets a new PostgreSQL database, already migrated.

    Attributes:
        variables: environment variables of its processes besides their settings.
        first: called in each worker process before its command begins; it must be picklable.
    """

    def __init__(self, ground: Ground, folder: Path, **overrides: object) -> None:
        self.ground = ground
        self.variables: dict[str, str] = {}
        self.first: Callable[[], None] | None = None
        self.folder = folder
        self.mark = uuid4().hex[:12]
        self.namespace = f"c{self.mark}"
        self.bucket: S3Endpoint = new_bucket(ground.s3)
        self.database_url = ground.migrated(overrides.get("database_url"))
        suggested = suggested_settings(
            ground, self.bucket, self.namespace, folder=folder, database_url=self.database_url
        )
        self.settings = suggested | {name: str(v) for name, v in overrides.items()}
        self.workers: list[WorkerProcess] = []
        self.peak_memory_bytes = 0
        self.peak_spool_bytes = 0
        self.database = Database(self.database_url, pool_size=4)
        self._over = threading.Event()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def start_worker(self, snag: Snag | None = None, /, **overrides: object) -> WorkerProcess:
        """Start one worker; it works a second later."""
        log = self.folder / f"worker-{len(self.workers)}.log"
        environment = self.environment(**overrides)
        worker = WorkerProcess(environment, self.folder, log, snag, self.first)
        self.workers.append(worker)
        return worker

    def environment(self, **overrides: object) -> dict[str, str]:
        """Return the whole environment of a process of this fleet."""
        settings = self.settings | {name: str(v) for name, v in overrides.items()}
        return {
            **{name: value for name, value in os.environ.items() if name in INHERITED},
            **self.variables,
            "AWS_ACCESS_KEY_ID": self.bucket.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.bucket.secret_access_key,
            **{f"DARKROOM_{name.upper()}": value for name, value in settings.items()},
        }

    def start(self, count: int, **overrides: object) -> list[WorkerProcess]:
        """Start workers and wait until each has its lease."""
        workers = [self.start_worker(**overrides) for _ in range(count)]
        self.wait_for_leases(workers)
        return workers

    def wait_for_leases(self, workers: Sequence[WorkerProcess]) -> None:
        """Wait until these workers have a row in the table.

        Raises:
            Stuck: one of them ended while starting.
        """
        pids = {worker.pid for worker in workers}

        def are_known() -> bool:
            if any(worker.exit_status is not None for worker in workers):
                raise Stuck(f"a worker ended at its start: {self.last_words()}")
            return pids <= self.worker_ids().keys()

        self.wait_until(are_known, START_WITHIN_S, "a worker's lease")

    def last_words(self) -> str:
        """Return the last line that each worker logged."""
        logs = sorted(self.folder.glob("worker-*.log"))
        lines = [log.read_text(errors="replace").splitlines()[-1:] for log in logs]
        return "; ".join(line for last in lines for line in last)

    def load(self, count: int) -> list[UUID]:
        """Insert jobs into the table, as loading a batch does: no message is sent."""
        jobs = [
            NewJob(id=uuid7(), request=self.request(n), request_hash=str(n)) for n in range(count)
        ]
        for start in range(0, count, min(CHUNK, MAX_CHUNK_JOBS)):
            insert_jobs(self.database, jobs[start : start + CHUNK])
        return [job.id for job in jobs]

    def request(self, number: int) -> dict[str, Any]:
        """Return a request whose prompt marks this fleet's calls in the ledger."""
        small = {} if self.ground.scale.is_canned else {"width": 64, "height": 64}
        # A maze is the simulator's fastest picture: 1 ms, where a harbour takes 4.
        prompt = f"a quiet maze {self.mark} number {uuid4().hex[:8]}"
        return {"prompt": prompt, "seed": 1 + number % 60_000, "num_inference_steps": 5, **small}

    @cached_property
    def wiring(self) -> Wiring:
        """Return a producer in this process, wired with the fleet's own settings."""
        return Wiring(load_settings(**self.settings))

    @cached_property
    def stranger(self) -> Celery:
        """Return a producer without Darkroom: a bare Celery app on the same broker."""
        return Celery("stranger", broker=self.settings["broker_url"], set_as_current=False)

    def send(self, number: int, task_id: str) -> None:
        """Submit a job by message, as a producer without Darkroom would."""
        self.stranger.send_task(
            "darkroom.submit",
            kwargs={"request": self.request(number)},
            queue=f"{self.namespace}.submit",
            task_id=task_id,
        )

    def ring(self, job_ids: Sequence[UUID]) -> None:
        """Send a dispatch message directly."""
        self.stranger.send_task(
            "darkroom.generate",
            args=[[str(job_id) for job_id in job_ids]],
            queue=f"{self.namespace}.generate",
        )

    def worker_ids(self) -> dict[int, UUID]:
        """Return the workers in the table, by process id."""
        workers = self.database.tables.workers
        try:
            with self.database.read() as connection:
                rows = connection.execute(select(workers.c.pid, workers.c.id)).all()
        except DatabaseUnavailable:
            return {}
        return {int(row.pid): row.id for row in rows}

    def counts(self) -> Counter[str]:
        """Return how many jobs are in each state; empty while the database is unavailable."""
        jobs = self.database.tables.jobs
        question = select(jobs.c.status, func.count()).group_by(jobs.c.status)
        try:
            with self.database.read() as connection:
                return Counter({str(status): int(n) for status, n in connection.execute(question)})
        except DatabaseUnavailable:
            return Counter()

    @property
    def ended(self) -> int:
        """Return how many jobs have ended."""
        found = self.counts()
        return sum(found[state.value] for state in ENDED)

    def held_by(self, worker: WorkerProcess, *states: str) -> list[UUID]:
        """Return the jobs that a worker, even a dead one, holds in these states."""
        try:
            return self._held_by(worker, states)
        except DatabaseUnavailable:
            return []

    def held_at_death(self, worker: WorkerProcess, *states: str) -> list[UUID]:
        """Return the jobs that a killed worker held in these states.

        Read until two reads agree: the database may still commit a claim that the worker had sent.
        """
        before: list[UUID] | None = None
        while True:
            try:
                now = sorted(self._held_by(worker, states))
            except DatabaseUnavailable:
                now = None
            if now is not None and now == before:
                return now
            before = now
            time.sleep(SETTLED_S)

    def _held_by(self, worker: WorkerProcess, states: Sequence[str]) -> list[UUID]:
        jobs, workers = self.database.tables.jobs, self.database.tables.workers
        own = select(workers.c.id).where(workers.c.pid == worker.pid)
        held = select(jobs.c.id).where(jobs.c.worker_id.in_(own), jobs.c.status.in_(states))
        with self.database.read() as connection:
            return list(connection.scalars(held))

    def jobs(self, ids: Sequence[UUID]) -> list[Job]:
        """Return rows by id."""
        found: list[Job] = []
        for start in range(0, len(ids), CHUNK):
            found.extend(get_jobs(self.database, ids[start : start + CHUNK]))
        return found

    def all_ids(self) -> list[UUID]:
        """Return the ids of all jobs in this fleet's table."""
        with self.database.read() as connection:
            return list(connection.scalars(select(self.database.tables.jobs.c.id)))

    def wait_until(self, is_so: Callable[[], bool], within_s: float, what: str) -> float:
        """Check a condition repeatedly; return how long it took.

        Raises:
            Stuck: the condition did not become true.
        """
        began = time.monotonic()
        while not is_so():
            if time.monotonic() - began > within_s:
                raise Stuck(f"{what} did not come within {within_s:.0f} s ({dict(self.counts())})")
            self._over.wait(LOOK_AGAIN_S)
        return time.monotonic() - began

    def spooled(self) -> list[Path]:
        """Return the files that wait in any spool of this fleet."""
        return waiting_files(self.folder)

    def said(self, words: str) -> bool:
        """Return whether a worker logged this text."""
        logs = self.folder.glob("worker-*.log")
        return any(words in log.read_text(errors="replace") for log in logs)

    def close(self) -> None:
        """Kill what still runs, and close the connections."""
        self._over.set()
        for worker in self.workers:
            worker.kill()
        if "stranger" in self.__dict__:
            self.stranger.close()
        if "wiring" in self.__dict__:
            self.wiring.app.close()
            self.wiring.database.close()
        self.database.close()

    def _watch(self) -> None:
        while not self._over.wait(0.25):
            for worker in list(self.workers):
                self.peak_memory_bytes = max(self.peak_memory_bytes, worker.memory_bytes)
            total = sum(size_of(path) for path in self.spooled())
            self.peak_spool_bytes = max(self.peak_spool_bytes, total)
