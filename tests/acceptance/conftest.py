"""A fleet of real worker processes over real services; the producer uses no code of Darkroom."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID, uuid4

import pytest
from celery import Celery
from uuid_utils.compat import uuid7

from chaos.fleet.worker import WorkerProcess
from playground.request.request import RequestLimits, check_request
from playground.request.wire import kept_form
from storage.db.database import Database
from storage.errors import DatabaseUnavailable, JobNotFound
from storage.intake.insert import insert_job
from storage.migrations.migrate import migrate
from storage.queries.get import get_job
from storage.records.job import Job, NewJob
from tests.services import S3Endpoint, Simulator

PATIENCE_S = 60

#: Waits short enough for a test to see their end. The lease is the default of 20 s: on a busy
#: machine a worker may stand still for seconds, and a rescue would make a further paid call. The
#: leader's turn is as long as a heartbeat, and only an unbroken turn of a whole lease may rescue.
QUICK = {
    "DARKROOM_CONCURRENCY": "16",
    "DARKROOM_HEARTBEAT_S": "2",
    "DARKROOM_LEASE_S": "20",
    "DARKROOM_BACKOFF_BASE_S": "0.05",
    "DARKROOM_BACKOFF_MAX_S": "0.2",
    "DARKROOM_HOLD_S": "0.3",
    "DARKROOM_SPOOL_GRACE_S": "5",
    "DARKROOM_DISPATCH_AGAIN_S": "3",
    "DARKROOM_PUBLISH_PAUSE_S": "1",
}


Worker = WorkerProcess | subprocess.Popen[bytes]


class Fleet:
    """Worker processes of one namespace, and what they share."""

    def __init__(self, folder: Path, environment: dict[str, str], simulator: Simulator) -> None:
        self.folder = folder
        self.mark = uuid4().hex[:12]
        self._simulator = simulator
        self.environment = environment
        self.database = Database(environment["DARKROOM_DATABASE_URL"], pool_size=2)
        self.workers: list[Worker] = []
        self._producer = Celery(
            "stranger", broker=environment["DARKROOM_BROKER_URL"], set_as_current=False
        )
        migrate(self.database)

    def start_worker(self, **more: object) -> WorkerProcess:
        """Start one more `darkroom worker`, with more settings, from a process that is warm."""
        worker = WorkerProcess(self._variables(more), self.folder, self._next_log(), None)
        self.workers.append(worker)
        return worker

    def start_from_nothing(self, *command: str) -> subprocess.Popen[bytes]:
        """Start one more worker as a shell would, by `python -m` and these words."""
        with self._next_log().open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-P", "-m", *command],
                env=self._variables({}),
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.workers.append(worker)
        return worker

    def _variables(self, more: Mapping[str, object]) -> dict[str, str]:
        extra = {f"DARKROOM_{name.upper()}": str(value) for name, value in more.items()}
        return {**os.environ, **self.environment, **extra}

    def _next_log(self) -> Path:
        return self.folder / f"worker-{len(self.workers)}.log"

    def send(self, request: object, *, task_id: str | None = None, **options: Any) -> UUID:
        """Submit a job as an outside producer does: by task name, with JSON alone."""
        task_id = task_id or str(uuid4())
        if isinstance(request, dict) and request.get("prompt"):
            request = {**request, "prompt": f"{request['prompt']} {self.mark}"}
        self._producer.send_task(
            "darkroom.submit",
            kwargs={"request": request, **options},
            queue="darkroom.submit",
            task_id=task_id,
        )
        return UUID(task_id)

    def insert(self, request: Mapping[str, Any]) -> UUID:
        """Put a job into the table, with no message on its way."""
        marked = {**request, "prompt": f"{request['prompt']} {self.mark}"}
        kept = kept_form(check_request(marked, RequestLimits()))
        new = NewJob(id=uuid7(), request=kept, request_hash="0" * 64)
        return insert_job(self.database, new).job.id

    def charged(self) -> int:
        """Calls that the simulator charged for prompts of this fleet, and of no other test."""
        return self._simulator.charged(self.mark)

    def job(self, job_id: UUID) -> Job | None:
        """Return the job's row, or None if there is no row yet or the database is unavailable."""
        try:
            return get_job(self.database, job_id)
        except (JobNotFound, DatabaseUnavailable):
            return None

    def wait_for(self, job_id: UUID, *states: str) -> Job:
        """Wait until a job is in one of these states."""
        found: list[Job] = []

        def is_there() -> bool:
            job = self.job(job_id)
            found[:] = [job] if job and job.status in states else []
            return bool(found)

        self.wait_until(is_there, f"job {job_id} is not {' or '.join(states)}: {self.job(job_id)}")
        return found[0]

    def wait_until(self, is_so: Callable[[], bool], complaint: str = "it never came") -> None:
        """Look again and again, up to a minute."""
        pause = threading.Event()
        for _ in range(PATIENCE_S * 20):
            if is_so():
                return
            if self.workers and all(_has_ended(worker) for worker in self.workers):
                complaint = f"every worker has ended; {complaint}"
                break
            pause.wait(0.05)
        raise AssertionError(f"{complaint}\n{self.logs()}")

    def logs(self) -> str:
        """What the workers said."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-60_000:]}"
            for path in sorted(self.folder.glob("worker-*.log"))
        )

    def stop(self) -> None:
        """End every worker that still runs."""
        for worker in self.workers:
            worker.kill()
            worker.wait(PATIENCE_S)
        self._producer.close()
        self.database.close()


def _has_ended(worker: Worker) -> bool:
    status = worker.exit_status if isinstance(worker, WorkerProcess) else worker.poll()
    return status is not None


class MakeFleet(Protocol):
    """Makes fleets that are ended with the test."""

    def __call__(self, *, database_url: str, broker_url: str, s3: S3Endpoint) -> Fleet:
        """A fleet without workers yet, over these services."""
        ...


@pytest.fixture
def make_fleet(tmp_path: Path, simulator: Simulator) -> Iterator[MakeFleet]:
    """For tests that bring servers of their own, to be killed."""
    made: list[Fleet] = []

    def make(*, database_url: str, broker_url: str, s3: S3Endpoint) -> Fleet:
        environment = {
            "DARKROOM_BROKER_URL": broker_url,
            "DARKROOM_DATABASE_URL": database_url,
            "DARKROOM_S3_ENDPOINT_URL": s3.endpoint_url,
            "DARKROOM_S3_BUCKET": s3.bucket,
            "DARKROOM_S3_REGION": s3.region,
            "DARKROOM_S3_ADDRESSING": "path",
            "AWS_ACCESS_KEY_ID": s3.access_key_id,
            "AWS_SECRET_ACCESS_KEY": s3.secret_access_key,
            "DARKROOM_PLAYGROUND_URL": simulator.url,
            "DARKROOM_PLAYGROUND_API_KEY": simulator.api_key,
            "DARKROOM_SPOOL_DIR": str(tmp_path / "spool"),
            **QUICK,
        }
        made.append(Fleet(tmp_path, environment, simulator))
        return made[-1]

    yield make
    for fleet in made:
        fleet.stop()


@pytest.fixture
def fleet(make_fleet: MakeFleet, new_migrated_url: str, redis_url: str, s3: S3Endpoint) -> Fleet:
    """A fleet without workers yet, over every database."""
    return make_fleet(database_url=new_migrated_url, broker_url=redis_url, s3=s3)


@pytest.fixture
def lite_fleet(
    make_fleet: MakeFleet, migrated_sqlite_url: str, redis_url: str, s3: S3Endpoint
) -> Fleet:
    """A fleet over SQLite, where the database makes no difference to the claim."""
    return make_fleet(database_url=migrated_sqlite_url, broker_url=redis_url, s3=s3)
