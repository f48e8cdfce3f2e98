"""Load an HTTP server with prepared requests, and read what it was charged for each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.readings.reading import Reading
from benchmarks.servers.blast import Blast, run_blast
from benchmarks.servers.processes import charged_s
from benchmarks.servers.servers import Servers
from tests.services.server import Server

__all__ = ["HttpLoad", "Requests"]

#: Requests that are sent before the measured ones, as a part of them.
WARM_UP: Final = 4

Requests = Callable[[int], Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class HttpLoad:
    """How a server is loaded.

    Attributes:
        servers: whose charges are read besides.
        folder: for the requests.
        count: how many requests are measured.
        unit: what a request is about, in the name of the rate.
        status: of each answer.
    """

    servers: Servers
    folder: Path
    count: int
    unit: str
    status: int

    def reading(
        self, figure: str, contender: str, server: Server, made: Requests, clients: int
    ) -> Reading:
        """Return what a request costs.

        Raises:
            RuntimeError: an answer had another status.
        """
        self._send(server, made(max(self.count // WARM_UP, clients)), clients)
        requests = made(self.count)
        before_s, before = charged_s(server.pid), self.servers.charges()
        blast = self._send(server, requests, clients)
        used_s, after = charged_s(server.pid) - before_s, self.servers.charges()
        each = after.each_ms(before, self.count)
        numbers = {
            "clients": clients,
            "gateway_ms": 1000 * used_s / self.count,
            "postgres_ms": each["postgres_ms"],
            "broker_ms": each["broker_ms"],
            "client_ms": 1000 * blast.cpu_s / self.count,
            f"{self.unit}_per_s": self.count / blast.took_s,
            "median_ms": blast.median_ms,
            "p99_ms": blast.p99_ms,
        }
        return Reading(figure, contender, numbers)

    def _send(self, server: Server, requests: Sequence[bytes], clients: int) -> Blast:
        blast = run_blast(server.port, requests, clients=clients, folder=self.folder)
        if blast.statuses != {str(self.status): len(requests)}:
            raise RuntimeError(f"not all answers were {self.status}: {blast.statuses}")
        return blast
