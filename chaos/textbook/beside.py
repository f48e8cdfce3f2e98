"""Play the first rows' faults on the textbook task, and count in the same way.

Such a system's only records of its jobs are its broker, its result backend and its bucket. So a job
counts as lost if its object is missing after the workers have been idle for a good while.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import psutil
import redis
from celery import Celery

from chaos.fleet.servers import Ground
from chaos.result import Result
from tests.services.s3 import new_bucket

__all__ = ["BESIDE", "play_beside"]

REPO = Path(__file__).parents[2]
VISIBILITY_S = 10.0
IDLE_S = 45.0


class Textbook:
    """Two `celery worker`s of the textbook task, and their jobs."""

    def __init__(self, ground: Ground, jobs: int) -> None:
        self.ground = ground
        self.jobs = jobs
        self.mark = uuid4().hex[:12]
        self.bucket = new_bucket(ground.s3)
        self.folder = ground.folder / self.mark
        self.folder.mkdir()
        self.peak_memory_bytes = 0
        self._workers: list[subprocess.Popen[bytes]] = []
        self._producer = Celery("producer", broker=ground.redis.url, set_as_current=False)

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Start one worker with a thread per call, as Celery's guide runs waiting tasks."""
        ground, scale = self.ground, self.ground.scale
        environment = {
            "PATH": os.environ["PATH"],
            "TEXTBOOK_BROKER": ground.redis.url,
            "TEXTBOOK_QUEUE": self.mark,
            "TEXTBOOK_VISIBILITY_S": str(VISIBILITY_S),
            "TEXTBOOK_API_URL": ground.simulator.url,
            "TEXTBOOK_API_KEY": ground.simulator.api_key,
            "TEXTBOOK_S3_URL": self.bucket.endpoint_url,
            "TEXTBOOK_BUCKET": self.bucket.bucket,
            "AWS_ACCESS_KEY_ID": self.bucket.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.bucket.secret_access_key,
        }
        words = [
            "-A",
            "chaos.textbook.tasks",
            "worker",
            "--pool=threads",
            "-n",
            f"w{uuid4().hex[:6]}@%h",
        ]
        with (self.folder / f"worker-{len(self._workers)}.log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "celery", *words, f"-c{scale.first_concurrency}"],
                env=environment,
                cwd=REPO,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._workers.append(worker)
        return worker

    def submit(self, count: int) -> None:
        """Send the jobs."""
        small = {} if self.ground.scale.is_canned else {"width": 64, "height": 64}
        for number in range(count):
            prompt = f"a quiet harbour {self.mark} number {number}"
            request = {"prompt": prompt, "seed": 1 + number % 60_000, **small}
            self._producer.send_task(
                "chaos.textbook.tasks.generate", args=[request], queue=self.mark
            )

    @property
    def stored(self) -> int:
        """Return the objects in the bucket, one per task."""
        return len(list((self.ground.folder / "buckets" / self.bucket.bucket).glob("*.png")))

    def wait_until_idle(self) -> None:
        """Wait until every object exists, or nothing has changed for a good while."""
        last, since = (-1, -1), time.monotonic()
        while self.stored < self.jobs and time.monotonic() - since < IDLE_S:
            now = (self.stored, self.ground.simulator.asked())
            if now != last:
                last, since = now, time.monotonic()
            for worker in self._workers:
                self.peak_memory_bytes = max(self.peak_memory_bytes, _memory_of(worker.pid))
            time.sleep(0.5)

    def stop(self) -> None:
        """Kill the workers and drop the jobs."""
        for worker in self._workers:
            worker.kill()
            worker.wait()
        self._producer.close()
        shutil.rmtree(self.ground.folder / "buckets" / self.bucket.bucket, ignore_errors=True)


def play_beside(ground: Ground, name: str, fault: str) -> Result:
    """Play a row's fault on the textbook task."""
    began = time.monotonic()
    jobs = ground.scale.jobs
    book = Textbook(ground, jobs)
    ground.simulator.clear_faults()
    ground.simulator.put_latency_range(*ground.scale.latency_s)
    try:
        workers = [book.start_worker(), book.start_worker()]
        book.submit(jobs)
        while book.stored < jobs // 5:
            time.sleep(0.1)
        BESIDE[name](book, workers)
        book.wait_until_idle()
        charged, stored = ground.simulator.charged(book.mark), book.stored
    finally:
        book.stop()
    return Result(
        fault,
        runner="textbook Celery task",
        jobs=jobs,
        lost=jobs - stored,
        charged=charged,
        uncounted=max(0, charged - stored),
        peak_memory_mb=round(book.peak_memory_bytes / 1e6, 1),
        took_s=round(time.monotonic() - began, 1),
    )


def _kill_one(_book: Textbook, workers: list[subprocess.Popen[bytes]]) -> None:
    workers[0].send_signal(signal.SIGKILL)


def _kill_both_and_restart(book: Textbook, workers: list[subprocess.Popen[bytes]]) -> None:
    for worker in workers:
        worker.send_signal(signal.SIGKILL)
    book.ground.redis.kill()
    book.ground.redis.start()
    book.start_worker()
    book.start_worker()


def _flush(book: Textbook, _workers: list[subprocess.Popen[bytes]]) -> None:
    with redis.Redis.from_url(book.ground.redis.url) as client:
        client.flushall()


def _s3_down(book: Textbook, _workers: list[subprocess.Popen[bytes]]) -> None:
    book.ground.s3.kill()
    time.sleep(book.ground.scale.shortened(60))
    book.ground.s3.start()


BESIDE: dict[str, Callable[[Textbook, list[subprocess.Popen[bytes]]], None]] = {
    "killed": _kill_one,
    "machine": _kill_both_and_restart,
    "flush": _flush,
    "s3-away": _s3_down,
}
"""The rows that are played on it, by name."""


def _memory_of(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
