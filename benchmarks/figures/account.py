"""Compute the CPU charged between two moments, per image: to the workers, and to each server."""

import time

from benchmarks.contenders.contender import Contender
from benchmarks.servers.processes import charged_s
from benchmarks.servers.servers import Servers

__all__ = ["Account"]


class Account:
    """The charges since it was created.

    Args:
        servers: besides the workers.
        contender: the contender whose workers are charged.
    """

    def __init__(self, servers: Servers, contender: Contender) -> None:
        self._servers = servers
        self._contender = contender
        self._workers_s = self._charged_s()
        self._charges = servers.charges()
        self._puts = servers.s3.puts(contender.bucket)
        self._began = time.monotonic()

    @property
    def images(self) -> int:
        """Return the images delivered since it was created."""
        return self._servers.s3.puts(self._contender.bucket) - self._puts

    def close(self) -> dict[str, float]:
        """Return milliseconds of CPU per image, for workers and servers, and images a second."""
        took_s = time.monotonic() - self._began
        images = max(1, self.images)
        charges, workers_s = self._servers.charges(), self._charged_s()
        return {
            "worker_ms": 1000 * (workers_s - self._workers_s) / images,
            **charges.each_ms(self._charges, images),
            "images_per_s": images / took_s,
            "memory_mb": self._contender.memory_bytes / 1e6,
        }

    def _charged_s(self) -> float:
        return sum(map(charged_s, self._contender.pids))
