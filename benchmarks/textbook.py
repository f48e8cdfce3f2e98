"""The textbook workers as contenders: the same job body, run by queues that users pick.

Each is started as its own documentation has it. Processes are what Celery's guide calls for by
default (`prefork`); as many are started as a machine with 80 MB each to spare would bear.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from celery import Celery

from benchmarks.ground import Sink
from benchmarks.patience import until
from chaos import Ground
from tests.services.s3 import new_bucket

__all__ = ["TextbookWorkers", "celery_textbook"]

REPO = Path(__file__).parents[1]


class TextbookWorkers:
    """Workers of some queue that run the textbook job.

    Args:
        servers: what they run over.
        name: in the table.
        mark: the name of the queue, different in every run.
        command: starts the workers.
        send: hands in one job.
        warm_up: so many jobs, for every process to have done one.
    """

    def __init__(
        self,
        servers: Ground,
        *,
        name: str,
        mark: str,
        command: Sequence[str],
        send: Callable[[dict[str, Any]], object],
        warm_up: int,
    ) -> None:
        self.name = name
        self._servers = servers
        self._command = command
        self._send = send
        self._warm_up = warm_up
        endpoint = new_bucket(servers.s3)
        self.bucket = endpoint.bucket
        self._log = servers.folder / f"{mark}.log"
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPO),
            "TEXTBOOK_BROKER": servers.redis.url,
            "TEXTBOOK_QUEUE": mark,
            "TEXTBOOK_API_URL": servers.simulator.url,
            "TEXTBOOK_API_KEY": servers.simulator.api_key,
            "TEXTBOOK_S3_URL": endpoint.endpoint_url,
            "TEXTBOOK_BUCKET": endpoint.bucket,
            "AWS_ACCESS_KEY_ID": endpoint.access_key_id,
            "AWS_SECRET_ACCESS_KEY": endpoint.secret_access_key,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start them and wait for the first images."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self._servers.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.prepare(self._warm_up)()
        sink = self._servers.s3
        assert isinstance(sink, Sink)  # noqa: S101 - the ground of benchmarks has no other
        until(lambda: sink.puts(self.bucket) >= self._warm_up, f"{self.name}'s first images")

    def prepare(self, count: int) -> Callable[[], object]:
        """Nothing to be done before the messages are sent."""
        return partial(self._send_all, count)

    def _send_all(self, count: int) -> None:
        for number in range(count):
            prompt = f"a quiet harbour {self.bucket} number {number}"
            self._send({"prompt": prompt, "seed": 1 + number % 60_000, "num_inference_steps": 5})

    @property
    def pids(self) -> Sequence[int]:
        """The first process; the others are below it."""
        return [self._process.pid] if self._process is not None else []

    def stop(self) -> None:
        """Have them end, and wait."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None


def celery_textbook(servers: Ground, *, processes: int) -> TextbookWorkers:
    """Celery with its default pool: a process per call in flight."""
    mark = f"t{uuid4().hex[:12]}"
    producer = Celery("producer", broker=servers.redis.url, set_as_current=False)
    start = [sys.executable, "-m", "celery", "-A", "chaos.textbook", "worker"]
    return TextbookWorkers(
        servers,
        name="Celery",
        mark=mark,
        command=[*start, f"-c{processes}", "-n", f"{mark}@%h", "-l", "WARNING"],
        send=lambda request: producer.send_task(
            "chaos.textbook.generate", args=[request], queue=mark
        ),
        warm_up=3 * processes,
    )
