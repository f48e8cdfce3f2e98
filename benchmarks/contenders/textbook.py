"""The textbook workers as contenders: the same job body, run by common queues.

Each is started as its own documentation recommends. Celery's guide uses processes by default
(`prefork`). As many are started as a machine with 80 MB for each can hold.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import dramatiq
from celery import Celery
from dramatiq.brokers.redis import RedisBroker

from benchmarks.servers.processes import memory_bytes
from benchmarks.servers.servers import Servers
from benchmarks.servers.until import until
from tests.services.s3 import new_bucket

__all__ = ["TextbookWorkers", "celery_textbook", "dramatiq_textbook"]

REPO = Path(__file__).parents[2]
#: Where `requests` and boto3 look for the certificates to trust.
BUNDLES = ("REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")


class TextbookWorkers:
    """Workers of one queue that run the textbook job.

    Args:
        servers: the servers they use.
        name: in the table.
        calls: how many it has in flight.
        mark: the name of the queue, different in every run.
        command: starts the workers.
        send: submits one job.
    """

    def __init__(
        self,
        servers: Servers,
        *,
        name: str,
        calls: int,
        mark: str,
        command: Sequence[str],
        send: Callable[[dict[str, Any]], object],
    ) -> None:
        self.name = name
        self.calls = calls
        self._servers = servers
        self._command = command
        self._send = send
        self._warm_up = 3 * calls  # enough for every process to have run one
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
        if (bundle := servers.simulator.ca_bundle) is not None:
            self._environment |= dict.fromkeys(BUNDLES, str(bundle))
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
        sink, wanted = self._servers.s3, self._warm_up
        until(lambda: sink.puts(self.bucket) >= wanted, f"{self.name}'s first images")

    def prepare(self, count: int) -> Callable[[], object]:
        """Return the sending of the messages; nothing else needs preparing."""
        return partial(self._send_all, count)

    def _send_all(self, count: int) -> None:
        for number in range(count):
            prompt = f"a quiet harbour {self.bucket} number {number}"
            self._send({"prompt": prompt, "seed": 1 + number % 60_000, "num_inference_steps": 5})

    @property
    def pids(self) -> Sequence[int]:
        """Return the first process; the others are its descendants."""
        return [self._process.pid] if self._process is not None else []

    @property
    def memory_bytes(self) -> int:
        """Return the memory of all together; pages that they share are counted once."""
        return sum(map(memory_bytes, self.pids))

    def stop(self) -> None:
        """End the workers, and wait."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None


def celery_textbook(servers: Servers, *, processes: int) -> TextbookWorkers:
    """Run Celery with its default pool: a process per call in flight."""
    mark = f"t{uuid4().hex[:12]}"
    producer = Celery("producer", broker=servers.redis.url, set_as_current=False)
    start = [sys.executable, "-m", "celery", "-A", "chaos.textbook.tasks", "worker"]
    return TextbookWorkers(
        servers,
        name="Celery",
        calls=processes,
        mark=mark,
        command=[*start, f"-c{processes}", "-n", f"{mark}@%h", "-l", "WARNING"],
        send=lambda request: producer.send_task(
            "chaos.textbook.tasks.generate", args=[request], queue=mark
        ),
    )


def dramatiq_textbook(servers: Servers, *, processes: int, threads: int) -> TextbookWorkers:
    """Run Dramatiq as its guide starts it: a few processes of several threads."""
    mark = f"d{uuid4().hex[:12]}"
    broker = RedisBroker(url=servers.redis.url)  # type: ignore[no-untyped-call]
    broker.declare_queue(mark)
    start = [sys.executable, "-m", "dramatiq", "benchmarks.contenders.dramatiq_task"]

    def send(request: dict[str, Any]) -> None:
        broker.enqueue(
            dramatiq.Message(
                queue_name=mark, actor_name="generate", args=(request,), kwargs={}, options={}
            )
        )

    return TextbookWorkers(
        servers,
        name="Dramatiq",
        calls=processes * threads,
        mark=mark,
        command=[*start, "--processes", str(processes), "--threads", str(threads)],
        send=send,
    )
